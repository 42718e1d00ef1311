"""Says from the scores whether training was worth it, in one sentence for a manager."""

from __future__ import annotations

import math
from dataclasses import dataclass

from finetune.evaluation.statistics import Z95, PairedGap, rows_to_settle
from finetune.reports.parts import Interval, SystemLine
from finetune.reports.words import RIGHT, of_100

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


def worth(gap: Interval) -> str:
    """Whether a gain on the same rows (a share with its 95% interval) is one: yes, no or unclear.

    yes: all of it is above 0 and its middle worthwhile. no: all of it is below what is worthwhile, or it is above 0 with
    its middle below what is worthwhile. A measurement and a fine-tune both ask here.
    """
    if gap.low > 0 and gap.value >= WORTHWHILE:
        return "yes"
    return "no" if gap.high < WORTHWHILE or gap.low > 0 else "unclear"


def judge(best: SystemLine, finetune: SystemLine, result: PairedGap, rows: int) -> Verdict:
    """Compare the tuned system's accuracy with the best baseline's on the same `rows` held-out tickets.

    The interval of the difference alone decides (`worth`; its p-value says the same, see `PairedGap`). Where the baseline was
    cross-validated, its figure is the one over all folds, and ours is what is expected there, as in a measurement.
    """
    gap, word = result.difference, worth(result.difference)
    level, expected = best.overall("accuracy"), finetune.overall("accuracy")
    assert level is not None
    assert expected is not None
    ours, theirs = of_100(expected.value, level.value)
    rival = "today's best prompt" if best.role == "prompt" else "today's cheap method"
    right = f"{ours} {RIGHT['accuracy']}"
    basis = f"Tested on {rows} tickets that no method had seen."
    if best.cross_validated and finetune.expected:
        basis = f"{basis[:-1]}; {rival} on all {best.cross_validated.rows}."
    if word == "yes":
        return Verdict("yes", f"Worth it: {right}; {rival} gets {theirs}. {basis}")
    if gap.high < 0:
        return Verdict("no", f"Not worth it: after training {right}; {rival} gets more, {theirs}. {basis}")
    if word == "no":
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
