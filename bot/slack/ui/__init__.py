"""Pure builders: values in, Block Kit out."""
