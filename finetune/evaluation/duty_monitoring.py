"""Monitoring of a model on duty: its error rate, its threshold on new labels, and new words in its tickets. Pure.

The error rate uses only tickets that were shown to people at random: the tickets that people correct on their own are a
biased sample, and an untouched ticket is not a confirmed one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.evaluation.promise import Threshold, threshold_with_reserve
from finetune.evaluation.statistics import Interval, wilson

LOOKED_AT = 150
SUSPICION = 4.0  # in shadow mode, show people this many times more tickets while in doubt (alarms.py)
MIN_CHECKS_TO_RECALIBRATE = 75


@dataclass(frozen=True)
class Observation:
    """One answered ticket. `right`: whether labels confirm the likeliest queue (None: no labels), since `word_at`.

    `is_alone` is False for an answer that people had to check, as the model was in doubt.
    """

    confidence: float
    is_answer: bool
    is_near: bool = True
    is_audit: bool = False
    right: bool | None = None
    word_at: float = 0.0
    is_alone: bool = True


@dataclass(frozen=True)
class DutyFigures:
    """Counts over some tickets; `error` is the share of wrong answers among the random checks."""

    tickets: int
    answers: int
    checks: int
    wrong: int
    error: Interval


def figures_of(observations: Sequence[Observation]) -> DutyFigures:
    """The counts of these tickets."""
    checks = checks_of(observations)
    wrong = sum(not right for right in checks)
    answers = sum(one.is_answer and one.is_alone for one in observations)
    return DutyFigures(len(observations), answers, len(checks), wrong, wilson(wrong, len(checks)))


def checks_of(observations: Sequence[Observation]) -> list[bool]:
    """The labels of randomly checked answers, in the order of the labels.

    A sequential test is valid only if each new label comes after the earlier ones (sequential_tests.py).
    """
    rows = sorted(observations, key=lambda one: one.word_at)
    return [one.right for one in rows if one.is_answer and one.is_audit and one.right is not None]


def recalibrate(
    observations: Sequence[Observation], promise: float, reserve: float = 0.0
) -> Threshold | None:
    """The threshold from recent random checks; None while they are too few."""
    checks = [one for one in observations if one.is_audit and one.right is not None][-LOOKED_AT:]
    if len(checks) < MIN_CHECKS_TO_RECALIBRATE:
        return None
    confidences = np.array([one.confidence for one in checks])
    right = np.array([bool(one.right) for one in checks])
    return threshold_with_reserve(confidences, right, promise, reserve)


WORD = re.compile(r"[^\W\d_]{4,}")
MIN_WORD_TICKETS, WORDS_NAMED = 3, 3


def new_words(far: Sequence[str], others: Sequence[str]) -> list[str]:
    """The words that distinguish tickets far from the training tickets, most distinctive first."""
    ours, theirs = (
        Counter(word for text in texts for word in {match.lower() for match in WORD.findall(text)})
        for texts in (far, others)
    )
    rate = {
        word: (count / len(far)) / ((theirs[word] + 0.5) / (len(others) + 1))
        for word, count in ours.items()
        if count >= MIN_WORD_TICKETS
    }
    best = sorted(rate, key=lambda word: (-rate[word] * ours[word], word))
    return [word for word in best if rate[word] > 2][:WORDS_NAMED]
