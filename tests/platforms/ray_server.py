"""Ray's Jobs API, written from ray 2.60's source and held to a real head once (tests/platforms/test_ray_cluster.py).

Its status may lie: a job whose machine is gone goes on reading RUNNING, or runs on while Ray has forgotten it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from finetune.platforms import PLATFORMS
from tests.platforms.harness import Wire
from tests.platforms.standin import (
    CANCELLED,
    FAILED,
    KEY,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    WAITING,
    Answer,
    PlatformJob,
    Request,
    StandIn,
)

FIELDS = {
    "entrypoint": str,
    "submission_id": str,
    "job_id": str,
    "runtime_env": dict,
    "metadata": dict,
    "entrypoint_num_cpus": (int, float),
    "entrypoint_num_gpus": (int, float),
    "entrypoint_memory": int,
    "entrypoint_resources": dict,
    "entrypoint_label_selector": dict,
}
"""Of ray.dashboard.modules.job.common.JobSubmitRequest; another name is refused with 400."""
WORDS = {
    WAITING: "PENDING",
    RUNNING: "RUNNING",
    SUCCEEDED: "SUCCEEDED",
    FAILED: "FAILED",
    CANCELLED: "STOPPED",
    TIMED_OUT: "STOPPED",
}
USD_AN_HOUR = 4.0


class RayServer(StandIn):
    """A head: a submission's id is taken for as long as its record stands."""

    name = "ray"
    has_fence = True
    is_open = False  # answers people without a token

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.liars: set[str] = set()  # nothing of these runs, and their records read RUNNING for ever

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == "/api/jobs/"

    def is_authorised(self, request: Request) -> bool:
        return self.is_open or super().is_authorised(request)

    def refusal(self, status: int) -> Answer:
        texts = {401: "Unauthorized: Missing authentication token", 404: "Job does not exist"}
        return text(status, texts.get(status, "No available agent to submit job, please try again later."))

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/version":
            return Answer(200, {"version": "4", "ray_version": "2.60.0", "session_name": "s"})
        if self.is_create(request):
            return self.take(request.json)
        if request.path == "/api/jobs/":
            return Answer(200, [self.show(job) for job in self.visible_jobs()])
        match = re.fullmatch(r"/api/jobs/([\w-]+)(/stop)?", request.path)
        job = self.job(match[1]) if match else None
        if match is None or job is None:
            return self.refusal(404)
        if match[2]:
            is_alive = job.ended_at is None
            if is_alive:
                self.cancel(job)
            return Answer(200, {"stopped": is_alive})
        if request.method == "DELETE":
            if job.ended_at is None or job.id in self.liars:
                return text(500, "RuntimeError: it is in a non-terminal state.")
            self.lose(job)
            return Answer(200, {"deleted": True})
        return Answer(200, self.show(job))

    def take(self, body: dict[str, Any]) -> Answer:
        """The job of a create, by the rules of Ray's JobSubmitRequest."""
        wrong = [name for name, value in body.items() if not isinstance(value, FIELDS.get(name, ()))]
        metadata, environment = body["metadata"], body["runtime_env"]["env_vars"]
        wrong += [
            repr(one) for one in (*metadata.values(), *environment.values()) if not isinstance(one, str)
        ]
        if wrong:
            self.violations.append(f"a create with {wrong}")
            return text(400, f"TypeError: unexpected {wrong}")
        if body["submission_id"] in self.jobs:
            return text(500, f"ValueError: Job with submission_id {body['submission_id']} already exists.")
        job = self.make(body["submission_id"], body)
        del self.jobs[job.id]
        job.id = job.tag
        self.jobs[job.id] = job
        return Answer(200, {"job_id": job.id, "submission_id": job.id})

    def die(self, job: PlatformJob) -> None:
        """The head was lost: nothing runs and the record reads RUNNING, or the driver runs on without a record."""
        if self.creates % 2 or job.started_at is None:
            self.end(job, FAILED)
            self.liars |= {job.id} if job.started_at is not None else set()
        else:
            self.lose(job)
            job.is_orphan = True

    def word(self, job: PlatformJob) -> str:
        """The status that Ray shows."""
        return "RUNNING" if job.id in self.liars else job.odd_word or WORDS[job.stage]

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The record of a job."""
        word = self.word(job)
        is_over = word in ("STOPPED", "SUCCEEDED", "FAILED") and job.ended_at is not None
        return {
            "type": "SUBMISSION",
            "job_id": None,
            "submission_id": job.id,
            "driver_info": None,
            "status": word,
            "entrypoint": job.body["entrypoint"],
            "message": "Job is currently running." if word == "RUNNING" else "",
            "error_type": None,
            "start_time": int(1000 * (job.started_at or job.made_at)),
            "end_time": int(1000 * (job.ended_at or 0)) if is_over else None,
            "metadata": job.body["metadata"],
            "runtime_env": job.body["runtime_env"],
            "driver_exit_code": None,
        }


def text(status: int, words: str) -> Answer:
    """Ray's errors are plain text."""
    return Answer(status, words.encode(), "text/plain; charset=utf-8")


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of a cluster before its stand-in."""
    return {
        "TRAINWISE_RAY_ADDRESS": standin.url,
        "TRAINWISE_RAY_TOKEN": KEY,
        "TRAINWISE_RAY_RUNS_URL": runs_url,
        "TRAINWISE_RAY_MACHINES": f"2x1gpu={USD_AN_HOUR}, 2x1cpu=0.1",
    }


WIRE = Wire(PLATFORMS["ray"], RayServer, settings_for, "2x1gpu")
