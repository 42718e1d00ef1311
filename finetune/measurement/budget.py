"""The work that a measurement may do, in seconds of a clock that counts this process's own work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RESERVE_S = 10.0  # for the report and its pictures
RESERVE_SHARE = 0.1  # of a time that is shorter than usual


@dataclass
class Budget:
    """What may be done from now on: `allowed_s` seconds of `clock`."""

    clock: Callable[[], float]
    allowed_s: float

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def left(self) -> float:
        """What a pilot may take, the reserve set aside."""
        return self.remaining_s(RESERVE_S)

    @property
    def left_for_scores(self) -> float:
        """What cheap methods and curve may take; of a very short time a share is set aside."""
        return self.remaining_s(min(RESERVE_S, RESERVE_SHARE * self.allowed_s))

    def remaining_s(self, reserve_s: float) -> float:
        """Seconds that are left when so many are set aside; negative where the time is over."""
        return self.allowed_s - (self.clock() - self._began) - reserve_s
