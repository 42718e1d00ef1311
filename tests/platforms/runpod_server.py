"""RunPod's REST v2, written from its OpenAPI (2026-08): bodies are held to the fields that it knows. Never run live."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from finetune.platforms import PLATFORMS
from tests.platforms.harness import IMAGE, Wire
from tests.platforms.standin import KEY, RUNNING, WAITING, Answer, PlatformJob, Request, StandIn

KNOWN = {
    "name",
    "image",
    "args",
    "env",
    "gpu",
    "cpu",
    "cloud",
    "dataCenterIds",
    "disk",
    "mounts",
    "registry",
    "ports",
}
KINDS = {
    "name": str,
    "image": str,
    "args": str,
    "disk": int,
    "gpu": dict,
    "mounts": dict,
    "dataCenterIds": list,
}
GPU = "NVIDIA L4"
USD_AN_HOUR = 0.43


class RunPodServer(StandIn):
    """Pods: nothing ends them but DELETE."""

    name = "runpod"

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == "/v2/pods"

    def answer(self, request: Request) -> Answer:
        if self.is_create(request):
            return Answer(201, self.show(self.take(request.json)))
        if request.path == "/v2/pods":
            return Answer(200, {"pods": [self.show(job) for job in self.visible_jobs()]})
        if request.path == "/v2/catalog/gpus":
            row = {"id": GPU, "displayName": "L4", "memory": 24, "stock": "HIGH"}
            return Answer(200, {"gpus": [{**row, "price": {"secure": USD_AN_HOUR, "community": None}}]})
        if request.path == "/v2/billing/pods":
            job = self.jobs.get(request.query["podId"])
            usd = job.ran_s(self.clock()) / 3600 * USD_AN_HOUR if job else 0.0
            return Answer(200, {"records": [], "metadata": {"totals": {"totalAmount": usd}}})
        match = re.fullmatch(r"/v2/pods/(\w+)", request.path)
        job = self.job(match[1]) if match else None
        if job is None:
            return self.refusal(404)
        if request.method == "DELETE":
            job.ended_at = self.clock()
            self.lose(job)
            return Answer(204)
        return Answer(200, self.show(job))

    def end(self, job: PlatformJob, stage: str) -> None:
        """The container has ended; the pod has not."""
        if job.ended_at is None and not job.is_gone:
            job.stage, job.odd_word = stage, ""

    def running(self) -> list[PlatformJob]:
        """Every pod that is not deleted is billed."""
        return [job for job in self.jobs.values() if not job.is_gone]

    def take(self, body: dict[str, Any]) -> PlatformJob:
        """The pod of a create; unknown fields are refused by the real one."""
        self.violations += [f"unknown field {name}" for name in body if name not in KNOWN]
        self.violations += [
            f"{n} is {body.get(n)!r}" for n, kind in KINDS.items() if not isinstance(body.get(n), kind)
        ]
        network = body["mounts"]["network"]
        if (
            len(network) != 1
            or set(network[0]) != {"volumeId", "path"}
            or set(body["gpu"]) != {"id", "count"}
        ):
            self.violations.append(f"mounts {network}, gpu {body['gpu']}")
        return self.make(body["name"], body)

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The pod; one whose container has ended reads EXITED, and is billed."""
        word = {WAITING: "PROVISIONING", RUNNING: "RUNNING"}.get(job.stage, "EXITED")
        began = job.started_at
        return {
            "id": job.id,
            "name": job.tag,
            "image": job.body["image"],
            "status": job.odd_word or word,
            "cost": USD_AN_HOUR,
            "gpu": job.body["gpu"],
            "createdAt": datetime.fromtimestamp(job.made_at, UTC).isoformat(),
            "startedAt": datetime.fromtimestamp(began, UTC).isoformat() if began else None,
        }


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of RunPod before its stand-in."""
    return {
        "RUNPOD_API_KEY": KEY,
        "TRAINWISE_RUNPOD_URL": f"{standin.url}/v2",
        "TRAINWISE_RUNPOD_VOLUME": "vol123",
        "TRAINWISE_RUNPOD_DATA_CENTER": "EU-RO-1",
        "TRAINWISE_RUNPOD_RUNS_URL": runs_url,
        "TRAINWISE_IMAGE": IMAGE,
    }


WIRE = Wire(PLATFORMS["runpod"], RunPodServer, settings_for, GPU)
