"""One file for each family of formats: bytes in, Markdown out."""
