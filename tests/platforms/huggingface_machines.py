"""The Hub's stand-in with a machine behind it: each job runs our real command as a process of this computer. Never run live."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from finetune.platforms.huggingface import MOUNT
from tests.platforms.huggingface_server import HuggingFaceServer
from tests.platforms.standin import CANCELLED, FAILED, SUCCEEDED, PlatformJob
from tests.terminal import ROOT


class HuggingFaceMachines(HuggingFaceServer):
    """`bucket` is the folder that stands for the mounted bucket; the processes get nothing of ours in their environment."""

    def __init__(self, bucket: Path) -> None:
        self.bucket = bucket
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(time.time)

    def take(self, body: dict[str, Any]) -> PlatformJob:
        """The job of a create, running."""
        job = super().take(body)
        words = [word.replace(MOUNT, str(self.bucket), 1) for word in body["command"][1:]]
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            **body["secrets"],
        }
        command = [sys.executable, "-m", "bot.cli", *words]
        log = (self.bucket / f"{job.id}.log").open("wb")
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)
        self.processes[job.id] = process
        self.start(job)
        threading.Thread(target=self.watch, args=(job, process), daemon=True).start()
        return job

    def watch(self, job: PlatformJob, process: subprocess.Popen[bytes]) -> None:
        """The job ends with its process."""
        status = process.wait()
        self.end(job, SUCCEEDED if status == 0 else FAILED)

    def cancel(self, job: PlatformJob) -> None:
        """Ends the process at once."""
        self.end(job, CANCELLED)
        self.processes[job.id].kill()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        super().close()
