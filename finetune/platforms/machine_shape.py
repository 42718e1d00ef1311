"""The shape of a group of machines, in the words of settings and command lines: `2x4gpu`, `4x8cpu`."""

from __future__ import annotations

import re
from dataclasses import dataclass

SHAPE = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,2})(gpu|cpu)")


@dataclass(frozen=True)
class Shape:
    """`2x4gpu`: two machines with four GPUs each, a rank on every GPU; `2x4cpu`: a rank with four cores on each."""

    machines: int
    units: int
    on_gpu: bool

    @property
    def ranks(self) -> int:
        """How many processes train together."""
        return self.machines * self.units if self.on_gpu else self.machines


def parse_shape(text: str) -> Shape | None:
    """The shape in words such as `2x4gpu`; None for others."""
    parts = SHAPE.fullmatch(text)
    return Shape(int(parts[1]), int(parts[2]), parts[3] == "gpu") if parts else None
