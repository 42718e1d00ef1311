"""A triage run's findings as the report tells them: scores, the paired difference, confusions, pictures, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune import cross
from finetune.evaluation.baselines import LOGISTIC, Guesses
from finetune.evaluation.learning_curve import last_doubling, learning_curve
from finetune.evaluation.metrics import confused_pairs, disagreement, overfitting, per_class, score
from finetune.evaluation.plots import confusion_plot, learning_plot, loss_plot, scores_plot
from finetune.evaluation.statistics import Paired, json_difference, paired, resample_counts
from finetune.evaluation.verdict import judge
from finetune.tasks.triage.data import Data, Side
from finetune.tasks.triage.prompts import Prompted


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
        cross.beside(systems, list(answers.crossed), data, seed)
    prompts = answers.prompted.entries(truth, len(data.names), seed)
    best, ours, result, rows = strongest(systems, prompts, answers)
    verdict = judge(best, ours, result, rows)
    systems = [*systems[:-1], *prompts, systems[-1]]
    plots = [scores_plot(systems, "accuracy", folder / "scores.png")]
    plots.append(confusion_plot(truth, tuned.predicted, data.names, folder / "confusion.png"))
    same_rows = answers.test is data.test  # else the cheap systems were scored over all folds
    known = next((s["accuracy"] for s in systems if s["name"] == LOGISTIC), None) if same_rows else None
    curve = learning_curve(data.train, data.test, len(data.names), seed, known)
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
