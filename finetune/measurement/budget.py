"""The time budget of a measurement, in seconds of a clock that counts this process's own work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RESERVE_S = 10.0  # for the report and its pictures
RESERVE_SHARE = 0.1  # of a time that is shorter than usual


@dataclass
class Budget:
    """A budget of `allowed_s` seconds of `clock`, from now on."""

    clock: Callable[[], float]
    allowed_s: float

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def left(self) -> float:
        """The seconds left for a pilot, without the reserve."""
        return self.remaining_s(RESERVE_S)

    @property
    def left_for_scores(self) -> float:
        """The seconds left for cheap methods and curve; a very short time keeps a share in reserve."""
        return self.remaining_s(min(RESERVE_S, RESERVE_SHARE * self.allowed_s))

    def remaining_s(self, reserve_s: float) -> float:
        """The seconds left without the reserve; negative after the end."""
        return self.allowed_s - (self.clock() - self._began) - reserve_s
