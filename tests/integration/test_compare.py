"""People compare replies blind, whole: a real training, a message a ticket, votes, a restart, the summary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from finetune.data.store import DatasetStore
from tests.finetune.tiny import save_causal, tickets
from tests.integration.conftest import CHANNEL, Message, appears, private_reply, text_of, until

pytestmark = pytest.mark.integration
NAME = "few-replies"


@pytest.fixture(scope="module")
def report(stack: LocalStack, ravi: Person, tmp_path_factory: pytest.TempPathFactory) -> Message:
    """The final report of a tiny model's reply fine-tune."""
    folder = tmp_path_factory.mktemp("replies")
    file = folder / "replies.csv"
    rows = [f'"{row.text}","{row.answer}"' for row in tickets(60).rows]
    file.write_text("\n".join(["question,answer", *rows]))
    store = DatasetStore(str(stack.home / "datasets"))
    store.add(file, NAME, "U0RAVI00001", frozenset({"workspace"}), "ours")
    model: Path = save_causal(folder / "base")
    text = f"{NAME} reply full model={model} epochs=1 max_length=128 max_new_tokens=8"
    card = appears(ravi, lambda: ravi.command("/finetune", text, CHANNEL), f"Fine-tune · {NAME}")
    match = ravi.wait_message(CHANNEL, lambda m: "compare_start" in str(m.get("blocks")), 120, card["ts"])
    job = re.findall(r"`([a-z2-9]{8})`", text_of(card))[0]
    return match | {"job": job, "thread": card["ts"]}


def thread(person: Person, report: Message) -> list[Message]:
    return person.messages(CHANNEL, report["thread"])


def the_tickets(person: Person, report: Message) -> list[Message]:
    """The messages that take votes."""
    return [m for m in thread(person, report) if "compare_vote" in str(m.get("blocks"))]


def test_people_vote_blind_once_each_and_the_summary_unblinds(
    stack: LocalStack, report: Message, maya: Person, ravi: Person
) -> None:
    """Ten tickets come to the thread; votes survive the bot's restart; only who may closes; the summary counts
    tickets and names the systems."""
    text = private_reply(maya, lambda: maya.click(CHANNEL, report["ts"], "compare_start", report["job"]))
    assert "10 tickets come" in text
    assert "already" in private_reply(
        ravi, lambda: ravi.command("/jobs", f"compare {report['job']}", CHANNEL)
    )
    text = until(lambda: len(the_tickets(ravi, report)) == 10 and the_tickets(ravi, report), 60)
    assert not any("tuned" in text_of(m).lower() for m in text)
    first = next(m for m in text if "Ticket 1\n" in text_of(m) or "*Ticket 1*" in str(m["blocks"]))
    value = f"{report['job']}:0"
    assert "counts" in private_reply(maya, lambda: maya.click(CHANNEL, first["ts"], "compare_vote:1", value))
    stack.end("bot")
    stack.launch("bot")
    stack.wait_for_bot()
    again = private_reply(maya, lambda: maya.click(CHANNEL, first["ts"], "compare_vote:2", value))
    assert "already" in again
    assert "counts" in private_reply(ravi, lambda: ravi.click(CHANNEL, first["ts"], "compare_vote:1", value))
    until(lambda: any("2 votes so far" in text_of(m) for m in the_tickets(ravi, report)))
    intro = next(m for m in thread(ravi, report) if "compare_close" in str(m.get("blocks")))
    assert "Closed" in private_reply(
        maya, lambda: maya.click(CHANNEL, intro["ts"], "compare_close", report["job"])
    )
    summary = ravi.wait_message(
        CHANNEL, lambda m: "Blind comparison closed" in text_of(m), 30, report["thread"]
    )
    assert "2 votes of 2 people on 1 of 10 tickets" in text_of(summary)
    assert "Fully tuned" in text_of(summary)
    late = private_reply(
        ravi, lambda: ravi.click(CHANNEL, the_tickets(ravi, report)[1]["ts"], "compare_vote:0")
    )
    assert "closed" in late
    assert "closed already" in private_reply(
        ravi, lambda: ravi.command("/jobs", f"count {report['job']}", CHANNEL)
    )
