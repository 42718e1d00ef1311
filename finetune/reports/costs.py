"""The costs in a measurement's report: one-time, monthly, and the net value of each alternative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.reports.parts import Interval, fields_json, mappings, parse


@dataclass(frozen=True)
class TrainingPrice:
    """What training once costs, low to high, in dollars and hours, and what that rests on.

    `is_measured` says that the seconds were measured here; hours are not known of a hosted training.
    """

    method: str
    where: str
    usd_low: float
    usd_high: float
    basis: str = ""
    is_measured: bool = False
    hours_low: float | None = None
    hours_high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The price as it is stored."""
        line = fields_json(self)
        return {"measured": line.pop("is_measured"), **line}

    @classmethod
    def of(cls, lines: Any) -> tuple[TrainingPrice, ...]:
        """The prices of a report."""
        return tuple(
            parse(cls, {**line, "is_measured": line.get("measured", False)}) for line in mappings(lines)
        )


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
class BreakEven:
    """From how many requests a month a machine of one's own is cheaper than a model that is paid by the call."""

    against: str
    machine: str
    requests_month: float | None = None


@dataclass(frozen=True)
class CostPart:
    """The prices that the decision rests on, as of a day; `sentence` says them in one line.

    `serving` begins with the cheapest, `serving_usd_month` is a small model's on a CPU.
    """

    training: tuple[TrainingPrice, ...] = ()
    serving: tuple[ServingPrice, ...] = ()
    labelling: LabellingPrice | None = None
    sentence: str = ""
    as_of: str | None = None
    break_even: tuple[BreakEven, ...] = ()
    serving_usd_month: float = 0.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CostPart:
        """What a measurement wrote, of this version or an older one."""
        lines = [
            {**line, "is_measured": line.get("measured", False)} for line in mappings(data.get("training"))
        ]
        return parse(cls, {**data, "training": lines})

    def training_of(self, method: str) -> TrainingPrice | None:
        """What training once with this method costs on this machine; None where it was not measured."""
        return next((line for line in self.training if line.method == method), None)


@dataclass(frozen=True)
class Workload:
    """A month of tickets: how many, minutes by hand and what they cost, the error rate that is accepted.

    `price_per_wrong` is dollars per wrong answer (0 where unknown); `assumed` lists what was not asked.
    """

    volume: int
    minutes_by_hand: float
    usd_per_hour: float
    error_rate: float
    price_per_wrong: float = 0.0
    assumed: tuple[str, ...] = ()

    @property
    def usd_by_hand(self) -> float:
        """What handling one ticket by hand costs."""
        return self.minutes_by_hand / 60 * self.usd_per_hour


@dataclass(frozen=True)
class CaseLine:
    """One alternative a month: all money in dollars; `net_usd` = `handling_usd` - `wrong_usd` - `running_usd`.

    `share` is answered automatically, None where that was not measured; `kind` is nothing, trained, prompt or tuned.
    """

    name: str
    kind: str
    share: Interval | None
    hours: float
    handling_usd: float
    wrong_usd: float
    running_usd: float
    once_usd: float
    net_usd: float
    break_even_months: float | None = None


@dataclass(frozen=True)
class BusinessPart:
    """What every alternative comes to a month; `best` names the one that leaves most, `sentence` says it."""

    workload: Workload
    lines: tuple[CaseLine, ...]
    best: str = ""
    sentence: str = ""
