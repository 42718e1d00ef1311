"""The report of a fine-tune, of either task, as its readers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.reports.parts import (
    Confusion,
    DatasetPart,
    Difference,
    HeldOutAnswers,
    Interval,
    LearningPoint,
    LossPoint,
    Plot,
    Spent,
    SystemLine,
    fields_json,
    mapping,
    mappings,
    parse,
)


@dataclass(frozen=True)
class Example:
    """A held-out ticket with the real answer, the trained model's and the baseline's."""

    ticket: str = ""
    real: str = ""
    tuned: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class ComparedPair:
    """A ticket with the answers of both systems, for people to compare blind."""

    ticket: str = ""
    tuned: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class Pairs:
    """The pairs that a channel may compare, and the names of the two systems."""

    tuned: str = ""
    baseline: str = ""
    rows: tuple[ComparedPair, ...] = ()


@dataclass(frozen=True)
class ClassScore:
    """A queue's precision, recall and F1 on the held-out tickets, shares of one."""

    name: str
    rows: int
    precision: float
    recall: float
    f1: float

    def to_json(self) -> dict[str, Any]:
        """The scores as they are stored: a queue is a `class` there."""
        line = fields_json(self)
        return {"class": line.pop("name"), **line}


@dataclass(frozen=True)
class Judgement:
    """What a language model says of the tuned system's replies against another's, each pair read twice, swapped.

    `consistent` judgements held in both readings; of those `tuned`, `baseline` and `equal` count who won. Without
    `rows` nothing was judged, and `sentence` says why.
    """

    model: str = ""
    against: str = ""
    rows: int = 0
    usd: float = 0.0
    sentence: str = ""
    consistent: int = 0
    tuned: int = 0
    baseline: int = 0
    equal: int = 0
    consistent_share: Interval | None = None
    tuned_share: Interval | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Judgement:
        """A judgement that was kept."""
        return parse(cls, data)


@dataclass(frozen=True)
class Latency:
    """Milliseconds a ticket, alone (the median) and in batches, and dollars for a thousand of them in batches."""

    batch_ms: float | None = None
    one_ms_p50: float | None = None
    usd_per_1000: float | None = None


@dataclass(frozen=True)
class Calibration:
    """How far confidences are off from the shares of right answers (ECE, a share); None without confidences."""

    ece: float | None = None


@dataclass(frozen=True)
class Facts:
    """The share of people's own replies without a number or name from elsewhere: what a perfect model would have."""

    real_answers_from_ticket: float | None = None


@dataclass(frozen=True)
class Carbon:
    """Grams of CO2, roughly, and what the estimate rests on."""

    g_co2: float = 0.0
    basis: str = ""


@dataclass(frozen=True)
class FinetuneReport:
    """What a fine-tune came to; `measure` is the score that decides: accuracy or chrf.

    A task fills in what it measured, the pipeline the rest: `task`, `spent`, `carbon`, `spec` (the recipe as told) and
    `provenance`. `settings` are those that a solver chose. `hosted_model` is
    the model's name at the platform that keeps it, "" where the weights are here.
    """

    headline: str = "Done."
    worth_it: str = "unclear"
    measure: str = "accuracy"
    dataset: DatasetPart = field(default_factory=DatasetPart)
    systems: tuple[SystemLine, ...] = ()
    difference: Difference | None = None
    spent: Spent = field(default_factory=Spent)
    task: str = "triage"
    why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    confused: tuple[Confusion, ...] = ()
    per_class: tuple[ClassScore, ...] = ()
    examples: tuple[Example, ...] = ()
    pairs: Pairs = field(default_factory=Pairs)
    plots: tuple[Plot, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    answers: HeldOutAnswers = field(default_factory=HeldOutAnswers)
    loss: tuple[LossPoint, ...] = ()
    learning: tuple[LearningPoint, ...] = ()
    latency: Latency = field(default_factory=Latency)
    calibration: Calibration = field(default_factory=Calibration)
    facts: Facts = field(default_factory=Facts)
    carbon: Carbon = field(default_factory=Carbon)
    perplexity: float | None = None
    judge: Judgement | None = None
    settings: Mapping[str, Any] | None = None
    hosted_model: str = ""

    kind = "finetune"

    @property
    def tuned(self) -> SystemLine | None:
        """The trained model's line."""
        return next((line for line in self.systems if line.tuned), None)

    def to_json(self) -> dict[str, Any]:
        """The report as it is stored."""
        parts = fields_json(self)
        parts.pop("spent")
        names = {"chosen": parts.pop("settings"), "time": self.spent.time, "cost": self.spent.cost}
        return {"kind": self.kind, **parts, **names}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FinetuneReport:
        """What a pipeline wrote, of this version or an older one; raises pydantic's ValidationError on another shape."""
        fields = {
            **data,
            "systems": SystemLine.of(data.get("systems")),
            "spent": Spent.from_json(data.get("time"), data.get("cost")),
            "per_class": [{**one, "name": one.get("class", "")} for one in mappings(data.get("per_class"))],
            "confused": mappings(data.get("confused")),
            "examples": mappings(data.get("examples")),
            "plots": mappings(data.get("plots")),
            "loss": mappings(data.get("loss")),
            "learning": LearningPoint.of(data.get("learning")),
            "dataset": DatasetPart.from_json(mapping(data.get("dataset"))),
            "answers": parse(HeldOutAnswers, mapping(data.get("answers"))),
            "settings": data.get("chosen"),
        }
        return parse(cls, {name: value for name, value in fields.items() if value is not None})
