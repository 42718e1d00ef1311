"""Quantities in messy text of ten languages: where they stand and what they are worth."""

from __future__ import annotations

import pytest

from rag.signals.number_signals import CountedQuantity, number_signals
from rag.signals.quantities import find_quantities


@pytest.mark.parametrize(
    ("text", "words", "value"),
    [
        ("half a million rows", "half a million", 500_000),
        ("we have a few thousand", "a few thousand", 3000),
        ("6.5k pairs", "6.5k", 6500),
        ("20.000 Mails", "20.000", 20_000),
        ("3万件", "3万", 30_000),
        ("45万条", "45万", 450_000),
        ("1,1 milhão de chamadas", "1,1 milhão", 1_100_000),
        ("35 тысяч писем", "35 тысяч", 35_000),
        ("honderden mails", "honderden", 100),
        ("1 500 milliards de tokens", "1 500 milliards", 1.5e12),
        ("macro F1 of .82", ".82", 0.82),
        ("two hundred thousand calls", "two hundred thousand", 200_000),
    ],
)
def test_a_quantity_is_found_with_its_value(text: str, words: str, value: float) -> None:
    """Separators, multipliers and number words of several languages."""
    values = {text[one.start : one.end]: one.value for one in find_quantities(text)}
    assert values[words] == pytest.approx(value)


def test_a_share_stands_before_its_two_numbers() -> None:
    """ "40 of 160" is a quarter, and says of how many."""
    share, *numbers = find_quantities("40 of 160 were wrong")
    assert (share.value, share.whole) == (0.25, 160)
    assert [one.value for one in numbers] == [40, 160]


@pytest.mark.parametrize("text", ["one of our teams", "a bot for us", "gpt", "un bot"])
def test_articles_are_no_quantities(text: str) -> None:
    """Words that are also something else need company to count."""
    assert find_quantities(text) == []


@pytest.mark.parametrize(
    ("text", "kind", "signal", "value"),
    [
        ("within 2 seconds", "latency", "latency_ms", 2000),
        ("50毫秒以内", "latency", "latency_ms", 50),
        ("in 3 weeks", "deadline", "deadline_days", 21),
        ("400 pages", "kb_docs", "kb_tokens", 260_000),
        ("scores 0.81", "score", "score", 81),
        ("17% are wrong", "score", "score", 83),
        ("200 a week", "volume_week", "volume_month", 860),
    ],
)
def test_a_counted_quantity_becomes_its_signal(text: str, kind: str, signal: str, value: float) -> None:
    """In the signal's unit, with the user's words."""
    values, quotes = number_signals(text, [CountedQuantity(find_quantities(text)[0], kind)])
    assert values[signal] == pytest.approx(value)
    assert quotes[signal] in text
