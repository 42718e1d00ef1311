"""The report of a deployment: a version that can be served, how good it is in that form, and how to start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from finetune.reports.parts import parse


@dataclass(frozen=True)
class DeploymentReport:
    """`name` is what it is served as; `takes_over` whether it answers already (the first version of a name does)."""

    headline: str = ""
    name: str = ""
    version: str = ""
    form: str = ""
    promise: str = ""
    takes_over: bool = False
    cpu_ms: float = 0.0
    rows: int = 0

    kind = "deploy"

    def to_json(self) -> dict[str, Any]:
        """The report as it is stored."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeploymentReport:
        """What the kind `deploy` wrote; raises pydantic's ValidationError on another shape."""
        return parse(cls, {name: data[name] for name in cls.__dataclass_fields__ if name in data})
