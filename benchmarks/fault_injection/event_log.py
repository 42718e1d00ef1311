"""What the training processes did, as they wrote it themselves into a pipe that outlives all of them."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One thing a training process did, at Unix time `at`."""

    at: float
    what: str
    job: str
    attempt: int
    step: int
    pid: int
    rank: int


class EventLog:
    """Reads the pipe `path` in a thread; `lines` grows."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._handle = os.open(path, os.O_RDWR)  # a writer of our own: the pipe never ends
        self.lines: list[Line] = []
        self._thread = threading.Thread(target=self._read, name="event_log", daemon=True)
        self._thread.start()

    def of(self, job: str) -> list[Line]:
        """The lines of one job, in order."""
        return [line for line in list(self.lines) if line.job == job]

    def _read(self) -> None:
        rest = b""
        while data := os.read(self._handle, 1 << 16):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                at, what, job, attempt, step, pid, rank = line.decode().split()
                self.lines.append(Line(float(at), what, job, int(attempt), int(step), int(pid), int(rank)))


def write_event(event_log: Path, what: str, job: str, attempt: int, step: int, rank: int = 0) -> None:
    """One line of the event log, by way of a pipe, so that a full disk cannot silence it."""
    line = f"{time.time():.3f} {what} {job} {attempt} {step} {os.getpid()} {rank}\n"
    handle = os.open(event_log, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
