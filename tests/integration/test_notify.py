"""What the ledger owes to Slack, against a workspace that loses answers, limits, refuses and closes channels."""

from __future__ import annotations

import logging

import pytest

from bot.slack.delivery.notifier import TOKEN_S
from tests.integration.desk import CHANNEL, REPORT, Desk, text_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", ["accepted_drop", "accepted_500", "drop", "500"])
def test_a_report_whose_answer_was_lost_stands_once(desk: Desk, how: str) -> None:
    """Accepted or not, the notifier looks for the message's key before it sends it again."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.finish(job)
    desk.workspace.fail("chat.postMessage", how=how)
    desk.later(4)
    for _ in range(6):
        desk.later(70)
    assert len(desk.thread(job, "Majority class")) == 1
    assert sum(bool(m.get("files")) for m in desk.ravi.messages(CHANNEL, desk.card(job)["ts"])) == 1
    assert desk.ledger.due_posts(desk.now + 1e6) == []


@pytest.mark.parametrize("how", ["accepted_drop", "500"])
def test_a_card_whose_answer_was_lost_stands_once_also_after_a_restart(desk: Desk, how: str) -> None:
    """The first card is looked for when its send was unsure, by this bot or by the one before it."""
    job = desk.submit()
    desk.workspace.fail("chat.postMessage", how=how)
    desk.notifier.work_once()
    desk.now += 1
    desk.notifier = desk.opened()
    desk.later(5)
    assert "Queued" in text_of(desk.card(job))


def test_a_rate_limit_is_waited_for_as_long_as_slack_says(desk: Desk) -> None:
    """After a 429 nothing is tried before Retry-After; then the card goes out."""
    desk.workspace.set_rates({"chat.postMessage": 2}, enforced=True)
    jobs = [desk.submit() for _ in range(3)]
    desk.notifier.work_once()
    refused = [c for c in desk.calls("chat.postMessage") if c["response"].get("error") == "ratelimited"]
    assert len(refused) == 1
    tried = len(desk.calls("chat.postMessage"))
    desk.later(5)
    assert len(desk.calls("chat.postMessage")) == tried
    desk.later(60)
    desk.workspace.set_rates({"chat.postMessage": 600}, enforced=False)
    assert all(desk.card(job) for job in jobs)


def test_progress_comes_at_most_every_three_seconds(desk: Desk) -> None:
    """Fifty steps in ten seconds are four changes of the card; the end is shown at once."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.event(job, "phase", phase="training")
    for step in range(1, 51):
        desk.event(job, "step", step=step, steps=50, loss=1 / step, eta_s=10.0)
        desk.later(0.2)
    updates = desk.calls("chat.update")
    assert 3 <= len(updates) <= 4
    assert "step" in text_of(desk.card(job))
    desk.finish(job, pictures=False)
    desk.later(0.2)
    assert "Done" in text_of(desk.card(job))
    desk.later(4)
    assert len(desk.calls("chat.update")) == len(updates) + 1


@pytest.mark.parametrize("do", ["archive", "remove"])
def test_a_job_whose_channel_is_closed_goes_on_with_its_launcher(desk: Desk, do: str) -> None:
    """Told once and why; the card stays current and the report with its picture comes there."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.workspace.channel(CHANNEL, do)
    desk.event(job, "phase", phase="training")
    for step in (1, 2, 3):
        desk.event(job, "step", step=step, steps=9)
        desk.later(70)
    desk.finish(job)
    desk.later(4)
    desk.workspace.channel(CHANNEL, {"archive": "restore", "remove": "invite"}[do])
    (told,) = desk.said(f"Job `{job.id}` goes on", "@trainwise")
    assert {"archive": "archived", "remove": "no longer in it"}[do] in text_of(told)
    (card,) = desk.said(f"`{job.id}`\n✅", "@trainwise")
    thread = desk.ravi.messages("@trainwise", card["ts"])
    assert sum("Majority class" in text_of(m) for m in thread[1:]) == 1
    assert sum(bool(m.get("files")) for m in thread) == 1


def test_a_report_that_cannot_be_drawn_is_still_reported_and_holds_up_no_other(desk: Desk) -> None:
    """A report of any shape ends as a sentence; the next job's report comes all the same."""
    odd, fine = desk.submit(), desk.submit()
    desk.notifier.work_once()
    desk.event(odd, "finished", report={**REPORT, "systems": 7, "confused": "x"}, plots={})
    desk.finish(fine, pictures=False)
    for _ in range(3):
        desk.later(4)
    assert desk.thread(odd, "cannot be shown here")
    assert len(desk.thread(fine, "Majority class")) == 1


def test_pictures_that_fail_come_later_and_the_report_stands_once(desk: Desk) -> None:
    """Two failed uploads, then one that works."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.finish(job)
    desk.workspace.fail("files.completeUploadExternal", times=2)
    for _ in range(5):
        desk.later(70)
    assert len(desk.thread(job, "Majority class")) == 1
    assert sum(bool(m.get("files")) for m in desk.ravi.messages(CHANNEL, desk.card(job)["ts"])) == 1


def test_pictures_that_never_come_are_named(desk: Desk) -> None:
    """After three tries a line in the thread says that they are missing and why."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.finish(job)
    desk.workspace.fail("files.getUploadURLExternal", times=3)
    for _ in range(5):
        desk.later(70)
    assert len(desk.thread(job, "Majority class")) == 1
    assert len(desk.thread(job, "internal_error")) == 1
    assert desk.ledger.due_posts(desk.now + 1e6) == []


def test_a_revoked_token_is_said_once_and_nothing_is_lost(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log says what to do; card and report go out once the token works again."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.workspace.revoke("bot")
    desk.finish(job)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            desk.later(TOKEN_S + 1)
        errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "token_revoked" in errors[0]
        assert "SLACK_BOT_TOKEN" in errors[0]
        desk.workspace.revoke("none")
        desk.later(TOKEN_S + 1)
        desk.later(TOKEN_S + 1)
    assert "Done" in text_of(desk.card(job))
    assert len(desk.thread(job, "Majority class")) == 1


def test_a_card_that_someone_deleted_is_posted_anew(desk: Desk) -> None:
    """The job keeps one card, the new one."""
    job = desk.submit()
    desk.notifier.work_once()
    first = desk.card(job)["ts"]
    desk.client.chat_delete(channel=CHANNEL, ts=first)
    desk.event(job, "phase", phase="training")
    desk.later(4)
    desk.later(4)
    assert desk.card(job)["ts"] != first
    assert desk.ledger.job(job.id).card_ts == desk.card(job)["ts"]


def test_a_waiting_card_says_that_the_queue_is_away_and_that_it_is_back(desk: Desk) -> None:
    """Nothing of the job changes when Redis goes; its card does, both ways."""
    job = desk.submit()
    desk.notifier.work_once()
    desk.queue = False
    desk.later(4)
    assert "goes out when Redis is back" in text_of(desk.card(job))
    desk.queue = True
    desk.later(4)
    assert "Redis" not in text_of(desk.card(job))
