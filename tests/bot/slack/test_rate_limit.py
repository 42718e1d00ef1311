"""Slack's speed limits, kept with a clock that is passed in."""

from __future__ import annotations

from bot.slack.delivery.rate_limit import Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def count_calls(pace: Pace, clock: Clock, method: str, channel: str, seconds: float) -> int:
    """How many calls go out when one is tried every tenth of a second."""
    match = 0
    for _ in range(int(seconds * 10)):
        match += pace.take(method, channel)
        clock.now += 0.1
    return match


def test_posts_keep_to_one_a_second_and_channel_and_channels_do_not_wait_for_each_other() -> None:
    """A burst of four, then 54 a minute; a second channel has its own count."""
    clock = Clock()
    pace = Pace(clock)
    assert 54 <= count_calls(pace, clock, "post", "C1", 60) <= 58
    assert pace.take("post", "C2")


def test_updates_share_one_limit_over_all_channels() -> None:
    """Forty a minute and a burst of eight, below Slack's fifty."""
    clock = Clock()
    pace = Pace(clock)
    assert sum(count_calls(pace, clock, "update", f"C{n}", 1) for n in range(60)) <= 48


def test_a_retry_after_is_waited_out() -> None:
    """Nothing goes out before the time Slack named, then it goes on."""
    clock = Clock()
    pace = Pace(clock)
    pace.hold("post", "C1", 30)
    assert count_calls(pace, clock, "post", "C1", 29.9) == 0
    clock.now += 0.2
    assert pace.take("post", "C1")
