"""The jobs part of Hugging Face's wire, written from huggingface_hub 2.4's `run_job`, `list_jobs`, `inspect_job`: never run live."""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
    WAITING: "SCHEDULING",
    RUNNING: "RUNNING",
    SUCCEEDED: "COMPLETED",
    FAILED: "ERROR",
    CANCELLED: "CANCELED",
}
WORDS |= {TIMED_OUT: "ERROR"}
NAMESPACE = "northwind"
HARDWARE = [
    ("cpu-basic", "CPU Basic", "2 vCPU", "16 GB", None, 0.01),
    ("t4-small", "T4", "4 vCPU", "15 GB", "T4", 0.0067),
]
MUST = {"command": list, "arguments": list, "environment": dict, "flavor": str, "timeoutSeconds": int}
MUST |= {"labels": dict, "secrets": dict, "volumes": list, "dockerImage": str, "attempts": int}
LABEL = re.compile(r"[A-Za-z0-9_-]{1,100}")


class HuggingFaceServer(StandIn):
    """Jobs of one namespace."""

    name = "huggingface"

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == f"/api/jobs/{NAMESPACE}"

    def refusal(self, status: int) -> Answer:
        return Answer(status, {"error": "refused"}, headers={"X-Error-Message": "refused"})

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/jobs/hardware":
            return Answer(200, [hardware(*row) for row in HARDWARE])
        if self.is_create(request):
            return Answer(200, self.show(self.take(request.json)))
        if request.path == f"/api/jobs/{NAMESPACE}":
            label = request.query.get("label")
            jobs = [job for job in self.visible_jobs() if label in (None, f"trainwise={job.tag}")]
            return Answer(200, [self.show(job) for job in jobs])
        match = re.fullmatch(rf"/api/jobs/{NAMESPACE}/(\w+)(/cancel)?", request.path)
        job = self.job(match[1]) if match else None
        if match is None or job is None:
            return self.refusal(404)
        if match[2]:
            self.cancel(job)
        return Answer(200, self.show(job))

    def take(self, body: dict[str, Any]) -> PlatformJob:
        """The job of a create, its body checked against what the client's own `_create_job_spec` can make."""
        for name, kind in MUST.items():
            if not isinstance(body.get(name), kind):
                self.violations.append(f"{name} is {body.get(name)!r}")
        self.violations += [f"label {v!r}" for v in body.get("labels", {}).values() if not LABEL.fullmatch(v)]
        return self.make(body["labels"]["trainwise"], body)

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The job as the Hub shows it."""
        now = self.clock()
        message = "Job timeout" if job.stage == TIMED_OUT else None
        return {
            "id": job.id,
            "createdAt": datetime.fromtimestamp(job.made_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "dockerImage": job.body["dockerImage"],
            "command": job.body["command"],
            "arguments": [],
            "environment": {},
            "flavor": job.body["flavor"],
            "labels": job.body["labels"],
            "volumes": job.body["volumes"],
            "status": {"stage": job.odd_word or WORDS[job.stage], "message": message},
            "durations": {"runningSecs": int(job.ran_s(now))},
            "owner": {"id": "1", "name": NAMESPACE, "type": "org"},
        }


def hardware(name: str, label: str, cpu: str, ram: str, chip: str | None, usd: float) -> dict[str, Any]:
    """A row of the Hub's hardware."""
    accelerator = {"type": "gpu", "model": chip, "quantity": "1", "vram": "16 GB", "manufacturer": "Nvidia"}
    return {
        "name": name,
        "prettyName": label,
        "cpu": cpu,
        "ram": ram,
        "ephemeralStorage": "50 GB",
        "accelerator": accelerator if chip else None,
        "unitCostMicroUSD": int(usd * 1e6),
        "unitCostUSD": usd,
        "unitLabel": "minute",
    }


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Hugging Face Jobs before its stand-in."""
    return {
        "HF_TOKEN": KEY,
        "HF_ENDPOINT": standin.url,
        "TRAINWISE_HF_NAMESPACE": NAMESPACE,
        "TRAINWISE_HF_BUCKET": f"{NAMESPACE}/runs",
        "TRAINWISE_HF_RUNS_URL": runs_url,
        "TRAINWISE_IMAGE": IMAGE,
    }


WIRE = Wire(PLATFORMS["huggingface"], HuggingFaceServer, settings_for, "cpu-basic")
