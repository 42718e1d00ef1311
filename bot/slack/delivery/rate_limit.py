"""Slack's speed limits, kept on our side: what may be called now, and what has to wait its turn.

Limits as documented by Slack: about one chat.postMessage a second and channel, chat.update 50 a minute
(tier 3). We stay below both, so that answers and commands of the same app find room too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

POSTS_PER_S = 0.9
POST_BURST = 4.0
UPDATES_PER_S = 40 / 60
UPDATE_BURST = 8.0
RETRIES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


@dataclass
class _Bucket:
    level: float
    at: float
    held_until: float = float("-inf")


@dataclass
class Pace:
    """`take(method, channel)` is True when the call may go out now; `hold` waits out a Retry-After.

    Methods are "post", limited by channel, and "update", limited over all channels.
    """

    tick: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def take(self, method: str, channel: str) -> bool:
        """Counts one call if there is room for it."""
        per_s, burst = (POSTS_PER_S, POST_BURST) if method == "post" else (UPDATES_PER_S, UPDATE_BURST)
        bucket, now = self._bucket(method, channel), self.tick()
        bucket.level = min(burst, bucket.level + (now - bucket.at) * per_s)
        bucket.at = now
        if bucket.level < 1 or now < bucket.held_until:
            return False
        bucket.level -= 1
        return True

    def hold(self, method: str, channel: str, seconds: float) -> None:
        """Slack said to wait: nothing of this kind goes out for so long."""
        self._bucket(method, channel).held_until = self.tick() + seconds

    def _bucket(self, method: str, channel: str) -> _Bucket:
        key = (method, channel if method == "post" else "")
        burst = POST_BURST if method == "post" else UPDATE_BURST
        return self._buckets.setdefault(key, _Bucket(burst, self.tick()))


def delay(tries: int) -> float:
    """Seconds until the next try after so many earlier ones."""
    return RETRIES_S[min(tries, len(RETRIES_S) - 1)]
