"""One file per kind of document: each file's `READERS` is picked up by the registry (rag/ingest/readers/registry.py)."""
