"""A model hub on 127.0.0.1: the part of Hugging Face's wire format that the installed huggingface_hub uses.

Repositories, preupload, Git LFS and Xet uploads, commits, listings, downloads with ETag and X-Repo-Commit, and its
refusals. Written from huggingface_hub 2.4's source (hf_api, _commit_api, lfs, file_download): never run live.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.xet_server import XetStore

BINARY = (".safetensors", ".bin", ".npz", ".png")
UNKNOWN_TOKEN = "Invalid credentials in Authorization header"
XET_TOKEN = "xet-access"
Route = tuple[str, str, Callable[..., None]]


@dataclass(frozen=True)
class Account:
    """Who a token belongs to; `reads` are the gated repositories whose licence was accepted."""

    name: str
    writes: bool = True
    reads: tuple[str, ...] = ()


@dataclass
class Repository:
    """Files by path: their bytes, or the sha256 of what lies in the large-file storage."""

    private: bool = False
    gate: bool = False
    files: dict[str, bytes | str] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    revisions: dict[str, dict[str, bytes | str]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """The newest commit."""
        return hashlib.sha1(str((len(self.commits), self.commits[-1:])).encode()).hexdigest()

    def keep(self, summary: str) -> None:
        """A commit of `files`; the next one needs a dict of its own."""
        self.commits.append(summary)
        self.revisions[self.head] = self.files


class Hub:
    """The hub's state and its server; `calls` lists (method, path, token) of every request."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.xet = XetStore()
        self.calls: list[tuple[str, str, str]] = []
        self.dies_at = ""  # the first request with this in its path gets no answer, nor does any later one
        self.port = 0
        self.ending = threading.Lock()
        self.listen()

    @property
    def url(self) -> str:
        """HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answers again, at the same address as before."""
        self.stop()
        self.dies_at = ""
        self.listen()

    def listen(self) -> None:
        """Answers from now on."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler_of(self))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more, when this returns."""
        with self.ending:
            if self.server.socket.fileno() >= 0:
                self.server.shutdown()
                self.server.server_close()

    def put(self, repo: str, folder: Path | None = None, **how: bool) -> Repository:
        """A repository that is there already, with a folder's files."""
        repository = self.repositories.setdefault(repo, Repository(**how))
        for path in sorted(folder.rglob("*")) if folder else ():
            if path.is_file():
                self.add(repository, path.relative_to(folder).as_posix(), path.read_bytes())
        repository.keep("begun")
        return repository

    def add(self, repository: Repository, path: str, data: bytes) -> None:
        """One file, large ones by their sha256."""
        if path.endswith(BINARY):
            digest = hashlib.sha256(data).hexdigest()
            self.blobs[digest] = data
            repository.files[path] = digest
        else:
            repository.files[path] = data

    def env(self, home: Path, token: str = "") -> dict[str, str]:
        """What a machine sets to use this hub and no other."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(home / "hf"),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1",
        }

    def describe(self, path: str, content: bytes | str) -> dict[str, Any]:
        """A file as the listings show it."""
        if isinstance(content, bytes):
            return {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
        file = self.xet.files.get(content)
        size = (
            len(self.blobs[content])
            if content in self.blobs
            else sum(term.size for term in file.terms)
            if file
            else 0
        )
        large = {"oid": content, "size": size, "pointerSize": 134}
        more = {"xetHash": file.xet} if file else {}
        return {"type": "file", "path": path, "size": size, "oid": content[:40], "lfs": large, **more}


class Refusal(Exception):
    """An error as the hub answers it: status, X-Error-Code, X-Error-Message."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


def git_oid(data: bytes) -> str:
    """The id that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One connection; `hub` is set by `bound`."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    routes: list[Route]

    def handle_any(self) -> None:
        """Reads the request, finds its route and answers; a hub that died does not."""
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        body = self.read_body()
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        hub.calls.append((self.command, path, self.token))
        if hub.dies_at and hub.dies_at in path:
            self.close_connection = True
            threading.Thread(target=hub.stop, daemon=True).start()
            return
        try:
            if self.token not in ("", XET_TOKEN) and self.token not in hub.accounts:
                raise Refusal(401, "", UNKNOWN_TOKEN)
            for method, pattern, act in self.routes:
                if self.command == method and (match := re.fullmatch(pattern, path)):
                    return act(self, body, **match.groupdict())
            raise Refusal(404, "", f"no route for {self.command} {path}")
        except Refusal as no:
            headers = {"X-Error-Code": no.code, "X-Error-Message": no.message}
            self.answer(no.status, {"error": no.message}, {k: v for k, v in headers.items() if v})

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def read_body(self) -> bytes:
        """The request's body, chunked or not."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, what: Any = b"", headers: dict[str, str] | None = None) -> None:
        """Sends JSON, or bytes as they are."""
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def account(self) -> Account:
        """Whoever asks; 401 for nobody."""
        if self.token not in self.hub.accounts:
            raise Refusal(401, "", "Invalid username or password.")
        return self.hub.accounts[self.token]

    def readable(self, repo: str, contents: bool = False) -> Repository:
        """The repository, if whoever asks may see it, and what is in it: the hub hides what strangers may not."""
        who = self.hub.accounts.get(self.token)
        repository = self.hub.repositories.get(repo)
        if repository is None or (repository.private and (who is None or who.name != repo.split("/")[0])):
            raise Refusal(404 if who else 401, "RepoNotFound", "Repository not found")
        if contents and repository.gate and (who is None or repo not in who.reads):
            message = (
                f"Access to model {repo} is restricted. You must have access to it and be authenticated."
            )
            raise Refusal(403 if who else 401, "GatedRepo", message)
        return repository

    def writable(self, repo: str) -> Repository:
        """The repository, if whoever asks may write to it."""
        who = self.account()
        repository = self.readable(repo)
        if not who.writes or who.name != repo.split("/")[0]:
            raise Refusal(403, "", "Forbidden: you must use a write token to upload to a repository.")
        return repository

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def handler_of(hub: Hub) -> type[Handler]:
    """The handler of one hub."""
    from tests.hub_routes import ROUTES

    return type("BoundHandler", (Handler,), {"hub": hub, "routes": ROUTES})
