"""What people taught a model on duty: data for the next one, fresh tickets to compare on, and whether it pays. No I/O of Slack.

Three of ten judged tickets are fresh: by their key, for ever. No model learns from them, so old and new meet on the same rows.
Of these only drawn and abstained ones are compared on: those that people pick to correct are mostly the old model's mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.data.ticket import Ticket
from finetune.evaluation.statistics import PairedGap, paired_gap, rows_to_settle
from finetune.pricing import money
from finetune.serving.answers import ServedModel
from finetune.serving.versions import hashed_share
from worker.jobs.records import Job
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Label

FRESH_SHARE = 0.3
LEAST_LESSONS, LEAST_FRESH = 5, 30
MOST_ROWS = 1_000  # judged tickets that a proposal is measured on


@dataclass(frozen=True)
class Lesson:
    """A ticket that people agree on: its words, its queue, who said so first and when.

    `is_drawn`: it was drawn for checking or the model abstained on it, so that nobody picked it for its answer.
    """

    key: str
    text: str
    queue: str
    person: str
    at: float
    is_drawn: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether it is kept for comparing; the same answer whenever it is asked."""
        return hashed_share(f"fresh:{self.key}") < FRESH_SHARE


def judged_tickets(tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]) -> list[Lesson]:
    """The tickets whose words are still kept and on whose queue people agree, the oldest first."""
    rows = []
    for one in tickets:
        queue = duty.verdict_on(labels.get(one.key, ()))
        if queue is None or not one.text:
            continue
        first = next(label for label in labels[one.key] if label.queue == queue)
        is_drawn = one.is_audit or one.state == duty.ABSTAINED
        rows.append(Lesson(one.key, one.text, queue, first.person, first.at, is_drawn))
    return rows


def to_learn(rows: Sequence[Lesson]) -> list[Ticket]:
    """The rows for a dataset, without the fresh ones.

    They bear no date: a dataset with dates is tested on its newest rows, and no model would learn from them.
    """
    return [Ticket(f"duty-{one.key}", one.text, one.queue) for one in rows if not one.is_fresh]


def to_compare(rows: Sequence[Lesson]) -> list[Lesson]:
    """The fresh rows that two models are compared on: drawn or abstained ones, which nobody picked for the old model's answer."""
    return [one for one in rows if one.is_fresh and one.is_drawn]


def shortage(count: int) -> str:
    """What is missing where `count` rows are too few to compare on, in a sentence."""
    return (
        f"Two models are compared on {LEAST_FRESH} fresh tickets or more that were drawn for checking or abstained on and that people "
        f"have judged; there are {count}, so {LEAST_FRESH - count} are missing."
    )


def rights(model: ServedModel, rows: Sequence[Lesson]) -> np.ndarray:
    """On which of the rows the model's likeliest queue is people's; where it names none it is not right."""
    answers = [model.answer(one.text).likeliest for one in rows]
    return np.array(
        [bool(ranking) and ranking[0][0] == one.queue for ranking, one in zip(answers, rows, strict=True)],
        dtype=bool,
    )


def measured_gain(model: Any, rows: Sequence[Lesson]) -> tuple[PairedGap, int] | None:
    """What the corrections are worth on the rows `to_compare`, and on how many; None where there is too little to tell.

    A stand-in for training: a fresh ticket that is nearer to a corrected one than to every training ticket takes its queue,
    every other one keeps the model's. Needs a model with vectors.
    """
    rows = rows[-MOST_ROWS:]
    lessons, fresh = [one for one in rows if not one.is_fresh], to_compare(rows)
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
        f"{money(usd)} and {max(1, round(minutes))} min, as last time. The new model takes over only if the 95% interval of its gain on the fresh ones is above 0."
    )


def comparison(old: np.ndarray, new: np.ndarray) -> tuple[bool, str]:
    """Whether the 95% interval of the new model's gain on the same rows is above 0, and the sentence that says what speaks for it."""
    pair = paired_gap(new, old)
    gap = pair.difference
    figures = (
        f"{new.mean():.0%} right against {old.mean():.0%} on {len(new)} fresh tickets ({100 * gap.value:+.1f} points, 95%: "
        f"{100 * gap.low:.1f} to {100 * gap.high:.1f})"
    )
    if gap.low > 0 or gap.value <= 0:
        return gap.low > 0, figures
    enough = rows_to_settle(gap.value, (pair.only_tuned + pair.only_baseline) / len(new))
    return (
        False,
        f"{figures}; about {max(enough or 0, len(new) + 1):,} fresh tickets would settle such a gain",
    )
