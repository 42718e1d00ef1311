"""What a fine-tune can learn to do."""
