"""A head's stand-in with a cluster behind it: each job runs our real driver as a process, and torchrun stands in for Ray Train.

Two ranks on this machine are the two machines of `2x1cpu`. Never run live.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from finetune.platforms.machine_shape import Shape
from tests.platforms.ray_server import RayServer
from tests.platforms.standin import CANCELLED, FAILED, SUCCEEDED, Answer, PlatformJob
from tests.terminal import ROOT

DRIVER = "import sys; from tests.platforms.ray_machines import drive; drive(sys.argv[1:])"
RANK = "import os, sys; from pathlib import Path; from worker.runtime.machine_group import join_as_rank; "
RANK += "join_as_rank(int(os.environ['RANK']), Path(sys.argv[1]))"


def torchrun(shape: Shape, place: Path) -> None:
    """The group's ranks on this machine; an error where one of them died, as Ray would raise."""
    script = place / "join.py"
    script.write_text(RANK)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    run += ["--nproc-per-node", str(shape.ranks), str(script), str(place)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(run, env=environment, check=True, capture_output=True)


def drive(words: list[str]) -> None:
    """Our command as the head runs it, with torchrun in the place of Ray Train."""
    from bot.cli.app import main
    from worker.runtime import machine_group

    machine_group.form_group = torchrun
    sys.argv = ["trainwise", *words]
    main()


class RayMachines(RayServer):
    """`bucket` is the folder that every machine mounts; a job's processes end with it."""

    def __init__(self, bucket: Path) -> None:
        self.bucket = bucket
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(time.time)

    def take(self, body: dict[str, Any]) -> Answer:
        """The job of a create, running."""
        answer = super().take(body)
        job = self.jobs.get(body["submission_id"])
        if answer.status == 200 and job is not None:
            words = shlex.split(body["entrypoint"])[1:]
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            env |= body["runtime_env"]["env_vars"] | {"HF_HUB_OFFLINE": "1"}
            log = (self.bucket / f"{job.id}.log").open("wb")
            process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, *words],
                env=env,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
            self.processes[job.id] = process
            self.start(job)
            threading.Thread(target=self.watch, args=(job, process), daemon=True).start()
        return answer

    def watch(self, job: PlatformJob, process: subprocess.Popen[bytes]) -> None:
        """The job ends with its driver."""
        status = process.wait()
        self.end(job, SUCCEEDED if status == 0 else FAILED)

    def cancel(self, job: PlatformJob) -> None:
        """Ends the driver and its ranks at once."""
        self.end(job, CANCELLED)
        self.kill(self.processes[job.id])

    def close(self) -> None:
        for process in self.processes.values():
            self.kill(process)
        super().close()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """The driver and every rank, wherever torchrun has put them."""
        with suppress(psutil.NoSuchProcess):
            driver = psutil.Process(process.pid)
            for one in (*driver.children(recursive=True), driver):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
