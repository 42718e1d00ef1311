"""Question in, cited answer and verdict out; knows nothing of Slack, Redis or training."""
