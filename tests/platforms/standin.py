"""A platform on 127.0.0.1: stateful jobs, faults at will, and one subclass for each wire. Never run live.

Its clock is the test's. A request is handled whole (the job is made) before a fault cuts or holds the answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "secret-key-of-the-test-0123456789"
SILENCE_S = 0.12
"""Longer than the clients wait in tests."""
RUNNING, WAITING, SUCCEEDED, FAILED, CANCELLED, TIMED_OUT = (
    "running",
    "waiting",
    "succeeded",
    "failed",
    "cancelled",
    "timed out",
)
BILLED = (WAITING, RUNNING)


@dataclass
class PlatformJob:
    """One job: `stage` in plain words, which each wire says in its own; `odd_word` is said in its place."""

    id: str
    tag: str
    body: Mapping[str, Any]
    made_at: float
    stage: str = WAITING
    odd_word: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    is_gone: bool = False
    gone_at: float | None = None
    is_orphan: bool = False  # the platform has forgotten it, and it runs on

    def ran_s(self, now: float) -> float:
        """The seconds that are billed."""
        if self.started_at is None:
            return 0.0
        return max(0.0, (self.ended_at if self.ended_at is not None else now) - self.started_at)


@dataclass(frozen=True)
class Request:
    """A request as a wire reads it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON, {} where it has none."""
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True)
class Answer:
    """Status and JSON, or other bytes."""

    status: int = 200
    value: Any = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The body's bytes."""
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()


class StandIn:
    """The state that every wire shares; subclasses answer requests and say how a job looks."""

    name = ""
    has_fence = False  # whether a container shows life, and leaves where it has lost its claim

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.jobs: dict[str, PlatformJob] = {}
        self.create_faults: list[str] = []
        self.read_faults: list[str] = []
        self.is_key_good = True
        self.lag_s = 0.0
        self.creates = 0
        self.requests = 0
        self.violations: list[str] = []
        self.on_cancel: Callable[[PlatformJob], None] = lambda job: None
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"standin": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """As after the start."""
        with self._lock:
            self.jobs.clear()
            self.create_faults.clear()
            self.read_faults.clear()
            self.violations.clear()
            self.is_key_good, self.lag_s, self.creates = True, 0.0, 0

    def finish_calls(self) -> None:
        """Returns once no client still makes a call that its caller has given up: the test's clock must not run ahead of it."""

    def is_create(self, request: Request) -> bool:
        """Whether the request makes a job."""
        raise NotImplementedError

    def is_authorised(self, request: Request) -> bool:
        """Whether the request bears the key."""
        return request.headers.get("authorization") == f"Bearer {KEY}"

    def answer(self, request: Request) -> Answer:
        """The wire's answer to a request that no fault befell."""
        raise NotImplementedError

    def refusal(self, status: int) -> Answer:
        """The wire's own shape of an error."""
        return Answer(status, {"error": "refused"})

    def make(self, tag: str, body: Mapping[str, Any]) -> PlatformJob:
        """A new job under a tag."""
        self.creates += 1
        job = PlatformJob(f"{self.name[:2]}job{self.creates:06d}", tag, dict(body), self.clock())
        self.jobs[job.id] = job
        return job

    def job(self, job_id: str) -> PlatformJob | None:
        """The job, None where the platform does not know it."""
        job = self.jobs.get(job_id)
        return None if job is None or job.is_gone else job

    def visible_jobs(self) -> list[PlatformJob]:
        """The jobs that a listing shows: the newest come with a lag."""
        now = self.clock()
        return [job for job in self.jobs.values() if not job.is_gone and now - job.made_at >= self.lag_s]

    def start(self, job: PlatformJob) -> None:
        """A machine has been found."""
        job.stage, job.started_at = RUNNING, self.clock()

    def end(self, job: PlatformJob, stage: str) -> None:
        """The job ends at the platform."""
        if job.ended_at is None:
            job.stage, job.ended_at, job.odd_word = stage, self.clock(), ""

    def lose(self, job: PlatformJob) -> None:
        """The platform does not know the job any more."""
        job.is_gone, job.gone_at = True, self.clock()

    def die(self, job: PlatformJob) -> None:
        """The machine is gone; the platform says so, or does not."""
        self.end(job, FAILED)

    def doubles(self) -> list[str]:
        """The tags of jobs that were made while an earlier one of the same tag was still there to be found."""
        jobs = sorted(self.jobs.values(), key=lambda job: job.made_at)
        return [
            later.tag
            for at, later in enumerate(jobs)
            for earlier in jobs[:at]
            if earlier.tag == later.tag and (earlier.gone_at is None or earlier.gone_at > later.made_at)
        ]

    def cancel(self, job: PlatformJob) -> None:
        """A cancel has come in: it ends at the test's word, as real ones take their time."""
        self.on_cancel(job)

    def running(self) -> list[PlatformJob]:
        """What is billed now."""
        return [job for job in self.jobs.values() if job.stage in BILLED and job.ended_at is None]

    def handle(self, request: Request) -> tuple[Answer, str]:
        """The answer, and what befalls it on the way: "", "cut" or "silent"."""
        with self._lock:
            self.requests += 1
            is_create = self.is_create(request)
            faults = self.create_faults if is_create else self.read_faults
            fault = faults.pop(0) if faults else ""
            if fault == "503":
                return self.refusal(503), ""
            if fault == "429":
                answer = self.refusal(429)
                return Answer(429, answer.value, answer.content_type, {"Retry-After": "20"}), ""
            if fault == "html":
                return Answer(200, b"<html><body>Maintenance</body></html>", "text/html"), ""
            if not self.is_key_good or not self.is_authorised(request):
                return self.refusal(401), ""
            try:
                return self.answer(request), fault
            except Exception as error:  # a stand-in that breaks is a broken test, not a fault of the platform
                self.violations.append(f"the stand-in broke on {request.method} {request.path}: {error!r}")
                return self.refusal(503), ""


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_expect_100(self) -> bool:
        """Says at once that the body may come, as S3 does: a client that hears nothing waits a second."""
        is_welcome = super().handle_expect_100()
        self.wfile.flush()
        return is_welcome

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size) if size else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, parts.path, query, headers, body)
        answer, fault = self.standin.handle(request)
        if fault == "cut":
            self.close_connection = True
            self.connection.close()
            return
        if fault == "silent":
            time.sleep(SILENCE_S)
            self.close_connection = True
            return
        data = answer.data if answer.value is not None else b""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
            self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = do_PATCH = _serve

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the test's clock."""
        return super().date_time_string(self.standin.clock())

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
