"""The report of a measurement, as its readers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.reports.parts import DatasetPart, Plot, Spent, SystemLine, mapping, mappings, parse


@dataclass(frozen=True)
class ForecastLine:
    """The score expected with `rows` tickets, with its 90% band for other tickets; shares of one."""

    rows: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ForecastPart:
    """What more tickets and a fine-tune are expected to bring; `refused` says why nothing is forecast."""

    ahead: tuple[ForecastLine, ...] = ()
    tuned: ForecastLine | None = None
    sentence: str = ""
    refused: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForecastPart:
        finetune = mapping(data.get("tuned"))
        ahead = [
            {"rows": rows, "value": value, "low": band[0], "high": band[1]}
            for rows, value, band in zip(
                data.get("at", ()), data.get("points", ()), data.get("band", ()), strict=True
            )
        ]
        wide = {**finetune, "low": finetune["wide_low"], "high": finetune["wide_high"]} if finetune else None
        words = {"sentence": data.get("sentence") or "", "refused": data.get("refused") or ""}
        return parse(cls, {"ahead": ahead, "tuned": wide, **words})


@dataclass(frozen=True)
class TrainingPrice:
    """What training once costs, low to high, in dollars, and what that rests on."""

    method: str
    where: str
    usd_low: float
    usd_high: float
    basis: str = ""


@dataclass(frozen=True)
class ServingPrice:
    """What a month of one way of running it costs, in dollars, and what that rests on."""

    option: str
    kind: str
    usd_month: float
    basis: str = ""


@dataclass(frozen=True)
class LabellingPrice:
    """What people's time for labelling comes to, in dollars."""

    rows: int
    usd: float
    basis: str = ""


@dataclass(frozen=True)
class CostPart:
    """The prices that the decision rests on; `sentence` says them in one line."""

    training: tuple[TrainingPrice, ...] = ()
    serving: tuple[ServingPrice, ...] = ()
    labelling: LabellingPrice | None = None
    sentence: str = ""


@dataclass(frozen=True)
class MeasurementReport:
    """What a measurement found and decided; `decision` is one of finetune/measurement/decision.py's choices."""

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
    business: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    kind = "measure"

    @property
    def best(self) -> SystemLine | None:
        """What does best without a fine-tune, by the choosing rows."""
        return next((line for line in self.ladder if line.best), None)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MeasurementReport:
        """What a measurement wrote, of this version or an older one; pydantic's ValidationError on another shape."""
        ladder = SystemLine.of(data.get("ladder"))
        fields = {
            "prompt_scored": any(line.role == "prompt" for line in ladder),
            **data,
            "ladder": ladder,
            "spent": Spent.from_json(data.get("time"), {}),
            "forecast": ForecastPart.from_json(mapping(data.get("forecast"))),
            "cost": parse(CostPart, mapping(data.get("cost"))),
            "plots": mappings(data.get("plots")),
        }
        return parse(cls, {name: value for name, value in fields.items() if value is not None})
