"""The terminal shows what Slack received, words and order unchanged."""

from __future__ import annotations

from bot.demo.transcript import message_lines, plain, table_lines


def test_links_read_as_label_and_address() -> None:
    """Slack's link syntax and entities become plain words."""
    assert plain("see <https://a.b/c|the guide> &amp; more") == "see the guide (https://a.b/c) & more"
    assert plain("<https://a.b>") == "https://a.b"
    assert plain("asked by <@U0MAYA00001> and <@U0NOBODY>") == "asked by @maya and @U0NOBODY"


def test_blocks_keep_their_order_and_buttons_show() -> None:
    """A header, a section with fields and a button come out as lines in the order sent."""
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Verdict: RAG"}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "why\nbecause"},
            "fields": [{"type": "mrkdwn", "text": "a"}],
        },
        {
            "type": "actions",
            "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Cancel"}}],
        },
    ]
    assert message_lines(blocks) == ["VERDICT: RAG", "why", "because", "  a", "[Cancel]"]


def test_text_stands_in_when_there_are_no_blocks() -> None:
    """A message of text alone, or of unknown blocks alone, shows its text."""
    assert message_lines(None, "hello") == ["hello"]
    assert message_lines([{"type": "video"}], "hello") == ["hello"]


def test_tables_align() -> None:
    """Columns are padded to their widest cell."""
    rows = [
        [{"type": "raw_text", "text": "system"}, {"type": "raw_text", "text": "acc"}],
        [{"type": "raw_text", "text": "LoRA"}, {"type": "raw_text", "text": "90.1"}],
    ]
    assert table_lines({"rows": rows}) == ["system  acc", "LoRA    90.1"]
