"""How sure a reading is: the share that was right when two readers agreed or differed, as it was measured.

Reads rag/data/reading_trust.json, written by `python -m rag.evaluation.compare_readers --write` from messages of authors
whom neither reader had read. Covers words for the share. Does not cover what was not read at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rag.errors import RagError
from rag.signals.reading import Reading, Trust
from rag.signals.tuned_signals import READS

TRUST_FILE = Path(__file__).parents[1] / "data" / "reading_trust.json"
Agreement = Literal["agree", "one_doubt", "several_doubts"]
SURE_SHARE, LIKELY_SHARE = 0.85, 0.65  # of verdicts right: from here on "sure", "likely"


def agreement(agree: bool, decisive_doubts: int) -> Agreement:
    """The class of a reading that its confidence was measured for."""
    if agree and decisive_doubts == 0:
        return "agree"
    return "one_doubt" if decisive_doubts <= 1 else "several_doubts"


def share_right(reading: Reading) -> float | None:
    """The measured share (0-1) of verdicts right among readings like this one; None where one reader read alone."""
    if reading.agree is None:
        return None
    decisive = sum(doubt.decisive for doubt in reading.doubts)
    return float(_calibration()["confidence"][agreement(reading.agree, decisive)]["right"])


def spoken_confidence(share: float | None) -> str:
    """The share in words: "sure", "likely" or "a guess"."""
    if share is None or share < LIKELY_SHARE:
        return "a guess"
    return "sure" if share >= SURE_SHARE else "likely"


def measured_trust() -> Trust:
    """Whom of the two embedded readers to believe, signal by signal."""
    return Trust(_calibration()["trust"], "first", READS)


def calibration_json(outcomes: Sequence[tuple[bool, int, bool]]) -> dict[str, Any]:
    """{"confidence": {class: {"right", "n"}}, "ece"}: `outcomes` are (agree, decisive doubts, verdict right).

    The calibration error is taken on each half of the outcomes with the shares of the other half.
    """
    classes = [agreement(agree, doubts) for agree, doubts, _ in outcomes]
    right = [hit for _, _, hit in outcomes]
    halves = [range(start, len(outcomes), 2) for start in (0, 1)]
    error = 0.0
    for half, other in (halves, halves[::-1]):
        other_shares = _shares([(classes[n], right[n]) for n in other])
        for name, row in _shares([(classes[n], right[n]) for n in half]).items():
            gap = abs(row["right"] - other_shares.get(name, row)["right"])
            error += gap * row["n"] / max(len(outcomes), 1)
    return {"confidence": _shares(list(zip(classes, right, strict=True))), "ece": round(error, 4)}


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
