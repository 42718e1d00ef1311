"""What a channel does not want to hear reaches the launcher instead, against the local workspace."""

from __future__ import annotations

import pytest

from tests.integration.desk import CHANNEL, Desk, text_of
from worker.jobs.records import Job, JobRequest
from worker.ledger.notifications import set_notice

pytestmark = pytest.mark.integration
DIRECT = "@trainwise"


def off(desk: Desk, *names: str) -> None:
    for name in names:
        set_notice(desk.ledger.engine, CHANNEL, name, False, "U1", desk.now)


def everywhere(desk: Desk, job: Job, part: str) -> list[tuple[str, str]]:
    """(where, text) of all that the bot said with `part`, in the channel and to the launcher, threads included."""
    found = {}
    for place in (CHANNEL, DIRECT):
        tops = desk.ravi.messages(place)
        threads = [desk.ravi.messages(place, m["ts"]) for m in tops if m.get("reply_count")]
        for message in [*tops, *(m for thread in threads for m in thread)]:
            if part in text_of(message):
                found[place, message["ts"]] = text_of(message)
    return [(place, text) for (place, _), text in found.items()]


@pytest.mark.parametrize("how", [None, "accepted_drop", "500"])
def test_a_quiet_channel_hears_nothing_and_its_launcher_everything_once(desk: Desk, how: str | None) -> None:
    """Card, its changes, report and pictures stand in the launcher's messages, also when Slack loses answers."""
    off(desk, "started", "finished")
    job = desk.submit()
    if how:
        desk.workspace.fail("chat.postMessage", how=how)
    for _ in range(4):
        desk.later(70)
    assert [where for where, _ in everywhere(desk, job, job.id)] == [DIRECT]
    desk.finish(job)
    if how:
        desk.workspace.fail("chat.postMessage", how=how)
    for _ in range(6):
        desk.later(70)
    cards = [(where, text) for where, text in everywhere(desk, job, f"`{job.id}`") if "Done" in text]
    assert [where for where, _ in cards] == [DIRECT]
    card = next(m for m in desk.ravi.messages(DIRECT) if job.id in text_of(m))
    thread = desk.ravi.messages(DIRECT, card["ts"])
    assert sum("Majority class" in text_of(m) for m in thread) == 1
    assert sum(bool(m.get("files")) for m in thread) == 1
    assert desk.ledger.due_posts(desk.now + 1e6) == []


def test_a_channel_that_hears_only_of_ends_gets_the_report_beside_its_thread(desk: Desk) -> None:
    """The card stays with the launcher, the report stands in the channel itself, once, its pictures below it."""
    off(desk, "started")
    job = desk.submit()
    desk.later(5)
    desk.finish(job)
    for _ in range(4):
        desk.later(5)
    (report,) = [
        m for m in desk.ravi.messages(CHANNEL) if "Majority class" in text_of(m) and m.get("reply_count")
    ]
    assert report.get("thread_ts") in (None, report["ts"])
    assert sum(bool(m.get("files")) for m in desk.ravi.messages(CHANNEL, report["ts"])) == 1
    assert desk.ledger.due_posts(desk.now + 1e6) == []


def test_a_channel_that_hears_only_of_starts_and_failures(desk: Desk) -> None:
    """A success is reported to the launcher, with the reason why there; the card in the channel still shows it."""
    off(desk, "finished")
    earlier = {message["ts"] for message in desk.ravi.messages(DIRECT)}
    done, broken = desk.submit(), desk.submit()
    desk.later(5)
    desk.finish(done, pictures=False)
    desk.event(broken, "failed", error="The dataset has one class only.")
    for _ in range(4):
        desk.later(5)
    assert "Done" in text_of(desk.card(done))
    assert desk.thread(done, "Majority class") == []
    (told,) = [m for m in desk.ravi.messages(DIRECT) if m["ts"] not in earlier]
    assert "is not told of jobs that finish" in text_of(told)
    assert desk.thread(broken, "one class only")


def test_an_approval_is_asked_for_in_the_channel_whatever_it_hears(desk: Desk) -> None:
    """Else nobody could give it."""
    off(desk, "started", "finished", "failed")
    job = desk.ledger.submit(
        JobRequest(
            "finetune", {}, "d", "U0RAVI00001", "ravi", "T1", CHANNEL, None, "dear", approval="It costs $80."
        )
    )
    for _ in range(3):
        desk.later(5)
    (asked,) = [m for m in desk.ravi.messages(CHANNEL) if f"approval of job {job.id}" in text_of(m)]
    assert asked.get("thread_ts") in (None, asked["ts"])
