"""Notices that a channel has switched off go to the job's requester instead, in the local workspace."""

from __future__ import annotations

import pytest

from bot.playground import Person
from tests.integration.notifier_harness import CHANNEL, NotifierHarness, text_of
from worker.jobs.records import Job, JobRequest
from worker.ledger.notifications import set_notice

pytestmark = pytest.mark.integration
DIRECT = "@trainwise"


def off(harness: NotifierHarness, *names: str) -> None:
    for name in names:
        set_notice(harness.ledger.engine, CHANNEL, name, False, "U1", harness.now)


def everywhere(harness: NotifierHarness, job: Job, part: str) -> list[tuple[str, str]]:
    """(place, text) of the bot's messages that contain `part`, in the channel and to the requester, with threads."""
    match = {}
    for place in (CHANNEL, DIRECT):
        tops = harness.ravi.messages(place)
        threads = [harness.ravi.messages(place, m["ts"]) for m in tops if m.get("reply_count")]
        for message in [*tops, *(m for thread in threads for m in thread)]:
            if part in text_of(message):
                match[place, message["ts"]] = text_of(message)
    return [(place, text) for (place, _), text in match.items()]


@pytest.mark.parametrize("how", [None, "accepted_drop", "500"])
def test_a_channel_without_notices_gets_nothing_and_the_requester_everything_once(
    harness: NotifierHarness, how: str | None
) -> None:
    """Card, updates, report and pictures go to the requester's direct messages, also when Slack loses answers."""
    off(harness, "started", "finished")
    job = harness.submit()
    if how:
        harness.workspace.fail("chat.postMessage", how=how)
    for _ in range(4):
        harness.later(70)
    assert [where for where, _ in everywhere(harness, job, job.id)] == [DIRECT]
    harness.finish(job)
    if how:
        harness.workspace.fail("chat.postMessage", how=how)
    for _ in range(6):
        harness.later(70)
    cards = [(where, text) for where, text in everywhere(harness, job, f"`{job.id}`") if "Done" in text]
    assert [where for where, _ in cards] == [DIRECT]
    card = next(m for m in harness.ravi.messages(DIRECT) if job.id in text_of(m))
    thread = harness.ravi.messages(DIRECT, card["ts"])
    assert sum("Majority class" in text_of(m) for m in thread) == 1
    assert sum(bool(m.get("files")) for m in thread) == 1
    assert harness.ledger.due_posts(harness.now + 1e6) == []


def test_a_channel_with_notices_of_ends_only_gets_the_report(
    harness: NotifierHarness,
) -> None:
    """The card stays with the requester; the report is posted once in the channel, with its pictures in the thread."""
    off(harness, "started")
    job = harness.submit()
    harness.later(5)
    harness.finish(job)
    for _ in range(4):
        harness.later(5)
    (report,) = [
        m for m in harness.ravi.messages(CHANNEL) if "Majority class" in text_of(m) and m.get("reply_count")
    ]
    assert report.get("thread_ts") in (None, report["ts"])
    assert sum(bool(m.get("files")) for m in harness.ravi.messages(CHANNEL, report["ts"])) == 1
    assert harness.ledger.due_posts(harness.now + 1e6) == []


def test_a_channel_with_notices_of_starts_and_failures_only(harness: NotifierHarness) -> None:
    """A success is reported to the requester, with the reason; the card in the channel still shows it."""
    off(harness, "finished")
    earlier = {message["ts"] for message in harness.ravi.messages(DIRECT)}
    result, failing = harness.submit(), harness.submit()
    harness.later(5)
    harness.finish(result, pictures=False)
    harness.event(failing, "failed", error="The dataset has one class only.")
    for _ in range(4):
        harness.later(5)
    assert "Done" in text_of(harness.card(result))
    assert harness.thread(result, "Majority class") == []
    (text,) = [m for m in harness.ravi.messages(DIRECT) if m["ts"] not in earlier]
    assert "is not told of jobs that finish" in text_of(text)
    assert harness.thread(failing, "one class only")


def test_an_approval_request_is_posted_in_the_channel_whatever_its_notices(harness: NotifierHarness) -> None:
    """Otherwise nobody could approve it."""
    off(harness, "started", "finished", "failed")
    job = harness.ledger.submit(
        JobRequest(
            "finetune", {}, "d", "U0RAVI00001", "ravi", "T1", CHANNEL, None, "dear", approval="It costs $80."
        )
    )
    for _ in range(3):
        harness.later(5)
    (question,) = [m for m in harness.ravi.messages(CHANNEL) if f"approval of job {job.id}" in text_of(m)]
    assert question.get("thread_ts") in (None, question["ts"])


def test_a_decided_request_has_no_buttons_and_a_late_one_is_not_sent(harness: NotifierHarness) -> None:
    """In the channel and with each approver the decision is shown; a repeated request is sent once, whatever Slack loses."""
    off(harness, "finished")
    request = JobRequest(
        "finetune", {"budget_usd": 80}, "d", "U0RAVI00001", "ravi", "T1", CHANNEL, None, "dear-2",
        approval="It costs $80.", approvers=("U0ANA000001", "U0RAVI00001", "U0NOBODY"),
    )  # fmt: skip
    job = harness.ledger.submit(request)
    harness.workspace.fail("chat.postMessage", how="accepted_drop")
    for _ in range(5):
        harness.later(70)
    ana = Person(harness.workspace.url, "ana", timeout=5)
    (direct,) = [m for m in ana.messages(DIRECT) if f"approval of job {job.id}" in text_of(m)]
    assert "at most $80" in str(direct["blocks"])
    harness.ledger.approve(job.id, "U0ANA000001", by_name="ana")
    for _ in range(3):
        harness.later(70)
    places = [(ana, DIRECT, direct["ts"])]
    places += [(harness.ravi, CHANNEL, m["ts"]) for m in harness.thread(job, "approved by ana")][
        1:
    ]  # below the card
    assert len(places) == 2
    for person, place, ts in places:
        thread = harness.card(job)["ts"] if place == CHANNEL else None
        (message,) = [m for m in person.messages(place, thread) if m["ts"] == ts]
        assert "approved by ana" in text_of(message)
        assert not [b for b in message["blocks"] if b["type"] == "actions"]
    assert "approved by ana" in text_of(harness.card(job))
    late = harness.ledger.submit(JobRequest("finetune", {}, "d", "U0RAVI00001", "ravi", "T1", CHANNEL, None, "dear-3",
                                            approval="It is dear.", approvers=("U0ANA000001",)))  # fmt: skip
    harness.ledger.request_cancel(late.id, "U0RAVI00001", "never mind")
    for _ in range(3):
        harness.later(70)
    assert not [m for m in ana.messages(DIRECT) if f"approval of job {late.id}" in text_of(m)]
