"""From signals to a verdict and its words, by the decision table alone."""
