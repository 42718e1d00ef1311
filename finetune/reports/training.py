"""What a training on someone else's machine tells of itself: what it took, and nothing that only held-out tickets can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.reports.finetune import Carbon
from finetune.reports.parts import Spent, fields_json, parse

TRAINING = "training"
"""The kind of this report; it is no job's, as what it tells becomes part of a FinetuneReport at home."""


@dataclass(frozen=True)
class TrainingReport:
    """The notes, time, money and carbon of a training, and on which code and hardware it ran."""

    notes: tuple[str, ...] = ()
    spent: Spent = field(default_factory=Spent)
    carbon: Carbon = field(default_factory=Carbon)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    kind = TRAINING

    def to_json(self) -> dict[str, Any]:
        """The report as it travels."""
        return {"kind": self.kind, **fields_json(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingReport:
        """What the training's machine wrote."""
        return parse(cls, data)
