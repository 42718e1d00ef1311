"""Progress lines of a slow model: how much it has written, every few seconds, in the stream of steps."""

from __future__ import annotations

import time
from collections.abc import Callable

STILL = ""  # no new step: only checks whether to continue
QUIET_S = 4.0  # a model that answers faster than this needs no progress line
EVERY_S = 3.0


def waiting_steps(
    step: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Callable[[int], None]:
    """A callback with the characters written so far, which reports to `step`; exceptions of `step` propagate.

    Between the lines `step` gets an empty name: it shows nothing and only checks whether to continue.
    """
    began = clock()
    last_step_at = began + QUIET_S - EVERY_S

    def tell(characters: int) -> None:
        nonlocal last_step_at
        now = clock()
        if now - last_step_at < EVERY_S:
            step(STILL)
            return
        last_step_at = now
        progress = f"about {max(1, characters // 6):,} words written" if characters else "reading"
        step(f"Model at work: {progress}, {now - began:.0f} s")

    return tell
