"""What a decision says, for a support lead: tickets of a hundred first, methods and intervals one level down. Pure."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

from finetune.evaluation.forecast import Z90, Ahead
from finetune.pricing import money

if TYPE_CHECKING:
    from finetune.measurement.decision import Measured, TrainedModel

OUT = 0.1  # chance below which a target is called out of reach
A_BET = 0.35  # from here on a bet that can be lost, not a plan
UNITS = {"accuracy": "of 100 new tickets", "macro_f1": "macro-F1 points of 100"}


def chance(ahead: Ahead, target: float) -> float:
    """Probability that the score at `ahead` meets the target, from its band for other tickets."""
    sigma = max((ahead.wide_high - ahead.wide_low) / (2 * Z90), 1e-4)
    return 1 - NormalDist(ahead.value, sigma).cdf(target)


def of_100(*shares: float) -> list[str]:
    """Shares as numbers of a hundred: whole ones, unless two different ones would then read the same."""
    whole = [f"{100 * share:.0f}" for share in shares]
    exact = [f"{100 * share:.1f}".removesuffix(".0") for share in shares]
    return whole if len(set(whole)) == len(set(exact)) else exact


def percent(score: float) -> str:
    return f"{100 * score:.1f}%"


def band(ahead: Ahead) -> str:
    """The 90% band for other tickets, in numbers of a hundred."""
    return f"{100 * ahead.wide_low:.0f} to {100 * ahead.wide_high:.0f}"


def odds(chance_of: float) -> str:
    """A probability as people say it: `about 1 in 4`."""
    if chance_of < 0.01:
        return "less than 1 in 100"
    return f"about 1 in {round(1 / chance_of)}" if chance_of < 0.45 else "about even odds"


def in_sentence(name: str) -> str:
    """A system's name inside a sentence: `Linear SVM` becomes `linear SVM`."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def reach(best: Ahead, target: float) -> str:
    """How far the target is, in words."""
    likely = chance(best, target)
    if likely < OUT:
        return "target out of reach"
    return "target unlikely" if likely < A_BET else "the target is a bet"


def _today(seen: Measured) -> str:
    return "today's best prompt" if seen.by_prompt else "today's cheap method"


def _right(seen: Measured) -> str:
    """What a number of a hundred counts."""
    if seen.metric == "accuracy":
        return "of 100 new tickets would go to the right queue"
    return "macro-F1 points of 100 are expected"


def _duration(hours: float) -> str:
    return f"{max(1, round(60 * hours))} min" if hours < 2 else f"{hours:.1f} h"


def _price(seen: Measured) -> str:
    """What one training costs and takes."""
    if seen.trained_model is not None:
        return f"and the model of job {seen.trained_model.job} is trained already"
    return f"for {money(seen.training_usd)} and about {_duration(seen.training_hours)} of training"


def nothing_to_learn(seen: Measured) -> str:
    best, floor = of_100(seen.best, seen.floor)
    tuned = " A fine-tune found nothing either." if seen.tuned is not None else ""
    return (
        f"Do not train: there is nothing to learn from these labels. {seen.best_name} is right on {best} of 100 "
        f"held-out tickets, no better than shuffled answers; always guessing the largest class gives {floor}.{tuned}"
    )


def enough(seen: Measured) -> str:
    best, target = of_100(seen.best, seen.target)
    thin = (
        f" The margin is thin: with {seen.held_out:,} held-out tickets the true figure lies between "
        f"{percent(seen.best_low)} and {percent(seen.best_high)}."
    )
    gain = f" A fine-tune would add {100 * seen.gain:+.1f} points." if seen.gain is not None else ""
    return (
        f"No training needed: with {_today(seen)} {best} {_right(seen)}, and your target is {target}."
        f"{gain}{thin if seen.best_low < seen.target else ''}"
    )


def in_hand(seen: Measured, model: TrainedModel) -> str:
    got, best, target = of_100(model.score, seen.best, seen.target)
    return (
        f"You have it: with the model of job {model.job} {got} {_right(seen)}; {_today(seen)} gets {best}. Your "
        f"target of {target} is met on the same {seen.held_out:,} held-out tickets, with nothing more to train."
    )


def enough_with_all(seen: Measured, ahead: Ahead) -> str:
    value, target = of_100(ahead.value, seen.target)
    return (
        f"No fine-tune needed: with {_today(seen)} trained on all {ahead.rows:,} tickets, {value} {_right(seen)} "
        f"({band(ahead)}); your target is {target}. On the sample that was measured it gets {percent(seen.best)}."
    )


def undecided(seen: Measured, minutes: float) -> str:
    best, target = of_100(seen.best, seen.target)
    return (
        f"Not decided yet: a pilot of about {minutes:.0f} {'minute' if round(minutes) == 1 else 'minutes'} is "
        f"missing. With {_today(seen)} {best} {_right(seen)} and your target is {target}; whether a fine-tune gets "
        "there was not measured."
    )


def train(seen: Measured, tuned: Ahead) -> str:
    value, best, target = of_100(tuned.value, seen.best, seen.target)
    gain = 100 * (tuned.value - seen.best)
    return (
        f"Train: {value} {_right(seen)}; {_today(seen)} gets {best}. That is expected to meet your target of {target} "
        f"({band(tuned)}), {gain:+.1f} points {_price(seen)}."
    )


def train_below_target(seen: Measured, tuned: Ahead) -> str:
    value, best, target = of_100(tuned.value, seen.best, seen.target)
    saved = seen.saved_usd or 0.0
    return (
        f"Train, although your target of {target} is not sure ({odds(chance(tuned, seen.target))}): {value} "
        f"{_right(seen)}; {_today(seen)} gets {best}. The gain saves {money(saved)} a month in wrong answers and "
        f"serving costs {money(seen.serving_usd)} more."
    )


def costs_more_than_it_saves(seen: Measured, tuned: Ahead) -> str:
    value, best = of_100(tuned.value, seen.best)
    return (
        f"Not worth its price: a fine-tune would bring {value} instead of {best} {UNITS[seen.metric]}. That saves "
        f"{money(seen.saved_usd or 0.0)} a month in wrong answers, and serving it costs {money(seen.serving_usd)} more."
    )


def without_forecast(seen: Measured, why: str) -> str:
    best, target = of_100(seen.best, seen.target)
    return (
        f"Cannot tell yet: with {_today(seen)} {best} {_right(seen)} and your target is {target}; what more tickets "
        f"would bring cannot be forecast.{_gain(seen)} {why}"
    )


def too_close(seen: Measured, best: Ahead) -> str:
    value, today, target = of_100(best.value, seen.best, seen.target)
    return (
        f"Too close to call: {value} {_right(seen)} with {_what(seen, best)} ({band(best)}), and your target of "
        f"{target} lies inside; {_today(seen)} gets {today}.{_gain(seen)}"
    )


def label_more(seen: Measured, ahead: Ahead) -> str:
    value, best, target = of_100(ahead.value, seen.best, seen.target)
    extra = ahead.rows - seen.rows
    how = " and a fine-tune" if _is_tuned(seen, ahead) else ""
    return (
        f"Label about {extra:,} more tickets before paying for training: with {ahead.rows:,}{how}, {value} "
        f"{_right(seen)} ({band(ahead)}); today's {seen.rows:,} give {best} and your target is {target}.{_gain(seen)}"
    )


def gain_title(seen: Measured) -> str:
    return f"Target out of reach, but training brings {100 * (seen.gain or 0):+.0f} points"


def gain_below_target(seen: Measured, best: Ahead) -> str:
    assert seen.tuned is not None
    value, today, target = of_100(seen.tuned.value, seen.best, seen.target)
    return (
        f"Your target of {target} of 100 {_distance(best, seen.target)}, but training brings "
        f"{100 * (seen.gain or 0):+.1f} points: {value} {_right(seen)}; {_today(seen)} gets {today}. That comes "
        f"{_price(seen)}; {_limit(seen, best)}."
    )


def not_worth_it(seen: Measured, best: Ahead) -> str:
    today, target = of_100(seen.best, seen.target)
    return (
        f"Not worth it: your target of {target} of 100 {_distance(best, seen.target)}. With {_today(seen)} {today} "
        f"{_right(seen)}, and {_limit(seen, best)}.{_no_gain(seen)}"
    )


def _distance(best: Ahead, target: float) -> str:
    likely = chance(best, target)
    if likely < OUT:
        return "is out of reach"
    return f"is unlikely ({odds(likely)})" if likely < A_BET else f"is a bet ({odds(likely)})"


def _limit(seen: Measured, best: Ahead) -> str:
    """The best that can be expected."""
    return f"the most that is expected is {100 * best.value:.1f} ({band(best)}) with {_what(seen, best)}"


def _what(seen: Measured, ahead: Ahead) -> str:
    if ahead is seen.tuned:
        return "a fine-tune on today's tickets"
    return f"{ahead.rows:,} tickets" + (" and a fine-tune" if _is_tuned(seen, ahead) else "")


def _is_tuned(seen: Measured, ahead: Ahead) -> bool:
    """Whether a size ahead was forecast for a fine-tune."""
    return any(ahead is item for item in seen.tuned_later)


def _gain(seen: Measured) -> str:
    """What a fine-tune on today's rows gains, where it was measured."""
    if seen.tuned is None:
        return ""
    return (
        f" A fine-tune on today's tickets would bring {100 * (seen.gain or 0):+.1f} points "
        f"({100 * seen.tuned.value:.0f} of 100)."
    )


def _no_gain(seen: Measured) -> str:
    """That a fine-tune was measured and does not help for certain."""
    if seen.tuned is None:
        return ""
    low, high = (100 * (edge - seen.best) for edge in (seen.tuned.low, seen.tuned.high))
    return (
        f" A fine-tune on today's tickets brings {100 * (seen.gain or 0):+.1f} points ({low:+.1f} to {high:+.1f}), "
        "so no gain for certain."
    )
