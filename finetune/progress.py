"""The progress reports of a running job, and its stop signal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from finetune.errors import Stopped

Emit = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], str | None]
FINISH = (
    "finish"  # the only reason that ends training but not the run: the best weights are kept and evaluated
)


@dataclass(frozen=True)
class TrainingCourse:
    """The course of training: the losses over the steps (at most CURVE_POINTS means), and scores on the validation rows.

    `dev_score` is the newest share of right answers there, None where the task has none.
    """

    curve: tuple[float, ...] = ()
    dev_loss: float | None = None
    dev_score: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {"curve": list(self.curve), "dev_loss": self.dev_loss, "dev_score": self.dev_score}


CURVE_POINTS = 24


def thin_out(losses: Sequence[float], points: int = CURVE_POINTS) -> tuple[float, ...]:
    """The losses as at most so many means of neighbours, in order."""
    count = min(points, len(losses))
    edges = [round(at * len(losses) / count) for at in range(count + 1)] if count else []
    return tuple(round(sum(losses[low:high]) / (high - low), 4) for low, high in pairwise(edges))


@dataclass
class Progress:
    """Reports phases, steps and notes, and reads the stop reason. `check` raises Stopped; it is cheap, so call it often.

    `at` is the phase it is in, `notes` the notes for the report, `finish_early` whether training shall end now with the
    best weights so far.

    `every_s` limits step reports and calls of `should_stop`; the clock is passed in for tests.
    """

    emit: Emit
    should_stop: ShouldStop
    clock: Callable[[], float] = time.monotonic
    every_s: float = 0.5
    notes: list[str] = field(default_factory=list, init=False)
    at: str = field(default="", init=False)
    finish_early: bool = field(default=False, init=False)
    _asked_at: float = field(default=float("-inf"), init=False)
    _updated_at: float = field(default=float("-inf"), init=False)
    _reason: str | None = field(default=None, init=False)

    def phase(self, name: str) -> None:
        """The run enters loading, baselines, curve, pilot, training, evaluating or reporting."""
        self.check()
        self.at = name
        self.emit({"kind": "phase", "phase": name})

    def note(self, text: str, keep: bool = True) -> None:
        """One sentence for the job's thread; with `keep` it also stands in the report."""
        if keep and text not in self.notes:
            self.notes.append(text)
        self.emit({"kind": "note", "text": text})

    def step(
        self,
        step: int,
        steps: int,
        loss: float | None,
        eta_s: float | None,
        course: TrainingCourse | None = None,
    ) -> None:
        """Report a training step; reports within `every_s` are dropped, except the last one."""
        if step < steps and self.clock() - self._updated_at < self.every_s:
            return
        self._updated_at = self.clock()
        event = {"kind": "step", "step": step, "steps": steps, "loss": loss, "eta_s": eta_s}
        self.emit(event | (course.to_json() if course else {}))

    def reason_to_stop(self) -> str | None:
        """The stop reason, permanent once set. FINISH is no stop reason: it sets `finish_early`."""
        if self._reason is None and self.clock() - self._asked_at >= self.every_s:
            self._asked_at = self.clock()
            reason = self.should_stop()
            if reason == FINISH:
                self.finish_early = True
            else:
                self._reason = reason
        return self._reason

    def check(self) -> None:
        """Raises Stopped when the owner asked for it."""
        reason = self.reason_to_stop()
        if reason:
            raise Stopped(reason)


def silent() -> Progress:
    """A Progress without reports and stop, for scripts and tests."""
    return Progress(emit=lambda _: None, should_stop=lambda: None)
