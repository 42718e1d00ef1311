"""Documents from files, folders and the web into the index."""
