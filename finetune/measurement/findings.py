"""What a measurement is asked and what it found, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from finetune.errors import FinetuneError
from finetune.evaluation import baselines
from finetune.evaluation.baselines import Rung
from finetune.measurement.forecast import Ahead, Forecast, Point
from finetune.measurement.pilot import TunedPilot


class MeasureError(FinetuneError):
    """The question cannot be measured as asked."""


@dataclass(frozen=True)
class Request:
    """What is asked, checked: target as a share, tickets a month, dollars per wrong answer."""

    target: float
    volume: int
    price_per_wrong: float | None
    metric: str
    seed: int

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
        if self.metric not in baselines.METRICS:
            raise MeasureError(
                f"The metric `{self.metric}` is not known. Choose one of: {', '.join(baselines.METRICS)}."
            )


@dataclass(frozen=True)
class Found:
    """Everything measured and forecast, before it is decided upon."""

    rungs: list[Rung]
    best: Rung
    points: list[Point]
    more: Forecast
    at_all: Ahead | None
    pilot: TunedPilot | None
    tuned: Ahead | None
    tuned_later: tuple[Ahead, ...]  # the fine-tune at the sizes of `more`
    p_chance: float
    warnings: list[str]
