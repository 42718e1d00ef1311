"""`trainwise serve` as an operator runs it: a process of its own, its address, and its log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bot.playground.patience import Patience


@dataclass
class ServerProcess:
    """A running server, what it wrote so far, and a client for it."""

    process: subprocess.Popen[bytes]
    output: Path
    url: str
    client: httpx.Client

    @property
    def text(self) -> str:
        """Everything that it wrote."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def terminate(self) -> int:
        """Ends it as systemd does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def serving(home: Path, *arguments: str, key: str = "") -> Iterator[ServerProcess]:
    """`trainwise serve ARGUMENTS` on a free port, with its home in `home`."""
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment |= {"TRAINWISE_HOME": str(home), "COLUMNS": "200", "OMP_NUM_THREADS": "1", "HOME": str(home)}
    output = home / "server.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "bot.cli", "serve", *arguments, "--port", "0"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[3],
        )
    try:
        patience = Patience(60)
        while process.poll() is None and " at http" not in output.read_text() and not patience.is_over():
            time.sleep(0.05)
        match = re.search(r"at (http://\S+)", output.read_text())
        assert match, output.read_text()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(base_url=match[1], headers=headers, timeout=20) as client:
            yield ServerProcess(process, output, match[1], client)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
