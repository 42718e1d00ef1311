"""The measured verdict in Slack, whole: ask, press "Measure it", fill the form, card, report, picture, verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import LocalStack, local_stack
from bot.playground.client.person import Person
from bot.playground.patience import Patience
from tests.homes import home_with_graphs

pytestmark = pytest.mark.integration

CHANNEL = "#support-ml"
QUESTION = (
    "We want to route 40,000 support tickets a month to 8 queues, a prompt gets 70% and we need 60%. Train?"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, embed_cache: Path) -> Iterator[LocalStack]:
    home = home_with_graphs(tmp_path_factory.mktemp("measure"), embed_cache)
    with local_stack(home, fresh=True) as job:
        job.wait_for_bot()
        yield job


@pytest.fixture
def maya(stack: LocalStack) -> Person:
    return Person(stack.url, "maya")


def message_text(message: dict[str, Any]) -> str:
    return json.dumps(message.get("blocks"), ensure_ascii=False) + str(message.get("text"))


def verdict_of(maya: Person, channel: str = CHANNEL) -> dict[str, Any]:
    """Ask in the channel and wait for the card with its button in the thread."""
    question = maya.say(channel, f"@trainwise {QUESTION}")
    return maya.wait_message(
        channel,
        lambda m: '"measure"' in message_text(m) and "Measure it" in message_text(m),
        60,
        thread_ts=question["ts"],
    ) | {"thread": question["ts"]}


def test_a_measurement_updates_the_verdict(maya: Person, stack: LocalStack) -> None:
    """The form comes filled from the question; the report with its picture follows in the thread; the card's
    verdict then rests on what was measured."""
    card = verdict_of(maya)
    maya.click(CHANNEL, card["ts"], "measure")
    view = maya.wait_view(20, title="Measure it")
    fields = {block.get("block_id"): block for block in view["blocks"]}
    assert fields["volume"]["element"]["initial_value"] == "40000"
    answer = maya.submit(view, {"dataset": "sample-tickets", "target": "60", "price_per_wrong": "4"})
    assert answer.get("ok", True), answer
    report = maya.wait_message(
        CHANNEL,
        lambda m: "No training needed" in message_text(m) and "Forecast" in message_text(m),
        240,
        card["thread"],
    )
    assert "now rests on these figures" in message_text(report)
    thread = maya.messages(CHANNEL, card["thread"])
    assert sum("Measurement" in message_text(m) and "sample-tickets" in message_text(m) for m in thread) >= 1
    maya.wait_message(
        CHANNEL, lambda m: any("verdict" in str(f) for f in m.get("files") or []), 30, card["thread"]
    )
    anew = maya.wait_message(
        CHANNEL,
        lambda m: m["ts"] == card["ts"] and "Measured on your own" in message_text(m),
        30,
        card["thread"],
    )
    assert "Train a small model" in message_text(anew)
    assert "before it:" in message_text(anew)
    assert "1,500 tokens in" not in message_text(anew), (
        "the measured cost stands in place of the planning figure"
    )
    assert "could be answered automatically" in message_text(anew)
    rest = (stack.home / "forecasts.jsonl").read_text().splitlines()
    assert all(json.loads(line)["is"] == "forecast" for line in rest)
    assert rest


@pytest.mark.slow  # a measurement with its pilot; the demo's story (test_story.py) presses the same button after one
def test_a_report_that_says_train_leads_to_the_filled_form(maya: Person) -> None:
    """Beneath "Train" stands a button; its form has the measured tickets and LoRA chosen."""
    maya.command("/should-i-train", "measure sample-tickets target=0.78", CHANNEL)
    card = maya.wait_message(
        CHANNEL,
        lambda m: (
            "Measurement" in message_text(m) and "target 78%" in message_text(m) and "Done" in message_text(m)
        ),
        200,
    )
    report = maya.wait_message(CHANNEL, lambda m: "job_finetune" in message_text(m), 60, card["ts"])
    maya.click(CHANNEL, report["ts"], "job_finetune")
    view = maya.wait_view(20, title="Fine-tune")
    choice = {
        block["block_id"]: block["element"]["initial_option"]["value"]
        for block in view["blocks"]
        if block.get("block_id") in ("dataset", "method")
    }
    assert choice == {"dataset": "sample-tickets", "method": "lora"}
    maya.close(view)


def test_wrong_fields_stay_on_the_form(maya: Person) -> None:
    """A target of 1.01 and a negative price are told on their fields; nothing starts."""
    maya.command("/should-i-train", "measure", CHANNEL)
    view = maya.wait_view(20, title="Measure it")
    answer = maya.submit(view, {"target": "1.01", "price_per_wrong": "-3"})
    assert set(answer["errors"]) == {"target", "price_per_wrong"}
    maya.close(view)


def test_a_measurement_is_cancelled_from_its_card(maya: Person) -> None:
    """`/should-i-train measure NAME target=..` launches at once; Cancel on the card ends it."""
    maya.command("/should-i-train", "measure sample-tickets target=0.93 volume=60000", CHANNEL)
    card = maya.wait_message(
        CHANNEL, lambda m: "Measurement" in message_text(m) and "job_cancel" in message_text(m), 60
    )
    maya.click(CHANNEL, card["ts"], "job_cancel")
    error = maya.wait_message(CHANNEL, lambda m: m["ts"] == card["ts"] and "Cancelled" in message_text(m), 60)
    assert "job_cancel" not in message_text(error)


def test_a_question_that_begins_with_measure_is_a_question(maya: Person) -> None:
    """Text that is no command is answered like any question."""
    maya.command("/should-i-train", "measure how good our replies are before we fine-tune?", CHANNEL)
    question = maya.wait_message(
        CHANNEL, lambda m: "asks: measure how good" in message_text(m).replace("*", ""), 20
    )
    patience = Patience(60)
    while len(maya.messages(CHANNEL, question["ts"])) < 2:
        assert not patience.is_over(), "no answer came"
