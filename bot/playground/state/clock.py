"""The workspace's clock: real time, which tests can move forward so that they need not wait."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """`now()` decides expiries and waits; `advance()` moves it. Message timestamps keep to the real time.

    Use from the server's event loop only (the control endpoint does).
    """

    def __init__(self) -> None:
        self._shift = 0.0
        self._advance_event = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch plus everything that was advanced."""
        return time.time() + self._shift

    @property
    def shift(self) -> float:
        """Seconds that the clock was advanced in all."""
        return self._shift

    def advance(self, seconds: float) -> None:
        """Move on and wake whatever waits for a moment that has now passed."""
        self._shift += seconds
        previous, self._advance_event = self._advance_event, asyncio.Event()
        previous.set()

    async def sleep(self, seconds: float) -> None:
        """Wait until `now()` is `seconds` later."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            try:
                await asyncio.wait_for(self._advance_event.wait(), timeout=left)
            except TimeoutError:
                continue
