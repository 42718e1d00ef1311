"""Replicate's HTTP API for trainings, models and files, from its published reference. Never run live.

A container's folder is its own: the archive is unpacked there as the training starts, what it writes shows in the training's
log, its result as the output. All that is gone an hour after the end, as is the folder at the end.
"""

from __future__ import annotations

import email
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from finetune.platforms import PLATFORMS
from finetune.platforms.replicate import ECHO, echo
from finetune.platforms.runs import RunStore
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

OWNER, TRAINER, VERSION = "acme", "acme/trainwise", "5c7d5dc6"
WORDS = {
    WAITING: "starting",
    RUNNING: "processing",
    SUCCEEDED: "succeeded",
    FAILED: "failed",
    CANCELLED: "canceled",
    TIMED_OUT: "failed",
}
INPUTS = {"run", "tag", "bot_key", "run_key"}
MODEL_FIELDS = {"owner", "name", "visibility", "hardware", "description"}
KEPT_S = 3600.0
PAGE = 3  # rows; the real one has a hundred


class ReplicateServer(StandIn):
    """`place` is where the containers' folders are; `models` are destinations with the versions that were pushed to them."""

    name = "replicate"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.files: dict[str, dict[str, Any]] = {}
        self.models: dict[str, list[str]] = {}
        self.place: RunStore | None = None
        self.left: dict[str, tuple[str, bytes]] = {}

    def reset(self) -> None:
        super().reset()
        self.files.clear()
        self.models.clear()
        self.left.clear()

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path.endswith("/trainings")

    def refusal(self, status: int) -> Answer:
        return Answer(status, {"title": "refused", "detail": "refused", "status": status})

    def answer(self, request: Request) -> Answer:
        parts = request.path.removeprefix("/v1/").split("/")
        if parts[0] == "files":
            return self.answer_files(request, parts[1:])
        if parts[0] == "trainings":
            return self.answer_trainings(request, parts[1:])
        if parts[0] == "models":
            return self.answer_models(request, parts[1:])
        if parts[0] == "output":
            return Answer(200, self.left[parts[1]][1], "application/zip")
        return self.refusal(404)

    def page(self, request: Request, rows: list[Any]) -> Answer:
        """One page of a listing, with the address of the next."""
        start = int(request.query.get("cursor") or 0)
        more = start + PAGE < len(rows)
        after = f"{self.url}{request.path}?cursor={start + PAGE}" if more else None
        return Answer(200, {"next": after, "previous": None, "results": rows[start : start + PAGE]})

    def answer_files(self, request: Request, parts: list[str]) -> Answer:
        """POST multipart, GET, DELETE."""
        if request.method == "POST":
            head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
            pieces: Any = email.message_from_bytes(head + request.body).get_payload()
            content = next(
                one for one in pieces if one.get_param("name", header="content-disposition") == "content"
            )
            number = f"file{self.requests:06d}"
            row = {"filename": content.get_filename(), "data": content.get_payload(decode=True)}
            self.files[number] = row
            return Answer(201, self.show_file(number))
        if parts and parts[0] not in self.files:
            return self.refusal(404)
        if request.method == "DELETE":
            del self.files[parts[0]]
            return Answer(204)
        return self.page(request, [self.show_file(number) for number in reversed(self.files)])

    def show_file(self, number: str) -> dict[str, Any]:
        """A file of the account."""
        url = f"{self.url}/v1/files/{number}"
        return {"id": number, "name": self.files[number]["filename"], "metadata": {}, "urls": {"get": url}}

    def answer_models(self, request: Request, parts: list[str]) -> Answer:
        """The destinations, and the create of a training below a model's version."""
        if self.is_create(request):
            return Answer(201, self.show(self.take(request, parts)))
        if request.method == "POST":
            body = request.json
            self.violations += [f"unknown field {name}" for name in body if name not in MODEL_FIELDS]
            name = f"{body['owner']}/{body['name']}"
            if name in self.models or body["visibility"] != "private":
                return self.refusal(409)
            self.models[name] = []
            return Answer(201, {"owner": body["owner"], "name": body["name"]})
        name = "/".join(parts[:2])
        versions = self.models.get(name)
        if versions is None:
            return self.refusal(404)
        if len(parts) == 3:
            return self.page(request, [{"id": one} for one in versions])
        if request.method == "DELETE" and len(parts) == 4:
            versions.remove(parts[3])
            return Answer(202)
        if request.method == "DELETE":
            if versions:
                return self.refusal(400)
            del self.models[name]
            return Answer(204)
        return Answer(200, {"owner": parts[0], "name": parts[1]})

    def take(self, request: Request, parts: list[str]) -> PlatformJob:
        """The training of a create."""
        body = request.json
        facts = {
            "path": parts == [*TRAINER.split("/"), "versions", VERSION, "trainings"],
            "body": set(body) == {"destination", "input"},
            "input": set(body["input"]) == INPUTS and all(isinstance(v, str) for v in body["input"].values()),
            "file": body["input"]["run"].rpartition("/")[2] in self.files,
            "destination": body["destination"] in self.models,
        }
        self.violations += [f"{name} of {body}" for name, holds in facts.items() if not holds]
        return self.make(body["destination"].rpartition("/")[2], body)

    def answer_trainings(self, request: Request, parts: list[str]) -> Answer:
        """GET one or all, POST cancel."""
        if not parts:
            return self.page(request, [self.show(job) for job in reversed(self.visible_jobs())])
        job = self.job(parts[0])
        if job is None:
            return self.refusal(404)
        if parts[1:] == ["cancel"]:
            if job.ended_at is None:
                self.cancel(job)
            return Answer(200, self.show(job))
        return Answer(200, self.show(job, is_whole=True))

    def show(self, job: PlatformJob, is_whole: bool = False) -> dict[str, Any]:
        """A training; a listing leaves its log and output out."""
        is_kept = job.ended_at is None or self.clock() - job.ended_at < KEPT_S
        log, output = self.left.get(job.id, ("", b""))
        if job.stage == RUNNING:
            log = self.log_of(job)
        url = f"{self.url}/v1/output/{job.id}"
        shown = is_whole and is_kept
        return {
            "id": job.id,
            "model": TRAINER,
            "version": VERSION,
            "destination": f"{OWNER}/{job.tag}",
            "status": job.odd_word or WORDS[job.stage],
            "input": {**job.body["input"], "run_key": "**********"} if is_kept else {},
            "logs": log if shown else "",
            "output": {"version": f"{OWNER}/{job.tag}:v1", "weights": url} if shown and output else None,
            "error": "stopped" if job.stage == TIMED_OUT else None,
            "created_at": iso(job.made_at),
            "started_at": iso(job.started_at),
            "completed_at": iso(job.ended_at),
        }

    def start(self, job: PlatformJob) -> None:
        """A container begins: the archive is unpacked in its folder."""
        super().start(job)
        file = self.files.get(job.body["input"]["run"].rpartition("/")[2])
        if file is not None and self.place is not None:
            with zipfile.ZipFile(BytesIO(file["data"])) as archive:
                for name in archive.namelist():
                    self.place.write(job.tag, name, archive.read(name))

    def end(self, job: PlatformJob, stage: str) -> None:
        """The training ends: its log stays for an hour, its output too where it succeeded; its folder goes."""
        if job.ended_at is None and self.place is not None and job.started_at is not None:
            output = self.output_of(job) if stage == SUCCEEDED else b""
            self.left[job.id] = (self.log_of(job), output)
            if output and f"{OWNER}/{job.tag}" in self.models:
                self.models[f"{OWNER}/{job.tag}"].append("v1")
        super().end(job, stage)
        if self.place is not None and not [one for one in self.running() if one.tag == job.tag]:
            self.place.erase(job.tag)

    def objects(self, job: PlatformJob) -> dict[str, bytes]:
        """What lies in the container's folder."""
        folder = Path(self.place.url if self.place is not None else "/nowhere") / job.tag
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    def log_of(self, job: PlatformJob) -> str:
        """The container's log: what bears the run's proof is printed there, between other lines."""
        lines = [
            echo(path, data.decode()) for path, data in self.objects(job).items() if ECHO.fullmatch(path)
        ]
        return "\n".join(["Downloading the archive", *lines, json.dumps({"kind": "note"})])

    def output_of(self, job: PlatformJob) -> bytes:
        """The archive of the result."""
        data = BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for path, content in self.objects(job).items():
                if re.fullmatch(r"files/.*|report\.json", path):
                    archive.writestr(path, content)
        return data.getvalue()


def iso(at: float | None) -> str | None:
    """A time as Replicate writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z") if at is not None else None


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Replicate before its stand-in."""
    return {
        "REPLICATE_API_TOKEN": KEY,
        "TRAINWISE_REPLICATE_URL": f"{standin.url}/v1",
        "TRAINWISE_REPLICATE_OWNER": OWNER,
        "TRAINWISE_REPLICATE_TRAINERS": f"{TRAINER}:{VERSION}=3.51",
        "TRAINWISE_REPLICATE_FOLDER": runs_url,
    }


WIRE = Wire(PLATFORMS["replicate"], ReplicateServer, settings_for, f"{TRAINER}:{VERSION}")
