"""The loaded versions and their scoring threads: follows the pointers, limits the queue, rolls back a bad version."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from finetune.errors import FinetuneError
from finetune.serving.answers import Answer, Draft, Served
from finetune.serving.server.health import Health
from finetune.serving.server.metrics import Metrics
from finetune.serving.versions import Pointer, Versions
from finetune.serving.writer import EngineAway, Writer

PROBE = "My invoice shows the wrong amount, and I was charged twice."
LOOKS_EVERY_S = 1.0
log = logging.getLogger("trainwise.serve")
Load = Callable[[Path, float], Served]


class Busy(FinetuneError):
    """The queue is full: the client should try again in a moment."""


class ModelFailure(FinetuneError):
    """A version could not answer a ticket."""


@dataclass(frozen=True)
class Ticket:
    """One ticket to answer: its id decides which version does."""

    id: str
    text: str


@dataclass(frozen=True)
class Reply:
    """An answer and the version that gave it."""

    answer: Answer | Draft
    version: str


@dataclass
class Slot:
    """One served name: its versions on disk, its current pointer, and the loaded models."""

    versions: Versions
    pointer: Pointer
    models: dict[str, Served]
    health: dict[str, Health] = field(default_factory=dict)
    bad_pointer: Pointer | None = (
        None  # a pointer whose version did not load; not tried again until it changes
    )
    may_mend: bool = False  # unless it is its engine that is away


class Engine:
    """Answers tickets of several served names; safe to ask from one event loop while `refresh` runs in a thread.

    `most_waiting` tickets may wait or be scored at a time. `load(folder, error_rate)` opens a version.
    """

    def __init__(
        self,
        places: Sequence[Versions],
        load: Load,
        metrics: Metrics,
        threads: int = 2,
        most_waiting: int = 256,
        slowest_s: float = 1.0,
    ) -> None:
        self.metrics, self._load, self._slowest_s, self.most_waiting = metrics, load, slowest_s, most_waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._waiting = 0
        self._stopping = threading.Event()
        self.slots: dict[str, Slot] = {}
        for versions in places:
            pointer = versions.pointer()
            slot = Slot(versions, pointer, self._open(versions, pointer, {}))
            self.slots[versions.name] = slot
            self._show(slot)

    def start(self) -> None:
        """Follow the pointers from now on, in a thread of its own."""
        threading.Thread(target=self._follow, name="pointers", daemon=True).start()

    def close(self) -> None:
        """Stop following; what is being scored is finished, a reply that nobody waits for any more is not."""
        self._stopping.set()
        for slot in self.slots.values():
            for model in slot.models.values():
                if isinstance(model, Writer):
                    model.engine.close()
        self._pool.shutdown(wait=True)

    def writes(self, name: str) -> bool:
        """Whether what is served under this name writes replies rather than sorting."""
        return any(isinstance(model, Writer) for model in self.slots[name].models.values())

    async def answer(self, name: str, tickets: Sequence[Ticket]) -> list[Reply]:
        """The answers in order. Busy where they do not fit into the queue; ModelFailure where a version breaks."""
        if self._waiting + len(tickets) > self.most_waiting:
            raise Busy("The queue is full. Try again in a second, or serve with more threads.")
        slot, loop = self.slots[name], asyncio.get_running_loop()
        self._count(len(tickets))
        work = [loop.run_in_executor(self._pool, self._answer, name, slot, ticket) for ticket in tickets]
        try:
            return list(await asyncio.gather(*work))
        finally:
            await asyncio.wait(work)
            self._count(-len(tickets))

    def refresh(self) -> None:
        """Load what the pointers name now; a version that does not load leaves everything as it was."""
        for name, slot in self.slots.items():
            try:
                pointer = slot.versions.pointer()
            except FinetuneError as error:
                log.warning("%s: %s", name, error)
                continue
            is_same = pointer == slot.bad_pointer
            if pointer == slot.pointer or (is_same and not slot.may_mend):
                continue
            try:
                rate_changed = pointer.error_rate != slot.pointer.error_rate
                earlier = {
                    version: model
                    for version, model in slot.models.items()
                    if not rate_changed or isinstance(model, Writer)  # which promises no rate
                }
                models = self._open(slot.versions, pointer, earlier)
            except FinetuneError as error:
                slot.bad_pointer, slot.may_mend = pointer, isinstance(error, EngineAway)
                if not is_same:
                    self.metrics.load_failures.labels(name).inc()
                    log.error("%s stays at %s: %s", name, slot.pointer.current, error)
                continue
            slot.models = models
            slot.health = {v: h for v, h in slot.health.items() if v in models}
            slot.pointer, slot.bad_pointer = pointer, None
            self._show(slot)
            log.info("%s is served by %s (%s)", name, pointer.current, pointer.why or "named")

    def _follow(self) -> None:
        while not self._stopping.wait(LOOKS_EVERY_S):
            try:
                self.refresh()
            except Exception:  # the edge: a full disk, a mount that is away; the next look may work
                log.exception("could not look at the pointers")

    def _open(self, versions: Versions, pointer: Pointer, earlier: dict[str, Served]) -> dict[str, Served]:
        """The models of current and trial version, each having answered one ticket."""
        models = {}
        for version in filter(None, (pointer.current, pointer.trial)):
            model = earlier.get(version)
            if model is None:
                model = self._load(versions.folder_of(version), pointer.error_rate)
                self._probe(model, versions.name, version)
            models[version] = model
        return models

    def _probe(self, model: Served, name: str, version: str) -> None:
        try:
            model.answer(PROBE)
        except EngineAway:
            raise
        except Exception as error:
            raise ModelFailure(
                f"{name}'s version {version} loads but cannot answer a ticket: make it anew with `trainwise serve JOB`."
            ) from error

    def _answer(self, name: str, slot: Slot, ticket: Ticket) -> Reply:
        pointer, models = slot.pointer, slot.models
        version = pointer.version_for(ticket.id)
        if version not in models:  # the pointer moved between the two lines above
            version = next(iter(models))
        began = time.perf_counter()
        try:
            answer = models[version].answer(ticket.text)
        except EngineAway as error:  # the version is not judged by it
            log.error("%s cannot write: %s", version, error)
            raise Busy("The engine that writes is away. Try again in a moment.") from None
        except Exception as error:
            self.metrics.errors.labels(name, version).inc()
            log.error(
                "%s failed on a ticket (%s)", version, type(error).__name__
            )  # no text: it may quote one
            self._judge(name, slot, version, time.perf_counter() - began, True)
            raise ModelFailure(
                "The model could not answer this ticket. Its operator's log says why."
            ) from None
        pieces = max(1, answer.length) if isinstance(answer, Draft) else 1
        self._judge(name, slot, version, (time.perf_counter() - began) / pieces, False)
        self.metrics.count(name, version, answer)
        return Reply(answer, version)

    def _judge(self, name: str, slot: Slot, version: str, seconds: float, failure: bool) -> None:
        """Record the result of a ticket, and roll the version back if it fails too often and another one exists.

        `seconds` are those of a ticket, or of a token that was written. What ends with the server is no fault of a version.
        """
        if self._stopping.is_set():
            return
        health = slot.health.setdefault(version, Health(self._slowest_s))
        health.record(seconds, failure)
        complaint = health.complaint()
        if not complaint:
            return
        slot.health[version] = Health(self._slowest_s)
        try:
            pointer = slot.versions.roll_back(complaint, version)
        except (OSError, FinetuneError) as error:
            log.error("%s's version %s should go (%s), but: %s", name, version, complaint, error)
            return
        if pointer is None:
            log.error("%s's version %s should go (%s), but there is none before it", name, version, complaint)
            return
        self.metrics.rollbacks.labels(name, complaint.partition(":")[0]).inc()
        log.error("%s goes back from %s to %s: %s", name, version, pointer.current, complaint)

    def _count(self, tickets: int) -> None:
        self._waiting += tickets
        self.metrics.queue.set(self._waiting)

    def _show(self, slot: Slot) -> None:
        name, pointer = slot.versions.name, slot.pointer
        for version in slot.versions.list():
            for role in ("current", "trial"):
                self.metrics.version.labels(name, version, role).set(getattr(pointer, role) == version)
