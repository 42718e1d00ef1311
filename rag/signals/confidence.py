"""The confidence of a reading: the measured share of right verdicts among similar readings.

Similar means: the same probability of the verdict, or, where there is none, the same agreement of the two readers.

Reads rag/data/reading_trust.json, written by `python -m rag.evaluation.compare_readers --write` from messages of authors
that neither reader was trained on. Covers words for the share. Does not cover unread signals.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rag.errors import RagError
from rag.signals.reading import Reading, Trust
from rag.signals.tuned_signals import READS

TRUST_FILE = Path(__file__).parents[1] / "data" / "reading_trust.json"
Agreement = Literal["agree", "one_doubt", "several_doubts"]
SHARES = (0.0, 0.6, 0.75, 0.95)  # of the probability for the verdict: where each bin begins
SURE_SHARE, LIKELY_SHARE = 0.85, 0.65  # of verdicts right: from here on "sure", "likely"


def agreement(agree: bool, decisive_conflicts: int) -> Agreement:
    """The class of a reading that its confidence was measured for."""
    if agree and decisive_conflicts == 0:
        return "agree"
    return "one_doubt" if decisive_conflicts <= 1 else "several_doubts"


def share_right(reading: Reading) -> float | None:
    """The measured share (0-1) of verdicts right among readings like this one; None where one reader read alone."""
    if reading.agree is None:
        return None
    shares = _calibration()["confidence"]
    if reading.share is not None:
        return float(shares[share_bin(reading.share)]["right"])
    decisive = sum(doubt.decisive for doubt in reading.conflicts)
    return float(shares[agreement(reading.agree, decisive)]["right"])


def share_bin(share: float) -> str:
    """The bin of a share of the probability, by where it begins: "0.85"."""
    return str(max(start for start in SHARES if start <= max(share, 0.0)))


def confidence_words(share: float | None) -> str:
    """The share in words: "sure", "likely" or "a guess"."""
    if share is None or share < LIKELY_SHARE:
        return "a guess"
    return "sure" if share >= SURE_SHARE else "likely"


def measured_trust() -> Trust:
    """Which of the two embedded readers to trust, by signal."""
    return Trust(_calibration()["trust"], "first", READS)


@dataclass(frozen=True)
class Outcome:
    """The confidence class of one reading and whether its verdict was right."""

    agree: bool
    decisive_conflicts: int
    share: float
    right: bool


def calibration_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """{"confidence": {bin or class: {"right", "n"}}, "ece"}, for each bin of SHARES and each class of agreement.

    The calibration error is that of the bins, on each half of the outcomes with the shares of the other half.
    """
    bins = [(share_bin(one.share), one.right) for one in outcomes]
    classes = [(agreement(one.agree, one.decisive_conflicts), one.right) for one in outcomes]
    halves = [bins[start::2] for start in (0, 1)]
    error = 0.0
    for half, other in (halves, halves[::-1]):
        other_shares = _shares(other)
        for name, row in _shares(half).items():
            gap = abs(row["right"] - other_shares.get(name, row)["right"])
            error += gap * row["n"] / max(len(outcomes), 1)
    return {"confidence": _shares([*classes, *bins]), "ece": round(error, 4)}


def _shares(hits: Sequence[tuple[str, bool]]) -> dict[str, dict[str, float]]:
    names = sorted({name for name, _ in hits})
    counts = {name: [hit for other, hit in hits if other == name] for name in names}
    return {name: {"right": round(sum(row) / len(row), 4), "n": len(row)} for name, row in counts.items()}


@cache
def _calibration() -> dict[str, Any]:
    try:
        calibration: dict[str, Any] = json.loads(TRUST_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RagError(f"Cannot read {TRUST_FILE}: {error}. Restore it with git.") from error
    return calibration
