"""The stored result of a label check by a cross-validated model: ids and labels, no ticket text. Pure.

Written by finetune/evaluation/label_noise.py, read where a person is asked (finetune/data/questions.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LabelIssue:
    """One row whose label the model rejects; the shares are out-of-fold probabilities."""

    id: str
    label: str
    other: str
    label_share: float
    other_share: float


@dataclass(frozen=True)
class Overlap:
    """Two labels that the model confuses, in `share` of both labels' rows."""

    first: str
    second: str
    share: float


@dataclass(frozen=True)
class LabelCheck:
    """The doubts, worst first, from checking `count` of `total` labelled rows."""

    count: int
    total: int
    doubts: tuple[LabelIssue, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> LabelCheck:
        """What `to_json` wrote."""
        return LabelCheck(
            int(values["count"]),
            int(values["total"]),
            tuple(LabelIssue(**one) for one in values["doubts"]),
            tuple(Overlap(**one) for one in values["overlaps"]),
        )
