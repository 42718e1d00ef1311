"""From scores to words: whether training was worth it, in one plain sentence a manager can act on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from finetune.evaluation.statistics import Z95, PairedGap, rows_to_settle
from finetune.reports.parts import SystemLine

WORTHWHILE = 0.01  # below one point more right answers, the cheaper system is the better one


@dataclass(frozen=True)
class Verdict:
    """`worth_it` is yes, no or unclear; `headline` says it with the figures behind it."""

    worth_it: str
    headline: str


NEAREST_ANSWER = "Nearest past answer"
IN_WORDS = {
    NEAREST_ANSWER: "the answer to the most similar past ticket",
    "Base model, untuned": "the base model as it was before training",
}
REAL = "what your team wrote"
POWER_80 = Z95 + 0.841621


def of_100(*shares: float) -> list[str]:
    """Shares as numbers of a hundred: whole ones, unless two different ones would then read the same."""
    whole = [f"{100 * share:.0f}" for share in shares]
    exact = [f"{100 * share:.1f}".removesuffix(".0") for share in shares]
    return whole if len(set(whole)) == len(set(exact)) else exact


def judge(best: SystemLine, finetune: SystemLine, result: PairedGap, rows: int) -> Verdict:
    """Compare the tuned system's accuracy with the best baseline's on the same `rows` held-out tickets.

    The interval of the difference alone decides (its p-value says the same, see `PairedGap`). yes: all of it is
    above 0 and its middle worthwhile. no: all of it is below 0 or below what is worthwhile, or it is above 0
    with its middle below what is worthwhile. unclear: neither, with the rows it would take.
    """
    gap = result.difference
    ours, theirs = of_100(finetune.scores["accuracy"].value, best.scores["accuracy"].value)
    rival = "today's best prompt" if best.role == "prompt" else "today's cheap method"
    right = f"{ours} of 100 new tickets would go to the right queue"
    basis = f"Tested on {rows} tickets that no method had seen."
    if gap.low > 0 and gap.value >= WORTHWHILE:
        return Verdict("yes", f"Worth it: {right}; {rival} gets {theirs}. {basis}")
    if gap.high < 0:
        return Verdict("no", f"Not worth it: after training {right}; {rival} gets more, {theirs}. {basis}")
    if gap.high < WORTHWHILE or gap.low > 0:
        return Verdict("no", f"Not worth it: {right}; {rival} gets {theirs} already. {basis}")
    return Verdict(
        "unclear",
        f"Cannot tell with {rows} held-out tickets: {right}, {theirs} with {rival}, and that may be chance. "
        f"{_need(result, rows)}",
    )


def judge_replies(best: str, ours: float, theirs: float, result: PairedGap, rows: int) -> Verdict:
    """`judge` for written answers, in words for a reader who knows no chrF; `ours`, `theirs`: its means, 0 to 1."""
    gap, rival = result.difference, IN_WORDS.get(best, _lower(best))
    on = f"on {rows} held-out tickets ({_gap(result)})"
    ours_first = f"{_percent(ours)} against {_percent(theirs)} likeness {on}."
    theirs_first = f"{_percent(theirs)} against {_percent(ours)} likeness {on}."
    if gap.low > 0 and gap.value >= WORTHWHILE:
        return Verdict(
            "yes", f"Worth it: the trained model comes closer to {REAL} than {rival}, {ours_first}"
        )
    if gap.high < 0:
        return Verdict(
            "no", f"Not worth it: {rival} comes closer to {REAL} than the trained model, {theirs_first}"
        )
    if gap.high < WORTHWHILE or gap.low > 0:
        return Verdict(
            "no", f"Not worth it: the trained model is hardly closer to {REAL} than {rival}, {ours_first}"
        )
    target = max(abs(gap.value), WORTHWHILE)
    size = max(math.ceil(rows * (POWER_80 * gap.half_width / Z95 / target) ** 2), rows + 1)
    return Verdict(
        "unclear",
        f"Cannot tell with {rows} held-out tickets: the trained model and {rival} come about as close to {REAL}, "
        f"{_percent(ours)} against {_percent(theirs)} likeness ({_gap(result)}). It would take about "
        f"{_round(size):,} to tell a difference of {100 * target:.1f} points.",
    )


def _need(result: PairedGap, rows: int) -> str:
    share = (result.only_tuned + result.only_baseline) / max(rows, 1)
    target = max(abs(result.difference.value), WORTHWHILE)
    size = rows_to_settle(target, max(share, target))
    if size is None or size <= rows:
        size = 2 * rows
    return f"It would take about {_round(size):,} to tell a difference of {100 * target:.1f} points."


def _gap(result: PairedGap) -> str:
    gap = result.difference
    return f"{100 * gap.value:+.1f} points, 95% interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _lower(name: str) -> str:
    return name if name[:2].isupper() or "-" in name[:4] else name[0].lower() + name[1:]


def _round(number: int) -> int:
    """Two significant digits, rounded up: nobody collects 1,837 tickets."""
    digits = max(len(str(number)) - 2, 0)
    return -(-number // 10**digits) * 10**digits
