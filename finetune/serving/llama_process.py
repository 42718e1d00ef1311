"""Runs llama.cpp's server in a child process (finetune/serving/llama_child.py) on loopback; it ends with its parent."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError
from finetune.serving.writer import Writing

SMALL = 256 * 2**20  # bytes; threads wait for each other longer than one of them computes
LONGEST_S = 600.0  # for one reply; a large model on a busy CPU writes a token a second


class EngineError(FinetuneError):
    """The engine does not start or does not answer; the text says what to do."""


@dataclass
class LlamaProcess:
    """A GGUF file served by llama.cpp with room for `context` tokens; started at once, and again where it died.

    `penalty` divides the score of what stands in the prompt or was written (1: none), as the model was evaluated.
    """

    file: Path
    context: int
    penalty: float = 1.0

    def __post_init__(self) -> None:
        self._lock, self._is_closed = threading.Lock(), False
        self._child: subprocess.Popen[bytes] | None = None
        self._url, self._key = "", secrets.token_hex(16)
        self._end: Callable[[], Any] = lambda: None
        self._ensure()

    @property
    def pid(self) -> int:
        """The process that computes."""
        assert self._child is not None
        return self._child.pid

    def write(self, ids: Sequence[int], most: int, decode: Callable[[Sequence[int]], str]) -> Writing:
        """Greedily on from `ids`. One at a time: what else is asked does not change an answer."""
        body: dict[str, Any] = {
            "prompt": list(ids),
            "n_predict": most,
            "return_tokens": True,
            "cache_prompt": False,
            "top_k": 1,
        }
        body["samplers"] = ["top_k"]
        if self.penalty != 1.0:
            body |= {
                "repeat_penalty": self.penalty,
                "repeat_last_n": self.context,
                "samplers": ["penalties", "top_k"],
            }
        data = self._ask(body)
        tokens = [int(token) for token in data["tokens"]]
        return Writing(decode(tokens), len(tokens), data.get("stop_type") == "limit")

    def close(self) -> None:
        """End the process; what it was writing fails, and nothing starts it again."""
        with self._lock:
            self._is_closed = True
            self._end()

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        url = self._ensure()
        response = httpx.post(
            f"{url}/completion",
            json=body,
            headers={"authorization": f"Bearer {self._key}"},
            timeout=LONGEST_S,
            verify=url.startswith(
                "https:"
            ),  # plain HTTP: certificates would be loaded for nothing at each reply
            trust_env=False,  # a proxy would get the ticket and the key, and does not reach this process
        )
        response.raise_for_status()
        data: dict[str, Any] = response.json()
        return data

    def _ensure(self) -> str:
        """The address of the running process, started where there is none."""
        with self._lock:
            if self._is_closed:
                raise EngineError("This version's engine was closed. Serve the version again.")
            if self._child is None or self._child.poll() is not None:
                self._start()
            return self._url

    def _start(self) -> None:
        threads = _cores() if self.file.stat().st_size > SMALL else 1
        settings = {"file": str(self.file), "context": self.context, "threads": threads, "key": self._key}
        child = subprocess.Popen(
            [sys.executable, "-m", "finetune.serving.llama_child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        self._end()
        self._child, self._end = child, weakref.finalize(self, _end, child)
        child.stdin.write(json.dumps(settings).encode() + b"\n")
        child.stdin.flush()
        line = next((text for text in child.stdout if text.startswith(b"http://")), b"").decode().strip()
        if not line:
            raise EngineError(
                f"llama.cpp does not start on {self.file.name}: is the package there (pip install 'trainwise[replies]'), "
                "and enough memory for the file?"
            )
        self._url = line


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close its input, which ends it; kill it where it stays."""
    if child.stdin is not None and not child.stdin.closed:
        child.stdin.close()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
