"""How often the adviser is right, and how well passages are found."""
