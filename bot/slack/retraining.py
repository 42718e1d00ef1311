"""What people taught a model on duty: data for the next one, fresh tickets to compare on, and whether it pays. No I/O of Slack.

Three of ten judged tickets are fresh: by their key, for ever. No model learns from them, so old and new meet on the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.data.ticket import Ticket
from finetune.evaluation.statistics import PairedGap, paired_gap
from finetune.pricing import money
from finetune.serving.answers import ServedModel
from worker.jobs.records import Job
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Label

FRESH_SHARE = 0.3
LEAST_LESSONS, LEAST_FRESH = 5, 2
MOST_ROWS = 1_000  # judged tickets that a proposal is measured on


@dataclass(frozen=True)
class Lesson:
    """A ticket that people agree on: its words, its queue, who said so first and when."""

    key: str
    text: str
    queue: str
    person: str
    at: float

    @property
    def is_fresh(self) -> bool:
        """Whether it is kept for comparing; the same answer whenever it is asked."""
        digest = hashlib.sha256(f"fresh:{self.key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < FRESH_SHARE


def judged_tickets(tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]) -> list[Lesson]:
    """The tickets whose words are still kept and on whose queue people agree, the oldest first."""
    rows = []
    for one in tickets:
        queue = duty.verdict_on(labels.get(one.key, ()))
        if queue is None or not one.text:
            continue
        first = next(label for label in labels[one.key] if label.queue == queue)
        rows.append(Lesson(one.key, one.text, queue, first.person, first.at))
    return rows


def to_learn(rows: Sequence[Lesson]) -> list[Ticket]:
    """The rows for a dataset, without the fresh ones.

    They bear no date: a dataset with dates is tested on its newest rows, and no model would learn from them.
    """
    return [Ticket(f"duty-{one.key}", one.text, one.queue) for one in rows if not one.is_fresh]


def rights(model: ServedModel, rows: Sequence[Lesson]) -> np.ndarray:
    """On which of the rows the model's likeliest queue is people's."""
    return np.array([model.answer(one.text).likeliest[0][0] == one.queue for one in rows], dtype=bool)


def measured_gain(model: Any, rows: Sequence[Lesson]) -> tuple[PairedGap, int] | None:
    """What the corrections are worth on the fresh rows, and on how many; None where there is too little to tell.

    A stand-in for training: a fresh ticket that is nearer to a corrected one than to every training ticket takes its queue,
    every other one keeps the model's. Needs a model with vectors.
    """
    rows = rows[-MOST_ROWS:]
    lessons, fresh = [one for one in rows if not one.is_fresh], [one for one in rows if one.is_fresh]
    if len(lessons) < LEAST_LESSONS or len(fresh) < LEAST_FRESH or not hasattr(model, "nearness"):
        return None
    vectors = np.stack([model.score(one.text)[1] for one in lessons])
    before, after = [], []
    for one in fresh:
        scores, vector, _ = model.score(one.text)
        best = model.classes[int(scores.argmax())]
        near = vectors @ vector
        nearest_queue = lessons[int(near.argmax())].queue if near.max() > model.nearness(vector) else best
        before.append(best == one.queue)
        after.append(nearest_queue == one.queue)
    return paired_gap(np.array(after), np.array(before)), len(fresh)


def proposal(gain: PairedGap, fresh: int, lessons: int, job: Job) -> str:
    """Whether to retrain, in a sentence with what it would gain, cost and take; "" where nothing is gained."""
    if gain.difference.value <= 0:
        return ""
    points = f"+{100 * gain.difference.value:.1f} points ({100 * gain.difference.low:.1f} to {100 * gain.difference.high:.1f})"
    report = job.report or {}
    minutes = float((report.get("time") or {}).get("wall_s") or 0) / 60
    usd = float((report.get("cost") or {}).get("usd") or 0)
    return (
        f"Retrain? {lessons:,} judged tickets to learn from; on {fresh:,} fresh ones what people taught is worth {points}. About "
        f"{money(usd)} and {max(1, round(minutes))} min, as last time. The new model takes over only if it is better on the fresh ones."
    )


def comparison(old: np.ndarray, new: np.ndarray) -> tuple[bool, str]:
    """Whether the new model is better on the same fresh tickets, and the sentence that says so."""
    gap = paired_gap(new, old).difference
    figures = (
        f"{new.mean():.0%} right against {old.mean():.0%} on {len(new)} fresh tickets ({100 * gap.value:+.1f} points, 95%: "
        f"{100 * gap.low:.1f} to {100 * gap.high:.1f})"
    )
    return gap.value > 0, figures
