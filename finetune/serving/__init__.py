"""A finished model put to use: predictions and exports."""
