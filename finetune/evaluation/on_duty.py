"""A model on duty, measured for as long as it works: its error against the promise, two alarms, and what is new. Pure.

Error is counted only on tickets that were shown to people at random: those that people correct by themselves are a
biased sample, and a ticket that nobody touched is not a confirmed one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.evaluation.promise import Threshold, breaks_promise, loosest_threshold
from finetune.evaluation.repeated_looks import bet_on_change, bet_on_rate
from finetune.evaluation.statistics import Interval, wilson

LOOKED_AT = 150
LABEL_CHANCE, FAR_CHANCE, CONFIDENCE_CHANCE = 0.01, 0.005, 0.005  # false alarms over all looks at one model
LEAST_CHECKS, LEAST_TICKETS = 10, 30  # fewer ring nothing
DOUBTED, DOUBT = 30, 0.1  # the last labels, and how unlikely they must be for more checks
SUSPICION = 4.0  # so many times more answers are shown to people while their labels leave a doubt
FAR_SHARE = 0.05  # of held-out tickets that are near no training ticket, by construction; on few of them up to twice that
LEAST_TO_RECALIBRATE = 75


@dataclass(frozen=True)
class Observation:
    """One ticket that was settled. `right`: what people say of the likeliest queue, None where they say nothing; since `word_at`."""

    confidence: float
    is_answer: bool
    is_near: bool = True
    is_audit: bool = False
    right: bool | None = None
    word_at: float = 0.0


@dataclass(frozen=True)
class DutyFigures:
    """Counts over some tickets; `error` is the share of wrong answers among those checked at random."""

    tickets: int
    answers: int
    checks: int
    wrong: int
    error: Interval
    alarm: str = ""


def figures_of(observations: Sequence[Observation], calibration: np.ndarray, promise: float) -> DutyFigures:
    """What the tickets come to, the oldest first, and the alarm that they raise, if any.

    `calibration` are the confidences of the tickets that the threshold was set on.
    """
    checks = [one for one in observations if one.is_answer and one.is_audit and one.right is not None]
    wrong = sum(not one.right for one in checks)
    answers = sum(one.is_answer for one in observations)
    alarm = alarm_of(observations, calibration, promise)
    return DutyFigures(len(observations), answers, len(checks), wrong, wilson(wrong, len(checks)), alarm)


def alarm_of(observations: Sequence[Observation], calibration: np.ndarray, promise: float) -> str:
    """Why the model must stop answering alone, in words; "" while nothing speaks against it.

    Labels tell of errors; before they come, other confidences and tickets near no training ticket tell of other tickets.
    Each of the two was blind where the other saw (docs/decisions.d/live.md).
    """
    checks = checks_of(observations)
    if breaks_its_promise(checks, promise):
        evidence = bet_on_rate([not right for right in checks], promise)
        part = checks[-max(evidence.since, LEAST_CHECKS) :]
        wrong = sum(not right for right in part)
        return f"the promise is broken: people found {wrong} of {len(part)} answers wrong, and at most {promise:.0%} were promised"
    if len(observations) < LEAST_TICKETS:
        return ""
    evidence = bet_on_rate([not one.is_near for one in observations], 2 * FAR_SHARE)
    if evidence.rings(FAR_CHANCE):
        part_of = observations[-max(evidence.since, LEAST_TICKETS) :]
        far = sum(not one.is_near for one in part_of)
        return (
            f"the tickets have changed: {far} of the last {len(part_of)} are near none that it was trained on"
        )
    if bet_on_change(calibration.tolist(), [one.confidence for one in observations]).rings(CONFIDENCE_CHANCE):
        return "the tickets have changed: its confidences are not those that it was checked on"
    return ""


def breaks_its_promise(checks: Sequence[bool], promise: float) -> bool:
    """Whether the answers that people checked, right or wrong, the oldest first, speak against the promise over all looks."""
    wrong = [not right for right in checks]
    return len(checks) >= LEAST_CHECKS and bet_on_rate(wrong, promise).rings(LABEL_CHANCE)


def is_suspicious(observations: Sequence[Observation], promise: float) -> bool:
    """Whether the last labels leave a doubt: then SUSPICION times as many answers are shown to people until they settle it."""
    part = checks_of(observations)[-DOUBTED:]
    return len(part) >= 5 and breaks_promise(sum(not right for right in part), len(part), promise, DOUBT)


def checks_of(observations: Sequence[Observation]) -> list[bool]:
    """What people say of the answers that were drawn at random, in the order in which they said it.

    A bet holds over all looks only where each new word comes behind those that were bet on before (repeated_looks.py).
    """
    rows = sorted(observations, key=lambda one: one.word_at)
    return [one.right for one in rows if one.is_answer and one.is_audit and one.right is not None]


def recalibrate(observations: Sequence[Observation], promise: float) -> Threshold | None:
    """The threshold on recent tickets that were shown to people at random; None while they are too few to try."""
    checks = [one for one in observations if one.is_audit and one.right is not None][-LOOKED_AT:]
    if len(checks) < LEAST_TO_RECALIBRATE:
        return None
    confidences = np.array([one.confidence for one in checks])
    return loosest_threshold(confidences, np.array([bool(one.right) for one in checks]), promise)


WORD = re.compile(r"[^\W\d_]{4,}")
LEAST_OF_A_WORD, WORDS_NAMED = 3, 3


def new_words(far: Sequence[str], others: Sequence[str]) -> list[str]:
    """The words that tell tickets near no training ticket from the others, the most telling first."""
    ours, theirs = (
        Counter(word for text in texts for word in {match.lower() for match in WORD.findall(text)})
        for texts in (far, others)
    )
    rate = {
        word: (count / len(far)) / ((theirs[word] + 0.5) / (len(others) + 1))
        for word, count in ours.items()
        if count >= LEAST_OF_A_WORD
    }
    best = sorted(rate, key=lambda word: (-rate[word] * ours[word], word))
    return [word for word in best if rate[word] > 2][:WORDS_NAMED]
