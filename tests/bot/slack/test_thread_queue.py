"""Works of one thread run in order; other threads do not wait for them."""

from __future__ import annotations

import threading

import pytest

from bot.slack.thread_queue import ThreadQueue, TooBusy


def test_waiting_work_is_sorted_by_its_order() -> None:
    """Three questions that were submitted out of order behind a long answer are answered in order."""
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


def test_work_without_an_order_runs_first_in_first_out() -> None:
    """Imports of one dataset have no order of their own."""
    queue, result = ThreadQueue(threads=4), []
    for number in range(50):
        queue.submit("import", lambda _stop, number=number: result.append(number))
    assert queue.close(10)
    assert result == list(range(50))


def test_threads_do_not_wait_for_each_other_and_stop_ends_the_running_work() -> None:
    """While one thread hangs another is answered; `stop` ends the hanging one."""
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


def test_a_full_or_closed_queue_refuses_work() -> None:
    """TooBusy is raised beyond `most_waiting`, and after `close`."""
    queue, go = ThreadQueue(threads=1, most_waiting=2), threading.Event()
    queue.submit("a", lambda _stop: go.wait(10) and None)
    queue.submit("b", lambda _stop: None)
    with pytest.raises(TooBusy, match="again in a minute"):
        queue.submit("c", lambda _stop: None)
    go.set()
    assert queue.close(10)
    with pytest.raises(TooBusy):
        queue.submit("d", lambda _stop: None)


def test_a_stop_with_a_work_id_ends_only_that_work() -> None:
    """The Cancel button of a finished import does not end the next import with the same key."""
    queue, start, stops = ThreadQueue(threads=2), threading.Event(), []

    def hanging(stop: threading.Event) -> None:
        start.set()
        stops.append(stop.wait(10))

    queue.submit("import", lambda _stop: None, work_id="first")
    queue.submit("import", hanging, work_id="second")
    assert start.wait(10)
    assert not queue.stop("import", "first")
    assert not stops
    assert queue.stop("import", "second")
    assert queue.close(10)
    assert stops == [True]
