"""What the adviser hands to whoever shows it: plain frozen values, no behaviour, JSON-friendly."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The eight outcomes of a question; the last three name no way of building."""

    PROMPT = "prompt"
    RAG = "rag"
    FINE_TUNE = "fine_tune"
    SMALL_MODEL = "small_model"
    FOUNDATION_MODEL = "foundation_model"
    NEED_MORE_INFO = "need_more_info"
    GUIDE_ANSWER = "guide_answer"
    OFF_TOPIC = "off_topic"


@dataclass(frozen=True)
class Citation:
    """A numbered source: `quote` stands verbatim (whitespace-normalised) in `passage`."""

    number: int
    chunk_id: str
    title: str
    heading: str
    quote: str
    passage: str
    url: str | None = None


@dataclass(frozen=True)
class Claim:
    """One sentence of the answer with the numbers of the citations that support it."""

    text: str
    cites: tuple[int, ...] = ()


@dataclass(frozen=True)
class SeenSignal:
    """A deciding signal: its name, the value read, the user's own words it was read from, its points."""

    name: str
    value: str
    quote: str
    effect: str = ""


@dataclass(frozen=True)
class FollowUp:
    """The one question asked next; `options` become buttons (value sent back as free text)."""

    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    """Everything a verdict card or terminal answer shows; `state` is the thread's memory to store."""

    verdict: Verdict
    confidence: float
    headline: str
    why: tuple[Claim, ...] = ()
    signals: tuple[SeenSignal, ...] = ()
    citations: tuple[Citation, ...] = ()
    next_step: str = ""
    would_change: tuple[str, ...] = ()
    cost_line: str = ""
    follow_up: FollowUp | None = None
    lean: Verdict | None = None
    note: str | None = None
    state: dict[str, Any] = field(default_factory=dict)
