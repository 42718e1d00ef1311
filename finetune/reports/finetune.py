"""The report of a fine-tune, of either task, as its readers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from finetune.reports.parts import (
    Confusion,
    DatasetPart,
    Difference,
    Plot,
    Spent,
    SystemLine,
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

    def to_json(self) -> dict[str, Any]:
        """The pairs as they are stored."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


@dataclass(frozen=True)
class ClassScore:
    """A queue's precision, recall and F1 on the held-out tickets, shares of one."""

    name: str
    rows: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class FinetuneReport:
    """What a fine-tune came to; `measure` is the score that decides: accuracy or chrf. `spec` is the recipe as told."""

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

    kind = "finetune"

    @property
    def tuned(self) -> SystemLine | None:
        """The trained model's line."""
        return next((line for line in self.systems if line.tuned), None)

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
        }
        return parse(cls, {name: value for name, value in fields.items() if value is not None})
