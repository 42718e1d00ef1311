"""The report of a try: one ticket answered by the model before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.reports.parts import fields_json, parse


@dataclass(frozen=True)
class TrialSide:
    """One model's answer: the queues with their shares, or a text; how long it took."""

    name: str = ""
    answer: str = ""
    ranked: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class TrialReport:
    """Both answers; `before` is None where nothing that could answer was kept beside the model."""

    headline: str = ""
    after: TrialSide | None = None
    before: TrialSide | None = None

    kind = "try"

    def to_json(self) -> dict[str, Any]:
        """The report as it is stored."""
        return {"kind": self.kind, **fields_json(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialReport:
        """What the kind `try` wrote; raises pydantic's ValidationError on another shape."""
        return parse(cls, {name: data[name] for name in cls.__dataclass_fields__ if name in data})
