"""What a running job tells its owner, and how it hears that it should stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from finetune.errors import Stopped

Emit = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], str | None]


@dataclass
class Progress:
    """Phases, steps and notes out; a stop reason in. `check` raises Stopped; ask it often, it is cheap.

    `at` is the phase it is in, `kept` the notes for the report.

    `every_s` limits step reports and calls of `should_stop`; the clock is passed in for tests.
    """

    emit: Emit
    should_stop: ShouldStop
    clock: Callable[[], float] = time.monotonic
    every_s: float = 0.5
    kept: list[str] = field(default_factory=list, init=False)
    at: str = field(default="", init=False)
    _asked: float = field(default=float("-inf"), init=False)
    _told: float = field(default=float("-inf"), init=False)
    _reason: str | None = field(default=None, init=False)

    def phase(self, name: str) -> None:
        """The run enters loading, baselines, curve, pilot, training, evaluating or reporting."""
        self.check()
        self.at = name
        self.emit({"kind": "phase", "phase": name})

    def note(self, text: str, keep: bool = True) -> None:
        """One sentence for the job's thread; with `keep` it also stands in the report."""
        if keep and text not in self.kept:
            self.kept.append(text)
        self.emit({"kind": "note", "text": text})

    def step(self, step: int, steps: int, loss: float | None, eta_s: float | None) -> None:
        """Where training stands; reports closer together than `every_s` are dropped, the last never."""
        if step < steps and self.clock() - self._told < self.every_s:
            return
        self._told = self.clock()
        self.emit({"kind": "step", "step": step, "steps": steps, "loss": loss, "eta_s": eta_s})

    def reason_to_stop(self) -> str | None:
        """The stop reason once there is one; it sticks."""
        if self._reason is None and self.clock() - self._asked >= self.every_s:
            self._asked = self.clock()
            self._reason = self.should_stop()
        return self._reason

    def check(self) -> None:
        """Raises Stopped when the owner asked for it."""
        reason = self.reason_to_stop()
        if reason:
            raise Stopped(reason)


def silent() -> Progress:
    """A Progress that tells nobody and never stops: for scripts and tests."""
    return Progress(emit=lambda _: None, should_stop=lambda: None)
