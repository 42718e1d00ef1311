"""Work done in rounds by a thread of its own: soon after it is woken, else after a pause, and on whatever one round meets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

PAUSE_S = 0.5
log = logging.getLogger(__name__)


class Rounds:
    """Calls `work` in rounds from `start()` to `stop()`; a round that fails makes the pauses longer, to `longest_s`."""

    def __init__(self, work: Callable[[], None], name: str, longest_s: float) -> None:
        self._work, self._name, self._longest_s = work, name, longest_s
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_over(self) -> bool:
        """Whether it was asked to stop: a long round looks at it between two steps."""
        return self._over.is_set()

    def start(self) -> None:
        """Begins with the first round."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ends after the step under way."""
        self._over.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def wake(self) -> None:
        """Makes the next round come at once."""
        self._wake.set()

    def _run(self) -> None:
        pause = PAUSE_S
        while not self._over.is_set():
            try:
                self._work()
                pause = PAUSE_S
            except Exception:  # the edge of this thread: it must outlive whatever one round meets
                if pause == PAUSE_S:
                    log.exception("%s: this round failed; it goes on, more and more slowly", self._name)
                pause = min(self._longest_s, pause * 2)
            self._wake.wait(pause)
            self._wake.clear()


def every(seconds: float, work: Callable[[], object]) -> Callable[[], None]:
    """Does the work now and again after so many seconds, in a thread; gives what ends it."""
    over = threading.Event()

    def run() -> None:
        while True:
            try:
                work()
            except Exception:  # the edge of this thread: the next round may do better
                log.exception("what is done every %.0f s failed", seconds)
            if over.wait(seconds):
                return

    threading.Thread(target=run, name="housekeeping", daemon=True).start()
    return over.set
