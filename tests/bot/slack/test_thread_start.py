"""The threads for Slack's events start before the first event."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from slack_sdk import WebClient

from bot.slack.app import build_app
from bot.slack.thread_start import start_threads


class NoTeam:
    """No team is installed."""

    def services(self, _context: object) -> None:
        return None


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_every_thread_runs_and_takes_work_afterwards() -> None:
    """All threads are started and idle."""
    with start_threads(ThreadPoolExecutor(5, thread_name_prefix="early"), 5) as pool:
        assert sum(name.startswith("early") for name in names()) == 5
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
        assert sum(name.startswith("early") for name in names()) == 5


def test_an_app_has_its_listener_threads_from_the_start() -> None:
    """The first burst of events starts no thread."""
    before = sum(name.startswith("listener") for name in names())
    build_app(WebClient("xoxb-none"), NoTeam(), threads=7, signing_secret="none")
    assert sum(name.startswith("listener") for name in names()) == before + 7
