"""Answers of one thread come in the order of their questions, other threads do not wait for them."""

from __future__ import annotations

import threading

import pytest

from bot.slack.thread_queue import ThreadQueue, TooBusy


def test_what_waits_in_a_thread_is_taken_by_the_time_it_was_written() -> None:
    """Three questions wait behind a long answer, handed over in the wrong order: answered in the right one."""
    queue, start, go, result = ThreadQueue(threads=2), threading.Event(), threading.Event(), []

    def long_answer(_stop: threading.Event) -> None:
        start.set()
        go.wait(10)

    queue.submit("thread", long_answer, order="100.1")
    assert start.wait(10)
    for ts in ("100.4", "100.2", "100.3"):
        queue.submit("thread", lambda _stop, ts=ts: result.append(ts), order=ts)
    go.set()
    assert queue.close(10)
    assert result == ["100.2", "100.3", "100.4"]


def test_without_an_order_first_come_is_first_served() -> None:
    """Imports of one data set have no time of their own: they keep the order in which they came."""
    queue, result = ThreadQueue(threads=4), []
    for number in range(50):
        queue.submit("import", lambda _stop, number=number: result.append(number))
    assert queue.close(10)
    assert result == list(range(50))


def test_a_thread_does_not_wait_for_another_and_a_stop_reaches_what_runs() -> None:
    """While one thread hangs another is answered; Stop ends the one that hangs."""
    queue, other, start = ThreadQueue(threads=2), threading.Event(), threading.Event()

    def hanging(stop: threading.Event) -> None:
        start.set()
        assert stop.wait(10)

    queue.submit("one", hanging)
    queue.submit("two", lambda _stop: other.set())
    assert other.wait(10)
    assert start.wait(10)
    assert queue.stop("one")
    assert queue.close(10)
    assert not queue.stop("one")


def test_a_flood_and_the_end_are_refused_with_a_sentence() -> None:
    """Beyond the most that may wait, and once the bot closes, nothing is taken that would be lost."""
    queue, go = ThreadQueue(threads=1, most_waiting=2), threading.Event()
    queue.submit("a", lambda _stop: go.wait(10) and None)
    queue.submit("b", lambda _stop: None)
    with pytest.raises(TooBusy, match="again in a minute"):
        queue.submit("c", lambda _stop: None)
    go.set()
    assert queue.close(10)
    with pytest.raises(TooBusy):
        queue.submit("d", lambda _stop: None)


def test_a_stop_by_name_reaches_only_the_work_of_that_name() -> None:
    """The button of an import that is over does not end the next one under the same key."""
    queue, start, stops = ThreadQueue(threads=2), threading.Event(), []

    def hanging(stop: threading.Event) -> None:
        start.set()
        stops.append(stop.wait(10))

    queue.submit("import", lambda _stop: None, run="first")
    queue.submit("import", hanging, run="second")
    assert start.wait(10)
    assert not queue.stop("import", "first")
    assert not stops
    assert queue.stop("import", "second")
    assert queue.close(10)
    assert stops == [True]
