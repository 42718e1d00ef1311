"""Runs work repeatedly in a background thread: at once after `wake()`, else after a pause; a failure does not end it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

PAUSE_S = 0.5
log = logging.getLogger(__name__)


class BackgroundLoop:
    """Calls `work` in rounds from `start()` to `stop()`; a round that fails makes the pauses longer, to `longest_pause_s`."""

    def __init__(self, work: Callable[[], None], name: str, longest_pause_s: float) -> None:
        self._work, self._name, self._longest_pause_s = work, name, longest_pause_s
        self._wake, self._stop_event = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_stopping(self) -> bool:
        """Whether `stop()` was called; a long round checks it between two steps."""
        return self._stop_event.is_set()

    def start(self) -> None:
        """Starts the thread with the first round."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stops after the current step."""
        self._stop_event.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def wake(self) -> None:
        """Starts the next round at once."""
        self._wake.set()

    def _run(self) -> None:
        pause = PAUSE_S
        while not self._stop_event.is_set():
            try:
                self._work()
                pause = PAUSE_S
            except Exception:  # the edge of this thread: one failed round must not end it
                if pause == PAUSE_S:
                    log.exception("%s: a round failed; retrying with longer pauses", self._name)
                pause = min(self._longest_pause_s, pause * 2)
            self._wake.wait(pause)
            self._wake.clear()


def run_every(seconds: float, work: Callable[[], object]) -> Callable[[], None]:
    """Runs the work in a thread, now and every `seconds`; returns the function that stops it."""
    over = threading.Event()

    def run() -> None:
        while True:
            try:
                work()
            except Exception:  # the edge of this thread: the next run may succeed
                log.exception("the housekeeping that runs every %.0f s failed", seconds)
            if over.wait(seconds):
                return

    threading.Thread(target=run, name="housekeeping", daemon=True).start()
    return over.set
