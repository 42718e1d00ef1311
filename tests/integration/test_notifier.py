"""What the ledger owes to Slack, against a workspace that loses answers, limits, refuses and closes channels."""

from __future__ import annotations

import logging

import pytest

from bot.slack.delivery.notifier import TOKEN_S
from tests.integration.notifier_harness import CHANNEL, REPORT, NotifierHarness, text_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", ["accepted_drop", "accepted_500", "drop", "500"])
def test_a_report_whose_answer_was_lost_stands_once(harness: NotifierHarness, how: str) -> None:
    """Accepted or not, the notifier looks for the message's key before it sends it again."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.finish(job)
    harness.workspace.fail("chat.postMessage", how=how)
    harness.later(4)
    for _ in range(6):
        harness.later(70)
    assert len(harness.thread(job, "Majority class")) == 1
    assert sum(bool(m.get("files")) for m in harness.ravi.messages(CHANNEL, harness.card(job)["ts"])) == 1
    assert harness.ledger.due_posts(harness.now + 1e6) == []


@pytest.mark.parametrize("how", ["accepted_drop", "500"])
def test_a_card_whose_answer_was_lost_stands_once_also_after_a_restart(
    harness: NotifierHarness, how: str
) -> None:
    """The first card is looked for when its send was unsure, by this bot or by the one before it."""
    job = harness.submit()
    harness.workspace.fail("chat.postMessage", how=how)
    harness.notifier.work_once()
    harness.now += 1
    harness.notifier = harness.open_notifier()
    harness.later(5)
    assert "Queued" in text_of(harness.card(job))


def test_a_rate_limit_is_waited_for_as_long_as_slack_says(harness: NotifierHarness) -> None:
    """After a 429 nothing is tried before Retry-After; then the card goes out."""
    harness.workspace.set_rates({"chat.postMessage": 2}, enforce=True)
    jobs = [harness.submit() for _ in range(3)]
    harness.notifier.work_once()
    refusals = [c for c in harness.calls("chat.postMessage") if c["response"].get("error") == "ratelimited"]
    assert len(refusals) == 1
    attempts = len(harness.calls("chat.postMessage"))
    harness.later(5)
    assert len(harness.calls("chat.postMessage")) == attempts
    harness.later(60)
    harness.workspace.set_rates({"chat.postMessage": 600}, enforce=False)
    assert all(harness.card(job) for job in jobs)


def test_progress_comes_at_most_every_three_seconds(harness: NotifierHarness) -> None:
    """Fifty steps in ten seconds are four changes of the card; the end is shown at once."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.event(job, "phase", phase="training")
    for step in range(1, 51):
        harness.event(job, "step", step=step, steps=50, loss=1 / step, eta_s=10.0)
        harness.later(0.2)
    updates = harness.calls("chat.update")
    assert 3 <= len(updates) <= 4
    assert "step" in text_of(harness.card(job))
    harness.finish(job, pictures=False)
    harness.later(0.2)
    assert "Done" in text_of(harness.card(job))
    harness.later(4)
    assert len(harness.calls("chat.update")) == len(updates) + 1


@pytest.mark.parametrize("do", ["archive", "remove"])
def test_a_job_whose_channel_is_closed_goes_on_with_its_launcher(harness: NotifierHarness, do: str) -> None:
    """Told once and why; the card stays current and the report with its picture comes there."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.workspace.channel(CHANNEL, do)
    harness.event(job, "phase", phase="training")
    for step in (1, 2, 3):
        harness.event(job, "step", step=step, steps=9)
        harness.later(70)
    harness.finish(job)
    harness.later(4)
    harness.workspace.channel(CHANNEL, {"archive": "restore", "remove": "invite"}[do])
    (text,) = harness.bot_messages(f"Job `{job.id}` goes on", "@trainwise")
    assert {"archive": "archived", "remove": "no longer in it"}[do] in text_of(text)
    (card,) = harness.bot_messages(f"`{job.id}`\n✅", "@trainwise")
    thread = harness.ravi.messages("@trainwise", card["ts"])
    assert sum("Majority class" in text_of(m) for m in thread[1:]) == 1
    assert sum(bool(m.get("files")) for m in thread) == 1


def test_many_jobs_move_to_their_launcher_at_slacks_pace(harness: NotifierHarness) -> None:
    """Twelve jobs in a channel where people from outside read: each is told of once, and nothing is refused for haste."""
    harness.notifier.keeps_out = lambda channel: channel == CHANNEL
    jobs = [harness.submit() for _ in range(12)]
    harness.workspace.set_rates(enforce=True)
    for _ in range(40):
        harness.later(1)
    harness.workspace.set_rates({"chat.postMessage": 600}, enforce=False)
    assert [c for c in harness.calls("chat.postMessage") if c["response"].get("error") == "ratelimited"] == []
    for job in jobs:
        assert len(harness.bot_messages(f"Job `{job.id}` goes on", "@trainwise")) == 1


def test_a_report_that_cannot_be_drawn_is_still_reported_and_holds_up_no_other(
    harness: NotifierHarness,
) -> None:
    """A report of any shape ends as a sentence; the next job's report comes all the same."""
    odd, fine = harness.submit(), harness.submit()
    harness.notifier.work_once()
    harness.event(odd, "finished", report={**REPORT, "systems": 7, "confused": "x"}, plots={})
    harness.finish(fine, pictures=False)
    for _ in range(3):
        harness.later(4)
    assert len(harness.thread(odd, "LoRA reads 86.5% right.")) == 2  # the card and the report
    assert len(harness.thread(fine, "Majority class")) == 1


def test_pictures_that_fail_come_later_and_the_report_stands_once(harness: NotifierHarness) -> None:
    """Two failed uploads, then one that works."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.finish(job)
    harness.workspace.fail("files.completeUploadExternal", times=2)
    for _ in range(5):
        harness.later(70)
    assert len(harness.thread(job, "Majority class")) == 1
    assert sum(bool(m.get("files")) for m in harness.ravi.messages(CHANNEL, harness.card(job)["ts"])) == 1


def test_pictures_that_never_come_are_named(harness: NotifierHarness) -> None:
    """After three tries a line in the thread says that they are missing and why."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.finish(job)
    harness.workspace.fail("files.getUploadURLExternal", times=3)
    for _ in range(5):
        harness.later(70)
    assert len(harness.thread(job, "Majority class")) == 1
    assert len(harness.thread(job, "internal_error")) == 1
    assert harness.ledger.due_posts(harness.now + 1e6) == []


def test_a_revoked_token_is_said_once_and_nothing_is_lost(
    harness: NotifierHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log says what to do; card and report go out once the token works again."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.workspace.revoke("bot")
    harness.finish(job)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            harness.later(TOKEN_S + 1)
        errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "token_revoked" in errors[0]
        assert "SLACK_BOT_TOKEN" in errors[0]
        harness.workspace.revoke("none")
        harness.later(TOKEN_S + 1)
        harness.later(TOKEN_S + 1)
    assert "Done" in text_of(harness.card(job))
    assert len(harness.thread(job, "Majority class")) == 1


def test_a_card_that_someone_deleted_is_posted_anew(harness: NotifierHarness) -> None:
    """The job keeps one card, the new one."""
    job = harness.submit()
    harness.notifier.work_once()
    first = harness.card(job)["ts"]
    harness.client.chat_delete(channel=CHANNEL, ts=first)
    harness.event(job, "phase", phase="training")
    harness.later(4)
    harness.later(4)
    assert harness.card(job)["ts"] != first
    assert harness.ledger.job(job.id).card_ts == harness.card(job)["ts"]


def test_a_waiting_card_says_that_the_queue_is_away_and_that_it_is_back(harness: NotifierHarness) -> None:
    """Nothing of the job changes when Redis goes; its card does, both ways."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.queue = False
    harness.later(4)
    assert "goes out when Redis is back" in text_of(harness.card(job))
    harness.queue = True
    harness.later(4)
    assert "Redis" not in text_of(harness.card(job))


def test_a_card_that_was_shown_while_another_bot_took_over_is_shown_anew(harness: NotifierHarness) -> None:
    """Two updates of one card may arrive in either order; the last word is the one that speaks now."""
    job = harness.submit()
    harness.later(4)
    turns = iter([1, 1, 1])
    harness.notifier.voice = lambda: next(turns, 2)  # taken over before the update was noted
    harness.event(job, "leased", pid=1)
    harness.notifier.work_once()
    assert [card.id for card in harness.ledger.stale_cards()] == [job.id]
    harness.notifier.voice = lambda: 2
    harness.later(4)
    assert harness.ledger.stale_cards() == []
