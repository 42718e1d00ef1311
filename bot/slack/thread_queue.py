"""Work that takes longer than Slack's three seconds: done in order per thread, in parallel across threads.

Slack's listeners run side by side, so messages of one thread may be handed over in another order than they were
written: what waits is taken by its `order` (a message's ts), and in the order of arrival where that is equal.
Bounded: beyond `most_waiting` the newest is refused with a sentence, so memory stays flat under a flood.
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
class Waiting:
    """One piece of work in its thread's line."""

    order: str
    work: Work = field(compare=False)
    run: str = field(default="", compare=False)


class TooBusy(BotError):
    """More questions wait than can be answered soon."""

    def __init__(self) -> None:
        super().__init__(
            "I have more questions waiting than I can answer soon. Please ask again in a minute."
        )


class ThreadQueue:
    """`submit(key, work)` runs each key's works one after another; `work` gets an Event set by `stop(key)`."""

    def __init__(self, threads: int = 8, most_waiting: int = 4000) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="turn")
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: dict[Hashable, list[Waiting]] = {}
        self._stops: dict[Hashable, tuple[str, threading.Event]] = {}
        self._count = 0
        self._most = most_waiting
        self._is_closed = False

    def submit(self, key: Hashable, work: Work, order: str = "", run: str = "") -> None:
        """Queues the work by its order among those of its key; raises TooBusy when too many wait or at the end.

        `run` names it for `stop`.
        """
        with self._lock:
            if self._is_closed or self._count >= self._most:
                raise TooBusy
            self._count += 1
            if key in self._waiting:
                insort(self._waiting[key], Waiting(order, work, run))
                return
            self._waiting[key] = [Waiting(order, work, run)]
        self._pool.submit(self._run, key)

    def stop(self, key: Hashable, run: str = "") -> bool:
        """Asks what runs for the key to stop, or only the work of this name; True when it did run."""
        with self._lock:
            name, event = self._stops.get(key, ("", None))
        if event is None or (run and run != name):
            return False
        event.set()
        return True

    def holds(self, key: Hashable) -> bool:
        """Whether work of this key runs or waits."""
        with self._lock:
            return key in self._waiting

    def close(self, timeout_s: float = 20.0) -> bool:
        """Takes nothing new, waits for what was accepted; True when all of it was done in time."""
        with self._idle:
            self._is_closed = True
            empty = self._idle.wait_for(lambda: self._count == 0, timeout_s)
        self._pool.shutdown(wait=empty, cancel_futures=True)
        return empty

    @property
    def waiting(self) -> int:
        """Accepted works that are not done yet."""
        with self._lock:
            return self._count

    def _run(self, key: Hashable) -> None:
        """One work of the key, then the next is queued behind other keys: no thread starves the rest."""
        with self._lock:
            first = self._waiting[key].pop(0)
            stop = threading.Event()
            self._stops[key] = first.run, stop
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
