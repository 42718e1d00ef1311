"""One seeded run of the contract, and the same troubles before a plain script that repeats what failed: for benchmarks/platforms.py."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError
from finetune.platforms.contract import ENDED, Reference, Submission
from tests.platforms.harness import ROWS, SPEC, Crash, PlatformHarness, Wire, open_harness
from tests.platforms.standin import CANCELLED, FAILED, TIMED_OUT, StandIn
from worker.errors import WorkerError

CREATE_FAULTS = ("503", "429", "cut", "cut", "silent", "")
READ_FAULTS = ("503", "html", "cut")
ENDINGS = (FAILED, CANCELLED, TIMED_OUT, "gone", "odd")
STEPS = 20


@dataclass(frozen=True)
class Trouble:
    """What befalls one run: drawn once, the same for both."""

    creates: tuple[str, ...]
    lag_s: float
    dies_in_create: bool
    seed: int


def draw(seed: int) -> Trouble:
    """The trouble of a seed."""
    dice = random.Random(seed)
    creates = tuple(dice.choice(CREATE_FAULTS) for _ in range(dice.randint(0, 3)))
    return Trouble(creates, dice.choice((0.0, 40.0)), dice.random() < 0.2, seed)


def crash_in_create(adapter: Any) -> None:
    """The next create is made at the platform, and the controller is gone before it hears of it."""
    real = adapter.create

    def create(submission: Submission) -> str:
        adapter.create = real
        real(submission)
        raise Crash

    adapter.create = create


def our_run(wire: Wire, standin: StandIn, clock: list[float], seed: int) -> PlatformHarness:
    """Runs the controller through one seed's faults to the end; `problems` says what broke."""
    dice, trouble = random.Random(seed + 1), draw(seed)
    harness = open_harness(wire, standin, clock)
    standin.create_faults += trouble.creates
    standin.lag_s = trouble.lag_s
    if trouble.dies_in_create:
        crash_in_create(harness.adapter)
    harness.submit()
    for _ in range(STEPS):
        inject(dice, harness, standin)
        harness.step(dice.choice((1.0, 5.0, 20.0, 95.0)), dice.randint(0, 1))
    harness.finish_all()
    standin.on_cancel = lambda job: None
    return harness


def inject(dice: random.Random, harness: PlatformHarness, standin: StandIn) -> None:
    """One thing happens, or nothing."""
    what = dice.randrange(12)
    jobs = list(standin.jobs.values())
    if what < 4 and jobs:
        harness.advance(dice.choice(jobs), ("start", "event", "event", "finish")[what])
    elif what == 4 and jobs:
        harness.advance(dice.choice(jobs), dice.choice(ENDINGS + ("dies",) * standin.has_fence))
    elif what == 5:
        standin.read_faults.append(dice.choice(READ_FAULTS))
    elif what == 6:
        harness.controllers[0] = harness.open_controller()
    elif what == 7 and len(harness.controllers) == 1:
        harness.controllers.append(harness.open_controller())
    elif what == 8:
        standin.is_key_good = not standin.is_key_good
    elif what == 9:
        harness.wall_skew = dice.choice((-86400.0, 0.0, 86400.0))
    elif what == 10 and len(harness.jobs) < 3:
        standin.create_faults.append(dice.choice(CREATE_FAULTS))
        harness.submit()
    elif what == 11 and dice.random() < 0.3:
        try:
            harness.ledger.request_cancel(dice.choice(harness.jobs), "U1", "test")
        except WorkerError:
            return  # it has ended, or its report is being written


def plain_run(wire: Wire, standin: StandIn, clock: list[float], seed: int, home: Path) -> dict[str, int]:
    """A script with three tries around the create, which polls and erases at its end; started anew when it dies."""
    trouble = draw(seed)
    standin.reset()
    clock[0] = 1_800_000_000.0
    harness = open_harness(wire, standin, clock)
    standin.create_faults += trouble.creates
    standin.lag_s = trouble.lag_s
    standin.on_cancel = lambda job: standin.end(job, CANCELLED)
    is_hosted = wire.platform.gives == "hosted"
    chats = wire.platform.training_files(ROWS, SPEC)
    files = chats if is_hosted else {"order": b"x", "data/rows": b"y"}
    tag = f"plain-{seed}-1"
    secret = harness.key.run_secret(tag)
    submission = Submission(tag, wire.machine, 3600.0, files, "key", SPEC, secret)
    remote_id, starts = "", 2 if trouble.dies_in_create else 1
    for start in range(starts):
        if start == 0 and starts == 2:
            crash_in_create(harness.adapter)
        try:
            remote_id = plain_create(harness.adapter, submission)
        except Crash:
            continue
    is_lost = not remote_id or not plain_watch(harness, remote_id, submission.tag)
    with suppress(FinetuneError):
        harness.adapter.erase(Reference(submission.tag))
    counts = {
        "creates": len(standin.jobs),
        "doubled": int(bool(standin.doubles())),
        "lost": int(is_lost),
        "left_billed": len(standin.running()),
        "left_uploaded": int(bool(harness.uploads())),
    }
    standin.on_cancel = lambda job: None
    harness.close()
    return counts


def plain_create(adapter: Any, submission: Submission) -> str:
    """Three tries, whatever the error; "" when all failed."""
    for _ in range(3):
        try:
            adapter.upload(submission)
            return str(adapter.create(submission))
        except FinetuneError:
            continue
    return ""


def plain_watch(harness: PlatformHarness, remote_id: str, tag: str) -> bool:
    """Polls until the job has ended."""
    for _ in range(30):
        harness.clock[0] += 30
        job = harness.standin.jobs.get(remote_id) or next(iter(harness.standin.jobs.values()))
        harness.advance(job, "start")
        harness.advance(job, "finish")
        try:
            if harness.adapter.look(Reference(tag, remote_id)).stage in ENDED:
                return True
        except FinetuneError:
            continue
    return False
