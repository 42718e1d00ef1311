"""The remote controller: one thread that moves each job on a platform from its intent to the erasure of its files.

It writes each decision into the ledger before it acts, so a crash loses nothing. It measures waiting with a monotonic
clock, so a jump of the wall clock neither ends nor repeats a job.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from finetune.llm_access import FindLlm, no_llm
from finetune.platforms.contract import (
    Adapter,
    NoAnswer,
    NotMade,
    Offer,
    PlaceOffer,
    Platform,
    Reference,
)
from finetune.platforms.hosted_models import erase_hosted
from finetune.platforms.runs import RunStore
from worker.dispatch.local_evaluation import Measure, evaluate_locally
from worker.dispatch.packing import Packer, limit_of
from worker.dispatch.remote_steps import Steps, has_stopped_billing
from worker.dispatch.results import Fetcher
from worker.errors import WorkerError
from worker.jobs.records import Order
from worker.jobs.remotes import Move, Remote, RemoteState, next_move
from worker.jobs.states import State, Trigger
from worker.ledger import outbox
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.ledger.remotes import (
    Terms,
    change,
    note_state,
    open_remotes,
    open_tags,
    unerased_remotes,
    write_intent,
)
from worker.ledger.transitions import StaleVersion, locked_job, move
from worker.transport.signing import seal

STEP_S = 1.0
POLL_S = 15.0
SHORT_WAIT_S = 10.0
REAP_EVERY_S = 600.0
THREADS = 8

log = logging.getLogger("trainwise.jobs")


@dataclass(frozen=True)
class Connection:
    """A connected platform: its data and its adapter; `runs` is the bucket of a platform that runs our image."""

    platform: Platform
    adapter: Adapter
    runs: RunStore | None = None


@dataclass
class _Tracker:
    """What the controller knows of one submission since it started: its state, since when, and when to act again.

    `creates` tells two visits of one state apart, as another controller may have sent a create in between.
    """

    state: RemoteState
    creates: int
    since: float
    due: float = 0.0
    marks: dict[str, tuple[object, float]] = field(default_factory=dict)

    def seconds_since_first(self, tick: float, what: str, value: object = None) -> float:
        """The seconds since the first call with this word, or since its value became this one."""
        mark = self.marks.get(what)
        if mark is None or mark[0] != value:
            mark = self.marks[what] = (value, tick)
        return tick - mark[1]


@dataclass
class RemoteController:
    """`step(now, tick)` acts once on everything that is due; `start()` does so each second in a thread.

    `artifacts` takes the files that come back; `per_user` limits how many jobs of a person are out; `on_change` is
    called after something changed, so that cards follow; `measure` evaluates what a platform has trained, a model that it
    hosts beside the prompts of the language model that `find_llm` knows then.
    """

    ledger: Ledger
    connections: Mapping[str, Connection]
    packer: Packer
    artifacts: Path
    per_user: int | None = None
    on_change: Callable[[], None] = lambda: None
    measure: Measure = evaluate_locally
    find_llm: FindLlm = no_llm
    _trackers: dict[str, _Tracker] = field(default_factory=dict)
    _offers: dict[str, list[Offer]] = field(default_factory=dict)
    _retry_at: dict[str, float] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _reap_at: float = float("-inf")
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to step."""
        self._thread = threading.Thread(target=self._run, name="remote-controller", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends the thread; the next start continues what is unfinished."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def step(self, now: float, tick: float, pool: ThreadPoolExecutor | None = None) -> None:
        """One pass: it handles due orders and due submissions; every REAP_EVERY_S it reads offers and ends orphans.

        With `pool` it waits for none of them, so a result that takes minutes to fetch blocks no other job.
        """
        for job_id in outbox.jobs_to_requeue(self.ledger.engine, now, remote=True):
            outbox.requeue_job(self.ledger.engine, job_id, now)
        for order in outbox.due_orders(self.ledger.engine, now, self.per_user, remote=True):
            if self._retry_at.get(order.job_id, tick) <= tick:
                self._begin(order.job_id, tick, partial(self._handle_order, order, now), pool)
        busy = self._busy.copy()  # copied before the rows are read: the next pass handles what ends meanwhile
        pairs = open_remotes(self.ledger.engine)
        self._trackers = {r.tag: self._track(r, tick, r.tag in busy) for r, _ in pairs}
        for remote, job in pairs:
            tracker = self._trackers[remote.tag]
            if tracker.due <= tick and remote.tag not in busy:
                act = partial(self._act, remote, job.state, tracker, now, tick)
                self._begin(remote.tag, tick, act, pool)
        if tick - self._reap_at >= REAP_EVERY_S:
            self._reap_at = tick
            self._begin("offers", tick, self.read_offers, pool)
            self._begin("reaper", tick, self.reap, pool)

    def places(self) -> list[PlaceOffer]:
        """The machines of all connected platforms, as last read; makes no call."""
        return [
            PlaceOffer(self.connections[name].platform, offer, self.packer.keeps_held_out)
            for name, offers in list(self._offers.items())
            for offer in offers
        ]

    def erase_model(self, platform: str, model: str) -> list[str]:
        """Delete a model that a platform hosts, which may take minutes; what could not be deleted, in words."""
        connection = self.connections.get(platform)
        if connection is None or connection.platform.gives != "hosted":
            raise WorkerError(f"{platform} is not connected here: give the bot its settings again.")
        host: Any = connection.adapter
        return erase_hosted(host, model)

    def read_offers(self) -> None:
        """Reads the machines of each platform; keeps the last list of one that does not answer."""
        for name, connection in self.connections.items():
            try:
                self._offers[name] = connection.adapter.offers()
            except (NoAnswer, NotMade) as error:
                log.info("%s does not tell its offers: %s", connection.platform.label, error)
            except Exception:  # an answer of an unknown shape must not hide the other platforms
                log.exception("the offers of %s could not be read", connection.platform.label)

    def reap(self) -> None:
        """Ends jobs with our tags that no open submission owns; erases checkpoints that no later attempt needs."""
        for connection in self.connections.values():
            try:
                for remote in unerased_remotes(self.ledger.engine, connection.platform.name):
                    left = connection.adapter.erase(self.packer.reference(remote))
                    if not left or remote.leftovers:  # tried once more, as the report names it
                        change(self.ledger.engine, remote, erased_at=self.ledger.clock())
                statuses = connection.adapter.find(self.packer.prefix)
                owners = open_tags(self.ledger.engine)
                for one in statuses:
                    if not has_stopped_billing(connection.platform, one) and owners.get(one.tag) not in (
                        "",
                        one.remote_id,
                    ):
                        label = connection.platform.label
                        log.warning(
                            "%s runs at %s as %s and no job owns it: ended", one.tag, label, one.remote_id
                        )
                        connection.adapter.cancel(Reference(one.tag, one.remote_id))
            except (NoAnswer, NotMade) as error:
                log.info("%s could not be searched: %s", connection.platform.label, error)
            except Exception:  # one platform's unknown answer must not stop the reaper
                log.exception("what %s shows could not be read", connection.platform.label)

    def _run(self) -> None:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="remote-controller") as pool:
            while not self._over.wait(STEP_S):
                try:
                    self.step(self.ledger.clock(), time.monotonic(), pool)
                except (
                    Exception
                ):  # the edge of this thread: the database is away, the next round may do better
                    log.exception("jobs on platforms could not be looked after; trying again")

    def _begin(
        self, name: str, tick: float, act: Callable[[], None], pool: ThreadPoolExecutor | None
    ) -> None:
        """Runs `act`, in the pool if there is one; never twice at a time under one name."""
        if pool is None:
            self._guard(name, tick, act)
        elif name not in self._busy:
            self._busy.add(name)
            pool.submit(self._guard, name, tick, act).add_done_callback(lambda _: self._busy.discard(name))

    def _guard(self, tag: str, tick: float, act: Callable[[], None]) -> None:
        try:
            act()
        except StaleVersion as error:
            log.info("%s", error)
        except (NoAnswer, NotMade) as error:
            log.info("%s: %s", tag, error)
            self._postpone(tag, tick + POLL_S)
        except Exception:  # one submission that fails must not hold up the others
            log.exception("the submission %s could not be taken further; trying again", tag)
            self._postpone(tag, tick + 2 * POLL_S)

    def _postpone(self, name: str, until: float) -> None:
        """Skips a submission, or the orders of a job without one, until then."""
        tracker = self._trackers.get(name)
        if tracker is not None:
            tracker.due = until
        else:
            self._retry_at[name] = until

    def _track(self, remote: Remote, tick: float, is_busy: bool) -> _Tracker:
        """The tracker of a submission; a new one for a new state, not for states within one step."""
        tracker = self._trackers.get(remote.tag)
        if tracker is not None and (
            is_busy or (tracker.state, tracker.creates) == (remote.state, remote.creates)
        ):
            return tracker
        return _Tracker(remote.state, remote.creates, tick)

    def _handle_order(self, order: Order, now: float) -> None:
        """Carries out one order of the ledger: writes a submission's intent or a container's stop flag."""
        if order.what == "stop":
            self._write_stop(order)
        elif not self._write_intent(order, now):
            return
        outbox.complete_order(self.ledger.engine, order, now)
        self.on_change()

    def _write_intent(self, order: Order, now: float) -> bool:
        job = self.ledger.job(order.job_id)
        connection = self.connections.get(job.platform or "")
        if connection is None:
            self._refuse(order, f"{job.platform} is not configured here any more. Launch it elsewhere.", now)
            return True
        platform = connection.platform
        offers = self._offers.get(platform.name) or connection.adapter.offers()
        offer = next((one for one in offers if one.name == job.machine), None)
        if offer is None:
            self._refuse(
                order, f"{platform.label} does not offer {job.machine} any more. Choose another.", now
            )
            return True
        limit_s = limit_of(job, offer.usd_per_hour, platform.longest_s)
        terms = Terms(self.packer.prefix, limit_s, offer.usd_per_hour)
        write_intent(self.ledger.engine, order, terms, now)
        return True

    def _refuse(self, order: Order, why: str, now: float) -> None:
        with writing(self.ledger.engine) as connection:
            job = locked_job(connection, order.job_id)
            if job.state is State.QUEUED:
                move(connection, job, Trigger.FAIL, now, "desk", why, error=why)

    def _write_stop(self, order: Order) -> None:
        """Writes the signed stop flag where the container looks for it."""
        for remote, job in open_remotes(self.ledger.engine):
            connection = self.connections.get(remote.platform)
            if job.id == order.job_id and connection is not None and connection.runs is not None:
                flag = seal({"stop": remote.tag, "reason": order.reason}, self.packer.key)
                connection.runs.write(remote.tag, "stop", flag)

    def _act(self, remote: Remote, job: State, tracker: _Tracker, now: float, tick: float) -> None:
        connection = self.connections.get(remote.platform)
        if connection is None:
            tracker.due = tick + 4 * POLL_S
            note = f"{remote.platform} is not configured here any more: set it up again, or end {remote.tag} there"
            note_state(self.ledger.engine, remote, note, now)
            return
        since_s = tick - tracker.since
        next_step = next_move(remote, job, since_s)
        tracker.due = tick + (SHORT_WAIT_S if next_step in (Move.FIND, Move.CLEAR) else POLL_S)
        seconds_since_first = partial(tracker.seconds_since_first, tick)
        stopping = self._over.is_set
        who = (self.ledger, connection, self.packer, self.artifacts)
        fetcher = Fetcher(*who, self.measure, self.find_llm, stopping, self._turn)
        steps = Steps(self.ledger, connection, self.packer, fetcher, now, since_s, seconds_since_first)
        wait_s = steps.take(next_step, remote)
        if wait_s is not None:
            tracker.due = tick + wait_s
        self.on_change()
