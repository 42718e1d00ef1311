"""The report of a measurement, as its readers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.reports.costs import BusinessPart, CostPart
from finetune.reports.parts import (
    DatasetPart,
    HeldOutAnswers,
    Interval,
    Plot,
    Spent,
    SystemLine,
    fields_json,
    mapping,
    mappings,
    parse,
    plain,
)


@dataclass(frozen=True)
class ForecastLine:
    """The score expected with `rows` tickets, shares of one.

    `low` to `high` is the 90% band for other tickets, `same_low` to `same_high` that for the same held-out ones, which
    an older report may lack. `times` the rows at hand; `trust` is number, band or direction.
    """

    rows: int
    value: float
    low: float
    high: float
    same_low: float | None = None
    same_high: float | None = None
    times: float | None = None
    trust: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line as it is stored, where `wide` names the band for other tickets."""
        bands = {"low": self.same_low, "high": self.same_high, "wide_low": self.low, "wide_high": self.high}
        return {"rows": self.rows, "times": self.times, "value": self.value, **bands, "trust": self.trust}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForecastLine:
        """What `to_json` wrote."""
        bands = {"low": data["wide_low"], "high": data["wide_high"]}
        return parse(cls, {**data, **bands, "same_low": data.get("low"), "same_high": data.get("high")})


@dataclass(frozen=True)
class ForecastPart:
    """What more tickets and a fine-tune are expected to bring; `refused` says why nothing is forecast.

    `tuned_later` is the fine-tune at the sizes of `ahead`, `all_rows` the best cheap method with all rows where only a
    sample was measured.
    """

    ahead: tuple[ForecastLine, ...] = ()
    tuned: ForecastLine | None = None
    tuned_later: tuple[ForecastLine, ...] = ()
    all_rows: ForecastLine | None = None
    slope: str = ""
    sentence: str = ""
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """The forecast as it is stored: `ahead` by columns."""
        part = {
            "at": [line.rows for line in self.ahead],
            "points": [line.value for line in self.ahead],
            "band": [[line.low, line.high] for line in self.ahead],
            "band_same_rows": [[line.same_low, line.same_high] for line in self.ahead],
            "trust": [line.trust for line in self.ahead],
            **{name: plain(getattr(self, name)) for name in ("tuned", "tuned_later", "all_rows")},
            "slope": self.slope,
            "sentence": self.sentence,
        }
        return part | ({"refused": self.refused} if self.refused else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForecastPart:
        """What `to_json` wrote, of this version or an older one."""
        single = {
            name: ForecastLine.from_json(line) if line else None
            for name in ("tuned", "all_rows")
            for line in (mapping(data.get(name)),)
        }
        later = tuple(ForecastLine.from_json(line) for line in mappings(data.get("tuned_later")))
        words = {name: data.get(name) or "" for name in ("slope", "sentence", "refused")}
        return parse(cls, {"ahead": _ahead(data), **single, "tuned_later": later, **words})


def _ahead(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a forecast from its columns, some of which an older report lacks."""
    sizes = data.get("at", ())
    columns = {
        "same": data.get("band_same_rows") or [(None, None)] * len(sizes),
        "trust": data.get("trust") or [""] * len(sizes),
    }
    return [
        {"rows": rows, "value": value, "low": low, "high": high, "trust": trust}
        | {"same_low": same[0], "same_high": same[1]}
        for rows, value, (low, high), same, trust in zip(
            sizes,
            data.get("points", ()),
            data.get("band", ()),
            columns["same"],
            columns["trust"],
            strict=True,
        )
    ]


@dataclass(frozen=True)
class DecidingFigure:
    """The one figure that decided, with its unit."""

    name: str
    value: float
    unit: str = "score"


@dataclass(frozen=True)
class CurvePoint:
    """A point of the learning curve: the score of `method` with so many rows, drawn by `seed`; a share of one."""

    rows: int
    score: float
    seed: int = 0
    method: str = ""


@dataclass(frozen=True)
class PilotPart:
    """What a fine-tune gained over the method `against` on the same rows, a share with its 95% interval.

    `job` is the earlier job that showed it, "" where the pilot ran here; `whole`: trained on all rows as a job trains.
    An older report says no method.
    """

    rows: int
    test: int
    seconds: float
    score: SystemLine
    against: str
    gain: Interval
    epochs: int = 0
    job: str = ""
    whole: bool = False
    method: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PilotPart:
        """What a measurement wrote; raises pydantic's ValidationError on another shape."""
        return parse(cls, {**data, "score": SystemLine.from_json(mapping(data.get("score")))})


@dataclass(frozen=True)
class MeasurementReport:
    """What a measurement found and decided; `decision` is one of finetune/measurement/decision.py's choices.

    `curve` are the points of the learning curve, `pilot` what a fine-tune gained. `signals` speaks the advisor's own
    vocabulary (rag/signals/schema.py).
    """

    headline: str = "Done."
    decision: str = "cannot_tell"
    next_step: str = ""
    ladder: tuple[SystemLine, ...] = ()
    forecast: ForecastPart = field(default_factory=ForecastPart)
    cost: CostPart = field(default_factory=CostPart)
    dataset: DatasetPart = field(default_factory=DatasetPart)
    spent: Spent = field(default_factory=Spent)
    title: str = ""
    metric: str = "accuracy"
    target: float = 0.0
    pilot_minutes: float | None = None
    rows_to_label: int = 0
    doubling: str = ""
    would_change: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    signals: Mapping[str, Any] = field(default_factory=dict)
    prompt_scored: bool = False
    plots: tuple[Plot, ...] = ()
    business: BusinessPart | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    deciding_figure: DecidingFigure | None = None
    answers: HeldOutAnswers = field(default_factory=HeldOutAnswers)
    curve: tuple[CurvePoint, ...] = ()
    pilot: PilotPart | None = None

    kind = "measure"

    @property
    def best(self) -> SystemLine | None:
        """The best system without a fine-tune, by validation score."""
        return next((line for line in self.ladder if line.best), None)

    def to_json(self) -> dict[str, Any]:
        """The report as it is stored: `pilot` are the curve's points there, `tuned_pilot` is the fine-tune's."""
        parts = fields_json(self)
        parts.pop("spent")
        names = {"pilot": parts.pop("curve"), "tuned_pilot": parts.pop("pilot")}
        return {"kind": self.kind, **parts, **names, "time": self.spent.time}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MeasurementReport:
        """What a measurement wrote, of this version or an older one; pydantic's ValidationError on another shape."""
        ladder = SystemLine.of(data.get("ladder"))
        pilot = mapping(data.get("tuned_pilot"))
        fields = {
            "prompt_scored": any(line.role == "prompt" for line in ladder),
            **data,
            "ladder": ladder,
            "spent": Spent.from_json(data.get("time"), {}),
            "forecast": ForecastPart.from_json(mapping(data.get("forecast"))),
            "cost": CostPart.from_json(mapping(data.get("cost"))),
            "plots": mappings(data.get("plots")),
            "dataset": DatasetPart.from_json(mapping(data.get("dataset"))),
            "answers": parse(HeldOutAnswers, mapping(data.get("answers"))),
            "curve": mappings(data.get("pilot")),
            "pilot": PilotPart.from_json(pilot) if pilot else None,
            "business": data.get("business") or None,
        }
        return parse(cls, {name: value for name, value in fields.items() if value is not None})
