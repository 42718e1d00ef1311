"""The weekly message of a channel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.slack.ui.messages import message_of
from worker.jobs.records import JobRequest
from worker.ledger.ledger import Ledger
from worker.ledger.notifications import set_notice
from worker.ledger.weekly_digest import enqueue_digests

MONDAY = datetime(2026, 11, 23, 8, 1, tzinfo=UTC).timestamp()


class Clock:
    now = MONDAY - 3 * 86_400

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Three jobs ended last Friday: two in one channel, one in a direct conversation."""
    here = Ledger(str(tmp_path / "l.db"), clock=Clock())
    for n, channel in enumerate(["C1", "C1", "D1"]):
        job = here.submit(
            JobRequest("finetune", {}, "<!channel> tickets", "U1", "m", "T", channel, None, f"k{n}")
        )
        here.request_cancel(job.id, "U1", "enough")
    for post in here.due_posts():
        here.complete_post(post.id, "1.1")
    yield here
    here.close()


def test_a_channel_is_told_once_a_week_on_monday_morning(ledger: Ledger) -> None:
    """Not on Sunday, not before eight, not twice; a direct conversation not at all; nothing in it pings."""
    assert enqueue_digests(ledger.engine, MONDAY - 86_400) == 0
    assert enqueue_digests(ledger.engine, MONDAY - 3_600) == 0
    for _ in range(3):
        assert enqueue_digests(ledger.engine, MONDAY) == 1
    (post,) = ledger.due_posts(MONDAY + 1)
    assert (post.channel, post.kind) == ("C1", "digest")
    text, blocks = message_of(post, ledger.job(post.job_id))
    assert "2 jobs ended (2 cancelled)" in text
    assert "<!channel>" not in str(blocks)
    assert enqueue_digests(ledger.engine, MONDAY + 7 * 86_400) == 0


def test_a_channel_can_switch_it_off_and_on(ledger: Ledger) -> None:
    """Off holds until someone switches it on again."""
    set_notice(ledger.engine, "C1", "digest", False, "U1", MONDAY)
    assert enqueue_digests(ledger.engine, MONDAY) == 0
    set_notice(ledger.engine, "C1", "digest", True, "U1", MONDAY)
    assert enqueue_digests(ledger.engine, MONDAY) == 1
