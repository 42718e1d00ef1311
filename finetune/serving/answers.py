"""The answers of served models, and the interface of a loaded version. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from finetune.evaluation.promise import Threshold


@dataclass(frozen=True)
class Answer:
    """A ticket's queue, or None where the model abstains and `reason` says why, as "it ..." or "its ...".

    `likeliest` are the three likeliest queues with their probabilities; `is_near`: whether a training ticket resembles it.
    """

    queue: str | None
    confidence: float
    likeliest: tuple[tuple[str, float], ...]
    reason: str = ""
    is_near: bool = True
    tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "queue": self.queue,
            "answered": self.queue is not None,
            "confidence": round(self.confidence, 4),
            "likeliest": [{"queue": name, "confidence": round(share, 4)} for name, share in self.likeliest],
            "reason": self.reason,
            "near_training_tickets": self.is_near,
        }


@dataclass(frozen=True)
class Draft:
    """A reply that a model wrote, for a person to check; `is_cut`: it reached its longest and may end in mid-sentence.

    `tokens` were read, `length` tokens written.
    """

    text: str
    tokens: int = 0
    length: int = 0
    is_cut: bool = False


class ServedModel(Protocol):
    """A version that sorts, loaded: it answers one ticket at a time, from several threads."""

    classes: tuple[str, ...]
    threshold: Threshold

    def answer(self, ticket: str) -> Answer:
        """The answer to a raw ticket."""
        ...


class ServedWriter(Protocol):
    """A version that writes replies, loaded: one ticket at a time, from several threads."""

    def answer(self, ticket: str) -> Draft:
        """The reply to a raw ticket."""
        ...


Served = ServedModel | ServedWriter
