"""The decision of a measurement: enough | more_data | train | not_worth_it | cannot_tell, and what it hangs on.

Pure. Ranks the options by what they cost a team: what already meets the target, then training on the rows at hand,
then labelling more, then leaving it. The deciding figure is always one that was measured or forecast, never a prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from finetune.forecast import Ahead, Forecast

SURE = 0.65  # chance of meeting the target above which we say so
UNLIKELY = 0.35
MATTERS = 0.01  # a gain below one point is not worth a run
Z90 = 1.645


@dataclass(frozen=True)
class Measured:
    """What was measured: `best` needs no fine-tune, `tuned` is the full fine-tune's expected score."""

    target: float
    best_name: str
    best: float
    best_low: float
    best_high: float
    rows: int
    held_out: int
    floor: float
    learnable: bool = True
    tuned: Ahead | None = None
    more: Forecast | None = None
    saved_usd: float | None = None  # a month, from the tuned model's gain
    serving_usd: float | None = None  # a month
    once_usd: float = 0.0
    weak_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The choice, the sentence a manager reads first, its one figure and what would change it."""

    choice: str
    headline: str
    deciding_figure: dict[str, float | str]
    would_change: tuple[str, ...]
    rows_to_label: int = 0


def chance(ahead: Ahead, target: float) -> float:
    """Probability that the score at `ahead` meets the target, from its band."""
    sigma = max((ahead.high - ahead.low) / (2 * Z90), 1e-4)
    return 1 - NormalDist(ahead.value, sigma).cdf(target)


def decide(seen: Measured) -> Decision:
    """One decision from the measurements; total: every input gives one."""
    if not seen.learnable:
        return _nothing_to_learn(seen)
    if seen.best >= seen.target:
        return _enough(seen)
    if seen.tuned is not None and chance(seen.tuned, seen.target) >= SURE:
        return _pays(seen, seen.tuned)
    return _beyond(seen)


def _nothing_to_learn(seen: Measured) -> Decision:
    return Decision(
        "not_worth_it",
        f"Do not train: there is nothing to learn from these labels. The best method scores {percent(seen.best)}, "
        f"no better than always guessing the largest class ({percent(seen.floor)}).",
        {"name": "best score above guessing", "value": seen.best - seen.floor, "unit": "points"},
        ("Labels that follow from the text: have two people label 50 tickets and compare.",),
    )


def _enough(seen: Measured) -> Decision:
    sure = "" if seen.best_low >= seen.target else (
        f" With {seen.held_out:,} held-out tickets the true score lies between {percent(seen.best_low)} and "
        f"{percent(seen.best_high)}, so the margin is thin."
    )
    return Decision(
        "enough",
        f"No fine-tune needed: {seen.best_name} already scores {percent(seen.best)} against your target of "
        f"{percent(seen.target)}.{sure}",
        {"name": f"score of {seen.best_name}", "value": seen.best, "unit": "score"},
        (f"A target above {percent(seen.best)}.", "Tickets that differ from the held-out ones."),
    )


def _pays(seen: Measured, tuned: Ahead) -> Decision:
    gain = tuned.value - seen.best
    if seen.saved_usd is not None and seen.saved_usd <= (seen.serving_usd or 0.0):
        return Decision(
            "not_worth_it",
            f"Not worth it: a fine-tune would reach about {percent(tuned.value)}, but its gain of {100 * gain:.1f} points "
            f"saves ${seen.saved_usd:,.0f} a month and serving it costs ${seen.serving_usd or 0:,.0f}.",
            {"name": "saved a month minus serving", "value": seen.saved_usd - (seen.serving_usd or 0), "unit": "usd"},
            ("More tickets a month or dearer mistakes.", "Serving it on a CPU."),
        )
    return Decision(
        "train",
        f"Train: a fine-tune on your {seen.rows:,} tickets is expected to reach {percent(tuned.value)} "
        f"({percent(tuned.low)}-{percent(tuned.high)}), {100 * gain:.1f} points more than {seen.best_name}, and meets your "
        f"target of {percent(seen.target)}.",
        {"name": "expected score of the fine-tune", "value": tuned.value, "unit": "score"},
        (f"A target above {percent(tuned.high)}.", f"A prompt or cheaper method that reaches {percent(seen.target)}."),
    )


def _beyond(seen: Measured) -> Decision:
    """The target is not met by what there are rows for: would more rows do, or is it out of reach?"""
    if seen.more is None or seen.more.refused:
        why = seen.more.refused if seen.more and seen.more.refused else "There are too few rows for a forecast."
        return Decision(
            "cannot_tell",
            f"Cannot tell yet: {seen.best_name} scores {percent(seen.best)}, below your target of "
            f"{percent(seen.target)}, and the effect of more tickets cannot be forecast. {why}",
            {"name": f"score of {seen.best_name}", "value": seen.best, "unit": "score"},
            ("More labelled tickets, then measure again.",),
        )
    for ahead in seen.more.ahead:
        if ahead.times <= 4.2 and chance(ahead, seen.target) >= SURE:
            return _label_more(seen, ahead)
    best = max(seen.more.ahead, key=lambda item: chance(item, seen.target))
    if seen.tuned is not None:
        best = max(best, seen.tuned, key=lambda item: chance(item, seen.target))
    if chance(best, seen.target) < UNLIKELY:
        return _out_of_reach(seen, best)
    return Decision(
        "cannot_tell",
        f"Too close to call: {seen.best_name} scores {percent(seen.best)}; with {best.rows:,} tickets "
        f"{percent(best.low)}-{percent(best.high)} is expected, and your target of {percent(seen.target)} lies inside.",
        {"name": f"expected score at {best.rows:,} tickets", "value": best.value, "unit": "score"},
        (f"A target of {percent(best.low)} would be a yes, one of {percent(best.high)} a no.", "More held-out tickets."),
    )


def _label_more(seen: Measured, ahead: Ahead) -> Decision:
    extra = ahead.rows - seen.rows
    where = f", first for {', '.join(seen.weak_classes[:3])}" if seen.weak_classes else ""
    return Decision(
        "more_data",
        f"Label about {extra:,} more tickets before paying for training{where}: today's {seen.rows:,} give "
        f"{percent(seen.best)}, {ahead.rows:,} are expected to give {percent(ahead.value)} "
        f"({percent(ahead.low)}-{percent(ahead.high)}) against your target of {percent(seen.target)}.",
        {"name": f"expected score at {ahead.rows:,} tickets", "value": ahead.value, "unit": "score"},
        (f"A target of {percent(seen.best)} or less needs no more tickets.", "Cleaner labels could do the same."),
        extra,
    )


def _out_of_reach(seen: Measured, best: Ahead) -> Decision:
    return Decision(
        "not_worth_it",
        f"Not worth it: your target of {percent(seen.target)} is out of reach. {seen.best_name} scores "
        f"{percent(seen.best)} and even {best.rows:,} tickets are expected to give {percent(best.value)} "
        f"({percent(best.low)}-{percent(best.high)}).",
        {"name": f"expected score at {best.rows:,} tickets", "value": best.value, "unit": "score"},
        (f"A target of {percent(best.value)} or less.", "Fewer or clearer classes, or labels that agree more."),
    )


def percent(score: float) -> str:
    return f"{100 * score:.1f}%"
