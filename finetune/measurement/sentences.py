"""Words a decision for a support lead: tickets out of a hundred first, methods and intervals in the details. Pure."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

from finetune.evaluation.forecast import Z90, ForecastPoint
from finetune.pricing import money
from finetune.reports.words import RIGHT, of_100

if TYPE_CHECKING:
    from finetune.measurement.decision import Figures, TrainedModel

OUT = 0.1  # chance below which a target is called out of reach
LOW_CHANCE = 0.35  # below this chance, meeting the target is called a bet
UNITS = {"accuracy": "of 100 new tickets", "macro_f1": "macro-F1 points of 100"}


def chance(ahead: ForecastPoint, target: float) -> float:
    """Probability that the score at `ahead` meets the target, from its band for other tickets."""
    sigma = max((ahead.wide_high - ahead.wide_low) / (2 * Z90), 1e-4)
    return 1 - NormalDist(ahead.value, sigma).cdf(target)


def percent(score: float) -> str:
    return f"{100 * score:.1f}%"


def band(ahead: ForecastPoint) -> str:
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


def reach(best: ForecastPoint, target: float) -> str:
    """How far the target is, in words."""
    likely = chance(best, target)
    if likely < OUT:
        return "target out of reach"
    return "target unlikely" if likely < LOW_CHANCE else "the target is a bet"


def _today(figures: Figures) -> str:
    return "today's best prompt" if figures.by_prompt else "today's cheap method"


def _right(figures: Figures) -> str:
    """What a number of a hundred counts."""
    return RIGHT[figures.metric]


def _duration(hours: float) -> str:
    return f"{max(1, round(60 * hours))} min" if hours < 2 else f"{hours:.1f} h"


def _price(figures: Figures) -> str:
    """What one training costs and takes."""
    if figures.trained_model is not None:
        return f"and the model of job {figures.trained_model.job} is trained already"
    return f"for {money(figures.training_usd)} and about {_duration(figures.training_hours)} of training"


def nothing_to_learn(figures: Figures) -> str:
    best, floor = of_100(figures.best, figures.floor)
    sentence = " A fine-tune found nothing either." if figures.finetune is not None else ""
    return (
        f"Do not train: there is nothing to learn from these labels. {figures.best_name} is right on {best} of 100 "
        f"held-out tickets, no better than shuffled answers; always guessing the largest class gives {floor}.{sentence}"
    )


def _floor(figures: Figures) -> str:
    """The score of always answering the largest class, which puts a high score into proportion."""
    return f" Always guessing the largest class gets {percent(figures.floor)}."


def enough(figures: Figures) -> str:
    best, target = of_100(figures.best, target=figures.target)
    thin = (
        f" The margin is thin: with {figures.held_out:,} held-out tickets the true figure lies between "
        f"{percent(figures.best_low)} and {percent(figures.best_high)}."
    )
    gain = f" A fine-tune would bring {100 * figures.gain:+.1f} points." if figures.gain is not None else ""
    return (
        f"No training needed: with {_today(figures)} {best} {_right(figures)}, and your target is {target}."
        f"{_floor(figures)}{gain}{thin if figures.best_low < figures.target else ''}"
    )


def in_hand(figures: Figures, model: TrainedModel) -> str:
    ours, best, target = of_100(model.score, figures.best, target=figures.target)
    return (
        f"You have it: with the model of job {model.job} {ours} {_right(figures)}; {_today(figures)} gets {best}. Your "
        f"target of {target} is met on the same {figures.held_out:,} held-out tickets, with nothing more to train."
        f"{_floor(figures)}"
    )


def enough_with_all(figures: Figures, ahead: ForecastPoint) -> str:
    value, target = of_100(ahead.value, target=figures.target)
    return (
        f"No fine-tune needed: with {_today(figures)} trained on all {ahead.rows:,} tickets, {value} {_right(figures)} "
        f"({band(ahead)}); your target is {target}. On the sample that was measured it gets {percent(figures.best)}."
        f"{_floor(figures)}"
    )


def pilot_missing(figures: Figures, minutes: float) -> str:
    best, target = of_100(figures.best, target=figures.target)
    return (
        f"Not decided yet: a pilot of about {minutes:.0f} {'minute' if round(minutes) == 1 else 'minutes'} is "
        f"missing. With {_today(figures)} {best} {_right(figures)} and your target is {target}; whether a fine-tune gets "
        "there was not measured."
    )


def train(figures: Figures, finetune: ForecastPoint) -> str:
    value, best, target = of_100(finetune.value, figures.best, target=figures.target)
    gain = 100 * (finetune.value - figures.best)
    chance_of = (
        "" if figures.gain_is_sure else f", which may be chance on {figures.held_out:,} held-out tickets,"
    )
    return (
        f"Train: {value} {_right(figures)}; {_today(figures)} gets {best}. That is expected to meet your target of {target} "
        f"({band(finetune)}), {gain:+.1f} points{chance_of} {_price(figures)}."
    )


def hardly_better(figures: Figures, finetune: ForecastPoint) -> str:
    value, best, target = of_100(finetune.value, figures.best, target=figures.target)
    return (
        f"Too close to call: your target of {target} of 100 lies between today's {best} and the {value} of a fine-tune, "
        f"which brings {_points(figures)}: hardly a gain."
    )


def _points(figures: Figures) -> str:
    """The gain of a fine-tune that was measured on all rows, with its interval."""
    gain = figures.whole_gain
    assert gain is not None
    return f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def train_title(figures: Figures, finetune: ForecastPoint) -> str:
    value, target = of_100(finetune.value, target=figures.target)
    return f"Train: {value} of 100 expected, your target is {target}"


def train_below_target(figures: Figures, finetune: ForecastPoint) -> str:
    value, best, target = of_100(finetune.value, figures.best, target=figures.target)
    return (
        f"Train, although your target of {target} of 100 {_distance(finetune, figures.target)}: {value} "
        f"{_right(figures)}; {_today(figures)} gets {best}. It leaves {money(figures.extra_usd or 0.0)} a month more than "
        "going without, training aside."
    )


def costs_more_than_it_saves(figures: Figures, finetune: ForecastPoint) -> str:
    value, best = of_100(finetune.value, figures.best)
    return (
        f"Not worth its price: a fine-tune would bring {value} instead of {best} {UNITS[figures.metric]}, "
        f"and it leaves {money(-(figures.extra_usd_at_most or 0.0))} a month less than the best without it."
    )


def without_forecast(figures: Figures, why: str) -> str:
    best, target = of_100(figures.best, target=figures.target)
    return (
        f"Cannot tell yet: with {_today(figures)} {best} {_right(figures)} and your target is {target}; what more tickets "
        f"would bring cannot be forecast.{_gain(figures)} {why}"
    )


def too_close(figures: Figures, best: ForecastPoint) -> str:
    value, today, target = of_100(best.value, figures.best, target=figures.target)
    return (
        f"Too close to call: {value} {_right(figures)} with {_what(figures, best)} ({band(best)}), and your target of "
        f"{target} lies inside; {_today(figures)} gets {today}.{_gain(figures)}"
    )


def label_more(figures: Figures, ahead: ForecastPoint) -> str:
    value, best, target = of_100(ahead.value, figures.best, target=figures.target)
    extra = ahead.rows - figures.rows
    how = " and a fine-tune" if _is_tuned(figures, ahead) else ""
    if figures.gain_is_sure:
        return (
            f"Label about {extra:,} more tickets for your target of {target}: with {ahead.rows:,}{how}, {value} "
            f"{_right(figures)} ({band(ahead)}); today's {figures.rows:,} give {best}. Training on today's tickets brings "
            f"{_gain_of(figures)} already, {_price(figures)}."
        )
    return (
        f"Label about {extra:,} more tickets before paying for training: with {ahead.rows:,}{how}, {value} "
        f"{_right(figures)} ({band(ahead)}); today's {figures.rows:,} give {best} and your target is {target}.{_gain(figures)}"
    )


def label_title(figures: Figures) -> str:
    also = (
        f"; training brings {100 * (figures.gain or 0):+.0f} points already"
        if figures.gain_is_sure
        else " first"
    )
    return f"Label more tickets{also}"


def gain_title(figures: Figures) -> str:
    return f"Target out of reach, but training brings {100 * (figures.gain or 0):+.0f} points"


def gain_below_target(figures: Figures, best: ForecastPoint) -> str:
    assert figures.finetune is not None
    value, today, target = of_100(figures.finetune.value, figures.best, target=figures.target)
    return (
        f"Your target of {target} of 100 {_distance(best, figures.target)}, but training brings "
        f"{100 * (figures.gain or 0):+.1f} points: {value} {_right(figures)}; {_today(figures)} gets {today}. That comes "
        f"{_price(figures)}; {_limit(figures, best)}."
    )


def not_worth_it(figures: Figures, best: ForecastPoint) -> str:
    today, target = of_100(figures.best, target=figures.target)
    return (
        f"Not worth it: your target of {target} of 100 {_distance(best, figures.target)}. With {_today(figures)} {today} "
        f"{_right(figures)}, and {_limit(figures, best)}.{_no_gain(figures)}"
    )


def _distance(best: ForecastPoint, target: float) -> str:
    likely = chance(best, target)
    if likely < OUT:
        return "is out of reach"
    return f"is unlikely ({odds(likely)})" if likely < LOW_CHANCE else f"is a bet ({odds(likely)})"


def _limit(figures: Figures, best: ForecastPoint) -> str:
    """The best that can be expected."""
    return f"the most that is expected is {100 * best.value:.1f} ({band(best)}) with {_what(figures, best)}"


def _what(figures: Figures, ahead: ForecastPoint) -> str:
    if ahead is figures.finetune:
        return "a fine-tune on today's tickets"
    return f"{ahead.rows:,} tickets" + (" and a fine-tune" if _is_tuned(figures, ahead) else "")


def _is_tuned(figures: Figures, ahead: ForecastPoint) -> bool:
    """Whether a size ahead was forecast for a fine-tune."""
    return any(ahead is item for item in figures.tuned_later)


def _gain(figures: Figures) -> str:
    """What a fine-tune on today's rows gains, where it was measured."""
    if figures.finetune is None:
        return ""
    return f" A fine-tune on today's tickets would bring {_gain_of(figures)}."


def _gain_of(figures: Figures) -> str:
    """The gain of a fine-tune on today's rows in points, and what it comes to."""
    value = figures.finetune.value if figures.finetune is not None else figures.best
    number = of_100(value, figures.best, target=figures.target)[0]
    return f"{100 * (figures.gain or 0):+.1f} points ({number} of 100)"


def _no_gain(figures: Figures) -> str:
    """That a fine-tune was measured and does not help for certain."""
    if figures.finetune is None:
        return ""
    low, high = (100 * (edge - figures.best) for edge in (figures.finetune.low, figures.finetune.high))
    if figures.whole_gain is not None:
        low, high = 100 * figures.whole_gain.low, 100 * figures.whole_gain.high
    return (
        f" A fine-tune on today's tickets brings {100 * (figures.gain or 0):+.1f} points ({low:+.1f} to {high:+.1f}), "
        "so no gain for certain."
    )
