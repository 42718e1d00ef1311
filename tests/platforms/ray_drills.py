"""Fault drills on a real Ray cluster: the real controller trains on two nodes, and one fault strikes. Prints one JSON object a drill.

    unshare -n -p -f --kill-child --mount-proc PYTHON -m tests.platforms.ray_drills HOME node driver head ...

node, driver, head: killed while it trains (the head and its nodes come back without their memory). head-with-memory:
Ray's state lies in a Redis and outlives the head. control: the head's control process is killed, and then the rest.
unanswered: the create's answer is lost. cancel, cancel-in-start: a person cancels. none: no trouble. train: a real LoRA
fine-tune of the small encoder, without trouble; train-node: a node is killed after its first checkpoint.
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

from finetune.data.store import DatasetStore
from finetune.data.ticket import Tickets
from finetune.platforms import PLATFORMS
from finetune.platforms.contract import NoAnswer, Submission
from finetune.spec import parse_spec
from tests.integration.conftest import add_dataset
from tests.platforms.harness import ROWS, SPEC
from tests.platforms.ray_cluster import HEAD, NODES, TOKEN, URL, Cluster, training_processes
from worker.dispatch.packing import Packer
from worker.dispatch.remote_controller import Connection, RemoteController
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
    is_real: bool = False
    began: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.time)
    rows: Tickets = ROWS
    checkpoint_steps: list[int] = field(default_factory=list)
    resumed_at: int = 0

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
        prices = {"as_of": "2026-11"}
        packer = Packer(key, lambda digest: self.rows, prices, keeps_held_out=self.is_real)
        self.controller = RemoteController(self.ledger, {"ray": connection}, packer, self.home / "artifacts")

    def submit(self) -> str:
        """The job."""
        spec = {**SPEC, **self.recipe()}
        request = JobRequest("finetune", spec, "few", "U1", "maya", "T1", "C1", None, "k", 50.0)
        request = JobRequest(**{**vars(request), "platform": "ray", "machine": "2x1cpu"})
        return self.ledger.submit(request).id

    def recipe(self) -> dict[str, Any]:
        """Counting; in a real training's drill sixty tickets and a LoRA."""
        if not self.is_real:
            return {"steps": STEPS, "trace": str(self.trace)}
        add_dataset(self.home / "datasets", "few")
        store = DatasetStore(str(self.home / "datasets"))
        self.rows = store.tickets(store.get("few").digest)
        form = {
            "dataset": "few",
            "digest": self.rows.digest,
            "method": "lora",
            "epochs": "12",
            "patience": "100",
        }
        return {**parse_spec(form).to_json(), "budget_usd": 50.0}

    def checkpoints(self) -> list[int]:
        """The steps of the sealed checkpoints of a real training."""
        seals = (self.home / "runs").glob("*/work/attempt/checkpoints/checkpoint-*/sealed.json")
        return sorted(int(path.parent.name.split("-")[1]) for path in seals)

    def has_trained_a_while(self) -> bool:
        """Whether it is time for the trouble."""
        return bool(self.checkpoints()) if self.is_real else len(self.lines()) >= KILL_AT

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
        self.controller.start()
        at = 0.0
        try:
            if name == "cancel-in-start":
                self.wait(lambda: bool(training_processes("ray_kind")))
            elif name not in ("none", "train", "unanswered"):
                self.wait(self.has_trained_a_while)
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
            self.controller.stop()
        return {
            "drill": name,
            "seconds_to_the_end": round(seconds, 1),
            "living_at_the_end": survivors,
            **self.figures(job),
        }

    def trouble(self, name: str, job: str) -> None:
        """What befalls it."""
        if name in ("node", "train-node"):
            self.checkpoint_steps = self.checkpoints()
            self.cluster.kill(NODES[0])
            self.cluster.start_node(NODES[0])
            if self.is_real:
                self.wait(lambda: self.first_step() > 0)
                self.resumed_at = self.first_step()
        elif name == "driver":
            for process in training_processes("ray_kind"):
                process.kill()
        elif name in ("head", "head-with-memory", "control"):
            if name == "control":
                self.cluster.kill_control()
                time.sleep(20)
            for ip in (HEAD, *NODES):
                self.cluster.kill(ip)
            self.cluster.start()
        elif name.startswith("cancel"):
            self.ledger.request_cancel(job, "U1", "drill")

    def first_step(self) -> int:
        """The first step of the second submission's training; 0 before it."""
        events = [*(self.home / "runs").glob("*-2/work/group/events")]
        lines = [json.loads(line) for line in events[0].read_text().splitlines()] if events else []
        starts = [number for number, line in enumerate(lines) if line.get("phase") == "training"]
        steps = [line["step"] for line in lines[starts[0] :] if line["kind"] == "step"] if starts else []
        return int(steps[0]) if steps else 0

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
            "headline": (last.report or {}).get("headline"),
            "checkpoints_at_the_kill": self.checkpoint_steps,
            "first_step_seen_after": self.resumed_at,
            "outcomes": [f"{one.outcome}: {one.why}"[:200] for one in remotes],
        }


def main() -> None:
    """Runs the named drills one after another on one cluster."""
    home = Path(sys.argv[1])
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    cluster = Cluster(home, has_memory="head-with-memory" in sys.argv)
    cluster.start()
    print(json.dumps({"cluster": "up"}), flush=True)
    for number, name in enumerate(sys.argv[2:], 1):
        print(
            json.dumps(Drill(cluster, home / f"{number}-{name}", name.startswith("train")).run(name)),
            flush=True,
        )


if __name__ == "__main__":
    main()
