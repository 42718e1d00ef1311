"""The one error base of worker: `str(error)` is safe to show a user and says what to do next."""


class WorkerError(Exception):
    """One or two sentences: what went wrong and what the person can do."""


class UnknownJob(WorkerError):
    """The id names no job in this ledger."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"There is no job {job_id}. `/jobs` in Slack or `trainwise jobs list` shows those there are."
        )


class IllegalTransition(WorkerError):
    """The job's present state does not allow what was asked; nothing was changed."""
