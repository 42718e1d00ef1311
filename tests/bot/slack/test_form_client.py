"""The waiting form against a loopback server that speaks Slack's views methods and refuses calls; never run live."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.form_client import FormClient
from bot.slack.ui.forms import note_modal
from tests.bot.playground.conftest import until


class Slack:
    """The received calls (method and form title), and the error codes for the next updates of a form."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.url = ""

    def answer(self, method: str, form: dict[str, Any]) -> dict[str, Any]:
        view = form["view"] if isinstance(form["view"], dict) else json.loads(form["view"])
        self.calls.append((method, view["title"]["text"]))
        self.texts = [block["text"]["text"] for block in view["blocks"]]
        if method == "views.update" and self.refusals:
            return {"ok": False, "error": self.refusals.pop(0)}
        return {"ok": True, "view": {"id": "V1"}}


@pytest.fixture
def slack() -> Iterator[Slack]:
    """The server, on a port of its own."""
    state = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps(state.answer(self.path.rpartition("/")[2], form)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/api/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state
        server.shutdown()


def test_an_error_text_replaces_the_waiting_form_when_slack_refuses(slack: Slack) -> None:
    """The form that says "one moment" does not stay open."""
    client = FormClient(WebClient("xoxb-1", base_url=slack.url), "T1", after_s=0.0)
    until(lambda: bool(slack.calls))
    slack.refusals = ["ratelimited"]
    with pytest.raises(SlackApiError):
        client.views_open(trigger_id="T1", view=note_modal("Fine-tune", "x"))
    assert client.show_text("Slack asked me to slow down.")
    assert not client.show_text("And nothing is said twice.")
    client.finish()
    titles = ["One moment", "Fine-tune", "Not now"]
    assert slack.calls == list(zip(("views.open", "views.update", "views.update"), titles, strict=True))


def test_the_error_text_keeps_its_mentions_and_its_full_length(slack: Slack) -> None:
    """Mentions stay mentions, and a text longer than one section is split into several."""
    client = FormClient(WebClient("xoxb-1", base_url=slack.url), "T1", after_s=0.0)
    until(lambda: bool(slack.calls))
    assert client.show_text("Ask <@U1>: 1 &lt; 2. " + "Word. " * 1000)
    assert slack.texts[0].startswith("Ask <@U1>: 1 &lt; 2.")
    assert len(slack.texts) > 1
