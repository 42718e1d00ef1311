"""The button "Try it", whole: a real fine-tune over the queue, then a ticket answered before and after."""

from __future__ import annotations

import shutil

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from tests.integration.conftest import CHANNEL, DATASET, Message, appears, private_reply, text_of, until

pytestmark = pytest.mark.integration
TICKET = "I was charged twice on my invoice, write to me at jo@example.com"


@pytest.fixture(scope="module")
def report(ravi: Person) -> Message:
    """The final report of a finished `linear` fine-tune, with its thread."""
    card = appears(
        ravi, lambda: ravi.command("/finetune", f"{DATASET} linear", CHANNEL), f"Fine-tune · {DATASET}"
    )
    match = ravi.wait_message(CHANNEL, lambda m: "job_try" in str(m.get("blocks")), 90, card["ts"])
    return match | {"job": job_of(match)}


def job_of(message: Message) -> str:
    """The job whose model the button tries."""
    row = next(block for block in message["blocks"] if block["type"] == "actions")
    return str(next(one["value"] for one in row["elements"] if one["action_id"] == "job_try"))


def open_form(person: Person, report: Message) -> Message:
    """The modal behind the button."""
    person.click(CHANNEL, report["ts"], "job_try", report["job"])
    return person.wait_view(20, title="Try the model")


def fields_of(view: Message) -> list[str]:
    """The columns of the answers, where there are any."""
    return [field["text"] for block in view["blocks"] for field in block.get("fields", [])]


def test_a_ticket_is_answered_before_and_after_in_the_modal(maya: Person, report: Message) -> None:
    """Anyone of the channel types a ticket and reads both answers side by side, then the next; keys and
    addresses do not leave the bot; the channel's job list is not filled with tries."""
    view = open_form(maya, report)
    assert maya.submit(view, {"text": TICKET}).get("ok", True)
    waiting = maya.view()
    assert waiting is not None
    both = until(lambda: fields_of(maya.view() or {"blocks": []}), 60)
    assert len(both) == 2
    assert both[0].startswith("*Before: Logistic regression")
    assert both[1].startswith("*After: tuned, linear")
    assert all("%" in side for side in both)
    text = maya.view()
    assert text is not None
    assert "[email]" in text_of(text)
    assert "jo@example.com" not in text_of(text)
    assert maya.submit(text, {"text": "reset my password"}).get("ok", True)
    until(lambda: "reset my password" in text_of(maya.view() or {}) and fields_of(maya.view() or {}), 60)
    listing = private_reply(maya, lambda: maya.command("/jobs", "mine", CHANNEL))
    assert "Try" not in listing


def test_a_closed_modal_brings_the_answer_to_the_person_s_messages(
    stack: LocalStack, maya: Person, report: Message
) -> None:
    """Nothing is lost: closed before a worker answers, and with the bot away meanwhile."""
    stack.end("worker")
    try:
        view = open_form(maya, report)
        maya.submit(view, {"text": "the closed one, my bill is wrong"})
        waiting = maya.view()
        assert waiting is not None
        maya.close(waiting)
        stack.end("bot")
    finally:
        stack.launch("worker")
        stack.launch("bot")
        stack.wait_for_bot()
    direct = maya.wait_message("@trainwise", lambda m: "the closed one" in text_of(m), 90)
    assert "After: tuned" in text_of(direct)
    again = [m for m in maya.messages("@trainwise") if "the closed one" in text_of(m)]
    assert len(again) == 1


def test_an_empty_ticket_is_refused_on_its_field(ravi: Person, report: Message) -> None:
    """The field says what is missing; nothing is sent."""
    view = open_form(ravi, report)
    response = ravi.submit(view, {"text": "   "})
    assert "Type a ticket" in response["errors"]["text"]
    ravi.close(view)


def test_a_removed_model_folder_is_reported(stack: LocalStack, maya: Person, report: Message) -> None:
    """The model's folder was removed on the worker: the modal says so and how to get it back."""
    folder = stack.home / "artifacts" / str(report["job"])
    rest = folder.with_name("kept")
    shutil.move(folder, rest)
    try:
        maya.submit(open_form(maya, report), {"text": "where is my parcel?"})
        text = until(lambda: "are gone" in text_of(maya.view() or {}) and text_of(maya.view() or {}), 60)
        assert f"/jobs retry {report['job']}" in text
        assert str(stack.home) not in text
    finally:
        shutil.move(rest, folder)


def test_a_deployed_model_is_ready_to_serve(stack: LocalStack, ravi: Person, report: Message) -> None:
    """The button makes the version on the worker; the thread says what it promises and how to start it."""
    before = {message["ts"] for message in ravi.messages(CHANNEL, report["thread_ts"])}
    ravi.click(CHANNEL, report["ts"], "job_deploy", report["job"])

    def ready(message: Message) -> bool:
        return message["ts"] not in before and "trainwise serve" in text_of(message)

    text = text_of(ravi.wait_message(CHANNEL, ready, 120, report["thread_ts"]))
    assert "is ready to serve" in text
    assert f"trainwise serve {DATASET}" in text
    assert "calibration tickets" in text
    folder = stack.home / "artifacts" / "serving" / DATASET
    assert (folder / "versions" / report["job"] / "served.json").is_file()
    assert (folder / "current.json").is_file()
