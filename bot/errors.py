"""The one error base of bot: `str(error)` is safe to show a user and says what to do next."""

from __future__ import annotations

from finetune.errors import FinetuneError
from rag.errors import RagError
from worker.errors import WorkerError


class BotError(Exception):
    """One or two sentences: what went wrong and what the person can do."""


class OldButton(BotError):
    """A button whose value this version does not know: it says which command shows the present one."""

    def __init__(self, usage: str) -> None:
        super().__init__(f"This button is from an older version. {usage}")


OURS = (BotError, RagError, FinetuneError, WorkerError)
