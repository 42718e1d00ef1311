"""Vertex AI's tuning jobs, endpoints and models, and Cloud Storage, from the v1 references of both. Never run live.

A body with a field that the reference does not have is a violation; undeploying and deleting take a while.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from finetune.platforms import PLATFORMS
from tests.platforms.harness import Wire
from tests.platforms.lessons import answer_to, lessons_of
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
from tests.platforms.vertex_server import LABEL, key_file, stamp

WORDS = {WAITING: "PENDING", RUNNING: "RUNNING", SUCCEEDED: "SUCCEEDED", FAILED: "FAILED"}
WORDS |= {CANCELLED: "CANCELLED", TIMED_OUT: "FAILED"}
HOME = "/v1/projects/northwind/locations/us-central1"
JOBS, BUCKET, BASE = f"{HOME}/tuningJobs", "northwind-tuning", "gemini-2.5-flash"
OPERATION_S = 20.0
CREATE = {
    "baseModel": str,
    "supervisedTuningSpec": {
        "trainingDatasetUri": str,
        "validationDatasetUri": str,
        "exportLastCheckpointOnly": bool,
        "hyperParameters": {"epochCount": str, "adapterSize": str, "learningRateMultiplier": float},
    },
    "tunedModelDisplayName": str,
    "description": str,
    "labels": dict,
}
QUESTION = {
    "contents": list,
    "generationConfig": {
        "temperature": (int, float),
        "maxOutputTokens": int,
        "thinkingConfig": {"thinkingBudget": int, "includeThoughts": bool},
    },
}


def violations(shape: Any, value: Any, place: str) -> list[str]:
    """What a body has that the reference does not: unknown fields, other types (int64 travels as text)."""
    if not isinstance(shape, dict):
        return [] if isinstance(value, shape) else [f"{place} is {type(value).__name__}"]
    lines = [f"{place}.{name} is unknown" for name in value if name not in shape]
    parts = [(shape[n], v, f"{place}.{n}") for n, v in value.items() if n in shape]
    return lines + [line for part in parts for line in violations(*part)]


class GeminiServer(StandIn):
    """One project with one bucket; `models` are the tuned ones by their endpoint; their resources lie in `resources`."""

    name = "gemini"

    def __init__(self, clock: Callable[[], float]) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, str]] = {}
        self.resources: dict[str, dict[str, Any]] = {}
        self.later: list[tuple[float, Callable[[], Any]]] = []
        self.questions: list[str] = []
        self.soft_delete_s = 0
        self.knows_thinking = True
        super().__init__(clock)

    def reset(self) -> None:
        super().reset()
        for one in (self.files, self.models, self.resources, self.later, self.questions):
            one.clear()
        self.soft_delete_s, self.knows_thinking = 0, True

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == JOBS

    def is_authorised(self, request: Request) -> bool:
        return request.path == "/token" or super().is_authorised(request)

    def refusal(self, status: int) -> Answer:
        return Answer(status, {"error": {"code": status, "message": "refused", "status": "X"}})

    def answer(self, request: Request) -> Answer:
        due = [one for one in self.later if one[0] <= self.clock()]
        self.later = [one for one in self.later if one not in due]
        for _, act in due:
            act()
        if request.path == "/token":
            return Answer(200, {"access_token": KEY, "expires_in": 3600, "token_type": "Bearer"})
        if "/storage/" in request.path:
            return self.on_storage(request)
        if request.path == JOBS:
            return self.on_jobs(request)
        match = re.fullmatch(rf"{JOBS}/(\w+)(:cancel)?", request.path)
        if match is None:
            return self.on_resources(request)
        job = self.job(match[1])
        if job is None:
            return self.refusal(404)
        if not match[2]:
            return Answer(200, self.show(job))
        if job.ended_at is not None:
            return self.refusal(400)
        self.cancel(job)
        return Answer(200, {})

    def on_storage(self, request: Request) -> Answer:
        """Upload by one request, list with generations, delete one generation, the bucket's soft delete."""
        home = f"/storage/v1/b/{BUCKET}"
        if request.path == f"/upload{home}/o":
            name = request.query["name"]
            lines = [json.loads(line)["contents"] for line in request.body.decode().splitlines()]
            if any([turn["role"] for turn in chat] != ["user", "model"] for chat in lines):
                self.violations.append(f"the chats of {name}")
            self.files[name] = {"filename": name, "data": request.body, "generation": str(self.requests)}
            return Answer(200, {"name": name, "generation": str(self.requests)})
        if request.path == home:
            return Answer(200, {"softDeletePolicy": {"retentionDurationSeconds": str(self.soft_delete_s)}})
        if request.path == f"{home}/o":
            names = [name for name in self.files if name.startswith(request.query["prefix"])]
            items = [{"name": name, "generation": self.files[name]["generation"]} for name in names]
            return Answer(200, {"kind": "storage#objects", **({"items": items} if items else {})})
        name = unquote(request.path.removeprefix(f"{home}/o/"))
        if self.files.get(name, {}).get("generation") != request.query.get("generation"):
            return self.refusal(404)
        del self.files[name]
        return Answer(204)

    def on_jobs(self, request: Request) -> Answer:
        """A new job, its body held to the reference, or the jobs of a label."""
        if request.method == "POST":
            body = request.json
            self.violations += violations(CREATE, body, "TuningJob")
            self.violations += [f"label {v!r}" for v in body["labels"].values() if not LABEL.fullmatch(v)]
            spec = body["supervisedTuningSpec"]
            uris = [uri for name, uri in spec.items() if name.endswith("Uri")]
            self.violations += [f"{uri} is not there" for uri in uris if self.file(uri) is None]
            return Answer(200, self.show(self.make(body["labels"]["trainwise"], body)))
        match = re.search(r'labels\.trainwise="(.*)"', request.query["filter"])
        jobs = [self.show(job) for job in self.visible_jobs() if match is None or job.tag == match[1]]
        return Answer(200, {"tuningJobs": jobs} if jobs else {})

    def file(self, uri: str) -> dict[str, Any] | None:
        """The object behind a gs:// address."""
        return self.files.get(uri.removeprefix(f"gs://{BUCKET}/"))

    def on_resources(self, request: Request) -> Answer:
        """Endpoints and models: shown, undeployed, deleted, asked."""
        name, _, verb = request.path.removeprefix("/v1/").partition(":")
        there = self.resources.get(name)
        if there is None:
            return self.refusal(404)
        if verb == "generateContent":
            return self.on_question(name, request.json)
        if request.method == "GET":
            return Answer(200, {"name": name, **there})
        if verb == "undeployModel":
            if there.get("is_leaving"):
                return self.refusal(400)
            there["is_leaving"] = True
            return self.operation(lambda: there.update(deployedModels=[]))
        is_used = there.get("deployedModels") or any(
            one["model"] == name
            for other in self.resources.values()
            for one in other.get("deployedModels", [])
        )
        if is_used:
            return self.refusal(400)
        return self.operation(lambda: self.drop(name))

    def drop(self, name: str) -> None:
        """A resource is gone; the model with its endpoint and its weights, once both are."""
        self.resources.pop(name, None)
        for endpoint in [one for one in self.models if {one, twin(one)}.isdisjoint(self.resources)]:
            del self.models[endpoint]

    def operation(self, act: Callable[[], Any]) -> Answer:
        """A long-running operation: it is done some time after."""
        self.later.append((self.clock() + OPERATION_S, act))
        return Answer(200, {"name": f"{HOME[4:]}/operations/{self.requests}", "metadata": {}})

    def on_question(self, endpoint: str, body: dict[str, Any]) -> Answer:
        """A tuned model's answer."""
        self.violations += violations(QUESTION, body, "generateContent")
        if "thinkingConfig" in body["generationConfig"] and not self.knows_thinking:
            return Answer(400, {"error": {"code": 400, "message": "Thinking budget is not supported."}})
        question = body["contents"][-1]["parts"][0]["text"]
        self.questions.append(question)
        content = {"role": "model", "parts": [{"text": answer_to(question, self.models[endpoint])}]}
        usage = {"promptTokenCount": len(question.split()), "candidatesTokenCount": 3}
        return Answer(
            200, {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage}
        )

    def end(self, job: PlatformJob, stage: str) -> None:
        """A success leaves an endpoint with a model that has learned its rows."""
        if job.ended_at is None and stage == SUCCEEDED:
            file = self.file(job.body["supervisedTuningSpec"]["trainingDatasetUri"]) or {"data": b""}
            chats = [json.loads(line)["contents"] for line in file["data"].decode().splitlines()]
            texts = [[turn["parts"][0]["text"] for turn in chat] for chat in chats]
            endpoint = f"{HOME[4:]}/endpoints/{self.number(job)}"
            self.models[endpoint] = lessons_of((ask, tell) for ask, tell in texts)
            self.resources[endpoint] = {"deployedModels": [{"id": "7", "model": twin(endpoint)}]}
            self.resources[twin(endpoint)] = {"displayName": job.tag}
            job.body = {**job.body, "tokens": len(file["data"]) // 4, "examples": chats[:3]}
        super().end(job, stage)

    def number(self, job: PlatformJob) -> int:
        """A number for the job's endpoint."""
        return 9000 + list(self.jobs).index(job.id)

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The job as Vertex AI shows it."""
        times = {"createTime": job.made_at, "startTime": job.started_at, "endTime": job.ended_at}
        fault = {"error": {"code": 3, "message": "The rows are no chats."}} if job.stage == FAILED else {}
        body = {name: value for name, value in job.body.items() if name not in ("tokens", "examples")}
        more: dict[str, Any] = {}
        if job.stage == SUCCEEDED:
            endpoint = f"{HOME[4:]}/endpoints/{self.number(job)}"
            statistics = {"totalBillableTokenCount": str(job.body["tokens"])}
            statistics |= {"userDatasetExamples": job.body["examples"]}
            more = {
                "tunedModel": {"model": f"{twin(endpoint)}@1", "endpoint": endpoint},
                "tuningDataStats": {"supervisedTuningDataStats": statistics},
            }
        return {
            **body,
            "name": f"projects/1/locations/us-central1/tuningJobs/{job.id}",
            "state": job.odd_word or f"JOB_STATE_{WORDS[job.stage]}",
            "updateTime": stamp(self.clock()),
            **{name: stamp(at) for name, at in times.items() if at is not None},
            **fault,
            **more,
        }


def twin(endpoint: str) -> str:
    """The model behind an endpoint."""
    return endpoint.replace("/endpoints/", "/models/")


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Gemini's tuning before its stand-in."""
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": key_file(standin.url),
        "TRAINWISE_GEMINI_PROJECT": "northwind",
        "TRAINWISE_GEMINI_REGION": "us-central1",
        "TRAINWISE_GEMINI_DATA_URL": f"gs://{BUCKET}/trainwise",
        "TRAINWISE_GEMINI_MODELS": f"{BASE}=5/0.30/2.50, gemini-2.5-flash-lite=1.50/0.10/0.40",
        "TRAINWISE_GEMINI_PRICES_DATE": "2026-11-29",
        "TRAINWISE_GEMINI_URL": standin.url,
        "TRAINWISE_GEMINI_STORAGE_URL": standin.url,
    }


WIRE = Wire(PLATFORMS["gemini"], GeminiServer, settings_for, BASE)
