"""The base class of rag's errors: `str(error)` is safe to show a user and says what to do next."""


class RagError(Exception):
    """One or two sentences: what went wrong and what the person can do."""
