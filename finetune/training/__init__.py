"""The training itself: base models, the loop, checkpoints, checks."""
