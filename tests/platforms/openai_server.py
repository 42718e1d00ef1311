"""OpenAI's files, fine-tuning, models and chat wire, written from openai 3.54's types; requests are held to them. Never run live.

A tuned model answers a question with the answer of the training row that shares most words with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from openai.types.fine_tuning.job_create_params import JobCreateParams

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

WORDS = {
    WAITING: "queued",
    RUNNING: "running",
    SUCCEEDED: "succeeded",
    FAILED: "failed",
    CANCELLED: "cancelled",
    TIMED_OUT: "failed",
}
BASE = "gpt-4.1-nano-2025-04-14"
BASES = {BASE: None, "gpt-4.1-mini-2025-04-14": None}
RESULTS = "fine-tune-results"
STEPS, STEP_S = 30, 10.0
JOBS = "/v1/fine_tuning/jobs"


class OpenAiServer(StandIn):
    """Files, jobs and models of one account. A name of a file may be taken twice, as at the real one."""

    name = "openai"

    def __init__(self, clock: Callable[[], float]) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, str]] = {}
        self.questions: list[str] = []
        self.bases: dict[str, str | None] = dict(BASES)
        super().__init__(clock)

    def reset(self) -> None:
        super().reset()
        self.files.clear()
        self.models.clear()
        self.questions.clear()
        self.bases = dict(BASES)

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == JOBS

    def refusal(self, status: int) -> Answer:
        return Answer(status, {"error": {"message": "refused", "type": "error", "param": None, "code": None}})

    def answer(self, request: Request) -> Answer:
        _, _, kind, *rest = request.path.split("/")
        if kind == "files":
            return self.on_files(request, rest[0] if rest else "")
        if kind == "models":
            return self.on_models(request, "/".join(rest))
        if kind == "chat":
            return self.on_chat(request.json)
        if self.is_create(request):
            return Answer(200, self.show(self.take(request.json)))
        if request.path == JOBS:
            return self.listing(request)
        match = re.fullmatch(rf"{JOBS}/(\w+)(?:/(cancel|events))?", request.path)
        job = self.job(match[1]) if match else None
        if match is None or job is None:
            return self.refusal(404)
        if match[2] == "events":
            return Answer(200, page(self.events(job)))
        if match[2] == "cancel":
            if job.ended_at is not None:
                return self.refusal(400)
            self.cancel(job)
        return Answer(200, self.show(job))

    def listing(self, request: Request) -> Answer:
        """The jobs, newest first, by their metadata where the request names them."""
        tag = request.query.get("metadata[trainwise]")
        jobs = [self.show(job) for job in self.visible_jobs() if tag in (None, job.tag)]
        return Answer(200, page(jobs[::-1]))

    def on_files(self, request: Request, number: str) -> Answer:
        """Upload, list, show, delete."""
        if request.method == "POST":
            return Answer(200, self.keep(request))
        if not number:
            rows = [file_json(name, file) for name, file in self.files.items()]
            return Answer(200, page([row for row in rows if row["purpose"] == request.query["purpose"]]))
        if number not in self.files:
            return self.refusal(404)
        if request.method == "DELETE":
            del self.files[number]
            return Answer(200, {"id": number, "object": "file", "deleted": True})
        return Answer(200, file_json(number, self.files[number]))

    def keep(self, request: Request) -> dict[str, Any]:
        """A file from the form's parts, each line of it held to the shape of a chat."""
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = list(BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts())
        form = {part.get_param("name", header="content-disposition"): part for part in parts}
        data = form["file"].get_payload(decode=True)
        for line in data.decode().splitlines():
            roles = [message["role"] for message in json.loads(line)["messages"]]
            if roles != ["user", "assistant"]:
                self.violations.append(f"a chat of {roles}")
        fields = {name: part.get_payload() for name, part in form.items() if name != "file"}
        seconds = int(fields.get("expires_after[seconds]", "0"))
        if fields.get("purpose") != "fine-tune" or not 3600 <= seconds <= 2_592_000:
            self.violations.append(f"the form of a file {fields}")
        number = f"file-{self.requests:06d}"
        name = str(form["file"].get_filename())
        self.files[number] = {"filename": name, "data": data, "purpose": "fine-tune"}
        return file_json(number, self.files[number])

    def on_models(self, request: Request, name: str) -> Answer:
        """The list with its days of shutdown, and deletion of a tuned one."""
        if request.method == "DELETE":
            if self.models.pop(name, None) is None:
                return self.refusal(404)
            return Answer(200, {"id": name, "object": "model", "deleted": True})
        facts = {"object": "model", "created": 1, "owned_by": "system"}
        return Answer(
            200, page([{"id": name, "shutdown_date": day, **facts} for name, day in self.bases.items()])
        )

    def on_chat(self, body: dict[str, Any]) -> Answer:
        """A tuned model's answer; an option that it does not know is refused by its name."""
        if "chat_template_kwargs" in body:
            fault = {"message": "Unrecognized request argument: chat_template_kwargs", "param": None}
            return Answer(400, {"error": {**fault, "type": "invalid_request_error", "code": None}})
        lessons = self.models.get(body["model"])
        if lessons is None:
            return self.refusal(404)
        question = body["messages"][-1]["content"]
        self.questions.append(question)
        words, text = set(question.lower().split()), answer_to(question, lessons)
        usage = {"prompt_tokens": len(words), "completion_tokens": 3, "total_tokens": len(words) + 3}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": text},
        }
        facts = {"id": "chat-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        return Answer(200, {**facts, "choices": [choice], "usage": usage})

    def take(self, body: dict[str, Any]) -> PlatformJob:
        """The job of a create, its body held to the client's own type."""
        fields = JobCreateParams.__annotations__
        self.violations += [f"unknown field {name}" for name in body if name not in fields]
        self.violations += [f"{name} is no file" for name in files_of(body) if name not in self.files]
        if (
            len(body["suffix"]) > 64
            or body["model"] not in self.bases
            or set(body["metadata"]) != {"trainwise"}
        ):
            self.violations.append(f"the create {body}")
        epochs = body["method"]["supervised"]["hyperparameters"]["n_epochs"]
        if body["method"]["type"] != "supervised" or not isinstance(epochs, int):
            self.violations.append(f"the method {body['method']}")
        return self.make(body["metadata"]["trainwise"], body)

    def end(self, job: PlatformJob, stage: str) -> None:
        """A success leaves a model that has learned its rows."""
        if job.ended_at is None and stage == SUCCEEDED:
            file = self.files.get(job.body["training_file"], {"data": b""})
            chats = [json.loads(line)["messages"] for line in file["data"].decode().splitlines()]
            self.models[model_of(job)] = lessons_of((ask["content"], tell["content"]) for ask, tell in chats)
            for name in results_of(job):
                self.files[name] = {"filename": f"{name}.csv", "data": b"step,loss", "purpose": RESULTS}
            job.body = {**job.body, "tokens": len(file["data"]) // 4}
        super().end(job, stage)

    def events(self, job: PlatformJob) -> list[dict[str, Any]]:
        """The newest hundred, newest first: a word of the start, then a loss a step."""
        steps = min(STEPS, int(job.ran_s(self.clock()) // STEP_S))
        facts = {"object": "fine_tuning.job.event", "level": "info", "created_at": int(job.made_at)}
        rows = [{**facts, "id": "ev-0", "type": "message", "message": "Created", "data": {}}]
        for step in range(1, steps + 1):
            data = {"step": step, "train_loss": round(2.0 / step, 4), "total_steps": STEPS}
            message = f"Step {step}/{STEPS}"
            rows.append({**facts, "id": f"ev-{step}", "type": "metrics", "message": message, "data": data})
        return rows[::-1]

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The job as the wire shows it."""
        is_done, body = job.stage == SUCCEEDED, job.body
        fault = {"code": "x", "message": "The run failed.", "param": None}
        return {
            "id": job.id,
            "object": "fine_tuning.job",
            "created_at": int(job.made_at),
            "finished_at": None if job.ended_at is None else int(job.ended_at),
            "model": body["model"],
            "fine_tuned_model": model_of(job) if is_done else None,
            "organization_id": "org-1",
            "result_files": [name for name in results_of(job) if name in self.files],
            "status": job.odd_word or WORDS[job.stage],
            "training_file": body["training_file"],
            "validation_file": body.get("validation_file"),
            "hyperparameters": body["method"]["supervised"]["hyperparameters"],
            "trained_tokens": body["tokens"] if is_done else None,
            "error": fault if WORDS[job.stage] == "failed" else None,
            "seed": body["seed"],
            "metadata": body["metadata"],
        }


def model_of(job: PlatformJob) -> str:
    """The name of a tuned model: base, organisation, suffix, number."""
    return f"ft:{job.body['model']}:northwind:{job.body['suffix']}:{job.id}"


def files_of(body: dict[str, Any]) -> list[str]:
    """The files that a create names."""
    return [body[name] for name in ("training_file", "validation_file") if name in body]


def results_of(job: PlatformJob) -> list[str]:
    """The files that a job writes at its end."""
    return [f"file-{job.id}-{number}" for number in range(2)]


def file_json(number: str, file: dict[str, Any]) -> dict[str, Any]:
    """A file as the wire shows it."""
    facts = {"object": "file", "status": "processed", "bytes": len(file["data"]), "created_at": 1}
    return {"id": number, "filename": file["filename"], "purpose": file["purpose"], **facts}


def page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All rows on one page."""
    return {"object": "list", "data": rows, "has_more": False}


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of OpenAI's wire before its stand-in."""
    return {
        "TRAINWISE_OPENAI_KEY": KEY,
        "TRAINWISE_OPENAI_URL": f"{standin.url}/v1",
        "TRAINWISE_OPENAI_MODELS": f"{BASE}=1.50/0.20/0.80, gpt-4.1-mini-2025-04-14=5/0.80/3.20",
        "TRAINWISE_OPENAI_PRICES_DATE": "2026-11-29",
    }


WIRE = Wire(PLATFORMS["openai"], OpenAiServer, settings_for, BASE)
