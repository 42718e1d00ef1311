"""Turns corrections of a model on duty into training data and a held-out comparison. No I/O of Slack.

Three of ten judged tickets are fresh (held out), decided by their key. No model trains on them, so the old and the new model
are compared on the same rows. The comparison uses only fresh tickets that were drawn for checking or abstained on, because
tickets that people chose to correct are mostly the old model's mistakes.
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
LEAST_TRAINING, LEAST_FRESH = 5, 30
MOST_ROWS = 1_000  # judged tickets that the gain is estimated on


@dataclass(frozen=True)
class JudgedTicket:
    """A ticket whose queue people agree on; `person` labelled it first, `at` that time.

    `is_drawn`: it was drawn for checking or the model abstained on it, so nobody chose it for its answer.
    """

    key: str
    text: str
    queue: str
    person: str
    at: float
    is_drawn: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether it is held out for comparing models; depends on its key alone."""
        return hashed_share(f"fresh:{self.key}") < FRESH_SHARE


def judged_tickets(
    tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]
) -> list[JudgedTicket]:
    """The tickets whose text is still stored and whose queue people agree on, oldest first."""
    rows = []
    for one in tickets:
        queue = duty.majority_queue(labels.get(one.key, ()))
        if queue is None or not one.text:
            continue
        first = next(label for label in labels[one.key] if label.queue == queue)
        is_drawn = one.is_audit or one.state == duty.ABSTAINED
        rows.append(JudgedTicket(one.key, one.text, queue, first.person, first.at, is_drawn))
    return rows


def training_tickets(rows: Sequence[JudgedTicket]) -> list[Ticket]:
    """The rows for a dataset, without the fresh ones.

    They have no date, because a dataset with dates is tested on its newest rows and would not train on them.
    """
    return [Ticket(f"duty-{one.key}", one.text, one.queue) for one in rows if not one.is_fresh]


def comparison_tickets(rows: Sequence[JudgedTicket]) -> list[JudgedTicket]:
    """The fresh rows for comparing two models: drawn or abstained ones only."""
    return [one for one in rows if one.is_fresh and one.is_drawn]


def shortage_text(count: int) -> str:
    """The sentence on how many rows are missing when `count` rows are too few to compare two models."""
    return (
        f"Two models are compared on {LEAST_FRESH} fresh tickets or more that were drawn for checking or abstained on and that people "
        f"have judged; there are {count}, so {LEAST_FRESH - count} are missing."
    )


def correct_flags(model: ServedModel, rows: Sequence[JudgedTicket]) -> np.ndarray:
    """For each row whether the model's likeliest queue is the people's; False where the model names none."""
    answers = [model.answer(one.text).likeliest for one in rows]
    return np.array(
        [bool(ranking) and ranking[0][0] == one.queue for ranking, one in zip(answers, rows, strict=True)],
        dtype=bool,
    )


def estimate_gain(model: Any, rows: Sequence[JudgedTicket]) -> tuple[PairedGap, int] | None:
    """Estimates the gain of retraining on the comparison tickets, and their number; None with too few rows.

    The estimate replaces training by nearest neighbours: a fresh ticket that is nearer to a corrected ticket than to every
    training ticket takes its queue; every other ticket keeps the model's. Needs a model with vectors.
    """
    rows = rows[-MOST_ROWS:]
    training, fresh = [one for one in rows if not one.is_fresh], comparison_tickets(rows)
    if len(training) < LEAST_TRAINING or len(fresh) < LEAST_FRESH or not hasattr(model, "nearness"):
        return None
    vectors = np.stack([model.score(one.text)[1] for one in training])
    before, after = [], []
    for one in fresh:
        scores, vector, _ = model.score(one.text)
        best = model.classes[int(scores.argmax())]
        near = vectors @ vector
        nearest_queue = training[int(near.argmax())].queue if near.max() > model.nearness(vector) else best
        before.append(best == one.queue)
        after.append(nearest_queue == one.queue)
    return paired_gap(np.array(after), np.array(before)), len(fresh)


def retrain_proposal(gain: PairedGap, fresh: int, training: int, job: Job) -> str:
    """The proposal to retrain with its gain, cost and time; "" when the estimate shows no gain."""
    if gain.difference.value <= 0:
        return ""
    points = f"+{100 * gain.difference.value:.1f} points ({100 * gain.difference.low:.1f} to {100 * gain.difference.high:.1f})"
    report = job.report or {}
    minutes = float((report.get("time") or {}).get("wall_s") or 0) / 60
    usd = float((report.get("cost") or {}).get("usd") or 0)
    return (
        f"Retrain? {training:,} judged tickets to learn from; on {fresh:,} fresh ones what people taught is worth {points}. About "
        f"{money(usd)} and {max(1, round(minutes))} min, as last time. The new model takes over only if the 95% interval of its gain on the fresh ones is above 0."
    )


def compare_models(old: np.ndarray, new: np.ndarray) -> tuple[bool, str]:
    """Whether the 95% interval of the new model's gain on the same rows is above 0, and a sentence with the figures."""
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
