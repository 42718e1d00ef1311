"""The one error base of bot: `str(error)` is safe to show a user and says what to do next."""

from __future__ import annotations

from finetune.errors import FinetuneError
from rag.errors import RagError
from worker.errors import WorkerError


class BotError(Exception):
    """What went wrong and what the person can do about it, in one or two sentences."""


OURS = (BotError, RagError, FinetuneError, WorkerError)
