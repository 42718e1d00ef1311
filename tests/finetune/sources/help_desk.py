"""A help desk on 127.0.0.1: tickets that change, faults at will, and one subclass for each wire. Never run live."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from finetune.sources.contract import Source

TOKEN = "token-of-the-test-4711-abcdef"
BEGINNING = 1_760_000_000
NOTE = "INTERNAL-NOTE-nobody-asked-for"
QUEUES = ("Billing", "Login")
WORDS = """invoice refund charge password screen cable printer export import address parcel lamp window garden bicycle
kitchen coffee morning evening station ticket bridge river mountain forest pencil paper bottle engine battery""".split()  # noqa: SIM905 - a list of words reads best as words


@dataclass
class DeskTicket:
    """One ticket; `queue` "" has none yet, `updated_at` in Unix seconds."""

    id: int
    text: str
    queue: str
    updated_at: int
    requester: str = ""
    is_deleted: bool = False
    is_answered: bool | None = None

    @property
    def subject(self) -> str:
        return f"Question {self.id}"

    @property
    def created_at(self) -> int:
        return BEGINNING + self.id


@dataclass(frozen=True)
class Comment:
    """One message below a ticket: by its customer, an agent or a program, for the customer to read or not."""

    who: str
    text: str
    is_public: bool = True


def talk(one: DeskTicket) -> list[Comment]:
    """What was said below a ticket, in order: every sixth was never answered in public, unless it says otherwise."""
    note = Comment("agent", f"{NOTE}: number {one.id} pays late", is_public=False)
    robot = Comment("robot", f"ROBOT has received number {one.id}")
    more = Comment("customer", f"It is number {one.id} in the list.")
    if not (one.id % 6 if one.is_answered is None else one.is_answered):
        return [note, more, note]
    reply = f"Hello Ada Quimby, number {one.id} is repaired, write to agent{one.id}@acme.example else."
    return [note, robot, more, Comment("agent", reply), note, Comment("agent", "Closed now.")]


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
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True)
class Answer:
    """Status, JSON and headers."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def iso(seconds: float) -> str:
    """As most APIs write a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """The time that `iso` wrote."""
    return datetime.fromisoformat(text).timestamp()


def ticket(number: int, queue: str | None = None) -> DeskTicket:
    """A ticket that says something of its own, with an address in it."""
    words = " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 7, 11))
    text = (
        f"The {words} number {number} does not work since Monday. Write to person{number}@example.org please."
    )
    return DeskTicket(
        number, text, queue or QUEUES[number % 2], BEGINNING + 60 * number, f"customer-{number % 9}"
    )


class HelpDesk:
    """The state that every wire shares; subclasses answer requests. `page` is the most rows of one answer."""

    source: Source
    project = ""
    has_cursors = True
    tells_deletions = False

    def __init__(self, count: int = 24, page: int = 5) -> None:
        self.tickets = [ticket(number) for number in range(1, count + 1)]
        self.page = page
        self.token = TOKEN
        self.requests: list[Request] = []
        self.rows = 0
        self.faults: dict[int, Answer] = {}
        self.before: Callable[[int], None] = lambda number: None
        self.generation = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"desk": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()

    def settings(self) -> dict[str, str]:
        """The settings of the source before this desk."""
        raise NotImplementedError

    def is_authorised(self, request: Request) -> bool:
        """Whether the request bears the token."""
        raise NotImplementedError

    def answer(self, request: Request) -> Answer:
        """The wire's answer to a request that no fault befell."""
        raise NotImplementedError

    def refusal(self, status: int, text: str = "refused") -> Answer:
        """The wire's own shape of an error."""
        return Answer(status, {"error": text})

    def changed_since(self, since: float) -> list[DeskTicket]:
        """The tickets that changed at or after a time, in that order."""
        matches = [one for one in self.tickets if one.updated_at >= since]
        return sorted(matches, key=lambda one: (one.updated_at, one.id))

    def serve(self, tickets: list[DeskTicket]) -> list[DeskTicket]:
        """Counts what goes out."""
        self.rows += len(tickets)
        return tickets

    def touch(self, number: int, **changes: Any) -> None:
        """Changes a ticket, now."""
        one = next(one for one in self.tickets if one.id == number)
        for name, value in changes.items():
            setattr(one, name, value)
        one.updated_at = max(other.updated_at for other in self.tickets) + 60

    def add(self, *tickets: DeskTicket) -> None:
        """New tickets, changed last."""
        for one in tickets:
            one.updated_at = max(other.updated_at for other in self.tickets) + 60
            self.tickets.append(one)

    def handle(self, request: Request) -> Answer:
        """The answer to one request; faults are by its number, the first is 1."""
        self.requests.append(request)
        number = len(self.requests)
        self.before(number)
        if fault := self.faults.pop(number, None):
            return fault
        if not self.is_authorised(request):
            return self.refusal(401)
        return self.answer(request)


class _Handler(BaseHTTPRequestHandler):
    desk: HelpDesk

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def _do(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            self.command, parts.path, dict(parse_qsl(parts.query)), headers, self.rfile.read(size)
        )
        answer = self.desk.handle(request)
        data = answer.value if isinstance(answer.value, bytes) else json.dumps(answer.value).encode()
        self.send_response_only(answer.status)
        for name, value in {"date": self.date_time_string(), **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
