"""The one error base of worker: `str(error)` is safe to show a user and says what to do next."""


class WorkerError(Exception):
    """What went wrong and what the person can do about it, in one or two sentences."""
