"""Runs work that takes longer than Slack's three seconds: in order within a thread, in parallel across threads.

Slack's listeners run in parallel, so messages of one thread may arrive out of order: waiting work is sorted by `order`
(a message's ts), then by arrival. The queue is bounded: beyond `most_waiting` it refuses new work with TooBusy.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bot.errors import BotError

Work = Callable[[threading.Event], None]


@dataclass(order=True)
class QueuedWork:
    """One piece of work in a thread's queue."""

    order: str
    work: Work = field(compare=False)
    work_id: str = field(default="", compare=False)


class TooBusy(BotError):
    """The queue is full."""

    def __init__(self) -> None:
        super().__init__(
            "I have more questions waiting than I can answer soon. Please ask again in a minute."
        )


class ThreadQueue:
    """`submit(key, work)` runs the works of each key one after another; `work` gets an Event that `stop(key)` sets."""

    def __init__(self, threads: int = 8, most_waiting: int = 4000) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="turn")
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: dict[Hashable, list[QueuedWork]] = {}
        self._stops: dict[Hashable, tuple[str, threading.Event]] = {}
        self._count = 0
        self._most = most_waiting
        self._is_closed = False

    def submit(self, key: Hashable, work: Work, order: str = "", work_id: str = "") -> None:
        """Queues the work among those of its key, sorted by `order`; raises TooBusy when the queue is full or closed.

        `work_id` identifies it for `stop`.
        """
        with self._lock:
            if self._is_closed or self._count >= self._most:
                raise TooBusy
            self._count += 1
            if key in self._waiting:
                insort(self._waiting[key], QueuedWork(order, work, work_id))
                return
            self._waiting[key] = [QueuedWork(order, work, work_id)]
        self._pool.submit(self._run, key)

    def stop(self, key: Hashable, work_id: str = "") -> bool:
        """Asks the running work of the key to stop (only the one of `work_id`, if given); whether it was running."""
        with self._lock:
            name, event = self._stops.get(key, ("", None))
        if event is None or (work_id and work_id != name):
            return False
        event.set()
        return True

    def is_busy(self, key: Hashable) -> bool:
        """Whether work of this key runs or waits."""
        with self._lock:
            return key in self._waiting

    def close(self, timeout_s: float = 20.0) -> bool:
        """Refuses new work and waits for the accepted work; whether all of it was done in time."""
        with self._idle:
            self._is_closed = True
            empty = self._idle.wait_for(lambda: self._count == 0, timeout_s)
        self._pool.shutdown(wait=empty, cancel_futures=True)
        return empty

    @property
    def waiting(self) -> int:
        """The number of accepted works that are not done."""
        with self._lock:
            return self._count

    def _run(self, key: Hashable) -> None:
        """Runs one work of the key and queues its next one behind the other keys, so that no thread starves others."""
        with self._lock:
            first = self._waiting[key].pop(0)
            stop = threading.Event()
            self._stops[key] = first.work_id, stop
        try:
            first.work(stop)
        finally:
            with self._idle:
                del self._stops[key]
                self._count -= 1
                more = bool(self._waiting[key])
                if not more:
                    del self._waiting[key]
                self._idle.notify_all()
            if more:
                self._pool.submit(self._run, key)
