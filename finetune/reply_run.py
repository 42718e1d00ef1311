"""The steps of a reply run, in order: rows, nearest past answer, training, writing, evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.baselines import most_similar
from finetune.chat import Llm
from finetune.embed import FrozenEmbedder
from finetune.evaluate import overfitting
from finetune.failures import TrainingDataError
from finetune.intervals import json_difference, paired_means, resample_counts
from finetune.plots import loss_plot, scores_plot
from finetune.progress import Progress
from finetune.reply_scores import invented, score_replies
from finetune.report import judge, told
from finetune.spec import Spec
from finetune.split import split
from finetune.ticket import Tickets
from finetune.triage_run import TUNED_NAMES

TRAINED = "trained.json"
NEAREST_ANSWER = "Nearest past answer"
TEST_MOST = 200  # written answers are slow; 200 give chrF to about 3 points
DEV_MOST = 300
EXAMPLES = 5


@dataclass(frozen=True)
class Pairs:
    """Tickets with their real answers."""

    tickets: list[str]
    answers: list[str]

    def __len__(self) -> int:
        return len(self.tickets)


@dataclass(frozen=True)
class Written:
    """What one system wrote for the test tickets."""

    name: str
    role: str
    answers: list[str]
    seconds: float


def run_reply(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> dict[str, Any]:
    """The task's part of the report: systems, difference, examples, curve, plots and verdict."""
    train, dev, test, how, folds = prepare(spec, tickets)
    embedder = FrozenEmbedder()
    progress.phase("baselines")
    systems = baselines(spec, train, test, embedder, progress)
    progress.phase("training")
    trained = train_once(spec, train, dev, folder, progress)
    progress.phase("evaluating")
    from finetune.use import load

    model = load(folder)
    began = time.perf_counter()
    answers = model.answers(test.tickets, progress.check)
    writing = time.perf_counter() - began
    systems.append(Written(TUNED_NAMES[spec.method], "tuned", answers, trained["seconds"]))
    facts = {
        "perplexity": model.perplexity(test.tickets, test.answers),
        "latency": {"batch_ms": 1000 * writing / len(test)},
        "dataset": {"train": len(train), "dev": len(dev), "test": len(test), "classes": None, "split": how},
    }
    body = conclude(systems, test, trained, embedder, folder, spec.seed) | facts
    if folds:
        body["systems"][0]["cross_validated"] = nearest_crossed(folds, embedder, spec.seed)
    return body


def prepare(spec: Spec, tickets: Tickets) -> tuple[Pairs, Pairs, Pairs, str, list[Pairs]]:
    """Split the rows that have an answer; test and dev are samples where they are large; folds for few rows."""
    rows = [row for row in tickets.rows if row.answer]
    sides = split(Tickets(rows=tuple(rows), kind="reply"), spec.seed)
    rng = np.random.default_rng(spec.seed)

    def side(chosen: Sequence[int], most: int | None = None) -> Pairs:
        if most is not None and len(chosen) > most:
            chosen = sorted(rng.permutation(chosen)[:most].tolist())
        return Pairs([rows[i].text for i in chosen], [str(rows[i].answer) for i in chosen])

    train, dev, test = side(sides.train), side(sides.dev, DEV_MOST), side(sides.test, TEST_MOST)
    if not len(train) or not len(test):
        raise TrainingDataError(
            "Too few rows have an answer: at least one to train on and one to test are needed."
        )
    return train, dev, test, told(sides, "one fold"), [side(fold) for fold in sides.folds]


def nearest_crossed(folds: Sequence[Pairs], embedder: FrozenEmbedder, seed: int) -> dict[str, Any]:
    """The nearest past answer over all folds, each ticket answered from the others: chrF and ROUGE-L."""
    vectors = [embedder(fold.tickets) for fold in folds]
    written: list[str] = []
    for at, mine in enumerate(vectors):
        others = [number for number in range(len(folds)) if number != at]
        past = [answer for number in others for answer in folds[number].answers]
        near = most_similar(np.concatenate([vectors[number] for number in others]), mine)
        written += [past[i] for i in near]
    tickets = [text for fold in folds for text in fold.tickets]
    real = [text for fold in folds for text in fold.answers]
    counts = resample_counts(len(real), seed)
    entry, _ = score_replies(NEAREST_ANSWER, "baseline", written, real, tickets, embedder, counts, 0.0)
    return {"chrf": entry["chrf"], "rouge_l": entry["rouge_l"], "rows": len(real), "folds": len(folds)}


def baselines(
    spec: Spec, train: Pairs, test: Pairs, embedder: FrozenEmbedder, progress: Progress
) -> list[Written]:
    """The nearest past answer, and the base model before tuning where it has trained weights."""
    began = time.perf_counter()
    past, now = embedder(train.tickets, progress.check), embedder(test.tickets, progress.check)
    answers = [train.answers[i] for i in most_similar(past, now)]
    found = [Written(NEAREST_ANSWER, "baseline", answers, time.perf_counter() - began)]
    if spec.method != "scratch":
        from finetune.reply import untuned

        began = time.perf_counter()
        answers = untuned(spec).answers(test.tickets, progress.check)
        found.append(Written("Base model, untuned", "baseline", answers, time.perf_counter() - began))
    return found


def train_once(spec: Spec, train: Pairs, dev: Pairs, folder: Path, progress: Progress) -> dict[str, Any]:
    """Train unless this folder already did; returns steps, seconds and curve."""
    done = folder / TRAINED
    if done.is_file():
        progress.note("Training was already finished in this folder: going on with its evaluation.")
        return json.loads(done.read_text())
    from finetune.reply import train_reply

    sides = (train.tickets, train.answers), (dev.tickets, dev.answers)
    fitted = train_reply(spec, *sides, folder, progress)
    result = {"history": fitted.history, "steps": fitted.steps, "seconds": fitted.seconds}
    done.write_text(json.dumps(result))
    return result


def conclude(
    systems: Sequence[Written],
    test: Pairs,
    trained: dict[str, Any],
    embedder: FrozenEmbedder,
    folder: Path,
    seed: int,
) -> dict[str, Any]:
    """Score what was written, compare by chrF on the same tickets, draw, and say what it means."""
    counts = resample_counts(len(test), seed)
    scored = [
        score_replies(w.name, w.role, w.answers, test.answers, test.tickets, embedder, counts, w.seconds)
        for w in systems
    ]
    entries = [entry for entry, _ in scored]
    best = max(range(len(scored) - 1), key=lambda at: entries[at]["chrf"]["value"])
    result = paired_means(scored[-1][1], scored[best][1], counts)
    verdict = judge(entries[best], entries[-1], result, len(test), "chrf")
    plots = [scores_plot(entries, "chrf", folder / "scores.png")]
    if trained["history"]:
        plots.insert(0, loss_plot(trained["history"], folder / "loss.png"))
    ours, theirs = systems[-1].answers, systems[best].answers
    return {
        "headline": verdict.headline,
        "worth_it": verdict.worth_it,
        "measure": "chrf",
        "systems": entries,
        "difference": json_difference(systems[best].name, result),
        "confused": [],
        "examples": [
            {
                "ticket": test.tickets[i][-300:],
                "real": test.answers[i],
                "tuned": ours[i],
                "baseline": theirs[i],
            }
            for i in range(min(EXAMPLES, len(test)))
        ],
        "facts": {
            "real_answers_from_ticket": float(
                np.mean([not invented(a, t) for a, t in zip(test.answers, test.tickets, strict=True)])
            )
        },
        "loss": trained["history"],
        "notes": [note for note in [overfitting(trained["history"])] if note],
        "plots": plots,
    }
