"""HTTP mode end to end: the workspace signs requests like Slack, and the bot process serves them on its port."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from bot.demo.stack import local_stack
from bot.errors import BotError
from bot.playground.client.person import Person
from bot.playground.delivery.signed_http import signature
from bot.playground.state.seed import BOT_USER
from bot.slack.http import ReplayGuard, bind
from tests.homes import home_with_graphs

CHANNEL = "#support-ml"


@pytest.mark.integration
def test_a_question_a_command_and_a_form_go_by_signed_requests(tmp_path: Path, embed_cache: Path) -> None:
    """Without a socket the bot answers, opens the form, refuses a bad field and accepts a good one."""
    home = home_with_graphs(tmp_path, embed_cache)
    with local_stack(home, fresh=True, http=True, processes=("bot",)) as stack:
        stack.wait_for_bot()
        maya = Person(stack.url, "maya")
        question = maya.say(
            CHANNEL, f"<@{BOT_USER}> our help center changes weekly, should we fine-tune on it?"
        )
        maya.wait_message(CHANNEL, lambda m: "RAG" in str(m.get("blocks")), 60, thread_ts=question["ts"])
        maya.command("/finetune", "", CHANNEL)
        view = maya.wait_view()
        form = {"dataset": "sample-tickets", "task": "triage", "base_model": "minilm", "method": "linear"}
        response = maya.submit(view, {**form, "method": "lora", "epochs": "-1"})
        assert "epochs" in str(response)
        assert maya.submit(view, {**form, "epochs": "3"}).get("ok")
        maya.wait_message(CHANNEL, lambda m: "sample-tickets" in str(m.get("blocks")), 30)
        url = f"http://127.0.0.1:{stack.bot_port}/slack/events"
        refuses_strangers_and_copies(url, stack.signing_secret)


def refuses_strangers_and_copies(url: str, secret: str) -> None:
    """401 for no signature, a wrong one, an old one and a copy; 200 for the first of its kind."""
    body = json.dumps({"type": "url_verification", "challenge": "there?", "token": "t"})
    now = int(time.time())  # read once, so that a copy has the same stamp on a slow machine

    def post(age_s: int, by: str) -> httpx.Response:
        stamp = str(now - age_s)
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature(by, stamp, body)}
        return httpx.post(
            url, content=body, headers={**headers, "content-type": "application/json"}, trust_env=False
        )

    assert httpx.post(url, content=body, trust_env=False).status_code == 401
    assert post(0, "another secret").status_code == 401
    assert post(600, secret).status_code == 401
    first = post(5, secret)
    assert first.status_code == 200
    assert "there?" in first.text
    assert post(5, secret).status_code == 401


def test_a_signature_is_accepted_once() -> None:
    """The replay guard refuses the second use, and forgets signatures that are too old to be accepted."""
    guard = ReplayGuard()
    assert guard.is_first("v0=a", 0.0)
    assert not guard.is_first("v0=a", 10.0)
    assert guard.is_first("v0=b", 10.0)
    assert guard.is_first("v0=a", 1000.0)


def test_a_taken_port_is_a_clear_error() -> None:
    """The message names the variable to change."""
    with bind("127.0.0.1", 0) as listener, pytest.raises(BotError, match="TRAINWISE_HTTP_PORT"):
        bind("127.0.0.1", listener.getsockname()[1])
