"""The adviser's reply for the user interfaces: frozen values, no behaviour, JSON-friendly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

State = dict[str, Any]  # a thread's state as JSON; only rag/advice/conversation.py reads it
Certainty = Literal["confirmed", "said", "guessed", "unknown"]


class Verdict(StrEnum):
    """The eight outcomes of a question; the last three are no way to build."""

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
class DecidingSignal:
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
class MenuOption:
    """One choice of a menu; `value` is what `trainwise ask --set NAME=VALUE` takes, `label` what a person reads."""

    value: str
    label: str


@dataclass(frozen=True)
class Menu:
    """One part of what was understood, to be corrected: its options, the one that was read ("" for none), how certain."""

    name: str
    title: str
    options: tuple[MenuOption, ...]
    selected: str = ""
    certainty: Certainty = "unknown"

    @property
    def label(self) -> str:
        """The selected option's words; empty where nothing was read."""
        return next((option.label for option in self.options if option.value == self.selected), "")


@dataclass(frozen=True)
class Choice:
    """A difference between two readings: the question and both readings as corrections ("task=reply")."""

    text: str
    options: tuple[MenuOption, ...]


@dataclass(frozen=True)
class Reply:
    """The content of a verdict card or terminal answer; `state` is the thread's state to store.

    `confidence` is the measured share (0-1) of verdicts that were right on readings like this one; 0.0 where none was
    measured: after a correction, in a follow-up, for a question of fact.

    `menus` are what was understood, each to be corrected; `menus_open` shows them at once. `choice` names what two
    readings differ in, `changes` says what a correction changed. `service` names what a question about the bot itself
    asks for ("status", ...): whoever shows the reply adds the facts that only it knows.
    """

    verdict: Verdict
    confidence: float
    headline: str
    why: tuple[Claim, ...] = ()
    signals: tuple[DecidingSignal, ...] = ()
    citations: tuple[Citation, ...] = ()
    next_step: str = ""
    would_change: tuple[str, ...] = ()
    cost_line: str = ""
    follow_up: FollowUp | None = None
    lean: Verdict | None = None
    note: str | None = None
    menus: tuple[Menu, ...] = ()
    menus_open: bool = False
    choice: Choice | None = None
    changes: tuple[str, ...] = ()
    language: str = "en"
    service: str = ""
    state: State = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; the `state` is kept beside, not inside."""
        return asdict(replace(self, state={}))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reply:
        """The reply that `to_json` wrote, also before it had menus."""
        follow_up, choice = data["follow_up"], data.get("choice")
        return cls(
            verdict=Verdict(data["verdict"]),
            confidence=data["confidence"],
            headline=data["headline"],
            why=tuple(Claim(claim["text"], tuple(claim["cites"])) for claim in data["why"]),
            signals=tuple(DecidingSignal(**signal) for signal in data["signals"]),
            citations=tuple(Citation(**citation) for citation in data["citations"]),
            next_step=data["next_step"],
            would_change=tuple(data["would_change"]),
            cost_line=data["cost_line"],
            follow_up=FollowUp(follow_up["text"], tuple(follow_up["options"])) if follow_up else None,
            lean=Verdict(data["lean"]) if data["lean"] else None,
            note=data["note"],
            menus=tuple(_menu(menu) for menu in data.get("menus", ())),
            menus_open=bool(data.get("menus_open")),
            choice=Choice(choice["text"], _options(choice)) if choice else None,
            changes=tuple(data.get("changes", ())),
            language=data.get("language", "en"),
            service=data.get("service", ""),
        )


def _menu(data: Mapping[str, Any]) -> Menu:
    return Menu(data["name"], data["title"], _options(data), data["selected"], data["certainty"])


def _options(data: Mapping[str, Any]) -> tuple[MenuOption, ...]:
    return tuple(MenuOption(option["value"], option["label"]) for option in data["options"])
