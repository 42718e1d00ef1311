"""Vertex AI's custom jobs and Google's token address, written from the v1 reference of customJobs. Never run live."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finetune.platforms import PLATFORMS
from tests.platforms.harness import IMAGE, Wire
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

WORDS = {
    WAITING: "PENDING",
    RUNNING: "RUNNING",
    SUCCEEDED: "SUCCEEDED",
    FAILED: "FAILED",
    CANCELLED: "CANCELLED",
}
WORDS |= {TIMED_OUT: "FAILED"}
HOME = "/v1/projects/northwind/locations/us-central1/customJobs"
LABEL = re.compile(r"[a-z0-9_-]{1,64}")
POOL = {"machineSpec", "replicaCount", "containerSpec", "diskSpec"}


class VertexServer(StandIn):
    """Custom jobs of one project."""

    name = "vertex"

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == HOME

    def is_authorised(self, request: Request) -> bool:
        return request.path == "/token" or super().is_authorised(request)

    def answer(self, request: Request) -> Answer:
        if request.path == "/token":
            return Answer(200, {"access_token": KEY, "expires_in": 3600, "token_type": "Bearer"})
        if self.is_create(request):
            return Answer(200, self.show(self.take(request.json)))
        if request.path == HOME:
            match = re.search(r'labels\.trainwise="(.*)"', request.query["filter"])
            jobs = [job for job in self.visible_jobs() if match is None or job.tag == match[1]]
            return Answer(200, {"customJobs": [self.show(job) for job in jobs]} if jobs else {})
        match = re.fullmatch(rf"{HOME}/(\w+)(:cancel)?", request.path)
        job = self.job(match[1]) if match else None
        if match is None or job is None:
            return self.refusal(404)
        if not match[2]:
            return Answer(200, self.show(job))
        if job.ended_at is not None:
            return self.refusal(400)
        self.cancel(job)
        return Answer(200, {})

    def take(self, body: dict[str, Any]) -> PlatformJob:
        """The job of a create, its body held to the reference's fields and Google's rules for labels."""
        if set(body) != {"displayName", "labels", "jobSpec"}:
            self.violations.append(f"fields {sorted(body)}")
        pool = body["jobSpec"]["workerPoolSpecs"][0]
        if set(pool) - POOL or not isinstance(pool["replicaCount"], str):
            self.violations.append(f"pool {pool}")
        if not re.fullmatch(r"\d+s", body["jobSpec"]["scheduling"]["timeout"]):
            self.violations.append("the timeout is no duration")
        self.violations += [f"label {v!r}" for v in body["labels"].values() if not LABEL.fullmatch(v)]
        return self.make(body["labels"]["trainwise"], body)

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The job as Vertex shows it."""
        times = {"createTime": job.made_at, "startTime": job.started_at, "endTime": job.ended_at}
        fault = {"error": {"code": 4, "message": "deadline exceeded"}} if job.stage == TIMED_OUT else {}
        return {
            **job.body,
            "name": f"projects/1/locations/us-central1/customJobs/{job.id}",
            "state": job.odd_word or f"JOB_STATE_{WORDS[job.stage]}",
            "updateTime": stamp(self.clock()),
            **{name: stamp(at) for name, at in times.items() if at is not None},
            **fault,
        }


def stamp(at: float) -> str:
    """A time as Google writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def key_file(url: str) -> str:
    """A service account's key file made for the test; its token address is the stand-in."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    coding, shape = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(coding, shape, serialization.NoEncryption()).decode()
    info = {"type": "service_account", "client_email": "bot@northwind.iam", "private_key": pem}
    path = Path(tempfile.mkdtemp(prefix="tw")) / "key.json"
    path.write_text(json.dumps({**info, "private_key_id": "1", "token_uri": f"{url}/token"}))
    return str(path)


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Vertex AI before its stand-in."""
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": key_file(standin.url),
        "TRAINWISE_VERTEX_PROJECT": "northwind",
        "TRAINWISE_VERTEX_REGION": "us-central1",
        "TRAINWISE_VERTEX_URL": standin.url,
        "TRAINWISE_VERTEX_RUNS_URL": runs_url,
        "TRAINWISE_VERTEX_IMAGE": IMAGE,
        "TRAINWISE_VERTEX_MACHINES": "n1-standard-4=0.22, g2-standard-4+NVIDIA_L4=0.71",
    }


WIRE = Wire(PLATFORMS["vertex"], VertexServer, settings_for, "g2-standard-4+NVIDIA_L4")
