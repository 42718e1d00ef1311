"""Signed HTTP delivery to a real bolt app, and its retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from slack_bolt import App, BoltRequest
from slack_sdk import WebClient

from bot.playground import Person, Playground
from tests.bot.playground.conftest import MANIFEST, until

pytestmark = pytest.mark.integration


class Receiver(ThreadingHTTPServer):
    """Hands each request to `self.app`, or answers 500 while `broken`; keeps the retry headers it saw."""

    app: App | None = None
    fails = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.retries: list[tuple[str | None, str | None]] = []
        self.extra: dict[str, str] = {}


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        names = ("x-slack-retry-num", "x-slack-retry-reason")
        self.server.retries.append((self.headers[names[0]], self.headers[names[1]]))
        if self.server.fails or self.server.app is None:
            self.send_response(500)
            for name, value in self.server.extra.items():
                self.send_header(name, value)
            self.end_headers()
            return
        answer = self.server.app.dispatch(BoltRequest(body=body, headers=dict(self.headers.items())))
        self.send_response(answer.status)
        for name, value in answer.first_headers_without_set_cookie().items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write((answer.body or "").encode())

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def playground(receiver: Receiver) -> Iterator[Playground]:
    target = f"http://127.0.0.1:{receiver.server_port}/slack/events"
    with Playground(MANIFEST, http_target=target) as running:
        yield running


def make_app(playground: Playground, secret: str) -> App:
    client = WebClient(token=playground.bot_token, base_url=playground.api_url)
    return App(client=client, signing_secret=secret, process_before_response=True)


def test_bolt_accepts_our_signature_and_answers_events_and_commands(playground, receiver):
    """Bolt verifies the v0 signature; an event is answered and a command's ack text is shown."""
    receiver.app = app = make_app(playground, playground.signing_secret)

    @app.event("app_mention")
    def on_mention(event: Any, say: Any) -> None:
        say("heard")

    @app.command("/finetune")
    def text(ack: Any, command: Any) -> None:
        ack(f"for {command['text']}")

    person = Person(playground.url, timeout=10)
    person.say("#support-ml", "@trainwise hi")
    person.wait_message("#support-ml", lambda m: m["text"] == "heard")
    assert person.command("/finetune", "@maya") == {"ok": True}
    person.wait_message("#support-ml", lambda m: m["text"] == "for <@U0MAYA00001|maya>")


def test_an_app_with_another_secret_refuses_us(playground, receiver):
    """A wrong signing secret shows as a failed command, as in Slack."""
    receiver.app = make_app(playground, "another-secret")
    assert Person(playground.url, timeout=10).command("/finetune")["ok"] is False


def test_a_failing_app_is_tried_again_at_once_after_a_minute_and_after_five(playground, receiver):
    """Four requests in all, numbered, with the reason; then the event is given up."""
    receiver.fails = True
    Person(playground.url).say("#support-ml", "hello")
    until(lambda: len(receiver.retries) == 2)
    playground.advance(61)
    until(lambda: len(receiver.retries) == 3)
    playground.advance(301)
    until(lambda: playground.state()["given_up"])
    assert receiver.retries == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]


def test_an_app_that_asks_for_no_other_try_gets_none(playground, receiver):
    """By Slack's header on its refusal."""
    receiver.fails, receiver.extra = True, {"x-slack-no-retry": "1"}
    Person(playground.url).say("#support-ml", "hello")
    until(lambda: playground.state()["given_up"])
    assert receiver.retries == [(None, None)]
