"""The steps of a triage run in order: rows, embeddings, baselines, training, evaluation, verdict."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.artifacts import BEFORE, LINEAR_HALF, MODEL
from finetune.catalog import MINILM
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import (
    LOGISTIC,
    WORDS_SVM,
    CheapMethods,
    best_trained,
    logistic,
    score_baselines,
)
from finetune.evaluation.forecast import Point
from finetune.evaluation.learning_curve import Answers as Labels
from finetune.evaluation.learning_curve import (
    curve_points,
    judge_doubling,
    learning_points,
    rising_classes,
    slice_score,
)
from finetune.evaluation.metrics import frequent_confusions, overfitting, per_class
from finetune.evaluation.plots import confusion_plot, learning_plot, loss_plot, scores_plot
from finetune.evaluation.predictions import Predictions, score_system
from finetune.evaluation.sample import Sample, drop_embeddings
from finetune.evaluation.statistics import PairedGap, carried, difference_in_points, paired_gap
from finetune.evaluation.texts import LANGUAGE, text_warnings
from finetune.evaluation.verdict import judge
from finetune.llm import Llm
from finetune.methods import CHEAP, METHODS
from finetune.progress import Progress
from finetune.reports.comparison import held_out_answers
from finetune.reports.finetune import Calibration, FinetuneReport, Latency
from finetune.reports.parts import (
    DatasetPart,
    LearningPoint,
    LossPoint,
    Plot,
    Score,
    Spent,
    SystemLine,
)
from finetune.tasks.triage.data import cross_validation, on_holdout, prepare
from finetune.tasks.triage.prompts import PromptAnswers, prompt_answers
from finetune.training.embedding import Embedder, embedder_for
from finetune.training.linear_model import logistic_model, save_linear
from finetune.training.summary import TrainingSummary

if TYPE_CHECKING:
    from finetune.spec import Spec

LATENCY_SAMPLES = 20
CURVE_MOST_ROWS = 30_000  # of more, a measurement draws the curve on a sample


def run_triage(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> FinetuneReport:
    """The task's part of the report: systems, difference, confusions, curve, plots and verdict."""
    embedder = embedder_for(tickets.texts)
    sample = prepare(spec, tickets, embedder, folder, progress)
    cheap = CheapMethods(sample)
    progress.phase("baselines")
    baselines, _ = score_baselines(sample, cheap, "accuracy", progress)
    if METHODS[spec.method].is_baseline:
        baselines = [system for system in baselines if system.name != WORDS_SVM]
    prompts = prompt_answers(llm, sample, folder, spec.seed, progress)
    progress.phase("training")
    save_baseline(spec, sample, cheap, folder, embedder)
    training = train(spec, sample, cheap, folder, embedder, progress)
    progress.phase("evaluating")
    finetune, latency = evaluate_tuned(spec, sample, cheap, folder, training, progress)
    labels: Labels = {}
    points = curve_of(sample, cheap, best_trained(baselines).name, spec.seed, progress, labels)
    answers = Answers(sample, baselines, finetune, prompts)
    drop_embeddings(folder)
    report = write_report(answers, training, latency, points, folder, rising_classes(sample, labels))
    data_warnings = text_warnings(sample.texts, spec.seed, sample.encoder) if sample.encoder != MINILM else []
    return replace(
        report, notes=(*report.notes, *(one.text for one in data_warnings if one.kind == LANGUAGE))
    )


def curve_of(
    sample: Sample, cheap: CheapMethods, method: str, seed: int, progress: Progress, labels: Labels
) -> list[Point]:
    """The learning curve of the best baseline; a measurement of these rows gets the same one."""
    if sample.train_rows > CURVE_MOST_ROWS:
        progress.note(
            "The learning curve was left out: a measurement draws it on a sample of so many tickets."
        )
        return []
    score_of = slice_score(sample, cheap, method, "accuracy", seed, labels)
    return curve_points(sample.train_rows, score_of, progress)


def train(
    spec: Spec,
    sample: Sample,
    cheap: CheapMethods,
    folder: Path,
    embedder: Embedder,
    progress: Progress,
) -> TrainingSummary:
    """Train the model, unless this folder already holds it."""
    if (summary := TrainingSummary.read(folder, progress)) is not None:
        return summary
    method, embed_seconds = METHODS[spec.method], sample.embed_s_per_row * len(sample.rows)
    learning, validation = sample.part(sample.once.train), sample.part(sample.once.dev)
    if method.solver:
        solution = (
            cheap.svm(sample.once, progress)
            if method.is_baseline
            else method.solver.fit(learning, validation, sample.classes, embedder, progress)
        )
        solution.model.save(folder / MODEL, method.name, method.title)
        seconds = solution.seconds + embed_seconds
        return TrainingSummary(seconds=seconds, settings=dict(solution.settings)).write(folder)
    from finetune.tasks.triage.model import train_triage

    result = train_triage(spec, learning, validation, sample.classes, folder, progress)
    is_half = spec.blend and add_linear_half(sample, cheap, folder, progress)
    return TrainingSummary(result.history, result.steps, result.seconds, has_linear_half=is_half).write(
        folder
    )


def save_baseline(spec: Spec, sample: Sample, cheap: CheapMethods, folder: Path, embedder: Embedder) -> None:
    """Save the baseline that `trainwise try` shows as "before": the best one that is not the recipe's own method."""
    if not METHODS[spec.method].is_baseline:
        save_linear(folder / BEFORE, cheap.svm(sample.once).model, CHEAP.name, WORDS_SVM)
        return
    rows = sample.part(sample.once.train)
    model = logistic(rows.embeddings, rows.labels, sample.features[:0], len(sample.classes))
    before = logistic_model(sample.classes, model.weights, model.bias, embedder)
    save_linear(folder / BEFORE, before, CHEAP.name, LOGISTIC)


def add_linear_half(sample: Sample, cheap: CheapMethods, folder: Path, progress: Progress) -> bool:
    """Save the linear model beside the network if their mean has the better likelihood on the dev rows."""
    from finetune.tasks.triage.model import is_blend_better, load_tuned

    strong = cheap.svm(sample.once)
    validation = sample.part(sample.once.dev)
    place = folder / MODEL / LINEAR_HALF
    shutil.rmtree(place, ignore_errors=True)
    if strong.dev_probabilities is None or not len(validation.texts):
        return False
    network = load_tuned(folder).probabilities(validation.texts, progress.check)
    if not is_blend_better(network, strong.dev_probabilities, validation.labels):
        return False
    save_linear(place, strong.model, CHEAP.name)
    return True


def evaluate_tuned(
    spec: Spec,
    sample: Sample,
    cheap: CheapMethods,
    folder: Path,
    training: TrainingSummary,
    progress: Progress,
) -> tuple[Predictions, Latency]:
    """Load the saved model and score it, so that the scores are those of the shipped files.

    A baseline method on few rows is cross-validated, as in a measurement.
    """
    from finetune.tasks.triage.model import load_tuned

    model, texts = load_tuned(folder), sample.part(sample.once.test).texts
    began = time.perf_counter()
    scores = model.probabilities(texts, progress.check)
    batch = time.perf_counter() - began
    singles = []
    for text in texts[:LATENCY_SAMPLES]:
        progress.check()
        began = time.perf_counter()
        model.probabilities([text])
        singles.append(time.perf_counter() - began)
    latency = Latency(1000 * batch / len(texts), 1000 * float(np.median(singles)))
    name = METHODS[spec.method].title + (", averaged with linear" if training.has_linear_half else "")
    finetune = Predictions(name, "tuned", scores.argmax(axis=1), training.seconds, scores)
    if METHODS[spec.method].is_baseline and not sample.one_split:
        every = score_baselines(sample, cheap, "accuracy", progress)[0][-1]
        finetune = replace(every, name=name, role="tuned", seconds=training.seconds)
    return finetune, latency


@dataclass(frozen=True)
class Answers:
    """Every system's predictions on the held-out rows of a sample.

    `baselines` cover all of them, fold by fold; `finetune` too if it is a baseline method, else only the holdout rows.
    """

    sample: Sample
    baselines: Sequence[Predictions]
    finetune: Predictions
    prompts: PromptAnswers

    @property
    def test_rows(self) -> np.ndarray:
        """The row numbers on which the tuned system is compared."""
        every = len(self.finetune.labels) == self.sample.held_out
        return self.sample.test_rows if every else self.sample.once.test

    @property
    def is_on_one_fold(self) -> bool:
        """Whether the tuned system was tested on one fold, and the baselines on all."""
        return len(self.test_rows) < self.sample.held_out

    @property
    def baselines_on_test_rows(self) -> list[Predictions]:
        """The baselines' predictions on `test_rows`."""
        if not self.is_on_one_fold:
            return list(self.baselines)
        return [on_holdout(self.sample, system) for system in self.baselines]


def write_report(
    answers: Answers,
    training: TrainingSummary,
    latency: Latency,
    points: list[Point],
    folder: Path,
    by_class: str = "",
) -> FinetuneReport:
    """Score every system, compare the tuned one with the best baseline, and write plots and verdict."""
    sample, finetune, test_rows = answers.sample, answers.finetune, answers.test_rows
    truth, tickets = sample.labels[test_rows], [sample.rows[i] for i in test_rows]
    best, ours, gap, rows = compare_best(answers, truth)
    systems = _lines(answers, truth, ours.expected)
    verdict = judge(best, ours, gap, rows)
    curve = learning_points(points, sample.held_out) if points else ()
    floor = score_system(answers.baselines[0], sample.truth, len(sample.names)).accuracy.value
    doubling = " ".join(filter(None, (judge_doubling(points, sample.held_out, floor), by_class)))
    notes = [note for note in (overfitting(training.history), doubling) if note]
    return FinetuneReport(
        headline=verdict.headline,
        worth_it=verdict.worth_it,
        measure="accuracy",
        dataset=_dataset(sample, len(truth)),
        systems=systems,
        difference=difference_in_points(best.name, gap, rows),
        confused=frequent_confusions(truth, finetune.labels, sample.names, [row.text for row in tickets]),
        per_class=per_class(truth, finetune.labels, sample.names),
        answers=held_out_answers(
            [row.id for row in tickets], truth.tolist(), finetune.labels.tolist(), sample.names
        ),
        calibration=Calibration(systems[-1].ece),
        latency=latency,
        loss=training.history,
        learning=curve,
        notes=(*notes, *answers.prompts.notes),
        settings=training.settings,
        spent=Spent(api_usd=round(answers.prompts.usd, 6)),
        plots=_plots(answers, systems, curve, training.history, folder),
    )


def _plots(
    answers: Answers,
    systems: Sequence[SystemLine],
    curve: Sequence[LearningPoint],
    history: Sequence[LossPoint],
    folder: Path,
) -> tuple[Plot, ...]:
    sample, labels = answers.sample, answers.finetune.labels
    truth = sample.labels[answers.test_rows]
    plots = [scores_plot(systems, "accuracy", folder / "scores.png")]
    plots.append(confusion_plot(truth, labels, sample.names, folder / "confusion.png"))
    if len(curve) > 1 and len(truth) == sample.held_out:
        name = best_trained(answers.baselines).name
        plots.append(learning_plot(curve, systems[-1].scores["accuracy"], folder / "learning.png", name))
    if history:
        plots.append(loss_plot(history, folder / "loss.png"))
    return tuple(plots)


def _lines(answers: Answers, truth: np.ndarray, expected: Score | None) -> tuple[SystemLine, ...]:
    """The table of alternatives: the baselines, the prompts, the tuned system last, with what is expected of it on all folds."""
    sample, classes = answers.sample, len(answers.sample.names)
    lines = [score_system(system, truth, classes).line for system in answers.baselines_on_test_rows]
    if answers.is_on_one_fold:
        lines = [
            replace(line, cross_validated=cross_validation(sample, system))
            for line, system in zip(lines, answers.baselines, strict=True)
        ]
    prompts = answers.prompts.lines(sample)
    ours = score_system(answers.finetune, truth, classes).line
    return (*lines, *prompts, replace(ours, expected=expected))


def compare_best(answers: Answers, truth: np.ndarray) -> tuple[SystemLine, SystemLine, PairedGap, int]:
    """The best baseline, the tuned system's line, their paired difference, and its number of rows.

    Validation scores select the baseline, as in a measurement. The selected prompt replaces it where it scores higher on
    its own rows; the comparison then uses those rows. What was tested on one fold carries what is
    expected of it on all.
    """
    finetune, classes = answers.finetune, len(answers.sample.names)
    ours = score_system(finetune, truth, classes).line
    name = best_trained(answers.baselines).name
    cheap = next(system for system in answers.baselines_on_test_rows if system.name == name)
    right = finetune.labels == truth
    place = {int(row): at for at, row in enumerate(answers.test_rows)}
    for prompt in answers.prompts.systems:
        if prompt.name != answers.prompts.best or prompt.rows is None:
            continue
        places = np.array([place[int(row)] for row in prompt.rows], dtype=int)
        theirs = prompt.labels == truth[places]
        if theirs.mean() > (cheap.labels == truth)[places].mean():
            line = score_system(prompt, truth[places], classes).line
            there = replace(ours, scores={"accuracy": Score(float(right[places].mean()))})
            return line, there, paired_gap(right[places], theirs), len(places)
    line, gap = score_system(cheap, truth, classes).line, paired_gap(right, cheap.labels == truth)
    if answers.is_on_one_fold:
        folds = cross_validation(answers.sample, best_trained(answers.baselines))
        level = folds.scores["accuracy"].interval
        line = replace(line, cross_validated=folds)
        ours = replace(ours, expected=carried(level, gap.difference).score)
    return line, ours, gap, len(truth)


def _dataset(sample: Sample, test: int) -> DatasetPart:
    return DatasetPart(
        train=len(sample.once.train),
        dev=len(sample.once.dev),
        test=test,
        left_out=len(sample.cut.left_out),
        classes=len(sample.names),
        split=sample.how,
    )
