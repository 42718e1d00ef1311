"""Decides a measurement: exactly one choice for every set of figures. Pure.

Ranks the options by what they cost a team: what already meets the target, then training on the rows at hand, then
labelling more, then leaving it. The deciding figure is always one that was measured or forecast, never a prior: where
an arm that could change the answer was not measured, nothing is decided yet. The words are in sentences.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from finetune.evaluation.forecast import BAND_UP_TO, Forecast, ForecastPoint
from finetune.evaluation.verdict import worth
from finetune.measurement import sentences
from finetune.measurement.sentences import chance
from finetune.reports.measurement import DecidingFigure
from finetune.reports.parts import Interval

SURE = 0.6  # chance of meeting the target above which we say so
UNLIKELY = 0.5  # below it, training is not recommended
LEFT = "left a month, against the best without a fine-tune"
NO_BETTER = 0.01  # p-value above which predictions and labels count as unrelated


@dataclass(frozen=True)
class TrainedModel:
    """The model of a finished job, scored on the same held-out rows."""

    job: str
    name: str
    score: float


@dataclass(frozen=True)
class Figures:
    """The measured and forecast figures; scores are shares (0..1), money is US dollars.

    `best` needs no fine-tune and was picked without the held-out rows. `at_all` is its expected score on every
    training row of the dataset where only a sample was measured, `finetune` the fine-tune's. `missing_minutes` is what
    a fine-tune pilot would take that was not run. `by_prompt`: the best is a prompt.
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
    at_all: ForecastPoint | None = None
    finetune: ForecastPoint | None = None
    more: Forecast | None = None
    tuned_later: tuple[ForecastPoint, ...] = ()  # a fine-tune at the sizes of `more`
    extra_usd: float | None = None  # dollars a month by which the fine-tune beats the best alternative
    extra_usd_at_most: float | None = None  # the same at the upper edge of its automatic share
    training_usd: float = 0.0
    training_hours: float = 0.0
    weak_classes: tuple[str, ...] = ()
    missing_minutes: float | None = None
    whole_gain: Interval | None = (
        None  # of a fine-tune on all rows, on the same held-out rows, with its 95% interval
    )
    trained_model: TrainedModel | None = None
    by_prompt: bool = False
    metric: str = "accuracy"

    @property
    def gain(self) -> float | None:
        """The expected gain of a fine-tune on today's rows, as a share; None where none was measured."""
        return None if self.finetune is None else self.finetune.value - self.best

    @property
    def gain_is_sure(self) -> bool:
        """Whether the fine-tune does better on the same held-out rows, its noise included; as a job's verdict has it."""
        if self.finetune is not None and self.whole_gain is not None:
            return worth(self.whole_gain) == "yes"
        return self.finetune is not None and self.finetune.low > self.best

    @property
    def is_hardly_better(self) -> bool:
        """Whether the fine-tune was measured to gain less than is worth it; then its own report says "not worth it"."""
        return self.whole_gain is not None and worth(self.whole_gain) == "no"


@dataclass(frozen=True)
class Decision:
    """The choice, the sentences a manager reads first, its one figure and what would change it.

    choice: enough | train | more_data | out_of_reach | not_worth_it | cannot_tell | undecided. `meets` names what
    reaches the target: prompt, small_model, fine_tune or nothing; None where that is open.
    """

    choice: str
    headline: str
    deciding_figure: DecidingFigure
    would_change: tuple[str, ...]
    next_step: str
    rows_to_label: int = 0
    title: str = ""  # over the picture
    meets: str | None = None
    pilot_minutes: float | None = None


def decide(figures: Figures) -> Decision:
    """The decision from the figures; defined for every input."""
    if figures.p_chance > NO_BETTER and not figures.gain_is_sure:
        return _nothing_to_learn(figures) if figures.missing_minutes is None else _pilot_missing(figures)
    if figures.best >= figures.target:
        return _enough(figures)
    if figures.trained_model is not None and figures.trained_model.score >= figures.target:
        return _model_exists(figures, figures.trained_model)
    if figures.at_all is not None and chance(figures.at_all, figures.target) >= SURE:
        return _enough_with_all(figures, figures.at_all)
    if figures.finetune is not None and chance(figures.finetune, figures.target) >= SURE:
        return _train(figures, figures.finetune) if not figures.is_hardly_better else _hardly_better(figures)
    if figures.missing_minutes is not None:
        return _pilot_missing(figures)
    below = _target_not_met(figures)
    if below.choice != "more_data" and figures.finetune is not None and _pays(figures):
        return _train_below_target(figures, figures.finetune)
    return below


def _pays(figures: Figures) -> bool:
    """Whether a significant gain saves money each month, whatever the target."""
    return figures.extra_usd is not None and figures.extra_usd > 0 and figures.gain_is_sure


def _nothing_to_learn(figures: Figures) -> Decision:
    return Decision(
        "not_worth_it",
        sentences.nothing_to_learn(figures),
        DecidingFigure("chance that shuffled answers do as well", figures.p_chance, "probability"),
        ("Labels that follow from the text.",),
        "Have two people label the same 50 tickets and compare: if they disagree too, fix the classes first.",
        title="Nothing to learn from these labels",
        meets="nothing",
    )


def _enough(figures: Figures) -> Decision:
    name = sentences.in_sentence(figures.best_name)
    return Decision(
        "enough",
        sentences.enough(figures),
        DecidingFigure(f"score of {name}", figures.best),
        (
            f"A target above {sentences.percent(figures.best_high)}.",
            "New tickets that differ from the held-out ones.",
        ),
        f"Use {name}, and check it on 100 new tickets a month.",
        title="Enough already: no training needed",
        meets="prompt" if figures.by_prompt else "small_model",
    )


def _model_exists(figures: Figures, model: TrainedModel) -> Decision:
    return Decision(
        "enough",
        sentences.in_hand(figures, model),
        DecidingFigure(f"score of the model of job {model.job}", model.score),
        ("New tickets that differ from the held-out ones.", "A higher target."),
        f"Use the model of job {model.job}, and check it on 100 new tickets a month.",
        title="You have it: the trained model is enough",
        meets="fine_tune",
    )


def _enough_with_all(figures: Figures, ahead: ForecastPoint) -> Decision:
    return Decision(
        "enough",
        sentences.enough_with_all(figures, ahead),
        DecidingFigure(f"expected score on all {ahead.rows:,} tickets", ahead.value),
        (
            f"A target above {sentences.percent(ahead.wide_high)}.",
            "New tickets that differ from the held-out ones.",
        ),
        f"Train {sentences.in_sentence(figures.best_name)} on all tickets: minutes on a CPU.",
        title="Enough: no fine-tune needed",
        meets="small_model",
    )


def _pilot_missing(figures: Figures) -> Decision:
    minutes = max(1.0, figures.missing_minutes or 0.0)
    return Decision(
        "undecided",
        sentences.pilot_missing(figures, minutes),
        DecidingFigure("minutes that the pilot takes", minutes, "minutes"),
        ("The pilot's score on the same held-out tickets.",),
        f"Run the pilot (about {minutes:.0f} min); it goes on where this measurement stopped.",
        title="Not decided yet: the pilot is missing",
        pilot_minutes=minutes,
    )


def _train(figures: Figures, finetune: ForecastPoint) -> Decision:
    if figures.extra_usd_at_most is not None and figures.extra_usd_at_most <= 0:
        return Decision(
            "not_worth_it",
            sentences.costs_more_than_it_saves(figures, finetune),
            DecidingFigure(LEFT, figures.extra_usd_at_most, "usd"),
            ("More tickets a month, or dearer mistakes.", "Serving it on a machine that you already have."),
            f"Stay with {sentences.in_sentence(figures.best_name)}.",
            title="Not worth its price",
            meets="fine_tune",
        )
    return Decision(
        "train",
        sentences.train(figures, finetune),
        DecidingFigure("expected score of the fine-tune", finetune.value),
        (
            f"A target above {sentences.percent(finetune.wide_high)}.",
            f"A prompt or a cheaper method that reaches {sentences.percent(figures.target)}.",
        ),
        "Launch the fine-tune on this dataset.",
        title=sentences.train_title(figures, finetune),
        meets="fine_tune",
    )


def _hardly_better(figures: Figures) -> Decision:
    """The target lies within the point or less that a fine-tune gains: too little to recommend, too much to rule it out."""
    assert figures.finetune is not None
    return Decision(
        "cannot_tell",
        sentences.hardly_better(figures, figures.finetune),
        DecidingFigure("what a fine-tune gains", figures.gain or 0.0),
        (f"A target of {sentences.percent(figures.best)} needs no fine-tune.",),
        f"Settle for {sentences.percent(figures.best)}, or label more tickets and measure again.",
        title="Too close to call: a fine-tune hardly helps",
    )


def _train_below_target(figures: Figures, finetune: ForecastPoint) -> Decision:
    return Decision(
        "train",
        sentences.train_below_target(figures, finetune),
        DecidingFigure(LEFT, figures.extra_usd or 0.0, "usd"),
        ("Fewer tickets a month, or cheaper mistakes.", "A prompt or a cheaper method that does as well."),
        "Launch the fine-tune on this dataset.",
        title="Train: it pays below the target",
        meets="fine_tune",
    )


def _target_not_met(figures: Figures) -> Decision:
    """The present rows miss the target: decides whether more rows would meet it or it is out of reach."""
    if figures.more is None or not figures.more.ahead:
        return _without_forecast(figures)
    near = [ahead for ahead in figures.more.ahead if ahead.times <= 1.05 * BAND_UP_TO]
    near = near or list(figures.more.ahead)  # only far sizes were asked for: their wide bands decide
    later = [ahead for ahead in figures.tuned_later if ahead.rows in {item.rows for item in near}]
    for ahead in sorted([*near, *later], key=lambda ahead: ahead.rows):
        if chance(ahead, figures.target) >= SURE:
            return _label_more(figures, ahead)
    options = [*near, *later, *(item for item in (figures.finetune, figures.at_all) if item)]
    best = max(options, key=lambda item: chance(item, figures.target))
    if chance(best, figures.target) >= UNLIKELY:
        return _too_close(figures, best)
    return _gain_below_target(figures, best) if figures.gain_is_sure else _not_worth_it(figures, best)


def _without_forecast(figures: Figures) -> Decision:
    why = (
        figures.more.refused
        if figures.more and figures.more.refused
        else "There are too few rows for a forecast."
    )
    return Decision(
        "cannot_tell",
        sentences.without_forecast(figures, why),
        DecidingFigure(f"score of {sentences.in_sentence(figures.best_name)}", figures.best),
        ("More labelled tickets, then measure again.",),
        "Label more tickets and measure again.",
        title="Cannot tell yet",
    )


def _too_close(figures: Figures, best: ForecastPoint) -> Decision:
    low, high = sentences.percent(best.wide_low), sentences.percent(best.wide_high)
    return Decision(
        "cannot_tell",
        sentences.too_close(figures, best),
        DecidingFigure(f"expected score with {best.rows:,} tickets", best.value),
        (f"A target of {low} would be a yes, {high} a no.",),
        "Hold out more tickets, or settle for a lower target.",
        title="Too close to call",
    )


def _label_more(figures: Figures, ahead: ForecastPoint) -> Decision:
    extra = ahead.rows - figures.rows
    where = f", first for {', '.join(figures.weak_classes[:3])}" if figures.weak_classes else ""
    step = f"Label {extra:,} tickets{where}"
    if figures.finetune is not None and figures.gain_is_sure:
        step = (
            f"Train for {sentences.percent(figures.finetune.value)} now, and label {extra:,} tickets{where}"
        )
    return Decision(
        "more_data",
        sentences.label_more(figures, ahead),
        DecidingFigure(f"expected score with {ahead.rows:,} tickets", ahead.value),
        (
            f"A target of {sentences.percent(figures.best)} or less needs no more tickets.",
            "Cleaner labels could do the same.",
        ),
        f"{step}; then measure again.",
        extra,
        title=sentences.label_title(figures),
    )


def _gain_below_target(figures: Figures, best: ForecastPoint) -> Decision:
    """The target is out of reach but a fine-tune gains significantly: states both for the person to weigh."""
    assert figures.finetune is not None
    return Decision(
        "out_of_reach",
        sentences.gain_below_target(figures, best),
        DecidingFigure("what a fine-tune gains", figures.gain or 0.0),
        (
            f"A target of {sentences.percent(figures.finetune.value)} or less.",
            "Fewer or clearer classes, or labels that agree more.",
        ),
        f"Train for {sentences.percent(figures.finetune.value)}, or merge the most confused classes first.",
        title=sentences.gain_title(figures),
    )


def _not_worth_it(figures: Figures, best: ForecastPoint) -> Decision:
    return Decision(
        "not_worth_it",
        sentences.not_worth_it(figures, best),
        DecidingFigure(f"expected score with {best.rows:,} tickets", best.value),
        (
            f"A target of {sentences.percent(best.value)} or less.",
            "Fewer or clearer classes, or labels that agree more.",
        ),
        "Look at the most confused classes: merge or redefine them, or lower the target.",
        title=f"Training is not worth it: {sentences.reach(best, figures.target)}",
        meets="nothing",
    )
