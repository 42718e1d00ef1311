"""The shared parts of reports: scores, datasets, differences, plots, time and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
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


def plain(value: Any) -> Any:
    """A value as it is stored: dataclasses as objects, by their own `to_json` where they have one, tuples as lists."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value):
        return fields_json(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def fields_json(value: Any) -> dict[str, Any]:
    """Each field of a dataclass as it is stored, by its name."""
    return {one.name: plain(getattr(value, one.name)) for one in fields(value)}


def mapping(data: Any) -> Mapping[str, Any]:
    """The data where it is an object, else an empty one."""
    return data if isinstance(data, Mapping) else {}


def mappings(data: Any) -> list[Mapping[str, Any]]:
    """The objects in a list, whatever else stands in it."""
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list | tuple) else []


@dataclass(frozen=True)
class Interval:
    """A value with its two-sided 95% interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The value and the ends as they are stored."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @property
    def half_width(self) -> float:
        """Half the distance of the interval's ends."""
        return (self.high - self.low) / 2

    @property
    def score(self) -> Score:
        """The same as a report's score."""
        return Score(self.value, self.low, self.high)


@dataclass(frozen=True)
class Score:
    """A value with its two-sided 95% interval, shares of one; an older report lacks the interval."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float]:
        """The score as it is stored, without the ends that are not known."""
        return {name: value for name, value in fields_json(self).items() if value is not None}

    @property
    def interval(self) -> Interval:
        """The score with both ends; ValueError where it has none."""
        if self.low is None or self.high is None:
            raise ValueError("This score has no interval.")
        return Interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class CrossValidation:
    """The scores over all folds, for few tickets."""

    rows: int = 0
    folds: int = 0
    scores: Mapping[str, Score] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The part as it is stored: the scores stand by their names beside rows and folds."""
        return {**plain(self.scores), "rows": self.rows, "folds": self.folds}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CrossValidation:
        """What `to_json` wrote."""
        return parse(cls, {**data, "scores": scores_of(data)})


@dataclass(frozen=True)
class SystemLine:
    """One line of a table of alternatives: a system's scores by measure, on `rows` tickets where not on all.

    `expected`: of what was tested on one fold, the accuracy expected on all folds. `job` names the finished job whose model it is, `best` marks what needs no fine-tune and does best, `prompt` what
    was asked of a language model in `calls`. `automatic` is the share answered by error rate, `gain_points` in
    percentage points over `against`. None where a report says nothing of it.
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
    prompt: bool = False
    calls: int | None = None
    choosing_score: float | None = None
    ece: float | None = None
    automatic: Mapping[str, Score] = field(default_factory=dict)
    gain_points: Score | None = None
    against: str = ""
    expected: Score | None = None

    def overall(self, measure: str) -> Score | None:
        """The score on all held-out tickets: by cross-validation, or as expected there of what was tested on one fold."""
        if measure == "accuracy" and self.expected is not None:
            return self.expected
        folds = self.cross_validated
        return folds.scores[measure] if folds and measure in folds.scores else self.scores.get(measure)

    @property
    def tuned(self) -> bool:
        """Whether this line is a fine-tuned model."""
        return self.role == "tuned"

    def to_json(self) -> dict[str, Any]:
        """The line as it is stored: the scores stand by their names, and what there is nothing of is left out."""
        line = fields_json(self)
        scores = line.pop("scores")
        line |= {"seconds": round(self.seconds, 3), "usd": round(self.usd, 4)}
        entries = {k: v for k, v in line.items() if v is not None and v is not False and v not in ("", {})}
        return {**entries, **scores, "best": self.best}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SystemLine:
        """What `to_json` wrote, of this version or an older one."""
        folds, shares = mapping(data.get("cross_validated")), mapping(data.get("automatic"))
        whole = {
            "scores": scores_of(data),
            "automatic": scores_of(shares, tuple(shares)),
            "cross_validated": None,
        }
        line = parse(cls, {**data, **whole})
        return replace(line, cross_validated=CrossValidation.from_json(folds) if folds else None)

    @classmethod
    def of(cls, lines: Any) -> tuple[SystemLine, ...]:
        """The lines of a table of alternatives."""
        return tuple(cls.from_json(line) for line in mappings(lines))


def scores_of(data: Mapping[str, Any], names: Sequence[str] = MEASURES) -> dict[str, Any]:
    """The scores among a line's keys; an older report has bare numbers."""
    scores = {name: data[name] for name in names if data.get(name)}
    if names is MEASURES and "accuracy" not in scores and data.get("score"):
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
    sample_rows: int = 0  # that a measurement took of them; stored as `measured`

    def to_json(self) -> dict[str, Any]:
        """The part as it is stored."""
        part = fields_json(self)
        return {"measured": part.pop("sample_rows"), **part}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DatasetPart:
        """What `to_json` wrote, of this version or an older one."""
        return parse(cls, {**data, "sample_rows": data.get("measured", 0)})


@dataclass(frozen=True)
class Difference:
    """The tuned system minus the one it is compared with, in percentage points with a 95% interval.

    `only_tuned` and `only_baseline` count the rows that one of them gets right alone (or better), `disagree` is their
    share.
    """

    against: str = "the best baseline"
    points: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    rows: int | None = None
    only_tuned: int | None = None
    only_baseline: int | None = None
    disagree: float | None = None


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

    @property
    def time(self) -> dict[str, float]:
        """The seconds as they are stored."""
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s}

    @property
    def cost(self) -> dict[str, Any]:
        """The dollars as they are stored."""
        return {"usd": self.usd, "basis": self.basis, "api_usd": self.api_usd}

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


@dataclass(frozen=True)
class LossPoint:
    """A training step: its loss, and at the end of an epoch the validation loss."""

    step: int
    loss: float | None = None
    val_loss: float | None = None


@dataclass(frozen=True)
class LearningPoint:
    """A point of a learning curve: the score under `measure` with so many tickets to learn from, over so many seeds."""

    rows: int
    measure: str
    score: Score
    seeds: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The point as it is stored: the score stands by its measure's name."""
        seeds = {} if self.seeds is None else {"seeds": self.seeds}
        return {"rows": self.rows, self.measure: self.score.to_json(), **seeds}

    @classmethod
    def of(cls, points: Any) -> tuple[LearningPoint, ...]:
        """The points of a curve, those with a score."""
        return tuple(
            parse(
                cls, {"rows": point.get("rows"), "measure": name, "score": score, "seeds": point.get("seeds")}
            )
            for point in mappings(points)
            for name, score in list(scores_of(point).items())[:1]
        )


@dataclass(frozen=True)
class HeldOutAnswers:
    """A system's answers to held-out tickets by id, and the truth, as places in `names`; -1 is no answer."""

    ids: tuple[str, ...] = ()
    truth: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def by_ticket(self) -> dict[str, tuple[str, str]]:
        """The true queue and the answer of each ticket, by id; nothing where the parts do not fit together."""
        try:
            return {
                ticket: (self.names[truth], self.names[label] if label >= 0 else "")
                for ticket, truth, label in zip(self.ids, self.truth, self.labels, strict=True)
            }
        except (IndexError, ValueError):
            return {}
