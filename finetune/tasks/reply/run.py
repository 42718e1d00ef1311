"""The steps of a reply run, in order: rows, nearest past answer, training, writing, evaluation."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.artifacts import TRAINED
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import most_similar
from finetune.evaluation.learning_curve import answer_curve, last_answers
from finetune.evaluation.metrics import inventions, overfitting, score_replies, still_falling
from finetune.evaluation.plots import learning_plot, loss_plot, scores_plot
from finetune.evaluation.statistics import json_difference, paired_means, resample_counts
from finetune.evaluation.verdict import NEAREST_ANSWER, judge_replies
from finetune.llm import Llm
from finetune.methods import METHODS
from finetune.progress import Progress
from finetune.reports.finetune import ComparedPair, Example
from finetune.reports.finetune import Pairs as AnswerPairs
from finetune.tasks.reply.data import Pairs, Rows, WrittenAnswers, prepare
from finetune.tasks.reply.llm_judge import judge_answers
from finetune.tasks.reply.prompts import prompted_replies
from finetune.training.embedding import FrozenEmbedder

if TYPE_CHECKING:
    from finetune.spec import Spec

PAIRS_KEPT, PAIR_TEXT = 20, 1200  # for the blind comparison by people, and characters of each text


def run_reply(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> dict[str, Any]:
    """The task's part of the report: systems, difference, examples, curve, plots and verdict."""
    rows = prepare(spec, tickets)
    embedder, test = FrozenEmbedder(), rows.test
    progress.phase("baselines")
    systems, vectors = baselines(spec, rows.train, test, embedder, progress)
    prompts = prompted_replies(llm, rows.train, test, vectors, folder, spec.seed, progress)
    progress.phase("training")
    training = train_once(spec, rows.train, rows.dev, folder, progress)
    progress.phase("evaluating")
    tuned_answers, facts = write_tuned(spec, test, folder, training, progress)
    outputs = RunOutputs([*systems, *prompts.written, tuned_answers], rows, vectors, training)
    body = conclude(outputs, embedder, folder, spec)
    body["systems"][0] |= nearest_crossed(rows.folds, embedder, spec.seed)
    counts = {"train": len(rows.train), "dev": len(rows.dev), "test": len(test)}
    facts["dataset"] = {**counts, "classes": None, "split": rows.how}
    body["notes"] += prompts.notes
    body["api_usd"] = prompts.usd
    return judge_pairs(body, llm, test, tuned_answers, folder, spec.seed, progress) | facts


def write_tuned(
    spec: Spec, test: Pairs, folder: Path, training: dict[str, Any], progress: Progress
) -> tuple[WrittenAnswers, dict[str, Any]]:
    """What the saved model writes, as a user would load it; perplexity and latency."""
    from finetune.tasks.reply.model import load_tuned

    model = load_tuned(folder)
    began = time.perf_counter()
    answers = model.answers(test.tickets, progress.check)
    latency = {"batch_ms": 1000 * (time.perf_counter() - began) / len(test)}
    perplexity = model.perplexity(test.tickets, test.answers)
    written_answers = WrittenAnswers(METHODS[spec.method].title, "tuned", answers, training["seconds"])
    return written_answers, {"perplexity": perplexity, "latency": latency}


def judge_pairs(
    body: dict[str, Any],
    llm: Llm | None,
    test: Pairs,
    finetune: WrittenAnswers,
    folder: Path,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """The report with the language model's judgement of the tuned answers against the best baseline's."""
    opponent: WrittenAnswers = body.pop("opponent")
    rows = list(opponent.rows_asked) if opponent.rows_asked is not None else list(range(len(test)))
    sides = [finetune.answers[i] for i in rows], opponent.answers
    names = (finetune.name, opponent.name)
    if judgement := judge_answers(llm, test.at(rows), names, sides, folder, seed, progress):
        body["judge"] = judgement
        body["notes"] = [judgement["sentence"], *body["notes"]]
        body["api_usd"] += judgement["usd"]
    body["pairs"] = kept_pairs(test.at(rows), names, sides, seed).to_json()
    return body


def kept_pairs(
    test: Pairs, names: tuple[str, str], sides: tuple[list[str], list[str]], seed: int
) -> AnswerPairs:
    """Some tickets with both systems' answers, where these differ: what people compare blind in the channel."""
    differ = [i for i in range(len(test)) if sides[0][i].strip() != sides[1][i].strip()]
    numbers = np.random.default_rng([seed, 9]).permutation(differ)[:PAIRS_KEPT]
    rows = tuple(
        ComparedPair(test.tickets[i][-PAIR_TEXT:], sides[0][i][:PAIR_TEXT], sides[1][i][:PAIR_TEXT])
        for i in map(int, numbers)
    )
    return AnswerPairs(*names, rows)


def nearest_crossed(folds: Sequence[Pairs], embedder: FrozenEmbedder, seed: int) -> dict[str, Any]:
    """For few rows, the nearest past answer over all folds, each ticket answered from the others."""
    if not folds:
        return {}
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
    entry, _ = score_replies(NEAREST_ANSWER, "baseline", answers, real, tickets, embedder, counts, 0.0)
    scores = {"chrf": entry["chrf"], "rouge_l": entry["rouge_l"]}
    return {"cross_validated": {**scores, "rows": len(real), "folds": len(folds)}}


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


def train_once(spec: Spec, train: Pairs, dev: Pairs, folder: Path, progress: Progress) -> dict[str, Any]:
    """Train unless this folder already did; returns steps, seconds and curve."""
    file = folder / TRAINED
    if file.is_file():
        progress.note(
            "Training was already finished in this folder: going on with its evaluation.", keep=False
        )
        return json.loads(file.read_text())
    from finetune.tasks.reply.model import train_reply

    sides = (train.tickets, train.answers), (dev.tickets, dev.answers)
    training = train_reply(spec, *sides, folder, progress)
    result = {"history": training.history, "steps": training.steps, "seconds": training.seconds}
    file.write_text(json.dumps(result))
    return result


EXAMPLES = 5
SAME = 0.2  # of the replies: from there on a reader should know
CHEAP = "nearest past answer"


@dataclass(frozen=True)
class RunOutputs:
    """What every system wrote (the nearest past answer first, the tuned one last), and what it learned from.

    `vectors` are the embeddings of the training and of the test tickets.
    """

    systems: Sequence[WrittenAnswers]
    rows: Rows
    vectors: tuple[np.ndarray, np.ndarray]
    training: dict[str, Any]


def conclude(outputs: RunOutputs, embedder: FrozenEmbedder, folder: Path, spec: Spec) -> dict[str, Any]:
    """Score what was written, compare by chrF on the same tickets, draw, and say what it means."""
    systems, test, history = outputs.systems, outputs.rows.test, outputs.training["history"]
    scores = [_score(one, test, embedder, spec.seed) for one in systems]
    entries = [entry for entry, _ in scores]
    best = max(range(len(scores) - 1), key=lambda at: entries[at]["chrf"]["value"])
    opponent, (_, theirs) = systems[best], scores[best]
    rows = list(opponent.rows_asked) if opponent.rows_asked is not None else list(range(len(test)))
    mine = scores[-1][1][rows]
    result = paired_means(mine, theirs, resample_counts(len(rows), spec.seed))
    verdict = judge_replies(opponent.name, float(mine.mean()), float(theirs.mean()), result, len(rows))
    curve = answer_curve(
        outputs.vectors, outputs.rows.train.answers, test.answers, spec.seed, entries[0]["chrf"]
    )
    why = [] if verdict.worth_it == "yes" else reasons(spec, history, len(outputs.rows.train))
    true = _true_to_ticket(test)
    sentences = [_foreign_facts(entries, best, true), overfitting(history)]
    sentences += [repetition_note(systems[-1]), last_answers(curve)]
    return {
        "headline": verdict.headline,
        "why": why,
        "worth_it": verdict.worth_it,
        "measure": "chrf",
        "systems": entries,
        "difference": json_difference(opponent.name, result) | {"rows": len(rows)},
        "opponent": opponent,
        "confused": [],
        "examples": [asdict(one) for one in _examples(test, systems[-1], opponent, rows)],
        "facts": {"real_answers_from_ticket": true},
        "loss": history,
        "learning": curve,
        "notes": [note for note in sentences if note],
        "plots": _plots(entries, history, curve, folder),
    }


def reasons(spec: Spec, history: Sequence[dict[str, Any]], tickets: int) -> list[str]:
    """Why training did not pay, as far as this run can tell, each with what to try next."""
    sentences = []
    if not METHODS[spec.method].pretrained:
        sentences.append(
            f"The model began with random weights and learned the language from {tickets:,} tickets alone: a "
            "pretrained base model with the method lora is the better try."
        )
    if spec.epochs == 1:
        return [*sentences, "It read every ticket only once: more epochs are worth a try."]
    return sentences + [falling for falling in [still_falling(history)] if falling]


def _plots(
    entries: list[dict[str, Any]], history: list[dict[str, Any]], curve: list[dict[str, Any]], folder: Path
) -> list[dict[str, str]]:
    plots = [scores_plot(entries, "chrf", folder / "scores.png")]
    if len(curve) > 1:
        score = entries[-1]["chrf"]
        plots.append(learning_plot(curve, score, folder / "learning.png", "chrf", CHEAP))
    if history:
        plots.append(loss_plot(history, folder / "loss.png"))
    return plots


def _examples(
    test: Pairs, finetune: WrittenAnswers, best: WrittenAnswers, rows: Sequence[int]
) -> list[Example]:
    return [
        Example(test.tickets[i][-300:], test.answers[i], finetune.answers[i], best.answers[at])
        for at, i in list(enumerate(rows))[:EXAMPLES]
    ]


def _true_to_ticket(test: Pairs) -> float:
    """The share of the real answers without a number or name from elsewhere: what a perfect model would have."""
    return float(np.mean([not inventions(a, t) for a, t in zip(test.answers, test.tickets, strict=True)]))


def _foreign_facts(entries: list[dict[str, Any]], best: int, real: float) -> str:
    """How often replies hold a number or name from elsewhere: likeness rewards an invented price like a true one."""
    ours, theirs = (1 - entries[at]["facts_from_ticket"]["value"] for at in (-1, best))
    return (
        f"{ours:.0%} of the trained model's replies hold a number or name that the ticket does not, "
        f"{theirs:.0%} of those of {entries[best]['name'].lower()}, {1 - real:.0%} of your team's own: a person has to "
        "check them before they are sent."
    )


def repetition_note(finetune: WrittenAnswers) -> str | None:
    """A sentence where the model mostly writes one thing, or nothing: the scores alone would not say so."""
    (text, times), *_ = Counter(answer.strip() for answer in finetune.answers).most_common(1)
    if times < max(2, len(finetune.answers) * SAME):
        return None
    what = f"the same: “{text[:80]}”" if text else "empty"
    return f"{times} of {len(finetune.answers)} replies of the trained model are {what}."


def _score(
    one: WrittenAnswers, test: Pairs, embedder: FrozenEmbedder, seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    side = test if one.rows_asked is None else test.at(one.rows_asked)
    counts = resample_counts(len(side), seed)
    entry, per_row = score_replies(
        one.name, one.role, one.answers, side.answers, side.tickets, embedder, counts, one.seconds
    )
    few = {} if one.rows_asked is None else {"rows": len(side), "prompt": True}
    return entry | few, per_row
