"""Keeps the notifier's calls within Slack's rate limits (token buckets).

Slack documents about one chat.postMessage per second and channel, and 50 chat.update per minute (tier 3). The notifier
stays below both, which leaves room for answers and commands of the same app.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

POSTS_PER_S = 0.9
POST_BURST = 4.0
UPDATES_PER_S = 40 / 60
UPDATE_BURST = 8.0
RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


@dataclass
class _Bucket:
    level: float
    at: float
    blocked_until: float = float("-inf")


@dataclass
class RateLimiter:
    """`acquire(method, channel)` is True when the call may be made now; `block` applies a Retry-After.

    Methods are "post", limited by channel, and "update", limited over all channels.
    """

    tick: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def acquire(self, method: str, channel: str) -> bool:
        """Takes one token; False when there is none."""
        per_s, burst = (POSTS_PER_S, POST_BURST) if method == "post" else (UPDATES_PER_S, UPDATE_BURST)
        bucket, now = self._bucket(method, channel), self.tick()
        bucket.level = min(burst, bucket.level + (now - bucket.at) * per_s)
        bucket.at = now
        if bucket.level < 1 or now < bucket.blocked_until:
            return False
        bucket.level -= 1
        return True

    def block(self, method: str, channel: str, seconds: float) -> None:
        """Refuses calls of this kind for `seconds`, as Slack's Retry-After asks."""
        self._bucket(method, channel).blocked_until = self.tick() + seconds

    def _bucket(self, method: str, channel: str) -> _Bucket:
        key = (method, channel if method == "post" else "")
        burst = POST_BURST if method == "post" else UPDATE_BURST
        return self._buckets.setdefault(key, _Bucket(burst, self.tick()))


def retry_delay(tries: int) -> float:
    """Seconds until the next try, after `tries` earlier ones."""
    return RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S) - 1)]
