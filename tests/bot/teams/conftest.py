"""A loopback server that speaks Slack's auth and OAuth methods, and runtimes before it; never run live."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from bot.teams.directory import Directory, TeamRecord, open_engine
from bot.teams.runtimes import TeamRuntimes
from bot.teams.tokens import EncryptedStore, Tokens
from tests.bot.teams.test_teams import ONE, TWO, installation, settings

ORG = "E0ORG"


@dataclass
class Slack:
    """Slack's answers: the organisation's workspaces, and error codes by token or by token and team."""

    url: str = ""
    teams: list[str] = field(default_factory=lambda: [ONE, TWO])
    refusals: dict[tuple[str, str], str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    installer: str = ""
    enterprise: str = ""

    def answer(self, method: str, token: str, form: dict[str, str]) -> dict[str, Any]:
        self.calls.append(method)
        team = form.get("team_id", "")
        if code := self.refusals.get((token, "")) or self.refusals.get((token, team)):
            return {"ok": False, "error": code}
        if method == "auth.teams.list":
            first, rest = self.teams[:1], self.teams[1:]
            more = {"next_cursor": "" if form.get("cursor") else "more"}
            page = rest if form.get("cursor") else first
            return {"ok": True, "teams": [{"id": one} for one in page], "response_metadata": more}
        if method == "oauth.v2.access":
            bot = {"access_token": "xoxe.xoxb-new", "refresh_token": "xoxe-1-new", "expires_in": 43200}
            team = {"id": self.installer, "name": "<b>Wind"} if self.installer else None
            org = {"id": self.enterprise, "name": "Grid"} if self.enterprise else None
            who = {"team": team, "enterprise": org, "authed_user": {"id": "U1"}}
            return {
                "ok": True,
                "token_type": "bot",
                "bot_user_id": "UBOT",
                "scope": "",
                "app_id": "A1",
                **bot,
                **who,
            }
        url = {"url": "https://southwind.slack.com/"}
        return {"ok": True, **url, "team_id": ONE, "team": "Northwind", "user_id": "UBOT", "bot_id": "B1"}


@pytest.fixture
def slack() -> Iterator[Slack]:
    """The server, on a port of its own."""
    state = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
            form = {name: values[0] for name, values in parse_qs(raw).items()}
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            body = json.dumps(state.answer(self.path.rpartition("/")[2], token, form)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/api/"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def runtimes(tmp_path: Path, slack: Slack) -> TeamRuntimes:
    """One installed team and an organisation's token; no runtime is open."""
    here = settings(tmp_path, SLACK_API_URL=slack.url)
    engine = open_engine(tmp_path, here.database_url.reveal())
    directory, store = Directory(engine), EncryptedStore("1.2", engine, tmp_path / "keys")
    store.save(installation(ONE, "xoxb-one"))
    store.save(installation(None, "xoxb-org", ORG))
    directory.add(TeamRecord(ONE, "Northwind", "", False, ONE, 1.0))
    return TeamRuntimes(here, cast(Any, None), directory, Tokens(store, "1.2", "secret", slack.url))
