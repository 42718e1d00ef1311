"""Slack's limits are checked before Slack sees a payload, and long texts lose nothing when split."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.slack.ui.limits import (
    TooLarge,
    message_problems,
    split_blocks,
    split_text,
    validate_message,
    validate_view,
)


def section(text: str) -> dict:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab .\n<>|&;amplt", max_size=400), st.integers(10, 60))
def test_split_loses_nothing(text: str, limit: int) -> None:
    """The pieces join to the text, and every piece fits."""
    pieces = split_text(text, limit)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


def test_split_keeps_links_and_entities_whole() -> None:
    """A cut never falls inside `<url|label>` or `&amp;`."""
    text = "word " * 4 + "<https://example.com/a|the label>" + " and &amp; so on " * 5
    for limit in range(36, 60):
        for piece in split_text(text, limit):
            assert piece.count("<") == piece.count(">")
            assert piece.count("&") == piece.count(";")


def test_a_40000_character_answer_becomes_messages_that_fit() -> None:
    """Sections of a huge text spread over messages, in order, nothing dropped."""
    text = "Sentence number one. " * 2000
    blocks = [section(piece) for piece in split_text(text)]
    messages = split_blocks(blocks)
    assert len(messages) > 1
    assert all(not message_problems(message) for message in messages)
    assert "".join(b["text"]["text"] for message in messages for b in message) == text


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([section("x")] * 51, "blocks 51 > 50"),
        ([section("x" * 3001)], "section 3001 > 3000"),
        ([section("")], "section text is empty"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "h" * 151}}], "header 151 > 150"),
        ([{"type": "context", "elements": [{"type": "mrkdwn", "text": "a"}] * 11}], "context 11 > 10"),
        ([{"type": "actions", "elements": []}], "actions is empty"),
        ([{"type": "table", "rows": [[{"type": "raw_text", "text": ""}]]}], "a table cell is empty"),
        ([{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}], "share a block_id"),
    ],
)
def test_each_limit_is_named(blocks: list[dict], problem: str) -> None:
    """A payload over a limit is refused with the limit in words."""
    with pytest.raises(TooLarge, match=problem):
        validate_message(blocks)


def test_view_limits() -> None:
    """A modal's title, metadata and submit button are checked too."""
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "t" * 25},
        "private_metadata": "m" * 3001,
        "blocks": [{"type": "input", "label": {"type": "plain_text", "text": "l"}, "element": {"type": "x"}}],
    }
    with pytest.raises(TooLarge) as error:
        validate_view(view)
    assert len(error.value.problems) == 3
