"""The local workspace as an object: start it, hand its addresses and tokens to the app, call its test operations."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import uvicorn

from bot.playground.errors import PlaygroundError
from bot.playground.patience import Patience
from bot.playground.server import build
from bot.playground.state.clock import Clock
from bot.playground.state.manifest import read_manifest
from bot.playground.state.seed import SOUTHWIND
from bot.playground.state.workspace import Workspace

START_SECONDS = 15.0


class Playground:
    """A Slack workspace on 127.0.0.1 with one app, the manifest's, installed.

    `port=0` picks a free port; `http_target` is the app's request URL when events come by signed HTTP
    instead of Socket Mode; `store` is a folder to keep everything in across restarts. Use it with `with`,
    or with start() and stop(). With `second` the same app serves a second workspace, whose people and channels have
    the same names and ids; `other` is that one.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        port: int = 0,
        http_target: str | None = None,
        store: Path | None = None,
        second: bool = False,
    ) -> None:
        self.workspace = Workspace(read_manifest(manifest), store, Clock())
        self.others: list[Workspace] = []
        if second:
            place, clock = store / "second" if store else None, self.workspace.clock
            other = Workspace(read_manifest(manifest), place, clock, SOUTHWIND)
            shared = ("app", "signing_secret", "verification", "client_id", "client_secret")
            other.keep_tokens(**{name: self.workspace.tokens[name] for name in shared})
            self.others.append(other)
        self._http_target = http_target
        self._listener = _listen(port)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.workspace.base_url = self.url
        for one in self.others:
            one.base_url = f"{self.url}/teams/{one.team.id}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def api_url(self) -> str:
        """WebClient's base_url (SLACK_API_URL); below the root it answers for one workspace, at the root for both."""
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        """SLACK_BOT_TOKEN."""
        return str(self.workspace.tokens["bot"])

    @property
    def app_token(self) -> str:
        """SLACK_APP_TOKEN."""
        return str(self.workspace.tokens["app"])

    @property
    def signing_secret(self) -> str:
        """SLACK_SIGNING_SECRET."""
        return str(self.workspace.tokens["signing_secret"])

    def start(self) -> Playground:
        """Serve in a thread of its own; returns when the address answers."""
        app = build([self.workspace, *self.others], self._http_target)
        config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="playground", daemon=True
        )
        self._thread.start()
        ready = threading.Event()
        patience = Patience(START_SECONDS)
        while not self._server.started:
            if patience.is_over(self._thread.is_alive()):
                raise PlaygroundError(f"Waited {patience} for the local workspace to start on {self.url}.")
            ready.wait(0.02)
        return self

    def stop(self) -> None:
        """Stop serving and close the store."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=10)
            self._server = None
        self._listener.close()
        for one in (self.workspace, *self.others):
            one.store.close()

    @property
    def other(self) -> Playground:
        """The second workspace: its address, token and operations; it starts and stops with the first."""
        twin = copy(self)
        twin.workspace, twin.others = self.others[0], []
        twin.url = twin.workspace.base_url
        return twin

    def __enter__(self) -> Playground:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def control(self, operation: str, **args: Any) -> dict[str, Any]:
        """Call one operation of /control/ (see control.py)."""
        answer = httpx.post(f"{self.url}/control/{operation}", json=args, timeout=10, trust_env=False)
        body: dict[str, Any] = answer.json()
        if not body.get("ok"):
            raise PlaygroundError(str(body.get("error")))
        return body

    def disconnect(
        self, reason: str = "refresh_requested", *, close: bool = False, most: int | None = None
    ) -> int:
        """Ask the app to reconnect (reason "none" with close=True: just hang up), on `most` of its sockets; how many."""
        return int(self.control("disconnect", reason=reason, close=close, most=most)["sockets"])

    def revoke(self, token: str = "bot") -> None:  # noqa: S107  (a kind of token)
        """Revoke the "bot" or "app" token; "none" makes all valid again."""
        self.control("revoke", token=token)

    def set_rates(self, limits: Mapping[str, float] | None = None, *, enforce: bool = True) -> None:
        """Calls per minute by method; enforce=False switches rate limits off."""
        self.control("rates", limits=dict(limits or {}), enforce=enforce)

    def fail(self, method: str, times: int = 1, how: str = "500") -> None:
        """Make the next calls of a method fail: 500, 503, drop, accepted_500, accepted_drop, slow, error:CODE; or pass."""
        self.control("fail", method=method, times=times, how=how)

    def forget_faults(self) -> None:
        """Drop all planned faults."""
        self.control("fail", clear=True)

    def channel(self, channel: str, do: str) -> None:
        """Do as an admin does to a channel: "archive", "restore", "remove" the app from it, "invite" it."""
        self.control("channel", channel=channel, do=do)

    def person(self, id: str, name: str, channels: Sequence[str] = (), **fields: Any) -> None:
        """Adds or changes a person: `team`, `is_restricted`, `is_stranger`, `grid_teams`, ... (see seed.User)."""
        self.control("person", id=id, name=name, channels=list(channels), **fields)

    def group(self, *people: str) -> str:
        """Open a group DM of these people and the app; returns its id."""
        return str(self.control("group", people=list(people))["channel"])

    def redeliver(self, event_id: str | None = None) -> str:
        """Deliver an event again; returns its id."""
        return str(self.control("redeliver", event_id=event_id)["event_id"])

    def advance(self, seconds: float) -> None:
        """Move the workspace's clock: retries, expiries, rates and acks follow it."""
        self.control("advance", seconds=seconds)

    def state(self) -> dict[str, Any]:
        """Sockets, events and deliveries as they are now."""
        return self.control("state")

    def api_log(self, since: int = 0) -> list[dict[str, Any]]:
        """Web API calls received after number `since`: n, at, method, params, response, status, ms."""
        return list(self.control("log", since=since)["calls"])


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise PlaygroundError(f"Port {port} is taken; choose another one or stop what uses it.") from error
    listener.listen(128)
    return listener
