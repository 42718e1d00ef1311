"""The decision of a measurement: enough | more_data | train | not_worth_it | cannot_tell, and what it hangs
on.

Pure. Ranks the options by what they cost a team: what already meets the target, then training on the rows at
hand, then labelling more, then leaving it. The deciding figure is always one that was measured or forecast,
never a prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from finetune.measurement.forecast import BAND_UP_TO, Z90, Ahead, Forecast

SURE = 0.6  # chance of meeting the target above which we say so
OUT = 0.1  # below it, we call the target out of reach
UNLIKELY = 0.5  # below it, paying is the wrong bet
A_BET = 0.35  # from here on up to it, a bet that can be lost, not a plan
NO_BETTER = 0.01  # p-value above which answers and labels have nothing to do with each other


@dataclass(frozen=True)
class Measured:
    """What was measured and forecast; scores are shares (0..1), money is US dollars.

    `best` needs no fine-tune and was picked without the held-out rows. `at_all` is its expected score on
    every training row of the dataset where only a sample was measured, `tuned` the fine-tune's.
    """

    target: float
    best_name: str
    best: float
    best_low: float
    best_high: float
    rows: int
    held_out: int
    floor: float
    p_chance: float = 0.0
    at_all: Ahead | None = None
    tuned: Ahead | None = None
    more: Forecast | None = None
    tuned_later: tuple[Ahead, ...] = ()  # a fine-tune at the sizes of `more`
    saved_usd: float | None = None  # a month, from the tuned model's gain
    serving_usd: float = 0.0  # a month
    training_usd: float = 0.0
    training_hours: float = 0.0
    weak_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The choice, the sentence a manager reads first, its one figure and what would change it."""

    choice: str
    headline: str
    deciding_figure: dict[str, float | str]
    would_change: tuple[str, ...]
    next_step: str
    rows_to_label: int = 0
    title: str = ""  # over the picture, where the choice's own is not the whole truth


def chance(ahead: Ahead, target: float) -> float:
    """Probability that the score at `ahead` meets the target, from its band for other tickets."""
    sigma = max((ahead.wide_high - ahead.wide_low) / (2 * Z90), 1e-4)
    return 1 - NormalDist(ahead.value, sigma).cdf(target)


def decide(seen: Measured) -> Decision:
    """One decision from the measurements; total: every input gives one."""
    if seen.p_chance > NO_BETTER:
        return _nothing_to_learn(seen)
    if seen.best >= seen.target:
        return _enough(seen)
    if seen.at_all is not None and chance(seen.at_all, seen.target) >= SURE:
        return _enough_with_all(seen, seen.at_all)
    if seen.tuned is not None and chance(seen.tuned, seen.target) >= SURE:
        return _train(seen, seen.tuned)
    made = _beyond(seen)
    if made.choice in ("not_worth_it", "cannot_tell") and seen.tuned is not None and _pays(seen, seen.tuned):
        return _train_anyway(seen, seen.tuned)
    return made


def _pays(seen: Measured, tuned: Ahead) -> bool:
    """Whether a certain gain saves more than serving costs, whatever the target."""
    saves = seen.saved_usd is not None and seen.saved_usd > seen.serving_usd
    return saves and tuned.low > seen.best


def _nothing_to_learn(seen: Measured) -> Decision:
    return Decision(
        "not_worth_it",
        f"Do not train: there is nothing to learn from these labels. {seen.best_name} is right on "
        f"{percent(seen.best)} of {seen.held_out:,} held-out tickets, no better than shuffled answers; "
        "always guessing "
        f"the largest class gives {percent(seen.floor)}.",
        _figure("chance that shuffled answers do as well", seen.p_chance, "probability"),
        ("Labels that follow from the text.",),
        "Have two people label the same 50 tickets and compare: if they disagree too, fix the classes first.",
    )


def _enough(seen: Measured) -> Decision:
    thin = (
        f" The margin is thin: with {seen.held_out:,} held-out tickets the true score lies between "
        f"{percent(seen.best_low)} and {percent(seen.best_high)}."
    )
    return Decision(
        "enough",
        f"No fine-tune needed: {_lower(seen.best_name)} already scores {percent(seen.best)} against your "
        "target of "
        f"{percent(seen.target)}.{thin if seen.best_low < seen.target else ''}",
        _figure(f"score of {_lower(seen.best_name)}", seen.best),
        (f"A target above {percent(seen.best_high)}.", "New tickets that differ from the held-out ones."),
        f"Use {_lower(seen.best_name)}, and check it on 100 new tickets a month.",
    )


def _enough_with_all(seen: Measured, ahead: Ahead) -> Decision:
    return Decision(
        "enough",
        f"No fine-tune needed: {_lower(seen.best_name)} scores {percent(seen.best)} on a sample and is "
        "expected to reach "
        f"{_band(ahead)} on all {ahead.rows:,} tickets, against your target of {percent(seen.target)}.",
        _figure(f"expected score on all {ahead.rows:,} tickets", ahead.value),
        (f"A target above {percent(ahead.wide_high)}.", "New tickets that differ from the held-out ones."),
        f"Train {_lower(seen.best_name)} on all tickets: minutes on a CPU.",
    )


def _train(seen: Measured, tuned: Ahead) -> Decision:
    gain = tuned.value - seen.best
    if seen.saved_usd is not None and seen.saved_usd <= seen.serving_usd:
        left = seen.saved_usd - seen.serving_usd
        return Decision(
            "not_worth_it",
            f"Not worth it: a fine-tune would reach about {_band(tuned)}, but its {100 * gain:.1f} points "
            "save "
            f"${seen.saved_usd:,.0f} a month and serving it costs ${seen.serving_usd:,.0f}.",
            _figure("saved a month minus serving", left, "usd"),
            ("More tickets a month, or dearer mistakes.", "Serving it on a machine that you already have."),
            f"Stay with {_lower(seen.best_name)}.",
        )
    price = f"about ${max(seen.training_usd, 0.01):,.2f} and {_duration(seen.training_hours)} of training"
    return Decision(
        "train",
        f"Train: a LoRA fine-tune on your {tuned.rows:,} tickets is expected to reach {_band(tuned)}, "
        f"{100 * gain:+.1f} points against {_lower(seen.best_name)}, and to meet your target of "
        f"{percent(seen.target)}, "
        f"for {price}.",
        _figure("expected score of the fine-tune", tuned.value),
        (
            f"A target above {percent(tuned.wide_high)}.",
            f"A prompt or a cheaper method that reaches {percent(seen.target)}.",
        ),
        "Launch the fine-tune on this dataset.",
    )


def _train_anyway(seen: Measured, tuned: Ahead) -> Decision:
    gain, saved = tuned.value - seen.best, seen.saved_usd or 0.0
    return Decision(
        "train",
        f"Train, although your target of {percent(seen.target)} is not sure ({_odds(chance(tuned, seen.target))}): "
        f"a LoRA fine-tune on your {tuned.rows:,} tickets is expected to reach {_band(tuned)}, "
        f"{100 * gain:+.1f} points against {_lower(seen.best_name)}, which saves ${saved:,.0f} a month; serving "
        f"it costs ${seen.serving_usd:,.0f}.",
        _figure("saved a month minus serving", saved - seen.serving_usd, "usd"),
        ("Fewer tickets a month, or cheaper mistakes.", "A prompt or a cheaper method that does as well."),
        "Launch the fine-tune on this dataset.",
    )


def _beyond(seen: Measured) -> Decision:
    """The target is missed with the rows at hand: would more rows do, or is it out of reach?"""
    if seen.more is None or not seen.more.ahead:
        return _unknown(seen)
    near = [ahead for ahead in seen.more.ahead if ahead.times <= 1.05 * BAND_UP_TO]
    near = near or list(seen.more.ahead)  # only far sizes were asked for: their wide bands decide
    later = [ahead for ahead in seen.tuned_later if ahead.rows in {item.rows for item in near}]
    for ahead in sorted([*near, *later], key=lambda ahead: ahead.rows):
        if chance(ahead, seen.target) >= SURE:
            return _label_more(seen, ahead)
    options = [*near, *later, *([seen.tuned] if seen.tuned else []), *([seen.at_all] if seen.at_all else [])]
    best = max(options, key=lambda item: chance(item, seen.target))
    return _out_of_reach(seen, best) if chance(best, seen.target) < UNLIKELY else _too_close(seen, best)


def _unknown(seen: Measured) -> Decision:
    why = seen.more.refused if seen.more and seen.more.refused else "There are too few rows for a forecast."
    return Decision(
        "cannot_tell",
        f"Cannot tell yet: {_lower(seen.best_name)} scores {percent(seen.best)}, below your target of "
        f"{percent(seen.target)}, and what more tickets would bring cannot be forecast. {why}",
        _figure(f"score of {_lower(seen.best_name)}", seen.best),
        ("More labelled tickets, then measure again.",),
        "Label more tickets and measure again.",
    )


def _too_close(seen: Measured, best: Ahead) -> Decision:
    return Decision(
        "cannot_tell",
        f"Too close to call: {_lower(seen.best_name)} scores {percent(seen.best)}; with {best.rows:,} "
        "tickets "
        f"{_band(best)} is expected, and your target of {percent(seen.target)} lies inside.",
        _figure(f"expected score with {best.rows:,} tickets", best.value),
        (f"A target of {percent(best.wide_low)} would be a yes, {percent(best.wide_high)} a no.",),
        "Hold out more tickets, or settle for a lower target.",
    )


def _label_more(seen: Measured, ahead: Ahead) -> Decision:
    extra = ahead.rows - seen.rows
    where = f", first for {', '.join(seen.weak_classes[:3])}" if seen.weak_classes else ""
    tuned = f" A fine-tune on today's tickets would give about {_band(seen.tuned)}." if seen.tuned else ""
    return Decision(
        "more_data",
        f"Label about {extra:,} more tickets before paying for training: today's {seen.rows:,} give "
        f"{percent(seen.best)}, {ahead.rows:,} are expected to give {_band(ahead)}{_how(seen, ahead)}, "
        f"against your target of {percent(seen.target)}.{tuned}",
        _figure(f"expected score with {ahead.rows:,} tickets", ahead.value),
        (
            f"A target of {percent(seen.best)} or less needs no more tickets.",
            "Cleaner labels could do the same.",
        ),
        f"Label {extra:,} tickets{where}; then measure again.",
        extra,
    )


def _out_of_reach(seen: Measured, best: Ahead) -> Decision:
    what = "a fine-tune" if best is seen.tuned else f"even {best.rows:,} tickets{_how(seen, best)}"
    verb = "is" if best is seen.tuned else "are"
    odds = chance(best, seen.target)
    if odds < OUT:
        reach, title = "is out of reach", "Not worth it: target out of reach"
    elif odds < A_BET:
        reach, title = f"is unlikely to be met ({_odds(odds)})", "Not worth it: target unlikely"
    else:
        reach, title = f"is a bet ({_odds(odds)})", "Not worth it: the target is a bet"
    return Decision(
        "not_worth_it",
        f"Not worth it: your target of {percent(seen.target)} {reach}. {seen.best_name} scores "
        f"{percent(seen.best)}, and {what} {verb} expected to give {_band(best)}.{_still(seen)}",
        _figure(f"expected score with {best.rows:,} tickets", best.value),
        (
            f"A target of {percent(best.value)} or less.",
            "Fewer or clearer classes, or labels that agree more.",
        ),
        "Look at the most confused classes: merge or redefine them, or lower the target.",
        title=title,
    )


def _still(seen: Measured) -> str:
    """What a fine-tune gains although the target is missed, where that is certain and worth saying."""
    if seen.tuned is None or seen.tuned.low <= seen.best:
        return ""
    gain = 100 * (seen.tuned.value - seen.best)
    return f" A fine-tune on today's tickets would still bring {gain:+.1f} points ({_band(seen.tuned)})."


def _how(seen: Measured, ahead: Ahead) -> str:
    """Whether a size ahead was forecast for a fine-tune."""
    return " with a fine-tune" if any(ahead is item for item in seen.tuned_later) else ""


def percent(score: float) -> str:
    return f"{100 * score:.1f}%"


def _band(ahead: Ahead) -> str:
    return f"{percent(ahead.value)} ({100 * ahead.wide_low:.1f}-{100 * ahead.wide_high:.1f})"


def _figure(name: str, value: float, unit: str = "score") -> dict[str, float | str]:
    return {"name": name, "value": value, "unit": unit}


def _odds(chance_of: float) -> str:
    """A probability as people say it: `about 1 in 4`."""
    if chance_of < 0.01:
        return "less than 1 in 100"
    return f"about 1 in {round(1 / chance_of)}" if chance_of < 0.45 else "about even odds"


def _duration(hours: float) -> str:
    return f"{max(1, round(60 * hours))} min" if hours < 2 else f"{hours:.1f} h"


def _lower(name: str) -> str:
    """A rung's name inside a sentence: `Linear SVM` becomes `linear SVM`."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
