"""The steps of a triage run, in order: rows, embeddings, baselines, training, evaluation, verdict."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune import blend
from finetune.baselines import LOGISTIC, Guesses, ladder
from finetune.embed import FrozenEmbedder
from finetune.evaluate import confused_pairs, disagreement, overfitting, per_class, score
from finetune.failures import TrainingDataError
from finetune.intervals import json_difference, paired, resample_counts
from finetune.linear import save_linear, train_linear
from finetune.plots import confusion_plot, loss_plot, scores_plot
from finetune.progress import Progress
from finetune.report import judge, told
from finetune.spec import Spec
from finetune.split import split
from finetune.ticket import Tickets
from finetune.use import BEFORE, load

TRAINED = "trained.json"
STRONG = "TF-IDF + embeddings, linear SVM"
TUNED_NAMES = {
    "linear": "Tuned: " + STRONG,
    "lora": "Tuned with LoRA",
    "qlora": "Tuned with QLoRA",
    "full": "Fully tuned",
    "scratch": "Trained from scratch",
}
LATENCY_SAMPLES = 20


@dataclass(frozen=True)
class Side:
    """One side of the split: texts, class numbers and frozen embeddings, row by row."""

    texts: list[str]
    labels: np.ndarray
    embeddings: np.ndarray


@dataclass(frozen=True)
class Data:
    """The three sides; `classes` are those of training, `names` adds the ones only seen elsewhere."""

    train: Side
    dev: Side
    test: Side
    classes: tuple[str, ...]
    names: tuple[str, ...]
    how: str
    embed_seconds: float


def run_triage(spec: Spec, tickets: Tickets, folder: Path, progress: Progress) -> dict[str, Any]:
    """The task's part of the report: systems, difference, confusions, curve, plots and verdict."""
    embedder = FrozenEmbedder()
    data = prepare(spec, tickets, embedder, progress)
    progress.phase("baselines")
    guesses, strong = baselines(spec, data, embedder, progress)
    progress.phase("training")
    keep_before(spec, data, folder, guesses, strong[0], embedder)
    trained = train(spec, data, folder, strong, progress)
    progress.phase("evaluating")
    tuned, latency = evaluate_tuned(spec, data, folder, trained, progress)
    return conclude(data, [*guesses, tuned], trained, latency, folder, spec.seed)


def prepare(spec: Spec, tickets: Tickets, embedder: FrozenEmbedder, progress: Progress) -> Data:
    """Split, number the classes and embed every row once."""
    rows = [row for row in tickets.rows if row.label is not None]
    labelled = Tickets(rows=tuple(rows), kind="triage")
    sides = split(labelled, spec.seed)
    classes = tuple(sorted({str(rows[i].label) for i in sides.train}))
    if len(classes) < 2:
        raise TrainingDataError(
            "The training rows have one class only: add tickets of at least one other queue."
        )
    unseen = sorted({str(row.label) for row in rows} - set(classes))
    if unseen:
        progress.note(
            f"{len(unseen)} queue(s) occur only in held-out rows and cannot be learned: "
            f"{', '.join(unseen[:5])}. Their tickets count as mistakes."
        )
    _note_thin_classes([str(rows[i].label) for i in sides.train], progress)
    names = (*classes, *unseen)
    number = {name: at for at, name in enumerate(names)}
    began = time.perf_counter()
    embeddings = embedder([row.text for row in rows], progress.check)
    seconds = time.perf_counter() - began

    def side(chosen: Sequence[int]) -> Side:
        labels = np.array([number[str(rows[i].label)] for i in chosen], dtype=int)
        return Side([rows[i].text for i in chosen], labels, embeddings[list(chosen)])

    known = [i for i in sides.dev if rows[i].label not in unseen]
    return Data(side(sides.train), side(known), side(sides.test), classes, names, told(sides), seconds)


def _note_thin_classes(labels: Sequence[str], progress: Progress) -> None:
    thin = sorted(name for name in set(labels) if labels.count(name) < 8)
    if thin:
        progress.note(
            f"{len(thin)} queue(s) have fewer than 8 training tickets ({', '.join(thin[:5])}): "
            "expect them to be weak; 50 or more make a queue learnable."
        )


def baselines(
    spec: Spec, data: Data, embedder: FrozenEmbedder, progress: Progress
) -> tuple[list[Guesses], tuple[Any, Any]]:
    """The ladder on the test rows, and the strong linear model (a baseline unless it was asked for)."""
    train, test = data.train, data.test
    found = ladder(train.embeddings, train.labels, test.embeddings, len(data.classes), data.embed_seconds)
    progress.check()
    model, chosen = train_linear(
        train.texts,
        train.labels,
        train.embeddings,
        data.dev.texts,
        data.dev.labels,
        data.dev.embeddings,
        data.classes,
        embedder,
        progress,
    )
    if spec.method != "linear":
        scores = model.score(model.words(test.texts, test.embeddings))
        seconds = chosen.seconds + data.embed_seconds
        found.append(Guesses(STRONG, "baseline", scores.argmax(axis=1), seconds, scores))
    return found, (model, chosen)


def train(
    spec: Spec, data: Data, folder: Path, strong: tuple[Any, Any], progress: Progress
) -> dict[str, Any]:
    """Train unless this folder already did; returns steps, seconds, curve, (linear) its strength."""
    done = folder / TRAINED
    if done.is_file():
        progress.note("Training was already finished in this folder: going on with its evaluation.")
        return json.loads(done.read_text())
    model, chosen = strong
    if spec.method == "linear":
        save_linear(folder / "model", model, TUNED_NAMES["linear"])
        result = {"history": [], "steps": 0, "seconds": chosen.seconds + data.embed_seconds}
        result |= {"chosen": {"C": chosen.strength, "dev_accuracy": chosen.dev_accuracy}}
    else:
        from finetune.triage import train_triage

        sides = (data.train.texts, data.train.labels, data.dev.texts, data.dev.labels)
        fitted = train_triage(spec, *sides, data.classes, folder, progress)
        result = {"history": fitted.history, "steps": fitted.steps, "seconds": fitted.seconds}
        result["blended"] = spec.blend and blend_in(data, folder, strong, progress)
    done.write_text(json.dumps(result))
    return result


def keep_before(
    spec: Spec, data: Data, folder: Path, found: Sequence[Guesses], model: Any, embedder: FrozenEmbedder
) -> None:
    """Save the cheap model that `trainwise try` shows as "before": the strongest one not asked for."""
    from finetune.linear import logistic_model

    if spec.method != "linear":
        save_linear(folder / BEFORE, model, STRONG)
        return
    weights = next(guess.weights for guess in found if guess.weights is not None)
    save_linear(folder / BEFORE, logistic_model(data.classes, *weights, embedder), LOGISTIC)


def blend_in(data: Data, folder: Path, strong: tuple[Any, Any], progress: Progress) -> bool:
    """Put the linear model beside the network where their mean explains the dev rows better."""
    model, chosen = strong
    place = folder / "model" / blend.PLACE
    shutil.rmtree(place, ignore_errors=True)
    if chosen.dev_probabilities is None or not len(data.dev.texts):
        return False
    network = load(folder).probabilities(data.dev.texts, progress.check)
    if not blend.helps(network, chosen.dev_probabilities, data.dev.labels):
        return False
    save_linear(place, model)
    return True


def evaluate_tuned(
    spec: Spec, data: Data, folder: Path, trained: dict[str, Any], progress: Progress
) -> tuple[Guesses, dict[str, float]]:
    """Load the saved model as a user would, so that what is measured is what is shipped."""
    model = load(folder)
    began = time.perf_counter()
    scores = model.probabilities(data.test.texts, progress.check)
    batch = time.perf_counter() - began
    singles = []
    for text in data.test.texts[:LATENCY_SAMPLES]:
        progress.check()
        began = time.perf_counter()
        model.probabilities([text])
        singles.append(time.perf_counter() - began)
    latency = {
        "one_ms_p50": 1000 * float(np.median(singles)),
        "batch_ms": 1000 * batch / len(data.test.texts),
    }
    name = TUNED_NAMES[spec.method] + (", averaged with linear" if trained.get("blended") else "")
    return Guesses(name, "tuned", scores.argmax(axis=1), trained["seconds"], scores), latency


def conclude(
    data: Data,
    guesses: Sequence[Guesses],
    trained: dict[str, Any],
    latency: dict[str, float],
    folder: Path,
    seed: int,
) -> dict[str, Any]:
    """Score every system, compare the tuned one with the best baseline, draw, and say what it means."""
    truth, rows = data.test.labels, len(data.test.labels)
    counts = resample_counts(rows, seed)
    systems = [score(guess, truth, len(data.names), counts) for guess in guesses]
    tuned = guesses[-1]
    best = max(range(len(guesses) - 1), key=lambda at: systems[at]["accuracy"]["value"])
    result = paired(tuned.predicted == truth, guesses[best].predicted == truth)
    verdict = judge(systems[best], systems[-1], result, rows, "accuracy")
    plots = [scores_plot(systems, "accuracy", folder / "scores.png")]
    if trained["history"]:
        plots.insert(0, loss_plot(trained["history"], folder / "loss.png"))
    plots.append(confusion_plot(truth, tuned.predicted, data.names, folder / "confusion.png"))
    return {
        "headline": verdict.headline,
        "worth_it": verdict.worth_it,
        "measure": "accuracy",
        "dataset": {
            "train": len(data.train.labels),
            "dev": len(data.dev.labels),
            "test": rows,
            "classes": len(data.names),
            "split": data.how,
        },
        "systems": systems,
        "difference": json_difference(guesses[best].name, result) | {"disagree": disagreement(result, rows)},
        "confused": confused_pairs(truth, tuned.predicted, data.names, data.test.texts),
        "per_class": per_class(truth, tuned.predicted, data.names),
        "calibration": {"ece": systems[-1].get("ece")},
        "latency": latency,
        "loss": trained["history"],
        "notes": [note for note in [overfitting(trained["history"])] if note],
        "chosen": trained.get("chosen"),
        "plots": plots,
    }
