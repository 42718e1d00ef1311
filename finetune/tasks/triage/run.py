"""The steps of a triage run, in order: rows, embeddings, baselines, training, evaluation, verdict."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.artifacts import BEFORE, LINEAR_HALF, TRAINED
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import LOGISTIC, Guesses, ladder
from finetune.evaluation.learning_curve import last_doubling, learning_curve
from finetune.evaluation.metrics import confused_pairs, disagreement, overfitting, per_class, score
from finetune.evaluation.plots import confusion_plot, learning_plot, loss_plot, scores_plot
from finetune.evaluation.statistics import Paired, json_difference, paired, resample_counts
from finetune.evaluation.verdict import judge
from finetune.llm import Llm
from finetune.methods import METHODS, Solution
from finetune.methods.linear import save_linear, solve
from finetune.progress import Progress
from finetune.tasks.triage.data import Data, Side, beside, cross_validated, held_out_rows, prepare
from finetune.tasks.triage.prompts import Prompted, prompted
from finetune.training.embedding import FrozenEmbedder

if TYPE_CHECKING:
    from finetune.spec import Spec

STRONG = "TF-IDF + embeddings, linear SVM"
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
    keep_before(spec, data, folder, guesses, strong.model, embedder)
    trained = train(spec, data, folder, strong, embedder, progress)
    progress.phase("evaluating")
    tuned, latency = evaluate_tuned(spec, data, folder, trained, progress)
    answers = Answers(data.test, [*guesses, tuned], said, crossed)
    if crossed and METHODS[spec.method].is_baseline:
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
) -> tuple[list[Guesses], Solution]:
    """The ladder on the test rows, and the strong linear model (a baseline unless it was asked for)."""
    train, test = data.train, data.test
    found = ladder(train.embeddings, train.labels, test.embeddings, len(data.classes), data.embed_seconds)
    progress.check()
    strong = solve(train, data.dev, data.classes, embedder, progress)
    if not METHODS[spec.method].is_baseline:
        scores = strong.model.score(strong.model.words(test.texts, test.embeddings))
        seconds = strong.seconds + data.embed_seconds
        found.append(Guesses(STRONG, "baseline", scores.argmax(axis=1), seconds, scores))
    return found, strong


def train(
    spec: Spec, data: Data, folder: Path, strong: Solution, embedder: FrozenEmbedder, progress: Progress
) -> dict[str, Any]:
    """Train unless this folder already did; returns steps, seconds, curve, and the settings that a solver chose."""
    done = folder / TRAINED
    if done.is_file():
        progress.note(
            "Training was already finished in this folder: going on with its evaluation.", keep=False
        )
        return json.loads(done.read_text())
    method = METHODS[spec.method]
    if method.solver:
        solution = (
            strong
            if method.is_baseline
            else method.solver.fit(data.train, data.dev, data.classes, embedder, progress)
        )
        solution.model.save(folder / "model", method.title)
        result = {"history": [], "steps": 0, "seconds": solution.seconds + data.embed_seconds}
        result["chosen"] = dict(solution.settings)
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

    if not METHODS[spec.method].is_baseline:
        save_linear(folder / BEFORE, model, STRONG)
        return
    weights = next(guess.weights for guess in found if guess.weights is not None)
    save_linear(folder / BEFORE, logistic_model(data.classes, *weights, embedder), LOGISTIC)


def blend_in(data: Data, folder: Path, strong: Solution, progress: Progress) -> bool:
    """Put the linear model beside the network where their mean explains the dev rows better."""
    from finetune.tasks.triage.model import helps, load_tuned

    place = folder / "model" / LINEAR_HALF
    shutil.rmtree(place, ignore_errors=True)
    if strong.dev_probabilities is None or not len(data.dev.texts):
        return False
    network = load_tuned(folder).probabilities(data.dev.texts, progress.check)
    if not helps(network, strong.dev_probabilities, data.dev.labels):
        return False
    save_linear(place, strong.model)
    return True


def evaluate_tuned(
    spec: Spec, data: Data, folder: Path, trained: dict[str, Any], progress: Progress
) -> tuple[Guesses, dict[str, float]]:
    """Load the saved model as a user would, so that what is measured is what is shipped."""
    from finetune.tasks.triage.model import load_tuned

    model = load_tuned(folder)
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
    name = METHODS[spec.method].title + (", averaged with linear" if trained.get("blended") else "")
    return Guesses(name, "tuned", scores.argmax(axis=1), trained["seconds"], scores), latency


@dataclass(frozen=True)
class Answers:
    """What every system said of the rows of `test`: baselines first, the tuned one last.

    `crossed` are the cheap systems over all folds where `test` is one fold only.
    """

    test: Side
    guesses: Sequence[Guesses]
    prompted: Prompted
    crossed: tuple[Guesses, ...] = ()


def conclude(
    data: Data,
    answers: Answers,
    trained: dict[str, Any],
    latency: dict[str, float],
    folder: Path,
    seed: int,
) -> dict[str, Any]:
    """Score every system, compare the tuned one with the best baseline, draw, and say what it means."""
    truth, tuned = answers.test.labels, answers.guesses[-1]
    counts = resample_counts(len(truth), seed)
    systems = [score(guess, truth, len(data.names), counts) for guess in answers.guesses]
    if answers.crossed:
        beside(systems, list(answers.crossed), data, seed)
    prompts = answers.prompted.entries(truth, len(data.names), seed)
    best, ours, result, rows = strongest(systems, prompts, answers)
    verdict = judge(best, ours, result, rows)
    systems = [*systems[:-1], *prompts, systems[-1]]
    plots = [scores_plot(systems, "accuracy", folder / "scores.png")]
    plots.append(confusion_plot(truth, tuned.predicted, data.names, folder / "confusion.png"))
    same_rows = answers.test is data.test  # else the cheap systems were scored over all folds
    known = next((s["accuracy"] for s in systems if s["name"] == LOGISTIC), None) if same_rows else None
    curve = learning_curve(_arrays(data.train), _arrays(data.test), len(data.names), seed, known)
    if len(curve) > 1 and same_rows:
        plots.append(learning_plot(curve, systems[-1]["accuracy"], folder / "learning.png"))
    if trained["history"]:
        plots.append(loss_plot(trained["history"], folder / "loss.png"))
    told = [said for said in (overfitting(trained["history"]), last_doubling(curve)) if said]
    return {
        "headline": verdict.headline,
        "worth_it": verdict.worth_it,
        "measure": "accuracy",
        "dataset": _dataset(data, len(truth)),
        "systems": systems,
        "difference": json_difference(best["name"], result)
        | {"disagree": disagreement(result, rows), "rows": rows},
        "confused": confused_pairs(truth, tuned.predicted, data.names, answers.test.texts),
        "per_class": per_class(truth, tuned.predicted, data.names),
        "calibration": {"ece": systems[-1].get("ece")},
        "latency": latency,
        "loss": trained["history"],
        "learning": curve,
        "notes": [*told, *answers.prompted.notes],
        "chosen": trained.get("chosen"),
        "api_usd": round(answers.prompted.usd, 6),
        "plots": plots,
    }


def strongest(
    systems: list[dict[str, Any]], prompts: list[dict[str, Any]], answers: Answers
) -> tuple[dict[str, Any], dict[str, Any], Paired, int]:
    """The baseline to beat, the tuned system's entry, their paired difference, and on how many rows.

    Trained baselines are ranked on all folds where there are several. The prompt that the choosing rows named
    takes their place where it does better on the rows it was asked about; then those rows count.
    """

    def rank(at: int) -> float:
        return float(systems[at].get("cross_validated", systems[at])["accuracy"]["value"])

    truth, tuned = answers.test.labels, answers.guesses[-1].predicted
    best = max(range(len(systems) - 1), key=rank)
    right, theirs = tuned == truth, answers.guesses[best].predicted == truth
    asked = np.array(answers.prompted.asked, dtype=int)
    for guess, entry in zip(answers.prompted.guesses, prompts, strict=True):
        said = guess.predicted == truth[asked]
        if guess.name == answers.prompted.best and said.mean() > theirs[asked].mean():
            score_there = {"accuracy": {"value": float(right[asked].mean())}}
            return entry, systems[-1] | score_there, paired(right[asked], said), len(asked)
    return systems[best], systems[-1], paired(right, theirs), len(truth)


def _dataset(data: Data, tested: int) -> dict[str, Any]:
    return {
        "train": len(data.train.labels),
        "dev": len(data.dev.labels),
        "test": tested,
        "classes": len(data.names),
        "split": data.how,
    }


def _arrays(side: Side) -> tuple[np.ndarray, np.ndarray]:
    return side.embeddings, side.labels
