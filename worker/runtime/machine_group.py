"""One run over several machines of a Ray cluster: Ray Train starts the group, our ranks train, the ledger decides.

The driver (`trainwise remote --machines 2x1gpu`) has Ray start one rank a GPU, or one a machine on CPUs. They
share the run's folder, which every machine mounts. Ray repeats nothing: a lost machine ends the attempt, and the
next one goes on from the last sealed checkpoint.

All end together. The first rank writes a heartbeat file; without it the driver ends the attempt and stops the run's sign
of life. The driver writes its own while it holds the run's claim; without it each rank exits.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finetune.artifacts import write_whole
from finetune.errors import FinetuneError, Stopped
from finetune.platforms.machine_shape import Shape, parse_shape
from finetune.progress import FINISH
from worker.errors import WorkerError
from worker.kinds.job_kind import JobKind
from worker.runtime.attempt import RunCrash, Work
from worker.runtime.multi_gpu import forward_stop, is_distributed, outcome, rank_orders
from worker.runtime.rank import run_rank

LOOK_S = 0.5
BEAT_EVERY_S = 2.0
LEASE_S = 45.0
"""A rank exits after this time without the driver's heartbeat; the driver gives up a first rank likewise."""
START_S = 900.0
"""The time for machines to join, processes to start, and the first rank to write its heartbeat."""
AFTERWARDS_S = 10.0
"""After Ray has ended the group, a first rank without a heartbeat for this long has ended too."""
LEAVE_S = 30.0
DRIVER, FIRST_RANK = "driver", "first-rank"
log = logging.getLogger("trainwise.worker")


def shape_of(text: str) -> Shape:
    """The shape in words such as `2x4gpu`; WorkerError for others."""
    shape = parse_shape(text)
    if shape is None:
        raise WorkerError(f"{text[:40]!r} is no group of machines: write 2x4gpu or 4x8cpu.")
    return shape


class HeartbeatFile:
    """A file that its writer changes every two seconds; the reader measures the silence on its own clock."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._text, self._at = self._read(), clock()

    def show(self) -> None:
        """Writes one heartbeat."""
        with suppress(OSError):
            write_whole(self._path, str(time.time()))

    def silent_s(self) -> float:
        """Seconds since the last seen change."""
        text = self._read()
        if text and text != self._text:
            self._text, self._at = text, self._clock()
        return self._clock() - self._at

    def has_begun(self) -> bool:
        """Whether the file has ever existed."""
        return bool(self._text)

    def _read(self) -> str:
        try:
            return self._path.read_text()
        except OSError:
            return ""


@dataclass
class MachineGroup:
    """The group of one run: `folder` is the run's `work`, shared by all; `has_claim` whether the run is still this driver's."""

    shape: Shape
    folder: Path
    has_claim: Callable[[], bool]
    form: Callable[[Shape, Path], None] = lambda shape, place: form_group(shape, place)
    _rank_heartbeat: HeartbeatFile | None = None
    _errors: list[Exception] = field(default_factory=list)

    @property
    def attempt(self) -> Path:
        """The attempt's own folder: model and checkpoints."""
        return self.folder / "attempt"

    def take_over(self, earlier: list[Path]) -> None:
        """Moves the newest earlier attempt (work folders, newest first) into this attempt's folder, to resume from it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for work in earlier:
            if not self.attempt.exists():
                with suppress(FileNotFoundError):
                    (work / "attempt").rename(self.attempt)
        (self.attempt / "checkpoints").mkdir(parents=True, exist_ok=True)

    def is_alive(self) -> bool:
        """Whether the run is alive: no group runs, or its first rank has a heartbeat, or it is still starting."""
        pulse = self._rank_heartbeat
        if pulse is None:
            return True
        silent_s = pulse.silent_s()
        return silent_s < (LEASE_S if pulse.has_begun() else START_S)

    def _is_silent(self, seconds: float) -> bool:
        """Whether the first rank has no heartbeat; Ray's own status may be wrong."""
        pulse = self._rank_heartbeat
        return pulse is None or pulse.silent_s() > seconds or not pulse.has_begun()

    def over(self, kind: JobKind) -> JobKind:
        """The kind, run by this group; methods that are not distributed, and evaluation, run in the driver."""

        def run(work: Work) -> dict[str, Any]:
            if not is_distributed(work):
                return kind.run(work)
            place = self._write_orders(work, kind)
            trainer = threading.Thread(target=self._train, args=(place,), daemon=True)
            self._rank_heartbeat = HeartbeatFile(place / FIRST_RANK)
            try:
                trainer.start()
                return self._watch(work, place, trainer)
            finally:
                self._rank_heartbeat = None

        return replace(kind, run=run)

    def _write_orders(self, work: Work, kind: JobKind) -> Path:
        place = self.folder / "group"
        place.mkdir()
        (place / "events").touch()
        write_whole(place / "orders.json", json.dumps(rank_orders(work, kind.run)))
        return place

    def _train(self, place: Path) -> None:
        try:
            self.form(self.shape, place)
        except Exception as error:  # Ray's own errors are many; what they mean here is one thing: it ended
            log.exception("the group of machines ended")
            self._errors.append(error)

    def _watch(self, work: Work, place: Path, trainer: threading.Thread) -> dict[str, Any]:
        """Waits for the first rank's report; raises Stopped, FinetuneError or RunCrash instead."""
        own, read, last_reason, shown_at = HeartbeatFile(place / DRIVER), 0, None, float("-inf")
        while True:
            if time.monotonic() - shown_at >= BEAT_EVERY_S:
                shown_at = time.monotonic()
                if not self.has_claim():
                    raise Stopped("lost")
                own.show()
            is_over = not trainer.is_alive() and self._is_silent(AFTERWARDS_S)
            read = _forward(work, place / "events", read)
            if (place / "end.json").is_file():
                read = _forward(work, place / "events", read)
                trainer.join(LEAVE_S)
                return outcome(json.loads((place / "end.json").read_text()))
            if is_over or not self.is_alive():
                break
            last_reason = forward_stop(work, place, last_reason)
            time.sleep(LOOK_S)
        if last_reason not in (None, FINISH):
            raise Stopped((place / "stop").read_text())
        error = self._errors[0] if self._errors else None
        if isinstance(error, ImportError):
            raise FinetuneError(
                f"{error.name} is not installed on the head of the cluster: pip install 'trainwise[ray]' on every machine."
            )
        why = f" ({type(error).__name__})" if error else ""
        raise RunCrash(
            f"A machine of this run was lost, or {self.shape.machines} were not free{why}; "
            "training goes on from the last good checkpoint."
        )


def form_group(shape: Shape, place: Path) -> None:
    """Ray Train from the group's formation to its end, once; what Ray raises where it ended otherwise."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    scaling = ScalingConfig(
        num_workers=shape.ranks,
        use_gpu=shape.on_gpu,
        resources_per_worker={"GPU": 1, "CPU": 1} if shape.on_gpu else {"CPU": shape.units},
        placement_strategy="PACK" if shape.on_gpu and shape.units > 1 else "STRICT_SPREAD",
    )
    config = RunConfig(
        name="ray",
        storage_path=str(place),
        failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
    )
    orders = {"place": str(place)}
    TorchTrainer(join_group, train_loop_config=orders, scaling_config=scaling, run_config=config).fit()


def _forward(work: Work, path: Path, read: int) -> int:
    """Forwards each complete line of the first rank's events from byte `read` on; returns the new offset."""
    with path.open("rb") as stream:
        stream.seek(read)
        data = stream.read()
    whole, _, _ = data.rpartition(b"\n")
    for line in whole.splitlines():
        work.emit(json.loads(line))
    return read + (len(whole) + 1 if whole else 0)


def join_group(orders: dict[str, str]) -> None:
    """What Ray runs in each process of the group, once torch's process group stands."""
    from ray.train import get_context

    join_as_rank(int(get_context().get_world_rank()), Path(orders["place"]))


def join_as_rank(rank: int, place: Path) -> None:
    """Runs this rank, with a heartbeat thread."""
    over = threading.Event()
    threading.Thread(target=_keep_heartbeat, args=(place, rank, over), daemon=True).start()
    try:
        run_rank(json.loads((place / "orders.json").read_text()), rank, place)
    finally:
        over.set()


def _keep_heartbeat(place: Path, rank: int, over: threading.Event) -> None:
    """Writes the first rank's heartbeat; ends the process at once when the driver's heartbeat is gone."""
    driver, own = HeartbeatFile(place / DRIVER), HeartbeatFile(place / FIRST_RANK)
    while not over.wait(BEAT_EVERY_S):
        if rank == 0:
            own.show()
        if driver.silent_s() > LEASE_S:
            log.error("the driver of this run shows no life: this rank leaves")
            os._exit(1)
