"""What the reports of several kinds share: scores, the data they rest on, differences, pictures, time and money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

MEASURES = ("accuracy", "macro_f1", "chrf", "rouge_l", "similarity", "facts_from_ticket")
"""The scores that a line of a table of alternatives may carry, shares of one with 95% intervals."""

Value = TypeVar("Value")


def parse(kind: type[Value], data: Any) -> Value:
    """Plain JSON as a value of this dataclass.

    Keys it does not know are passed over, and fields of another shape take their defaults: an older version's report,
    or an odd one, is read for what is there. Raises pydantic's ValidationError where a field without default lacks.
    """
    adapter = TypeAdapter(kind)
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        faults = {place[0] for one in error.errors() if (place := one["loc"])}
        if not isinstance(data, Mapping) or not faults & set(data):
            raise
        return adapter.validate_python({name: data[name] for name in data if name not in faults})


def mapping(data: Any) -> Mapping[str, Any]:
    """The data where it is an object, else an empty one."""
    return data if isinstance(data, Mapping) else {}


def mappings(data: Any) -> list[Mapping[str, Any]]:
    """The objects in a list, whatever else stands in it."""
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list | tuple) else []


@dataclass(frozen=True)
class Score:
    """A value with its two-sided 95% interval, shares of one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class CrossValidation:
    """The scores over all folds, for few tickets."""

    rows: int = 0
    folds: int = 0
    scores: Mapping[str, Score] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CrossValidation:
        return parse(cls, {**data, "scores": scores_of(data)})


@dataclass(frozen=True)
class SystemLine:
    """One line of a table of alternatives: a system's scores by measure, on `rows` tickets where not on all.

    `job` names the finished job whose model it is, `best` marks what needs no fine-tune and does best.
    """

    name: str = "?"
    role: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    seconds: float = 0.0
    usd: float = 0.0
    rows: int | None = None
    best: bool = False
    job: str = ""
    cross_validated: CrossValidation | None = None

    @property
    def tuned(self) -> bool:
        return self.role == "tuned"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SystemLine:
        folds = mapping(data.get("cross_validated"))
        line = parse(cls, {**data, "scores": scores_of(data), "cross_validated": None})
        return replace(line, cross_validated=CrossValidation.from_json(folds) if folds else None)

    @classmethod
    def of(cls, lines: Any) -> tuple[SystemLine, ...]:
        """The lines of a table of alternatives."""
        return tuple(cls.from_json(line) for line in mappings(lines))


def scores_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The scores among a line's keys; an older report has bare numbers."""
    scores = {name: data[name] for name in MEASURES if data.get(name)}
    if "accuracy" not in scores and data.get("score"):
        scores["accuracy"] = data["score"]
    return {
        name: score if isinstance(score, Mapping) else {"value": score}
        for name, score in scores.items()
        if isinstance(score, int | float) or isinstance(mapping(score).get("value"), int | float)
    }


@dataclass(frozen=True)
class DatasetPart:
    """The rows that a report rests on, and how they were cut; `test` may be all rows by cross-validation."""

    name: str = ""
    digest: str = ""
    rows: int = 0
    train: int = 0
    dev: int = 0
    test: int = 0
    left_out: int = 0
    classes: int | None = None
    split: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """The tuned system minus the one it is compared with, in percentage points with a 95% interval."""

    against: str = "the best baseline"
    points: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Plot:
    """A picture in the job's folder, its title, and its figures in words."""

    file: str
    title: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Spent:
    """Seconds and dollars of a whole job, all attempts."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    usd: float = 0.0
    basis: str = ""
    api_usd: float = 0.0

    @classmethod
    def from_json(cls, time: Any, cost: Any) -> Spent:
        """From the report's `time` and `cost`, either of which an older report may lack."""
        return parse(cls, {**mapping(time), **mapping(cost)})


@dataclass(frozen=True)
class Confusion:
    """Two queues that are taken for each other, how often, and a ticket that shows it ("" once forgotten)."""

    true: str = "?"
    predicted: str = "?"
    count: int = 0
    example: str | None = ""
