"""`trainwise remote`: runs one signed order in a container on a platform, without our keys, queue or Slack.

It reads the order, the rows and the stop flag from the run's folder in a bucket (or a mounted folder), and writes events, signs
of life, the result and last `done.json` there, authenticated by the run's key. A second container exits at once.
"""

from __future__ import annotations

import json
import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from finetune.data.store_errors import without_user
from finetune.platforms.contract import NoAnswer
from finetune.platforms.machine_shape import Shape
from finetune.platforms.run_key import Forgery, RunKey
from finetune.platforms.runs import (
    CLAIM,
    DATA,
    DONE,
    LIFE,
    ORDER,
    STOP,
    WORK,
    RunStore,
    earlier_tags,
    event_path,
)
from worker.errors import WorkerError
from worker.kinds import KINDS
from worker.kinds.job_kind import JobKind
from worker.runtime.attempt import Work, run_attempt, within_budget
from worker.runtime.job_process import StopSignal
from worker.runtime.machine_group import MachineGroup
from worker.transport.signing import PublicKey, Refusal, RemoteOrder, read_remote_order, unseal
from worker.transport.stop_flag import REASONS

LOOK_S = 5.0
LIFE_S = 60.0
STEP_EVERY_S = 5.0
CLAIM_S = 120.0
"""A run over several machines continues this long while its claim cannot be read."""
WAITS_S = (1.0, 5.0, 20.0, 60.0, 180.0)
"""The waits between tries to write the result, so that an outage of minutes does not lose a training."""
log = logging.getLogger("trainwise.worker")


@dataclass
class Container:
    """One run: its run store, its key, the bot's public key, and the stream for its events, one JSON object a line."""

    runs: RunStore
    key: RunKey
    bot: PublicKey
    out: TextIO
    instance: str = field(default_factory=socket.gethostname)
    look_s: float = LOOK_S
    life_s: float = LIFE_S
    step_every_s: float = STEP_EVERY_S
    waits_s: tuple[float, ...] = WAITS_S
    shape: Shape | None = None
    _group: MachineGroup | None = None
    _number: int = 0
    _step_at: float = float("-inf")

    @property
    def tag(self) -> str:
        """The run's name."""
        return self.key.tag

    def run(self) -> int:
        """The exit status: 0 also where there is nothing to do; WorkerError where the order is not one of this bot's."""
        if self._has_written(DONE):
            return self._leave("done already")
        data = self.runs.read(self.tag, ORDER)
        if data is None:
            raise WorkerError(
                f"{without_user(self.runs.url)}/{self.tag} holds no order: check the address and who may read there."
            )
        try:
            order = read_remote_order(data, self.bot, self.tag, time.time())
        except (Refusal, ValueError, TypeError, KeyError) as error:
            raise WorkerError(f"The order of {self.tag} is refused: {error}.") from error
        if self._stop_reason() not in (None, "finish"):
            return self._leave("told to stop before it began")
        if not self._claim():
            return self._leave("claimed by another container")
        while self._has_written(event_path(self._number)):  # begun anew on the same machine
            self._number += 1
        end, result = self._work(order)
        if self._group is not None and not self._group.has_claim():
            return self._leave("the run was taken away")
        self._with_retries(lambda: self.runs.sign(self.key, DONE, {"kind": end, "data": result}))
        self._print({"kind": "done", "end": end})
        return 0

    def _work(self, order: RemoteOrder) -> tuple[str, dict[str, Any]]:
        stop, over = StopSignal(self._stop_reason), threading.Event()
        watch = threading.Thread(target=self._watch, args=(stop, over), daemon=True)
        watch.start()
        try:
            with self._folder(order) as folder:
                work = Work(
                    order.envelope,
                    folder,
                    f"{self.runs.url}/{self.tag}/{DATA}",
                    self.emit,
                    within_budget(stop.current_reason, order.envelope, order.price_per_hour),
                    order.price_per_hour,
                    order.prices,
                    choosing=order.choosing,
                )
                kind = KINDS[order.envelope.kind]
                end, data = run_attempt(self._over_machines(kind).run, work)
                report, plots = data.pop("report", None), data.pop("plots", {})
                if end == "finished":
                    self._with_retries(lambda: self.runs.save_result(self.key, folder, report, plots))
        finally:
            over.set()
            watch.join(self.look_s + 10)
        return end, data

    def _over_machines(self, kind: JobKind) -> JobKind:
        return self._group.over(kind) if self._group is not None and kind.over_gpus else kind

    @contextmanager
    def _folder(self, order: RemoteOrder) -> Iterator[Path]:
        """The attempt's folder: on this machine's disk, or for a group of machines where all of them see it."""
        if self._group is None:
            with tempfile.TemporaryDirectory(prefix="trainwise-") as home:
                folder = Path(home) / order.envelope.root / order.envelope.rq_id
                folder.mkdir(parents=True)
                yield folder
            return
        places = [Path(self.runs.url) / tag / WORK for tag in earlier_tags(self.tag)]
        self._group.take_over(places)
        yield self._group.attempt

    def emit(self, event: dict[str, Any]) -> None:
        """One event to the run's place and to the platform's log; steps are thinned, and a bucket that is away costs lines."""
        is_last = event.get("step") == event.get("steps")
        if (
            event.get("kind") == "step"
            and not is_last
            and time.monotonic() - self._step_at < self.step_every_s
        ):
            return
        if event.get("kind") == "step":
            self._step_at = time.monotonic()
        self._print(event)
        try:
            self.runs.append_event(self.key, self._number, event)
            self._number += 1
        except (NoAnswer, ValueError) as error:
            log.warning("an event was not written: %s", error)

    def _with_retries(self, act: Callable[[], None]) -> None:
        """Runs `act`, again while the run store does not answer; raises the last failure."""
        for wait_s in self.waits_s:
            try:
                act()
                return
            except NoAnswer as error:
                log.warning("%s; trying again in %.0f s", error, wait_s)
                time.sleep(wait_s)
        act()

    def _has_written(self, path: str) -> bool:
        """Whether this run has written it; objects of others do not count and are overwritten."""
        try:
            return self.runs.signed(self.key, path) is not None
        except Forgery:
            return False

    def _claim(self) -> bool:
        """Whether this container holds the claim: it was first, or it was restarted on the same machine."""
        mine = json.dumps({"instance": self.instance}).encode()
        is_mine = self.runs.create(self.tag, CLAIM, mine) or self.runs.read(self.tag, CLAIM) == mine
        if is_mine and self.shape is not None:
            place = Path(self.runs.url) / self.tag / WORK
            self._group = MachineGroup(self.shape, place, Claim(self.runs, self.tag, mine).holds)
        return is_mine

    def _stop_reason(self) -> str | None:
        if self._group is not None and not self._group.has_claim():
            return "lost"
        try:
            data = self.runs.read(self.tag, STOP)
            message = unseal(data, self.bot) if data is not None else {}
        except (NoAnswer, Refusal, ValueError):
            return None
        is_genuine = message.get("stop") == self.tag and message.get("reason") in REASONS
        return str(message["reason"]) if is_genuine else None

    def _watch(self, stop: StopSignal, over: threading.Event) -> None:
        """Checks the stop flag every few seconds and writes a sign of life every minute."""
        life_at, began = float("-inf"), time.time()
        while True:
            stop.look()
            is_alive = self._group is None or self._group.is_alive()
            if is_alive and time.monotonic() - life_at >= self.life_s:
                life_at = time.monotonic()
                try:
                    self.runs.sign(self.key, LIFE, {"at": time.time(), "since": began})
                except NoAnswer as error:
                    log.warning("no sign of life was written: %s", error)
            if over.wait(self.look_s):
                return

    def _leave(self, why: str) -> int:
        self._print({"kind": "note", "text": f"nothing to do here: {why}"})
        return 0

    def _print(self, event: dict[str, Any]) -> None:
        self.out.write(json.dumps(event) + "\n")
        self.out.flush()


@dataclass
class Claim:
    """The claim on the run; the bot changes or erases it when it gives the run up."""

    runs: RunStore
    tag: str
    mine: bytes
    _read_at: float = field(default_factory=time.monotonic)

    def holds(self) -> bool:
        """Whether the claim is still ours; after a failed read the last answer counts for two minutes."""
        try:
            if self.runs.read(self.tag, CLAIM) != self.mine:
                return False
        except NoAnswer:
            return time.monotonic() - self._read_at < CLAIM_S
        self._read_at = time.monotonic()
        return True
