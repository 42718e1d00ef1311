"""Pure builders of Block Kit from values."""
