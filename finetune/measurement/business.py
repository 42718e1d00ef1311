"""Computes each alternative's hours and dollars a month; all sums of money are made here. Pure.

Of `volume` tickets a month a system answers the share that it can answer at the error rate that the person names; the
rest is handled by hand as today. Saved is the time not spent by hand, less what its wrong answers cost, less what it
costs to run; training is paid once. Covers handling time, wrong answers, serving and training. Does not cover setting
it up, nor people's checks of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.pricing import money
from finetune.reports.costs import BusinessPart, CaseLine, Workload
from finetune.reports.parts import Interval

ERROR_RATE = 0.05  # of the answers given, where the person names none


@dataclass(frozen=True)
class Alternative:
    """One way to answer: its automatic share (None where not measured), dollars a month to run, dollars once."""

    name: str
    kind: str  # nothing | trained | prompt | tuned | hosted
    share: Interval | None
    running_usd: float = 0.0
    once_usd: float = 0.0


@dataclass(frozen=True)
class BusinessCase:
    """All alternatives for one workload, in the order given; `best` is the one with the highest monthly net."""

    workload: Workload
    lines: tuple[CaseLine, ...]

    @property
    def best(self) -> CaseLine:
        return max(self.lines, key=lambda line: line.net_usd if line.share is not None else float("-inf"))

    def extra_usd(self, at: str = "value") -> float | None:
        """The monthly net of the fine-tune minus that of the best alternative, in dollars; None where unknown.

        `at` is the edge of its automatic share: value, low or high.
        """
        tuned = [line for line in self.lines if line.kind == "tuned" and line.share is not None]
        others = [line.net_usd for line in self.lines if line.kind != "tuned" and line.share is not None]
        if not tuned or not others or not self.workload.volume:
            return None
        return max(_net(self.workload, line, at) for line in tuned) - max(others)

    @property
    def part(self) -> BusinessPart:
        """The case as the report has it."""
        return BusinessPart(self.workload, self.lines, self.best.name, sentence(self))


def business_case(workload: Workload, alternatives: Sequence[Alternative]) -> BusinessCase:
    """Every alternative's month, computed alike."""
    return BusinessCase(workload, tuple(_line(workload, one) for one in alternatives))


def _line(workload: Workload, one: Alternative) -> CaseLine:
    share = one.share.value if one.share is not None else 0.0
    automatic = share * workload.volume
    hours = automatic * workload.minutes_by_hand / 60
    handling = automatic * workload.usd_by_hand
    wrong = automatic * workload.error_rate * workload.price_per_wrong
    net = handling - wrong - one.running_usd if one.share is not None else -one.running_usd
    months = one.once_usd / net if net > 0 and one.once_usd > 0 else None
    return CaseLine(
        one.name,
        one.kind,
        one.share,
        hours,
        handling,
        wrong,
        one.running_usd,
        one.once_usd,
        net,
        months,
    )


def _net(work: Workload, line: CaseLine, at: str) -> float:
    """The monthly net of a line with its share at this edge of the interval."""
    share = float(getattr(line.share, at))
    each = work.usd_by_hand - work.error_rate * work.price_per_wrong
    return share * work.volume * each - line.running_usd


def sentence(case: BusinessCase) -> str:
    """The case in two sentences: the share with its interval, hours and dollars, what was assumed."""
    work, best = case.workload, case.best
    if not work.volume:
        return "Name the tickets a month, and it says what they come to."
    at_most = f"At most {100 * work.error_rate:g}% wrong"
    share = best.share or Interval(0.0, 0.0, 0.0)
    if best.kind == "nothing" or share.value == 0:
        text = f"{at_most}: nothing pays yet, handling all {work.volume:,} tickets by hand stays the cheapest"
    else:
        text = (
            f"{at_most}: {100 * share.value:.0f}% of the tickets could be answered automatically "
            f"({100 * share.low:.0f} to {100 * share.high:.0f}) by {best.name}, {best.hours:,.0f} hours a month, "
            f"which leaves {money(best.net_usd)} a month after {money(best.running_usd)} to run it"
            + (f" and {money(best.wrong_usd)} for wrong answers" if best.wrong_usd else "")
        )
        if best.once_usd:
            text += f"; training costs {money(best.once_usd)} once"
        if best.break_even_months is not None:
            text += f" and is paid back in {_months(best.break_even_months)}"
    return text + "." + (f" Assumed: {', '.join(work.assumed)}." if work.assumed else "")


def _months(months: float) -> str:
    if months < 1 / 30:
        return "less than a day"
    return f"{30 * months:.0f} days" if months < 2 else f"{months:.0f} months"


def workload_of(
    volume: int,
    minutes_by_hand: float | None,
    price_per_wrong: float | None,
    error_rate: float | None,
    prices: Mapping[str, Any],
) -> Workload:
    """The form's values, with named assumptions of the price table for missing ones."""
    row, assumptions = prices.get("labelling", {}), []
    usd_per_hour = float(row.get("usd_per_hour", 0))
    assumptions.append(f"{money(usd_per_hour)} an hour of work")
    if minutes_by_hand is None:
        minutes_by_hand = float(row.get("seconds_per_row", 0)) / 60
        assumptions.append(f"{minutes_by_hand:g} minutes by hand a ticket")
    if error_rate is None:
        error_rate = ERROR_RATE
        assumptions.append(f"{100 * ERROR_RATE:g}% wrong answers accepted")
    if price_per_wrong is None:
        assumptions.append("a wrong answer costs nothing")
    return Workload(
        volume, minutes_by_hand, usd_per_hour, error_rate, price_per_wrong or 0.0, tuple(assumptions)
    )
