"""A job's life cycle in Slack: form, card, cancel, pause, retry, approval, Redis down, bot restarted."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from tests.integration.conftest import (
    CHANNEL,
    DATASET,
    MENTION,
    Message,
    answer,
    appears,
    private_reply,
    text_of,
    until,
)

pytestmark = pytest.mark.integration
QUICK = f"{DATASET} linear"
LONG = f"{DATASET} lora epochs=100 budget=20"
CARD = f"Fine-tune · {DATASET}"


def launch(person: Person, text: str) -> str:
    """The id of the job that a typed /finetune made."""
    card = appears(person, lambda: person.command("/finetune", text, CHANNEL), CARD)
    return id_of(card)


def id_of(card: Message) -> str:
    """The job's id as its card shows it."""
    return re.findall(r"`([a-z2-9]{8})`", text_of(card).splitlines()[0])[-1]


def card_of(person: Person, job: str) -> Message:
    """The job's card as it is now."""
    match = [m for m in person.messages(CHANNEL) if text_of(m).partition("\n")[0].endswith(f"`{job}`")]
    assert len(match) == 1, [text_of(m) for m in match]
    return match[0]


def shows(person: Person, job: str, part: str, seconds: float = 60) -> Message:
    """The job's card once it says `part`."""

    def match() -> Message | None:
        card = card_of(person, job)
        return card if part in text_of(card) else None

    card: Message = until(match, seconds)
    return card


def press(person: Person, job: str, action_id: str) -> Any:
    """Press a button of the job's card."""
    return person.click(CHANNEL, card_of(person, job)["ts"], action_id, job)


def thread(person: Person, job: str) -> str:
    """Everything said under the job's card."""
    return "\n".join(text_of(m) for m in person.messages(CHANNEL, card_of(person, job)["ts"]))


def test_the_form_names_the_wrong_field_and_starts_the_right_job_once(ravi: Person) -> None:
    """A negative epoch count stays on its field; sent twice by Slack it is one job; its estimate follows."""
    ravi.command("/finetune", "", CHANNEL)
    first = ravi.wait_view()
    ravi.use(first, "dataset", DATASET)
    view = ravi.wait_view()
    assert "cent" in text_of(view)
    response = ravi.submit(view, {"epochs": "-3"})
    assert response["errors"].keys() == {"epochs"}
    assert "from 1 to 100" in response["errors"]["epochs"]
    ravi.use(view, "method", "linear")
    view_new = ravi.wait_view()
    assert text_of(view_new) != text_of(view)
    card = appears(
        ravi,
        lambda: ravi.submit(view_new, {"method": "linear"}),
        CARD,
    )
    job = id_of(card)
    assert "linear on minilm" in text_of(card)
    result = shows(ravi, job, "Done")
    until(lambda: "Majority" in thread(ravi, job))
    ravi.click(CHANNEL, result["ts"], "job_details", job)
    assert "History" in text_of(ravi.wait_view())


def test_running_and_queued_jobs_are_cancelled_paused_and_resumed(ravi: Person, maya: Person) -> None:
    """Only the requester or an admin may; a queued job changes at once, a running one within seconds."""
    first, second, third = (launch(ravi, LONG) for _ in range(3))
    shows(ravi, first, "Training")
    assert "Only ravi or an admin" in private_reply(maya, lambda: press(maya, second, "job_cancel"))
    press(ravi, second, "job_cancel")
    shows(ravi, second, "Cancelled", 15)
    press(ravi, third, "job_pause")
    shows(ravi, third, "Paused", 15)
    press(ravi, third, "job_resume")
    shows(ravi, third, "Queued", 15)
    assert "cancel" in private_reply(ravi, lambda: ravi.command("/jobs", f"cancel {third}", CHANNEL)).lower()
    shows(ravi, third, "Cancelled", 15)
    listing = private_reply(ravi, lambda: ravi.command("/jobs", "running", CHANNEL))
    assert first in listing
    assert second not in listing
    press(ravi, first, "job_cancel")
    shows(ravi, first, "Cancelled", 20)
    until(lambda: "cancelled" in thread(ravi, first).lower())


def test_training_is_ended_early_and_continued_for_two_more_epochs(ravi: Person) -> None:
    """The report has the best weights so far; the button launches one new job from the last checkpoint."""
    job = launch(ravi, f"{DATASET} lora epochs=98 budget=20 patience=90")
    until(lambda: "Stop here" in str(card_of(ravi, job)["blocks"]), 90)
    press(ravi, job, "job_finish")
    shows(ravi, job, "Done", 90)
    until(lambda: "ended by request" in str(ravi.messages(CHANNEL, card_of(ravi, job)["ts"])))
    again = id_of(appears(ravi, lambda: press(ravi, job, "job_continue"), CARD))
    assert "100 epochs" in text_of(card_of(ravi, again))
    press(ravi, again, "job_cancel")
    shows(ravi, again, "Cancelled", 30)


def test_a_failed_job_says_why(ravi: Person) -> None:
    """On its card and when it is opened."""
    job = launch(ravi, f"{DATASET} full model=./no-such-model budget=5")
    assert "no-such-model" in text_of(shows(ravi, job, "Failed"))
    assert "Failed" in private_reply(ravi, lambda: ravi.command("/jobs", f"open {job}", CHANNEL))


def test_run_it_again_pressed_twice_is_one_new_job(ravi: Person) -> None:
    """With a card of its own; the second press is told which job it is."""
    job = launch(ravi, LONG)
    press(ravi, job, "job_cancel")
    shows(ravi, job, "Cancelled")
    again = id_of(appears(ravi, lambda: press(ravi, job, "job_retry"), CARD))
    assert again != job
    assert f"runs again already, as {again}" in private_reply(ravi, lambda: press(ravi, job, "job_retry"))
    press(ravi, again, "job_cancel")
    shows(ravi, again, "Cancelled")


def test_a_large_budget_needs_a_second_person(ravi: Person, ana: Person) -> None:
    """The launcher cannot approve; an admin can, or declines with a reason that the card carries."""
    job, other = (launch(ravi, f"{QUICK} budget=80") for _ in range(2))
    shows(ravi, job, "Waiting for approval")
    until(lambda: "asks for approval" in thread(ravi, job))
    assert "someone else" in private_reply(ravi, lambda: press(ravi, job, "job_approve"))
    request = next(
        m for m in ana.messages(CHANNEL, card_of(ana, job)["ts"]) if "asks for approval" in text_of(m)
    )
    direct = until(lambda: [m for m in ana.messages("@trainwise") if f"approval of job {job}" in text_of(m)])[
        0
    ]
    sure = str([b for b in direct["blocks"] if b["type"] == "actions"])
    assert job in sure
    assert "$80" in sure
    ana.click("@trainwise", direct["ts"], "job_approve", job)
    for place, message in (("@trainwise", direct), (CHANNEL, request)):  # spent: no buttons, but how it ended
        ended = ana.wait_message(place, lambda m, ts=message["ts"]: m["ts"] == ts and "approved by" in text_of(m),
                                 thread_ts=request["thread_ts"] if place == CHANNEL else None)  # fmt: skip
        assert not [b for b in ended["blocks"] if b["type"] == "actions"]
    until(lambda: "Waiting for approval" not in text_of(card_of(ravi, job)))
    until(lambda: "approved by ana" in thread(ravi, job))
    assert "approved by ana" in text_of(card_of(ravi, job))
    press(ravi, job, "job_cancel")
    press(ana, other, "job_reject")
    assert ana.submit(ana.wait_view(), {"reason": "use the small budget"})["ok"]
    assert "use the small budget" in text_of(shows(ravi, other, "Not approved"))


def test_a_job_launched_while_redis_is_down_runs_later(stack: LocalStack, ravi: Person) -> None:
    """The form is accepted, the card shows what the job waits for, and the job runs when Redis is back."""
    stack.kill_redis()
    try:
        job = launch(ravi, QUICK)
        shows(ravi, job, "goes out when Redis is back")
        assert "Redis is away" in text_of(ravi.wait_home(lambda view: "Redis is away" in text_of(view)))
    finally:
        stack.restart_redis()
    until(lambda: "Queued" not in text_of(card_of(ravi, job)))
    assert "Redis" not in text_of(card_of(ravi, job))
    press(ravi, job, "job_cancel")
    shows(ravi, job, "Cancelled")


def test_a_restarted_bot_catches_up(stack: LocalStack, maya: Person, ravi: Person) -> None:
    """Threads continue, old buttons work, and the card of a job that ended meanwhile is updated."""
    question = maya.say(CHANNEL, f"{MENTION} our help center changes every week, should we fine-tune?")
    card = answer(maya, question["ts"])
    job = launch(ravi, QUICK)
    stack.end("bot")
    maya.say(CHANNEL, "And if it changes daily?", thread_ts=question["ts"])
    stack.launch("bot")
    stack.wait_for_bot()
    shows(ravi, job, "Done")
    until(lambda: thread(ravi, job).count("Majority") == 1)
    stack.workspace.advance(61)
    assert answer(maya, question["ts"], number=2)
    maya.click(CHANNEL, card["ts"], "why")
    assert "Sources" in text_of(maya.wait_view())
