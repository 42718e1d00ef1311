"""Runs the readers of foreign formats in a subprocess, so that a crash or a memory hog affects only that process.

The child reads one request per line and writes one answer per line. It has limits of processor time, memory and
open files, cannot write, connect or start anything, and sees no environment; it is ended when it uses the processor for too long.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psutil

from rag.errors import RagError
from rag.ingest.readers.reader import Text

CPU_SECONDS = 60  # of one file
QUIET_SECONDS = 120.0  # without any CPU use: it hangs
LOOK_SECONDS = 0.5
MAX_ANSWER = 60_000_000
ROOT = Path(__file__).parents[2]
TOO_MUCH = "needs more time or memory to read than I allow. Split it, or save it as PDF or text."


class ReadTimeout(RagError):
    """The reader was killed at its limit; a retry may succeed."""


class _Clock:
    """The time limits of a child for one file: CPU time, and time without any CPU use."""

    def __init__(self, pid: int, cpu_seconds: float, quiet_seconds: float) -> None:
        self._pid, self._most, self._most_quiet = pid, cpu_seconds, quiet_seconds
        self._start = self._last = self._used()
        self._since = time.monotonic()

    def is_over(self) -> bool:
        """Whether the time is up; a child that has ended is not judged here."""
        used, now = self._used(), time.monotonic()
        if used - self._last > 0.01:
            self._last, self._since = used, now
        return used - self._start > self._most or now - self._since > self._most_quiet

    def _used(self) -> float:
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


class Sandbox:
    """A context manager; the child starts with the first request and restarts after a crash."""

    def __init__(self, cpu_seconds: float = CPU_SECONDS, quiet_seconds: float = QUIET_SECONDS) -> None:
        """`cpu_seconds` is CPU time for one file, so a busy machine does not shorten it."""
        self._cpu_seconds, self._quiet_seconds = cpu_seconds, quiet_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="trainwise-sandbox-")

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._folder.cleanup()

    def read(self, kind: str, path: Path, name: str) -> list[Text]:
        """The documents of a file, by the registered reader `kind`; RagError says why it cannot be read."""
        child = self._child or self._start()
        order = json.dumps({"kind": kind, "path": str(path.absolute()), "name": name})
        assert child.stdin
        try:
            child.stdin.write(order.encode() + b"\n")
            child.stdin.flush()
            line = self._answer(child)
        except BrokenPipeError:
            line = b""
        if not line:
            self._end()
            raise RagError(TOO_MUCH)
        answer = json.loads(line)
        if "error" in answer:
            raise RagError(answer["error"])
        return [Text(**{**document, "notes": tuple(document["notes"])}) for document in answer["documents"]]

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", "rag.ingest.sandbox_child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd=self._folder.name, start_new_session=True,
        )  # fmt: skip
        return self._child

    def _answer(self, child: subprocess.Popen[bytes]) -> bytes:
        """The next line of the child; b"" when it ended instead. ReadTimeout after its processor time is up."""
        assert child.stdout
        answer = bytearray()
        clock = _Clock(child.pid, self._cpu_seconds, self._quiet_seconds)
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                if not ready.select(min(LOOK_SECONDS, self._cpu_seconds)):
                    if clock.is_over():
                        self._end()
                        raise ReadTimeout(TOO_MUCH)
                    continue
                part = os.read(child.stdout.fileno(), 1 << 20)
                answer += part
                if not part or len(answer) > MAX_ANSWER:
                    return b""
        return bytes(answer)

    def _end(self) -> None:
        if self._child is None:
            return
        child, self._child = self._child, None
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
