"""An admin connects a language model from Slack; the next fine-tune compares prompts; the key is nowhere to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from tests.finetune.evaluation.test_prompting import reader
from tests.integration.conftest import appears, private_reply, text_of, until
from tests.openai_server import OpenAIServer

pytestmark = pytest.mark.integration
CHANNEL = "#support-ml"
KEY = "sk-live-51c0ffee77aa51c0"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer=answer, key=KEY) as running:
        yield running


def answer(body: dict[str, Any]) -> str:
    """The class of a ticket, and a word for the test call."""
    return reader(body) if "Sort the ticket" in str(body["messages"]) else "ready"


def connect(ana: Person, **form: str) -> dict[str, Any]:
    """Fill in and send the form; the answer to it."""
    ana.command("/should-i-train", "connect", CHANNEL)
    view = ana.wait_view(title="Connect a model")
    values = {"model": "gpt-6-luna", "api_key": KEY, "location": "eu", "measurement_cap_usd": "0.5"}
    return ana.submit(view, {**values, "month_cap_usd": "5", **form})


def outcome(ana: Person, part: str) -> str:
    """The form's text once it says `part`."""

    def shown() -> str:
        text = text_of(ana.view() or {})
        return text if part in text else ""

    return str(until(shown))


def test_only_an_admin_gets_the_form(stack: LocalStack) -> None:
    """Anybody else is told whom to ask, and the bot calls no address for them."""
    maya = Person(stack.url, "maya")
    reply = private_reply(maya, lambda: maya.command("/should-i-train", "connect", CHANNEL))
    assert "Only an admin" in reply


def test_a_server_that_refuses_is_not_kept(stack: LocalStack, server: OpenAIServer, tmp_path: Path) -> None:
    """A wrong field lands on the field; a wrong key and a dead address say what to change."""
    ana = Person(stack.url, "ana")
    refused = connect(ana, base_url="http://169.254.169.254/v1")
    assert "base_url" in refused["errors"]
    ana.close(ana.view() or {})
    connect(ana, base_url=server.base_url, api_key="sk-wrong")
    assert "refused the key" in outcome(ana, "Nothing was kept")
    ana.close(ana.view() or {})
    connect(ana, base_url="http://127.0.0.1:9/v1")
    assert "cannot be reached" in outcome(ana, "Nothing was kept")
    ana.close(ana.view() or {})


def test_a_connected_model_is_compared_and_removed(stack: LocalStack, server: OpenAIServer) -> None:
    """The next fine-tune's ladder has the prompts and their cost; the form shows what was spent and never the key."""
    ana = Person(stack.url, "ana")
    connect(ana, base_url=server.base_url)
    assert "gpt-6-luna" in outcome(ana, "Connected")
    ana.close(ana.view() or {})
    launch = partial(ana.command, "/finetune", "sample-tickets linear", CHANNEL)
    card = appears(ana, launch, "Fine-tune · sample-tickets")
    report = text_of(ana.wait_message(CHANNEL, lambda m: "job_try" in str(m.get("blocks")), 240, card["ts"]))
    assert report.count("Prompt, ") >= 3
    assert "requests with ticket texts went to gpt-6-luna" in report
    ana.command("/should-i-train", "connect", CHANNEL)
    view = ana.wait_view(title="Connect a model")
    assert "of $5 spent this month" in text_of(view)
    assert KEY not in str(view)
    ana.use(view, "endpoint_remove")
    assert "the key is deleted" in outcome(ana, "Removed")
    logs = stack.tail("bot", 10_000) + stack.tail("worker", 10_000)
    assert KEY not in logs
    assert KEY not in str(ana.api_log())
