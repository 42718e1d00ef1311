"""The notifier against a workspace that loses answers, applies rate limits, refuses calls and closes channels."""

from __future__ import annotations

import logging

import pytest

from bot.slack.delivery.notifier import TOKEN_RETRY_S
from tests.integration.notifier_harness import CHANNEL, REPORT, NotifierHarness, text_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", ["accepted_drop", "accepted_500", "drop", "500"])
def test_a_report_is_posted_once_when_slacks_answer_is_lost(harness: NotifierHarness, how: str) -> None:
    """Whether Slack accepted the message or not, the notifier searches its key before it sends it again."""
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
def test_a_card_is_posted_once_when_slacks_answer_is_lost_even_after_a_restart(
    harness: NotifierHarness, how: str
) -> None:
    """After a send with unknown outcome the next bot searches the card before it posts one."""
    job = harness.submit()
    harness.workspace.fail("chat.postMessage", how=how)
    harness.notifier.work_once()
    harness.now += 1
    harness.notifier = harness.open_notifier()
    harness.later(5)
    assert "Queued" in text_of(harness.card(job))


def test_the_notifier_waits_for_the_retry_after_of_a_rate_limit(harness: NotifierHarness) -> None:
    """After a 429 the notifier makes no call before Retry-After; then it posts the card."""
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


def test_a_card_changes_at_most_every_three_seconds(harness: NotifierHarness) -> None:
    """Fifty steps in ten seconds change the card four times; the job's end changes it at once."""
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
def test_a_job_moves_to_its_requester_when_its_channel_is_closed(harness: NotifierHarness, do: str) -> None:
    """The requester is told once and why; the card, the report and its picture go to their direct messages."""
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


def test_many_jobs_move_to_their_requester_within_the_rate_limit(harness: NotifierHarness) -> None:
    """Twelve jobs in a channel with external readers: the requester is told once of each, and Slack refuses no call."""
    harness.notifier.is_closed_to_jobs = lambda channel: channel == CHANNEL
    jobs = [harness.submit() for _ in range(12)]
    harness.workspace.set_rates(enforce=True)
    for _ in range(40):
        harness.later(1)
    harness.workspace.set_rates({"chat.postMessage": 600}, enforce=False)
    assert [c for c in harness.calls("chat.postMessage") if c["response"].get("error") == "ratelimited"] == []
    for job in jobs:
        assert len(harness.bot_messages(f"Job `{job.id}` goes on", "@trainwise")) == 1


def test_a_malformed_report_is_posted_as_text_and_delays_no_other(
    harness: NotifierHarness,
) -> None:
    """A report with wrong types becomes a sentence; the next job's report is posted normally."""
    odd, fine = harness.submit(), harness.submit()
    harness.notifier.work_once()
    harness.event(odd, "finished", report={**REPORT, "systems": 7, "confused": "x"}, plots={})
    harness.finish(fine, pictures=False)
    for _ in range(3):
        harness.later(4)
    assert len(harness.thread(odd, "LoRA reads 86.5% right.")) == 2  # the card and the report
    assert len(harness.thread(fine, "Majority class")) == 1


def test_failed_pictures_are_uploaded_later_and_the_report_is_posted_once(harness: NotifierHarness) -> None:
    """Two uploads fail, the third succeeds."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.finish(job)
    harness.workspace.fail("files.completeUploadExternal", times=2)
    for _ in range(5):
        harness.later(70)
    assert len(harness.thread(job, "Majority class")) == 1
    assert sum(bool(m.get("files")) for m in harness.ravi.messages(CHANNEL, harness.card(job)["ts"])) == 1


def test_a_line_names_pictures_that_could_not_be_uploaded(harness: NotifierHarness) -> None:
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


def test_a_revoked_token_is_logged_once_and_nothing_is_lost(
    harness: NotifierHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """One log line says what to do; card and report are posted when the token works again."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.workspace.revoke("bot")
    harness.finish(job)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            harness.later(TOKEN_RETRY_S + 1)
        errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "token_revoked" in errors[0]
        assert "SLACK_BOT_TOKEN" in errors[0]
        harness.workspace.revoke("none")
        harness.later(TOKEN_RETRY_S + 1)
        harness.later(TOKEN_RETRY_S + 1)
    assert "Done" in text_of(harness.card(job))
    assert len(harness.thread(job, "Majority class")) == 1


def test_a_deleted_card_is_posted_again(harness: NotifierHarness) -> None:
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


def test_a_waiting_card_shows_when_the_queue_is_down_and_when_it_is_back(harness: NotifierHarness) -> None:
    """The job does not change when Redis goes down or comes back; its card does."""
    job = harness.submit()
    harness.notifier.work_once()
    harness.queue = False
    harness.later(4)
    assert "goes out when Redis is back" in text_of(harness.card(job))
    harness.queue = True
    harness.later(4)
    assert "Redis" not in text_of(harness.card(job))


def test_a_card_is_updated_again_when_another_bot_took_over_during_the_update(
    harness: NotifierHarness,
) -> None:
    """Two bots' updates of one card may arrive in either order, so the new leader updates it again."""
    job = harness.submit()
    harness.later(4)
    terms = iter([1, 1, 1])
    harness.notifier.leader_term = lambda: next(
        terms, 2
    )  # another bot took over before the update was recorded
    harness.event(job, "leased", pid=1)
    harness.notifier.work_once()
    assert [card.id for card in harness.ledger.stale_cards()] == [job.id]
    harness.notifier.leader_term = lambda: 2
    harness.later(4)
    assert harness.ledger.stale_cards() == []
