"""Drills on a real Ray cluster: one training on two nodes by the real desk, and one trouble. Prints one JSON object a drill.

    unshare -n -p -f --kill-child --mount-proc PYTHON -m tests.platforms.ray_drills HOME node driver head ...

node, driver, head: killed while it trains (the head and its nodes come back without their memory). control: the head's
control process is killed, and the head comes back. unanswered: the create's answer is lost. cancel, cancel-in-start: a
person cancels. none: no trouble.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from finetune.platforms import PLATFORMS
from finetune.platforms.contract import NoAnswer, Submission
from tests.platforms.ray_cluster import HEAD, NODES, TOKEN, URL, Cluster, training_processes
from tests.platforms.world import ROWS, SPEC
from worker.dispatch.desk import Connection, Desk
from worker.dispatch.packing import Packer
from worker.jobs.records import JobRequest
from worker.jobs.states import END_STATES
from worker.ledger.ledger import Ledger
from worker.ledger.remotes import remotes_of
from worker.transport import signing

STEPS, KILL_AT = 60, 24
LIMIT_S = 900.0
CALM_S = 60.0


@dataclass
class Drill:
    """One installation with one job before the cluster."""

    cluster: Cluster
    home: Path
    began: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.home.mkdir()
        self.trace = self.home / "trace"
        self.ledger = Ledger(str(self.home / "ledger.db"))
        key = signing.bot_key(self.home / "keys")
        runs_url = str(self.home / "runs")
        values = {
            "TRAINWISE_RAY_ADDRESS": URL,
            "TRAINWISE_RAY_TOKEN": TOKEN,
            "TRAINWISE_RAY_RUNS_URL": runs_url,
            "TRAINWISE_RAY_MACHINES": "2x1cpu=0.50",
        }
        platform = PLATFORMS["ray"]
        self.adapter: Any = platform.connect(values)
        connection = Connection(platform, self.adapter, self.adapter.runs)
        packer = Packer(key, lambda digest: ROWS, {"as_of": "2026-11"})
        self.desk = Desk(self.ledger, {"ray": connection}, packer, self.home / "artifacts")

    def submit(self) -> str:
        """The job."""
        spec = {**SPEC, "steps": STEPS, "trace": str(self.trace)}
        request = JobRequest("finetune", spec, "few", "U1", "maya", "T1", "C1", None, "k", 50.0)
        request = JobRequest(**{**vars(request), "platform": "ray", "machine": "2x1cpu"})
        return self.ledger.submit(request).id

    def lines(self) -> list[dict[str, Any]]:
        """What the first rank traced."""
        return (
            [json.loads(line) for line in self.trace.read_text().splitlines()] if self.trace.exists() else []
        )

    def wait(self, what: Callable[[], bool]) -> None:
        """Until it is so; TimeoutError after a quarter of an hour."""
        while not what():
            if time.monotonic() - self.began > LIMIT_S:
                raise TimeoutError(f"after {LIMIT_S:.0f} s")
            time.sleep(0.5)

    def run(self, name: str) -> dict[str, Any]:
        """The drill and what it came to."""
        if name == "unanswered":
            self.lose_the_answer()
        job = self.submit()
        self.desk.start()
        at = 0.0
        try:
            if name == "cancel-in-start":
                self.wait(lambda: bool(training_processes("ray_kind")))
            elif name not in ("none", "unanswered"):
                self.wait(lambda: len(self.lines()) >= KILL_AT)
            at = time.monotonic()
            self.trouble(name, job)
            self.wait(lambda: self.ledger.job(job).state in END_STATES)
            seconds = time.monotonic() - at
            survivors = len(training_processes())
            calm = time.monotonic() + CALM_S
            while training_processes() and time.monotonic() < calm:
                time.sleep(0.5)
        except TimeoutError:
            seconds, survivors = time.monotonic() - at, len(training_processes())
        finally:
            self.desk.stop()
        return {
            "drill": name,
            "seconds_to_the_end": round(seconds, 1),
            "living_at_the_end": survivors,
            **self.figures(job),
        }

    def trouble(self, name: str, job: str) -> None:
        """What befalls it."""
        if name == "node":
            self.cluster.kill(NODES[0])
            self.cluster.start_node(NODES[0])
        elif name == "driver":
            for process in training_processes("ray_kind"):
                process.kill()
        elif name in ("head", "control"):
            if name == "control":
                self.cluster.kill_control()
                time.sleep(20)
            for ip in (HEAD, *NODES):
                self.cluster.kill(ip)
            self.cluster.start()
        elif name.startswith("cancel"):
            self.ledger.request_cancel(job, "U1", "drill")

    def lose_the_answer(self) -> None:
        """The first create is made, and its answer is lost."""
        real = self.adapter.create

        def create(submission: Submission) -> str:
            self.adapter.create = real
            real(submission)
            raise NoAnswer("cut")

        self.adapter.create = create

    def figures(self, job: str) -> dict[str, Any]:
        """Counts from the trace and the ledger."""
        lines, remotes = self.lines(), remotes_of(self.ledger.engine, job)
        tags = [line["tag"] for line in lines]
        changes = sum(a != b for a, b in pairwise(tags))
        steps = [line["step"] for line in lines]
        files = [
            str(path.relative_to(self.home)) for path in (self.home / "runs").rglob("*") if path.is_file()
        ]
        last = self.ledger.job(job)
        return {
            "state": last.state.value,
            "submissions": len(remotes),
            "creates": sum(one.creates for one in remotes),
            "seconds_to_first_step": round(lines[0]["at"] - self.began_at, 1) if lines else None,
            "last_step": max(steps, default=0),
            "repeated_steps": len(steps) - len(set(steps)),
            "ranks": sorted({line["ranks"] for line in lines}),
            "doubled": changes > max(0, len(set(tags)) - 1),
            "living_60_s_later": len(training_processes()),
            "left_files": files,
            "usd": round(last.spent_usd, 4),
            "error": last.error,
            "outcomes": [f"{one.outcome}: {one.why}"[:200] for one in remotes],
        }


def main() -> None:
    """Runs the named drills one after another on one cluster."""
    home = Path(sys.argv[1])
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    cluster = Cluster(home)
    cluster.start()
    print(json.dumps({"cluster": "up"}), flush=True)
    for number, name in enumerate(sys.argv[2:], 1):
        print(json.dumps(Drill(cluster, home / f"{number}-{name}").run(name)), flush=True)


if __name__ == "__main__":
    main()
