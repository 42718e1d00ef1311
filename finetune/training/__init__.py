"""Training: base models, the loop, checkpoints, checks."""
