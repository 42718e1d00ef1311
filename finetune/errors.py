"""The one error base of finetune: `str(error)` is safe to show a user and says what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches

MIN_LIKENESS_OF_SPELLING = 0.6  # difflib's ratio, 0 to 1


class FinetuneError(Exception):
    """One or two sentences: what went wrong and what the person can do.

    `retryable`: the same may work later with nothing changed, as something outside did not answer.
    """

    retryable = False


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """ " Did you mean `x`?" for the choice that is spelled most like `word`, "" where none is."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    close = get_close_matches(word.lower(), by_lower_case, 1, MIN_LIKENESS_OF_SPELLING)
    return f" Did you mean `{by_lower_case[close[0]]}`?" if close else ""


def is_disk_full(error: BaseException) -> bool:
    """Whether this error, or one that it came from, is a full disk (safetensors reports it as text)."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cause: BaseException | None = error
    while cause is not None:
        if (isinstance(cause, OSError) and cause.errno in full) or any(t in str(cause) for t in _AS_TEXT):
            return True
        if "PytorchStreamWriter failed" in str(cause) or "unexpected pos" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


_AS_TEXT = ("No space left on device", "File too large", "iostream error")

REFUSED = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "could not create a primitive",  # oneDNN, where it gets no memory for its code or scratch
)


class Stopped(FinetuneError):
    """The run was asked to stop; `reason` is "cancel", "lost" or "budget". The same folder resumes it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        why = {"cancel": "it was cancelled", "budget": "its budget is spent", "lost": "its worker lost it"}
        super().__init__(
            f"Training stopped because {why.get(reason, reason)}. The last checkpoint is kept: "
            "running the job again goes on from there."
        )


class TrainingDataError(FinetuneError):
    """The rows cannot be trained on as they are."""


class BaseModelError(FinetuneError):
    """The base model cannot be loaded."""


class HubUnreachable(BaseModelError):
    """The model hub did not answer, or is overloaded: a later try may work."""

    retryable = True


class LossNotFinite(FinetuneError):
    """The loss became NaN or infinite at `step`; `kept` is the step of the last good checkpoint (None: none yet)."""

    def __init__(self, step: int, rate: float, last_good: str | None) -> None:
        good = (
            f"The checkpoint of step {last_good} is kept"
            if last_good
            else "No checkpoint had been written yet"
        )
        super().__init__(
            f"The loss stopped being a number at step {step}. {good}. "
            f"Launch it again with a learning rate of {rate / 5:.1g} instead of {rate:.1g}, or with precision=fp32."
        )


class DiskFull(FinetuneError):
    """A checkpoint could not be written; the one before it is kept."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"The disk that holds {folder} is full (or its quota is), so the newest checkpoint was not written; the last good "
            "one is kept. Free some space and run the job again: it goes on from there."
        )


class OutOfMemory(FinetuneError):
    """The machine's memory ran out `when`, e.g. with one row at a time; nothing is left to make smaller by itself."""

    def __init__(self, max_length: int, when: str) -> None:
        super().__init__(
            f"The memory of the machine that trains ran out {when}. Choose a smaller base model, "
            f"LoRA or QLoRA instead of full tuning, or a max_length below {max_length}; or free memory there."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error is a refused allocation, on the GPU or the CPU (the libraries report that as text)."""
    import torch

    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in text for sign in REFUSED)


class ExportError(FinetuneError):
    """A model could not be exported or pushed."""


class CorruptModel(FinetuneError):
    """A saved model does not read back as it was written."""
