"""What a cross-validated model holds against the labels, as it is kept beside the rows: ids and labels, no ticket. Pure.

Written by finetune/evaluation/label_noise.py, read where a person is asked (finetune/data/questions.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Doubt:
    """One row whose label the model would not give; the shares are out-of-fold probabilities."""

    id: str
    label: str
    other: str
    label_share: float
    other_share: float


@dataclass(frozen=True)
class Overlap:
    """Two labels that the model gives for one another: `share` of both labels' rows."""

    first: str
    second: str
    share: float


@dataclass(frozen=True)
class LabelCheck:
    """The doubts, the worst first, about `count` of `total` labelled rows."""

    count: int
    total: int
    doubts: tuple[Doubt, ...] = ()
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
            tuple(Doubt(**one) for one in values["doubts"]),
            tuple(Overlap(**one) for one in values["overlaps"]),
        )
