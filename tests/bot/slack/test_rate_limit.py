"""The notifier's rate limiter, on a test clock."""

from __future__ import annotations

from bot.slack.delivery.rate_limit import RateLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def count_calls(limiter: RateLimiter, clock: Clock, method: str, channel: str, seconds: float) -> int:
    """The number of calls that the limiter allows when one is tried every tenth of a second."""
    count = 0
    for _ in range(int(seconds * 10)):
        count += limiter.acquire(method, channel)
        clock.now += 0.1
    return count


def test_each_channel_may_get_one_post_a_second() -> None:
    """A burst of four, then 54 a minute; a second channel has its own count."""
    clock = Clock()
    limiter = RateLimiter(clock)
    assert 54 <= count_calls(limiter, clock, "post", "C1", 60) <= 58
    assert limiter.acquire("post", "C2")


def test_updates_share_one_limit_over_all_channels() -> None:
    """Forty a minute and a burst of eight, below Slack's fifty."""
    clock = Clock()
    limiter = RateLimiter(clock)
    assert sum(count_calls(limiter, clock, "update", f"C{n}", 1) for n in range(60)) <= 48


def test_no_call_is_allowed_before_retry_after() -> None:
    """`block` refuses calls for the given seconds and allows them again afterwards."""
    clock = Clock()
    limiter = RateLimiter(clock)
    limiter.block("post", "C1", 30)
    assert count_calls(limiter, clock, "post", "C1", 29.9) == 0
    clock.now += 0.2
    assert limiter.acquire("post", "C1")
