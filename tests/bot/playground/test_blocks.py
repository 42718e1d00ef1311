"""The workspace's own judge of blocks."""

from __future__ import annotations

from typing import Any

import pytest

from bot.playground.block_kit.blocks import check_blocks, total_text
from bot.playground.client.compose import encode, rich_text
from bot.playground.state.seed import first_channels, first_users


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": plain("Go"), **more}


GOOD: list[list[dict[str, Any]]] = [
    [{"type": "header", "text": plain("h" * 150)}],
    [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}, "accessory": button()}],
    [{"type": "markdown", "text": "x" * 12_000}],
    [{"type": "alert", "level": "warning", "text": plain("careful")}],
    [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]] * 100}],
    [{"type": "container", "title": plain("t"), "child_blocks": [{"type": "divider"}]}],
]
BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([{"type": "header", "text": plain("h" * 151)}], "less than 151"),
    ([{"type": "header", "text": {"type": "mrkdwn", "text": "h"}}], "unsupported type: mrkdwn"),
    ([{"type": "section", "text": plain("")}], "more than 0 characters"),
    ([{"type": "section"}], "missing required field: text"),
    ([{"type": "section", "fields": [plain("f")] * 11}], "no more than 10"),
    ([{"type": "actions", "elements": [button(action_id=str(n)) for n in range(26)]}], "no more than 25"),
    ([{"type": "actions", "elements": [button(), button()]}], "action_id already exists"),
    ([{"type": "actions", "elements": [button(text=plain("x" * 76))]}], "less than 76"),
    ([{"type": "actions", "elements": [button(value="x" * 2001)]}], "less than 2001"),
    ([{"type": "actions", "elements": [button(style="loud")]}], "valid enum"),
    ([{"type": "context", "elements": [plain("c")] * 11}], "no more than 10"),
    ([{"type": "image", "image_url": "http://127.0.0.1/x.png", "alt_text": "x"}], "downloading image failed"),
    ([{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}] * 21]}], "no more than 20"),
    ([{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}] * 2, "only_one_table_allowed"),
    ([{"type": "divider", "block_id": "b"}] * 2, "already exists"),
    (
        [{"type": "container", "title": plain("t"), "child_blocks": [{"type": "data_visualization"}]}],
        "unsupported type: data_visualization",
    ),
    ([{"type": "data_visualization", "title": "t" * 51, "chart": {"type": "pie"}}], "less than 51"),
]


@pytest.mark.parametrize("blocks", GOOD)
def test_blocks_at_their_limits_pass(blocks):
    """What Slack's limits allow is taken."""
    assert check_blocks(blocks, "message") == []


@pytest.mark.parametrize(("blocks", "complaint"), BAD)
def test_blocks_past_a_limit_are_refused(blocks, complaint):
    """Each broken rule is named, with a pointer."""
    problems = check_blocks(blocks, "message")
    assert any(complaint in problem and "[json-pointer:/" in problem for problem in problems), problems


def test_selects_need_their_initial_option_among_the_options():
    """Slack refuses an initial option that is not offered."""
    option_ = {"text": plain("A"), "value": "a"}
    select = {"type": "static_select", "action_id": "s", "options": [option_]}
    bad = {**select, "initial_option": {"text": plain("B"), "value": "b"}}
    assert check_blocks([{"type": "actions", "elements": [select]}], "message") == []
    assert "initial option" in check_blocks([{"type": "actions", "elements": [bad]}], "message")[0]


def test_message_blocks_do_not_go_into_modals():
    """Tables, charts and markdown are for messages."""
    assert check_blocks([{"type": "markdown", "text": "x"}], "modal") != []


def test_total_text_counts_nested_text():
    """All text of a message counts towards its limit."""
    assert total_text([{"type": "section", "text": plain("abc"), "fields": [plain("de")]}]) == 5


def test_typed_text_is_encoded_as_slack_does():
    """Names become tokens, three characters are escaped, addresses get brackets without the full stop."""
    users = {user.id: user for user in first_users("trainwise")}
    channels = {channel.id: channel for channel in first_channels()}
    job = encode("@trainwise is 1<2 & #general? https://x.org/a.", users, channels)
    assert job == "<@U0TRAINWISE> is 1&lt;2 &amp; <#C0GENERAL01|general>? <https://x.org/a>."
    kinds = [element["type"] for element in rich_text(job, "b")["elements"][0]["elements"]]
    assert kinds == ["user", "text", "channel", "text", "link", "text"]
