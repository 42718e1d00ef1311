"""A reply run's findings as the report tells them: scores, the paired difference, curve, pictures, verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.evaluation.learning_curve import answer_curve, last_answers
from finetune.evaluation.metrics import overfitting, still_falling
from finetune.evaluation.plots import learning_plot, loss_plot, scores_plot
from finetune.evaluation.statistics import json_difference, paired_means, resample_counts
from finetune.evaluation.verdict import judge_replies
from finetune.reply_scores import invented, score_replies
from finetune.spec import Spec
from finetune.tasks.reply.data import Pairs, Rows, Written
from finetune.training.embedding import FrozenEmbedder

EXAMPLES = 5
SAME = 0.2  # of the replies: from there on a reader should know
CHEAP = "nearest past answer"


@dataclass(frozen=True)
class Found:
    """What every system wrote (the nearest past answer first, the tuned one last), and what it learned from.

    `vectors` are the embeddings of the training and of the test tickets.
    """

    systems: Sequence[Written]
    rows: Rows
    vectors: tuple[np.ndarray, np.ndarray]
    trained: dict[str, Any]


def conclude(found: Found, embedder: FrozenEmbedder, folder: Path, spec: Spec) -> dict[str, Any]:
    """Score what was written, compare by chrF on the same tickets, draw, and say what it means."""
    systems, test, history = found.systems, found.rows.test, found.trained["history"]
    scored = [_scored(one, test, embedder, spec.seed) for one in systems]
    entries = [entry for entry, _ in scored]
    best = max(range(len(scored) - 1), key=lambda at: entries[at]["chrf"]["value"])
    opponent, (_, theirs) = systems[best], scored[best]
    asked = list(opponent.asked) if opponent.asked is not None else list(range(len(test)))
    mine = scored[-1][1][asked]
    result = paired_means(mine, theirs, resample_counts(len(asked), spec.seed))
    verdict = judge_replies(opponent.name, float(mine.mean()), float(theirs.mean()), result, len(asked))
    curve = answer_curve(found.vectors, found.rows.train.answers, test.answers, spec.seed, entries[0]["chrf"])
    why = [] if verdict.worth_it == "yes" else reasons(spec, history, len(found.rows.train))
    true = _true_to_ticket(test)
    told = [_foreign_facts(entries, best, true), overfitting(history)]
    told += [repeated(systems[-1]), last_answers(curve)]
    return {
        "headline": verdict.headline,
        "why": why,
        "worth_it": verdict.worth_it,
        "measure": "chrf",
        "systems": entries,
        "difference": json_difference(opponent.name, result) | {"rows": len(asked)},
        "opponent": opponent,
        "confused": [],
        "examples": _examples(test, systems[-1], opponent, asked),
        "facts": {"real_answers_from_ticket": true},
        "loss": history,
        "learning": curve,
        "notes": [note for note in told if note],
        "plots": _plots(entries, history, curve, folder),
    }


def reasons(spec: Spec, history: Sequence[dict[str, Any]], tickets: int) -> list[str]:
    """Why training did not pay, as far as this run can tell, each with what to try next."""
    said = []
    if spec.method == "scratch":
        said.append(
            f"The model began with random weights and learned the language from {tickets:,} tickets alone: a "
            "pretrained base model with the method lora is the better try."
        )
    if spec.epochs == 1:
        return [*said, "It read every ticket only once: more epochs are worth a try."]
    return said + [falling for falling in [still_falling(history)] if falling]


def _plots(
    entries: list[dict[str, Any]], history: list[dict[str, Any]], curve: list[dict[str, Any]], folder: Path
) -> list[dict[str, str]]:
    plots = [scores_plot(entries, "chrf", folder / "scores.png")]
    if len(curve) > 1:
        tuned = entries[-1]["chrf"]
        plots.append(learning_plot(curve, tuned, folder / "learning.png", "chrf", CHEAP))
    if history:
        plots.append(loss_plot(history, folder / "loss.png"))
    return plots


def _examples(test: Pairs, tuned: Written, best: Written, asked: Sequence[int]) -> list[dict[str, str]]:
    return [
        {
            "ticket": test.tickets[i][-300:],
            "real": test.answers[i],
            "tuned": tuned.answers[i],
            "baseline": best.answers[at],
        }
        for at, i in list(enumerate(asked))[:EXAMPLES]
    ]


def _true_to_ticket(test: Pairs) -> float:
    """The share of the real answers without a number or name from elsewhere: what a perfect model would have."""
    return float(np.mean([not invented(a, t) for a, t in zip(test.answers, test.tickets, strict=True)]))


def _foreign_facts(entries: list[dict[str, Any]], best: int, real: float) -> str:
    """How often replies hold a number or name from elsewhere: likeness rewards an invented price like a true one."""
    ours, theirs = (1 - entries[at]["facts_from_ticket"]["value"] for at in (-1, best))
    return (
        f"{ours:.0%} of the trained model's replies hold a number or name that the ticket does not, "
        f"{theirs:.0%} of those of {entries[best]['name'].lower()}, {1 - real:.0%} of your team's own: a person has to "
        "check them before they are sent."
    )


def repeated(tuned: Written) -> str | None:
    """A sentence where the model mostly writes one thing, or nothing: the scores alone would not say so."""
    (text, times), *_ = Counter(answer.strip() for answer in tuned.answers).most_common(1)
    if times < max(2, len(tuned.answers) * SAME):
        return None
    what = f"the same: “{text[:80]}”" if text else "empty"
    return f"{times} of {len(tuned.answers)} replies of the trained model are {what}."


def _scored(
    one: Written, test: Pairs, embedder: FrozenEmbedder, seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    side = test if one.asked is None else test.at(one.asked)
    counts = resample_counts(len(side), seed)
    entry, per_row = score_replies(
        one.name, one.role, one.answers, side.answers, side.tickets, embedder, counts, one.seconds
    )
    few = {} if one.asked is None else {"rows": len(side), "prompt": True}
    return entry | few, per_row
