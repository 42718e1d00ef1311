"""Evaluations of the adviser's verdicts and of the search."""
