"""The steps of a reply run in order: rows, nearest past answer, training, generation, evaluation."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import most_similar
from finetune.evaluation.learning_curve import answer_curve, last_answers
from finetune.evaluation.metrics import overfitting, score_replies, still_falling, unsupported_facts
from finetune.evaluation.plots import learning_plot, loss_plot, scores_plot
from finetune.evaluation.statistics import difference_in_points, paired_means, resample_counts
from finetune.evaluation.verdict import NEAREST_ANSWER, judge_replies
from finetune.llm import Llm
from finetune.methods import METHODS, PILOT
from finetune.progress import Progress
from finetune.reports.finetune import ComparedPair, Example, Facts, FinetuneReport, Latency
from finetune.reports.finetune import Pairs as AnswerPairs
from finetune.reports.parts import (
    CrossValidation,
    DatasetPart,
    LearningPoint,
    LossPoint,
    Plot,
    Spent,
    SystemLine,
)
from finetune.tasks.reply.data import Pairs, Rows, WrittenAnswers, prepare
from finetune.tasks.reply.llm_judge import judge_answers
from finetune.tasks.reply.prompts import prompted_replies
from finetune.training.embedding import FrozenEmbedder
from finetune.training.summary import TrainingSummary

if TYPE_CHECKING:
    from finetune.spec import Spec

PAIRS_KEPT, PAIR_TEXT = 20, 1200  # pairs for the blind comparison, and characters of each text


def run_reply(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> FinetuneReport:
    """The task's part of the report: systems, difference, examples, curve, plots and verdict."""
    rows = prepare(spec, tickets)
    embedder, test = FrozenEmbedder(), rows.test
    progress.phase("baselines")
    systems, vectors = baselines(spec, rows.train, test, embedder, progress)
    prompts = prompted_replies(llm, rows.train, test, vectors, folder, spec.seed, progress)
    progress.phase("training")
    training = train_once(spec, rows.train, rows.dev, folder, progress)
    progress.phase("evaluating")
    tuned_answers, perplexity, latency = write_tuned(spec, test, folder, training, progress)
    outputs = RunOutputs([*systems, *prompts.written, tuned_answers], rows, vectors, training)
    report, opponent = write_report(outputs, embedder, folder, spec)
    nearest, *others = report.systems
    nearest = replace(nearest, cross_validated=nearest_crossed(rows.folds, embedder, spec.seed))
    report = replace(
        report,
        systems=(nearest, *others),
        notes=(*report.notes, *prompts.notes),
        spent=Spent(api_usd=prompts.usd),
        dataset=DatasetPart(train=len(rows.train), dev=len(rows.dev), test=len(test), split=rows.how),
        perplexity=perplexity,
        latency=latency,
    )
    return judge_pairs(report, llm, test, (tuned_answers, opponent), folder, spec.seed, progress)


def write_tuned(
    spec: Spec, test: Pairs, folder: Path, training: TrainingSummary, progress: Progress
) -> tuple[WrittenAnswers, float, Latency]:
    """The saved model's replies to the test tickets, its perplexity and latency."""
    from finetune.tasks.reply.model import load_tuned

    model = load_tuned(folder)
    began = time.perf_counter()
    answers = model.answers(test.tickets, progress.check)
    latency = Latency(1000 * (time.perf_counter() - began) / len(test))
    perplexity = model.perplexity(test.tickets, test.answers)
    written_answers = WrittenAnswers(METHODS[spec.method].title, "tuned", answers, training.seconds)
    return written_answers, perplexity, latency


def judge_pairs(
    report: FinetuneReport,
    llm: Llm | None,
    test: Pairs,
    sides: tuple[WrittenAnswers, WrittenAnswers],
    folder: Path,
    seed: int,
    progress: Progress,
) -> FinetuneReport:
    """The report with the language model's judgement of the tuned answers against the best baseline's, `sides`."""
    finetune, opponent = sides
    rows = list(opponent.rows_asked) if opponent.rows_asked is not None else list(range(len(test)))
    texts, names = ([finetune.answers[i] for i in rows], opponent.answers), (finetune.name, opponent.name)
    report = replace(report, pairs=pairs_to_compare(test.at(rows), names, texts, seed))
    judgement = judge_answers(llm, test.at(rows), names, texts, folder, seed, progress)
    if judgement is None:
        return report
    money = replace(report.spent, api_usd=report.spent.api_usd + judgement.usd)
    return replace(report, judge=judgement, notes=(judgement.sentence, *report.notes), spent=money)


def pairs_to_compare(
    test: Pairs, names: tuple[str, str], sides: tuple[list[str], list[str]], seed: int
) -> AnswerPairs:
    """Some tickets with both systems' answers where these differ, for the blind comparison in the channel."""
    differ = [i for i in range(len(test)) if sides[0][i].strip() != sides[1][i].strip()]
    numbers = np.random.default_rng([seed, 9]).permutation(differ)[:PAIRS_KEPT]
    rows = tuple(
        ComparedPair(test.tickets[i][-PAIR_TEXT:], sides[0][i][:PAIR_TEXT], sides[1][i][:PAIR_TEXT])
        for i in map(int, numbers)
    )
    return AnswerPairs(*names, rows)


def nearest_crossed(folds: Sequence[Pairs], embedder: FrozenEmbedder, seed: int) -> CrossValidation | None:
    """For few rows, the nearest past answer over all folds, each ticket answered from the others; else None."""
    if not folds:
        return None
    vectors = [embedder(fold.tickets) for fold in folds]
    answers: list[str] = []
    for at, mine in enumerate(vectors):
        others = [number for number in range(len(folds)) if number != at]
        past = [answer for number in others for answer in folds[number].answers]
        near = most_similar(np.concatenate([vectors[number] for number in others]), mine)
        answers += [past[i] for i in near]
    tickets = [text for fold in folds for text in fold.tickets]
    real = [text for fold in folds for text in fold.answers]
    counts = resample_counts(len(real), seed)
    line, _ = score_replies(NEAREST_ANSWER, "baseline", answers, real, tickets, embedder, counts, 0.0)
    scores = {name: line.scores[name] for name in ("chrf", "rouge_l")}
    return CrossValidation(len(real), len(folds), scores)


def baselines(
    spec: Spec, train: Pairs, test: Pairs, embedder: FrozenEmbedder, progress: Progress
) -> tuple[list[WrittenAnswers], tuple[np.ndarray, np.ndarray]]:
    """The embeddings of both sides' tickets with the nearest past answer, and the base model before tuning where it has trained weights."""
    began = time.perf_counter()
    past, now = embedder(train.tickets, progress.check), embedder(test.tickets, progress.check)
    answers = [train.answers[i] for i in most_similar(past, now)]
    systems = [WrittenAnswers(NEAREST_ANSWER, "baseline", answers, time.perf_counter() - began)]
    if METHODS[spec.method].pretrained:
        from finetune.tasks.reply.model import load_untuned

        began = time.perf_counter()
        answers = load_untuned(spec).answers(test.tickets, progress.check)
        systems.append(
            WrittenAnswers("Base model, untuned", "baseline", answers, time.perf_counter() - began)
        )
    return systems, (past, now)


def train_once(spec: Spec, train: Pairs, dev: Pairs, folder: Path, progress: Progress) -> TrainingSummary:
    """Train the model, unless this folder already holds it."""
    if (summary := TrainingSummary.read(folder, progress)) is not None:
        return summary
    from finetune.tasks.reply.model import train_reply

    sides = (train.tickets, train.answers), (dev.tickets, dev.answers)
    training = train_reply(spec, *sides, folder, progress)
    return TrainingSummary(training.history, training.steps, training.seconds).write(folder)


EXAMPLES = 5
SAME = 0.2  # share of identical replies that is worth a note
NEAREST = "nearest past answer"


@dataclass(frozen=True)
class RunOutputs:
    """Every system's replies (the nearest past answer first, the tuned one last), with rows and training.

    `vectors` are the embeddings of the training and of the test tickets.
    """

    systems: Sequence[WrittenAnswers]
    rows: Rows
    vectors: tuple[np.ndarray, np.ndarray]
    training: TrainingSummary


def write_report(
    outputs: RunOutputs, embedder: FrozenEmbedder, folder: Path, spec: Spec
) -> tuple[FinetuneReport, WrittenAnswers]:
    """Score the replies, compare them by chrF on the same tickets, write plots and verdict; returns the best baseline too."""
    systems, test, history = outputs.systems, outputs.rows.test, outputs.training.history
    scores = [_score(one, test, embedder, spec.seed) for one in systems]
    lines = [line for line, _ in scores]
    best = max(range(len(scores) - 1), key=lambda at: lines[at].scores["chrf"].value)
    opponent, (_, theirs) = systems[best], scores[best]
    rows = list(opponent.rows_asked) if opponent.rows_asked is not None else list(range(len(test)))
    mine = scores[-1][1][rows]
    gap = paired_means(mine, theirs, resample_counts(len(rows), spec.seed))
    verdict = judge_replies(opponent.name, float(mine.mean()), float(theirs.mean()), gap, len(rows))
    curve = answer_curve(
        outputs.vectors, outputs.rows.train.answers, test.answers, spec.seed, lines[0].scores["chrf"]
    )
    why = [] if verdict.worth_it == "yes" else reasons(spec, history, len(outputs.rows.train))
    true = _supported_share(test)
    sentences = [_unsupported_note(lines, best, true), overfitting(history)]
    sentences += [repetition_note(systems[-1]), last_answers(curve)]
    report = FinetuneReport(
        headline=verdict.headline,
        why=tuple(why),
        worth_it=verdict.worth_it,
        measure="chrf",
        systems=tuple(lines),
        difference=difference_in_points(opponent.name, gap, len(rows)),
        examples=tuple(_examples(test, systems[-1], opponent, rows)),
        facts=Facts(true),
        loss=history,
        learning=curve,
        notes=tuple(note for note in sentences if note),
        plots=_plots(lines, history, curve, folder),
    )
    return report, opponent


def reasons(spec: Spec, history: Sequence[LossPoint], tickets: int) -> list[str]:
    """Possible reasons why training did not pay, each with advice."""
    sentences = []
    if not METHODS[spec.method].pretrained:
        sentences.append(
            f"The model began with random weights and learned the language from {tickets:,} tickets alone: a "
            f"pretrained base model with the method {PILOT.name} is the better try."
        )
    if spec.epochs == 1:
        return [*sentences, "It read every ticket only once: more epochs are worth a try."]
    return sentences + [falling for falling in [still_falling(history)] if falling]


def _plots(
    lines: Sequence[SystemLine], history: Sequence[LossPoint], curve: Sequence[LearningPoint], folder: Path
) -> tuple[Plot, ...]:
    plots = [scores_plot(lines, "chrf", folder / "scores.png")]
    if len(curve) > 1:
        plots.append(learning_plot(curve, lines[-1].scores["chrf"], folder / "learning.png", NEAREST))
    if history:
        plots.append(loss_plot(history, folder / "loss.png"))
    return tuple(plots)


def _examples(
    test: Pairs, finetune: WrittenAnswers, best: WrittenAnswers, rows: Sequence[int]
) -> list[Example]:
    return [
        Example(test.tickets[i][-300:], test.answers[i], finetune.answers[i], best.answers[at])
        for at, i in list(enumerate(rows))[:EXAMPLES]
    ]


def _supported_share(test: Pairs) -> float:
    """The share of real answers whose numbers and names are all in the ticket: the best that a model can reach."""
    return float(
        np.mean([not unsupported_facts(a, t) for a, t in zip(test.answers, test.tickets, strict=True)])
    )


def _unsupported_note(lines: Sequence[SystemLine], best: int, real: float) -> str:
    """A note on how often replies have unsupported numbers or names, which chrF does not punish."""
    ours, theirs = (1 - lines[at].scores["facts_from_ticket"].value for at in (-1, best))
    return (
        f"{ours:.0%} of the trained model's replies hold a number or name that the ticket does not, "
        f"{theirs:.0%} of those of {lines[best].name.lower()}, {1 - real:.0%} of your team's own: a person has to "
        "check them before they are sent."
    )


def repetition_note(finetune: WrittenAnswers) -> str | None:
    """A note where the model mostly writes one text or nothing."""
    (text, times), *_ = Counter(answer.strip() for answer in finetune.answers).most_common(1)
    if times < max(2, len(finetune.answers) * SAME):
        return None
    what = f"the same: “{text[:80]}”" if text else "empty"
    return f"{times} of {len(finetune.answers)} replies of the trained model are {what}."


def _score(
    one: WrittenAnswers, test: Pairs, embedder: FrozenEmbedder, seed: int
) -> tuple[SystemLine, np.ndarray]:
    side = test if one.rows_asked is None else test.at(one.rows_asked)
    counts = resample_counts(len(side), seed)
    line, per_row = score_replies(
        one.name, one.role, one.answers, side.answers, side.tickets, embedder, counts, one.seconds
    )
    few = line if one.rows_asked is None else replace(line, rows=len(side), prompt=True)
    return few, per_row
