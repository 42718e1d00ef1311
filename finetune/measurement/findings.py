"""The request, context and findings of a measurement, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError
from finetune.evaluation.forecast import Forecast, ForecastPoint, Point
from finetune.evaluation.predictions import METRICS, Predictions, SystemScore
from finetune.evaluation.sample import Embed
from finetune.llm import Llm
from finetune.measurement.evidence import Evidence
from finetune.measurement.pilot import Pilot
from finetune.progress import Emit, ShouldStop


class MeasureError(FinetuneError):
    """The question cannot be measured as asked."""


@dataclass(frozen=True)
class Request:
    """A validated request: target as a share, tickets a month, dollars per wrong answer and per ticket by hand.

    `whole_pilot` lets the fine-tune pilot take the time it needs: the answer to "not decided yet".
    """

    target: float
    volume: int = 0
    price_per_wrong: float | None = None
    metric: str = "accuracy"
    seed: int = 7
    minutes_by_hand: float | None = None
    error_rate: float | None = None
    whole_pilot: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            hint = f" Did you mean {self.target / 100:g}?" if 2 <= self.target <= 100 else ""
            raise MeasureError(
                f"The target {self.target:g} is impossible: give a share of right answers between 0 and "
                f"1.{hint}"
            )
        if self.volume < 0:
            raise MeasureError("Tickets per month cannot be negative: give 0 or more.")
        if self.price_per_wrong is not None and self.price_per_wrong < 0:
            raise MeasureError(
                "The price of a wrong answer cannot be negative: give dollars, or leave it out."
            )
        if self.minutes_by_hand is not None and self.minutes_by_hand < 0:
            raise MeasureError("Minutes per ticket cannot be negative: give 0 or more, or leave it out.")
        if self.error_rate is not None and not 0 < self.error_rate < 1:
            raise MeasureError("The error rate is a share of wrong answers between 0 and 1, such as 0.05.")
        if self.metric not in METRICS:
            raise MeasureError(
                f"The metric `{self.metric}` is not known. Choose one of: {', '.join(METRICS)}."
            )

    @property
    def names_money(self) -> bool:
        """Whether the person gave the cost of a ticket or a mistake; only then does money decide."""
        return bool(self.volume) and (self.price_per_wrong is not None or self.minutes_by_hand is not None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """The request of a job's spec; ignores other fields."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})


@dataclass(frozen=True)
class MeasureContext:
    """The context of a measurement: its folder, prices, language model, earlier evidence and time limit.

    `allowed_s` are seconds of this process's own work (finetune/device.py), not the wall's. `earlier` is the folder
    of a measurement that this one goes on from.
    """

    folder: Path
    prices: Mapping[str, Any]
    emit: Emit
    should_stop: ShouldStop
    llm: Llm | None = None
    evidence: tuple[Evidence, ...] = ()
    dataset: str = ""
    allowed_s: float | None = None
    embed: Embed | None = None
    clock: Callable[[], float] | None = None
    earlier: Path | None = None


@dataclass(frozen=True)
class Findings:
    """All scores and forecasts of a measurement, the input of its decision.

    `systems` and `scores` go line by line; `best` needs no fine-tune and was named by the validation rows. `pilot` is
    what a fine-tune gains, measured here or by an earlier job; `missing_minutes` what a pilot would take that could
    change the answer and was not run.
    """

    systems: list[Predictions]
    scores: list[SystemScore]
    best: Predictions
    points: list[Point]
    more: Forecast
    at_all: ForecastPoint | None
    pilot: Pilot | None
    missing_minutes: float | None
    finetune: ForecastPoint | None
    tuned_later: tuple[ForecastPoint, ...]  # the fine-tune at the sizes of `more`
    p_chance: float
    evidence: tuple[Evidence, ...]
    drifts: bool
    warnings: list[str]
    by_class: str = ""  # which classes more tickets brought forward

    def score_of(self, system: Predictions) -> SystemScore:
        """The scores of one of the systems."""
        return next(
            line for line, one in zip(self.scores, self.systems, strict=True) if one.name == system.name
        )
