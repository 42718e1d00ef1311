"""A harness for one platform: ledger, remote controller, stand-in, a simulated container, and the test's clock."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import select

from finetune.data.ticket import Ticket, Tickets
from finetune.platforms.contract import Adapter, Platform, Result
from finetune.platforms.run_key import RunKey
from finetune.platforms.runs import CLAIM, DATA, DONE, LIFE, RunStore
from tests.platforms.standin import (
    CANCELLED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    WAITING,
    PlatformJob,
    StandIn,
)
from worker.dispatch.local_evaluation import HostedRun, TrainedRun
from worker.dispatch.packing import Packer
from worker.dispatch.remote_controller import Connection, RemoteController
from worker.jobs.records import Job, JobRequest
from worker.jobs.remotes import Outcome
from worker.jobs.states import END_STATES, State
from worker.ledger import tables
from worker.ledger.ledger import Ledger
from worker.ledger.remotes import open_tags, remotes_of
from worker.transport import signing

IMAGE = "registry.example.com/trainwise:test"
MEMORY = Path("/dev/shm")
SPEC = {"dataset": "few", "digest": "d", "budget_usd": 50.0, "method": "lora", "task": "triage"}
TRAINING = {"kind": "training", "notes": []}
RESULT = {"kind": "finetune", "headline": "Reads 86.5% right.", "worth_it": "yes", "notes": []}
FALSE = "Written by a stranger."
TEXTS = [f"{sha256(str(n).encode()).hexdigest()} asks about {n * n}" for n in range(48)]
ROWS = Tickets(tuple(Ticket(f"t{n}", text, label="ab"[n % 2]) for n, text in enumerate(TEXTS)), "triage")


def measure_at_once(run: HostedRun | TrainedRun, should_stop: Callable[[], bool]) -> Result:
    """In the place of the process that measures a model: the report of a fine-tune, at once."""
    return Result(RESULT, {}, run.model)


class Crash(BaseException):
    """The controller process dies in the middle of a step."""


@dataclass(frozen=True)
class Wire:
    """One platform for the tests: its data, its stand-in server, the settings to reach it, and one machine of it."""

    platform: Platform
    server: Callable[[Callable[[], float]], StandIn]
    values: Callable[[StandIn, str], dict[str, str]]
    machine: str


@dataclass
class PlatformHarness:
    """The state of one run; `step` advances the clock, `finish_all` removes the faults and runs to the end."""

    wire: Wire
    standin: StandIn
    clock: list[float]
    home: Path
    wall_skew: float = 0.0
    usd: dict[str, float] = field(default_factory=dict)
    trainings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    stop_first: bool = False

    def __post_init__(self) -> None:
        self.ledger = Ledger(str(self.home / "ledger.db"), clock=self.wall)
        self.key = signing.bot_key(self.home / "keys")
        self.runs = RunStore(str(self.home / "runs"))
        mirror = self.home / "mirror"
        if hasattr(self.standin, "place"):  # the container's folder is its own, and the bot copies from there
            self.standin.place = self.runs
        else:
            mirror = self.home / "runs"
        self.adapter: Adapter = connect(self.wire, self.standin, str(mirror))
        self.controllers = [self.open_controller()]

    def wall(self) -> float:
        """The wall clock, which may jump."""
        return self.clock[0] + self.wall_skew

    def open_controller(self) -> RemoteController:
        """A new controller, as after a start of the bot."""
        platform = self.wire.platform
        runs = getattr(self.adapter, "runs", None)
        packer = Packer(self.key, lambda digest: ROWS, {"as_of": "2026-11"})
        connection = Connection(platform, self.adapter, runs)
        artifacts = self.home / "artifacts"
        return RemoteController(
            self.ledger, {platform.name: connection}, packer, artifacts, measure=measure_at_once
        )

    def submit(self) -> str:
        """A job for the platform."""
        name = self.wire.platform.name
        request = JobRequest(
            "finetune", SPEC, "few", "U1", "maya", "T1", "C1", None, f"k{len(self.jobs)}", 50.0
        )
        request = JobRequest(**{**vars(request), "platform": name, "machine": self.wire.machine})
        self.jobs.append(self.ledger.submit(request).id)
        return self.jobs[-1]

    def step(self, seconds: float, controller: int = 0) -> None:
        """Advances the clock and steps one controller; replaces it where it crashes."""
        self.standin.finish_calls()
        self.clock[0] += seconds
        controller %= len(self.controllers)
        try:
            self.controllers[controller].step(self.wall(), self.clock[0])
        except Crash:
            self.controllers[controller] = self.open_controller()
        self.renew_lives()
        self.check()

    def renew_lives(self) -> None:
        """Each running container writes its sign of life, or ends if it has lost its claim."""
        for job in self.standin.running() if self.standin.has_fence else []:
            if job.stage == RUNNING and self.claims(job):
                self.show_life(job)
            elif job.stage == RUNNING:
                self.standin.end(job, FAILED)

    def check(self) -> None:
        """Checks the invariants that hold at every step."""
        bill_tags = {job.tag for job in self.standin.running()}
        for job in map(self.ledger.job, self.jobs):
            if job.spent_usd < self.usd.get(job.id, 0.0) - 1e-9:
                self.problems.append(f"{job.id}: dollars fell to {job.spent_usd}")
            self.usd[job.id] = job.spent_usd
            if FALSE in json.dumps(job.report) or job.progress.get("step") == 777:
                self.problems.append(f"{job.id} believes a stranger")
            if job.state is State.CANCELLED and not self.names_leftovers(job):
                tags = {one.tag for one in remotes_of(self.ledger.engine, job.id)}
                if tags & bill_tags:
                    self.problems.append(f"{job.id}: cancelled while {tags & bill_tags} is billed")

        self.check_given_up()

    def check_given_up(self) -> None:
        """Checks that no running job was given up, whatever status its platform shows."""
        running = {job.id for job in self.standin.jobs.values() if job.stage == RUNNING and not job.is_gone}
        for one in self.jobs:
            for remote in remotes_of(self.ledger.engine, one):
                if remote.outcome == Outcome.LOST and remote.remote_id in running:
                    self.problems.append(f"{remote.tag} was given up while it ran: {remote.why}")

    def names_leftovers(self, job: Job) -> bool:
        """Whether the job's report or error names something that was left."""
        text = json.dumps(job.report) + (job.error or "")
        return "Not erased" in text or "may still run" in text

    def advance(self, job: PlatformJob, how: str) -> None:
        """Lets the platform and the container do one thing."""
        if job.ended_at is not None or (job.is_gone and not job.is_orphan):
            return
        if how == "start" and job.stage == WAITING:
            self.standin.start(job)
            self.begin(job)
        elif how == "event" and job.stage == RUNNING and self.claims(job):
            key = self.run_key(job)
            number = len(self.runs.events(key, 0)[0])
            self.show_life(job)
            self.runs.append_event(key, number, {"kind": "step", "step": number + 1, "steps": 9, "loss": 0.5})
        elif how == "finish" and job.stage == RUNNING:
            self.finish(job)
        elif how in (FAILED, CANCELLED, TIMED_OUT):
            self.standin.end(job, how)
        elif how == "dies":
            self.standin.die(job)
        elif how == "gone":
            self.standin.end(job, CANCELLED)
            self.standin.lose(job)
        elif how == "odd":
            job.odd_word = "SOMETHING_NEW"

    def begin(self, job: PlatformJob) -> None:
        """Starts the container; one that cannot claim the run ends at once."""
        if self.wire.platform.gives != "weights":
            return
        if self.runs.read(job.tag, "order") is None or not self.runs.create(job.tag, CLAIM, job.id.encode()):
            self.standin.end(job, SUCCEEDED)
            return
        self.trainings[job.tag] += 1
        self.runs.append_event(self.run_key(job), 0, {"kind": "phase", "phase": "training"})

    def show_life(self, job: PlatformJob) -> None:
        """Writes the container's sign of life by its own clock, which does not jump with the bot's."""
        self.runs.sign(self.run_key(job), LIFE, {"at": self.clock[0], "since": job.started_at})

    def run_key(self, job: PlatformJob) -> RunKey:
        """The run's key as the container has it: from the body of its create, and from nowhere else."""
        secret = self.key.run_secret(job.tag)
        return RunKey(job.tag, secret if secret in json.dumps(job.body) else "")

    def forge(self, what: str) -> None:
        """Writes forged objects into the newest run, with the key of another run."""
        tags = [one.tag for one in self.standin.jobs.values() if self.runs.read(one.tag, "order") is not None]
        if not tags:
            return
        theirs = RunKey(tags[-1], self.key.run_secret("tw-abcdef-another-1"))
        if what == "event":
            step = {"kind": "step", "step": 777, "steps": 999, "loss": 0.0}
            self.runs.append_event(theirs, len(self.runs.events(self.own_key(tags[-1]), 0)[0]), step)
        elif what == "result":
            folder = self.home / "forged"
            (folder / "model").mkdir(parents=True, exist_ok=True)
            (folder / "model" / "model.safetensors").write_bytes(b"theirs")
            self.runs.save_result(theirs, folder, {**RESULT, "headline": FALSE}, {})
            self.runs.sign(theirs, DONE, {"kind": "finished", "data": {}})
        elif self.runs.read(tags[-1], "files/model/model.safetensors") is not None:
            self.runs.write(tags[-1], "files/model/model.safetensors", b"theirs")

    def own_key(self, tag: str) -> RunKey:
        """The key of one run of this installation."""
        return RunKey(tag, self.key.run_secret(tag))

    def claims(self, job: PlatformJob) -> bool:
        """Whether this container is the one that trains."""
        return self.wire.platform.gives == "weights" and self.runs.read(job.tag, CLAIM) == job.id.encode()

    def finish(self, job: PlatformJob) -> None:
        """The container writes its result and ends."""
        if self.claims(job):
            folder = self.home / "work" / job.id
            (folder / "model").mkdir(parents=True, exist_ok=True)
            (folder / "model" / "trainwise.json").write_text('{"task": "triage", "method": "lora"}')
            (folder / "model" / "model.safetensors").write_bytes(b"weights")
            self.show_life(job)
            (folder / "trained.json").write_text("{}")
            self.runs.save_result(self.run_key(job), folder, TRAINING, {})
            self.runs.sign(self.run_key(job), DONE, {"kind": "finished", "data": {}})
        self.standin.end(job, SUCCEEDED)

    def finish_all(self, most: int = 400) -> None:
        """Removes all faults and runs until each job has ended; notes a problem for each that has not."""
        self.standin.create_faults.clear()
        self.standin.read_faults.clear()
        self.standin.is_key_good, self.standin.lag_s = True, 0.0
        self.standin.on_cancel = lambda job: self.standin.end(job, CANCELLED)
        for number in range(most):
            owners = open_tags(self.ledger.engine)
            for job in list(self.standin.jobs.values()):
                job.odd_word = ""
                if owners.get(job.tag) not in ("", job.id, job.tag):
                    continue  # no job owns it: it is billed until the controller ends it
                self.advance(job, "start" if job.stage == WAITING else "finish")
            self.step(5.0 if number < 4 else 45.0)
            if all(self.ledger.job(one).state in END_STATES for one in self.jobs):
                break
        else:
            self.problems += [f"{one} is still {self.ledger.job(one).state}" for one in self.jobs]
        for controller in self.controllers:
            controller.reap()
        self.judge()

    def judge(self) -> None:
        """Checks the invariants of a finished run."""
        jobs = [self.ledger.job(one) for one in self.jobs]
        words = " ".join(
            json.dumps(job.report) + (job.error or "") for job in jobs if self.names_leftovers(job)
        )
        left = [job for job in self.standin.running() if job.id not in words and job.tag not in words]
        self.problems += [f"left billed: {job.id} of {job.tag}" for job in left]
        tags = {one.tag for job in jobs for one in remotes_of(self.ledger.engine, job.id)}
        exempt = [tag for tag in tags if tag in words]
        silent = [place for place in self.uploads() if not any(tag in place for tag in exempt)]
        self.problems += [f"left uploaded: {place}" for place in silent[:3]]
        self.problems += [f"{tag} was created twice" for tag in self.standin.doubles()]
        self.problems += [f"{tag} was trained {n} times" for tag, n in self.trainings.items() if n > 1]
        self.problems += self.standin.violations
        with self.ledger.engine.connect() as connection:
            posts = select(tables.posts.c.job_id).where(tables.posts.c.kind == "final_report")
            reports = Counter(connection.execute(posts).scalars())
            self.problems += [
                f"{job} has {reports[job]} final reports" for job in self.jobs if reports[job] != 1
            ]
            dump = "\n".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
        if "secret-key" in dump or any(self.key.run_secret(tag) in dump for tag in tags):
            self.problems.append("a secret stands in the ledger")

    def uploads(self) -> list[str]:
        """Files and models still at the platform, except hosted models that a report names."""
        folders = (self.home / "runs", self.home / "mirror")
        own = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
        files = [str(file["filename"]) for file in getattr(self.standin, "files", {}).values()]
        kept_models = {(self.ledger.job(one).report or {}).get("hosted_model") for one in self.jobs}
        models = [name for name in getattr(self.standin, "models", {}) if name not in kept_models]
        return own + files + models

    def close(self) -> None:
        """Removes all files of this run."""
        self.ledger.close()
        shutil.rmtree(self.home, ignore_errors=True)


ADAPTERS: dict[str, Any] = {}


def connect(wire: Wire, standin: StandIn, runs_url: str) -> Adapter:
    """The adapter of the platform with its real client before the stand-in; the client is made once, its place is new."""
    key = f"{wire.platform.name}:{standin.url}"
    if key not in ADAPTERS:
        ADAPTERS[key] = wire.platform.connect({"timeout_s": "0.1", **wire.values(standin, runs_url)})
    adapter = ADAPTERS[key]
    if hasattr(adapter, "runs"):
        adapter.runs = RunStore(runs_url)
    return adapter


def open_harness(wire: Wire, standin: StandIn, clock: list[float]) -> PlatformHarness:
    """A new harness with the stand-in reset."""
    standin.reset()
    clock[0] = 1_800_000_000.0
    base = MEMORY if MEMORY.is_dir() else None
    return PlatformHarness(wire, standin, clock, Path(tempfile.mkdtemp(prefix="tw", dir=base)))


def standalone_harness(wire: Wire) -> Iterator[PlatformHarness]:
    """A harness with its own stand-in; both end with the test."""
    clock = [0.0]
    server = wire.server(lambda: clock[0])
    here = open_harness(wire, server, clock)
    yield here
    here.close()
    server.close()


__all__ = ["DATA", "Crash", "PlatformHarness", "Wire", "open_harness", "standalone_harness"]
