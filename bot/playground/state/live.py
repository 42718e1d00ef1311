"""Publishes what happens to the web pages (and others) that watch."""

from __future__ import annotations

import asyncio
from typing import Any


class Live:
    """Fan-out of small JSON notes to the watchers of a user. A watcher that lags by 1,000 notes is
    dropped."""

    def __init__(self) -> None:
        self._watchers: list[tuple[str, asyncio.Queue[dict[str, Any] | None]]] = []

    def watch(self, user: str) -> asyncio.Queue[dict[str, Any] | None]:
        """A queue of notes for this user; None in it means: reconnect."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=1000)
        self._watchers.append((user, queue))
        return queue

    def unwatch(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        """Unsubscribe this queue."""
        self._watchers = [pair for pair in self._watchers if pair[1] is not queue]

    def publish(self, note: dict[str, Any], members: list[str] | None = None) -> None:
        """Send a note to `members` (to everyone when None)."""
        for user, queue in list(self._watchers):
            if members is not None and user not in members:
                continue
            try:
                queue.put_nowait(note)
            except asyncio.QueueFull:
                self.unwatch(queue)
                queue.get_nowait()
                queue.put_nowait(None)
