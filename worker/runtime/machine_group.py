"""One run over several machines of a Ray cluster: Ray Train forms the group, our ranks train in it, the ledger decides.

The driver (`trainwise remote --machines 2x1gpu`) has Ray start one rank a GPU, or one a machine on CPUs. They
share the run's folder, which every machine mounts. Ray repeats nothing: a lost machine ends the attempt, and the
next one goes on from the last sealed checkpoint.

Nobody outlives the others. The first rank shows its pulse, and without it the driver ends the attempt and the run shows
no sign of life; the driver shows its own while it holds the run's claim, and without that each rank leaves.
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
from worker.runtime.attempt import RunBroke, Work
from worker.runtime.multi_gpu import orders_of, outcome, pass_stop_on, trains_together
from worker.runtime.rank import take_part

LOOK_S = 0.5
PULSE_S = 2.0
LEASE_S = 45.0
"""A rank whose driver shows no pulse for so long leaves; the driver gives up a first rank likewise."""
START_S = 900.0
"""For machines to be there, their processes to start and import, and the first rank to show its pulse."""
AFTERWARDS_S = 10.0
"""After Ray has ended the group a first rank without a pulse for so long is gone too."""
LEAVE_S = 30.0
DRIVER, FIRST_RANK = "driver", "first-rank"
log = logging.getLogger("trainwise.worker")


def shape_of(text: str) -> Shape:
    """The shape in words such as `2x4gpu`; WorkerError for others."""
    shape = parse_shape(text)
    if shape is None:
        raise WorkerError(f"{text[:40]!r} is no group of machines: write 2x4gpu or 4x8cpu.")
    return shape


class Pulse:
    """A file that its writer changes every two seconds; a reader measures its silence on the reader's own clock."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._text, self._at = self._read(), clock()

    def show(self) -> None:
        """One beat."""
        with suppress(OSError):
            write_whole(self._path, str(time.time()))

    def silent_s(self) -> float:
        """The seconds since it was last seen to change."""
        text = self._read()
        if text and text != self._text:
            self._text, self._at = text, self._clock()
        return self._clock() - self._at

    def has_begun(self) -> bool:
        """Whether it has ever been there."""
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
    _rank_pulse: Pulse | None = None
    _errors: list[Exception] = field(default_factory=list)

    @property
    def attempt(self) -> Path:
        """The attempt's own folder: model and checkpoints."""
        return self.folder / "attempt"

    def take_over(self, earlier: list[Path]) -> None:
        """Makes the attempt's folder of the newest earlier one (work folders, newest first), so that it goes on from there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for work in earlier:
            if not self.attempt.exists():
                with suppress(FileNotFoundError):
                    (work / "attempt").rename(self.attempt)
        (self.attempt / "checkpoints").mkdir(parents=True, exist_ok=True)

    def is_alive(self) -> bool:
        """Whether the run may show life: no group is out, or its first rank shows its pulse, or it is just starting."""
        pulse = self._rank_pulse
        if pulse is None:
            return True
        silent_s = pulse.silent_s()
        return silent_s < (LEASE_S if pulse.has_begun() else START_S)

    def _is_silent(self, seconds: float) -> bool:
        """Whether the first rank shows no pulse, though Ray may have lost sight of ranks that train on."""
        pulse = self._rank_pulse
        return pulse is None or pulse.silent_s() > seconds or not pulse.has_begun()

    def over(self, kind: JobKind) -> JobKind:
        """The kind over this group; methods that do not train together, and evaluation, stay in the driver."""

        def run(work: Work) -> dict[str, Any]:
            if not trains_together(work):
                return kind.run(work)
            place = self._write_orders(work, kind)
            trainer = threading.Thread(target=self._train, args=(place,), daemon=True)
            self._rank_pulse = Pulse(place / FIRST_RANK)
            try:
                trainer.start()
                return self._watch(work, place, trainer)
            finally:
                self._rank_pulse = None

        return replace(kind, run=run)

    def _write_orders(self, work: Work, kind: JobKind) -> Path:
        place = self.folder / "group"
        place.mkdir()
        (place / "events").touch()
        write_whole(place / "orders.json", json.dumps(orders_of(work, kind.run)))
        return place

    def _train(self, place: Path) -> None:
        try:
            self.form(self.shape, place)
        except Exception as error:  # Ray's own errors are many; what they mean here is one thing: it ended
            log.exception("the group of machines ended")
            self._errors.append(error)

    def _watch(self, work: Work, place: Path, trainer: threading.Thread) -> dict[str, Any]:
        """The report once the first rank has left it; Stopped, FinetuneError or RunBroke otherwise."""
        own, read, last_reason, shown_at = Pulse(place / DRIVER), 0, None, float("-inf")
        while True:
            if time.monotonic() - shown_at >= PULSE_S:
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
            last_reason = pass_stop_on(work, place, last_reason)
            time.sleep(LOOK_S)
        if last_reason not in (None, FINISH):
            raise Stopped((place / "stop").read_text())
        error = self._errors[0] if self._errors else None
        if isinstance(error, ImportError):
            raise FinetuneError(
                f"{error.name} is not installed on the head of the cluster: pip install 'trainwise[ray]' on every machine."
            )
        why = f" ({type(error).__name__})" if error else ""
        raise RunBroke(
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
    """Passes on each whole line of the first rank's events from byte `read` on; how far it came."""
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

    join_as(int(get_context().get_world_rank()), Path(orders["place"]))


def join_as(rank: int, place: Path) -> None:
    """Takes this rank's part, with a pulse beside it."""
    over = threading.Event()
    threading.Thread(target=_keep_pulse, args=(place, rank, over), daemon=True).start()
    try:
        take_part(json.loads((place / "orders.json").read_text()), rank, place)
    finally:
        over.set()


def _keep_pulse(place: Path, rank: int, over: threading.Event) -> None:
    """The first rank shows its pulse; every rank ends its process at once where the driver's is gone."""
    driver, own = Pulse(place / DRIVER), Pulse(place / FIRST_RANK)
    while not over.wait(PULSE_S):
        if rank == 0:
            own.show()
        if driver.silent_s() > LEASE_S:
            log.error("the driver of this run shows no life: this rank leaves")
            os._exit(1)
