"""The steps of a triage run, in order: rows, embeddings, baselines, training, evaluation, verdict."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune import blend
from finetune.cross import cross_validated, held_out_rows
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import LOGISTIC, Guesses, ladder
from finetune.llm import Llm
from finetune.methods.linear import save_linear, train_linear
from finetune.progress import Progress
from finetune.serving.predict import BEFORE, load
from finetune.spec import Spec
from finetune.tasks.triage.data import Data, prepare
from finetune.tasks.triage.prompts import prompted
from finetune.training.embedding import FrozenEmbedder
from finetune.triage_report import Answers, conclude

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


def run_triage(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> dict[str, Any]:
    """The task's part of the report: systems, difference, confusions, curve, plots and verdict."""
    embedder = FrozenEmbedder()
    data = prepare(spec, tickets, embedder, progress)
    progress.phase("baselines")
    guesses, strong = baselines(spec, data, embedder, progress)
    crossed = tuple(cross_validated(data, STRONG, embedder, progress)) if data.folds else ()
    said = prompted(llm, data, folder, spec.seed, progress)
    progress.phase("training")
    keep_before(spec, data, folder, guesses, strong[0], embedder)
    trained = train(spec, data, folder, strong, progress)
    progress.phase("evaluating")
    tuned, latency = evaluate_tuned(spec, data, folder, trained, progress)
    answers = Answers(data.test, [*guesses, tuned], said, crossed)
    if crossed and spec.method == "linear":
        answers = on_all_folds(data, answers)
    return conclude(data, answers, trained, latency, folder, spec.seed)


def on_all_folds(data: Data, answers: Answers) -> Answers:
    """The same answers where the tuned system is a cheap one: every ticket held out once, by cross-validation."""
    tuned = answers.guesses[-1]
    rows = held_out_rows(data)
    place = {int(row): at for at, row in enumerate(rows)}
    asked = tuple(place[int(data.places[2][at])] for at in answers.prompted.asked)
    last = replace(answers.crossed[-1], name=tuned.name, role="tuned", seconds=tuned.seconds)
    said = replace(answers.prompted, asked=asked)
    return Answers(data.every.at(rows), [*answers.crossed[:-1], last], said)


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
        progress.note(
            "Training was already finished in this folder: going on with its evaluation.", keep=False
        )
        return json.loads(done.read_text())
    model, chosen = strong
    if spec.method == "linear":
        save_linear(folder / "model", model, TUNED_NAMES["linear"])
        result = {"history": [], "steps": 0, "seconds": chosen.seconds + data.embed_seconds}
        result |= {"chosen": {"C": chosen.strength, "dev_accuracy": chosen.dev_accuracy}}
    else:
        from finetune.tasks.triage.model import train_triage

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
    from finetune.methods.linear import logistic_model

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
