"""Slack's rate limits: so many calls a minute for each method, and about one message a second in each
channel."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bot.playground.state.clock import Clock

CHANNEL_BURST = 5


class Rates:
    """Token buckets by (method, channel). `limits` overrides calls per minute by method; None switches all
    off."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self.limits: dict[str, float] = {}
        self.enforce = True

    def override(self, limits: Mapping[str, float]) -> None:
        """Set calls per minute for methods, starting with a full bucket."""
        self.limits.update(limits)
        for method in limits:
            self._buckets = {key: b for key, b in self._buckets.items() if key.split(" ")[0] != method}

    def take(self, method: str, per_minute: float, channel: str | None) -> int:
        """Count one call; 0 when it is allowed, else the seconds for Retry-After."""
        if not self.enforce:
            return 0
        if method in self.limits:
            return self._draw(method, self.limits[method], self.limits[method])
        if method == "chat.postMessage" and channel:
            wait = self._draw(f"{method} {channel}", 60, CHANNEL_BURST)
            return wait or self._draw(method, 600, 600)
        return self._draw(method, per_minute, per_minute)

    def _draw(self, key: str, per_minute: float, burst: float) -> int:
        now = self._clock.now()
        level, at = self._buckets.get(key, (max(burst, 1), now))
        level = min(max(burst, 1), level + (now - at) * per_minute / 60)
        if level < 1:
            self._buckets[key] = (level, now)
            return max(1, math.ceil((1 - level) * 60 / per_minute)) if per_minute else 60
        self._buckets[key] = (level - 1, now)
        return 0
