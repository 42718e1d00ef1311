"""Text from people and models can neither ping, link nor hide anything in Slack."""

from __future__ import annotations

import pytest

from bot.slack.ui.escape import escape, link, one_line, question_of


@pytest.mark.parametrize(
    "attack",
    [
        "<!channel>",
        "<!here|here>",
        "<@U0ADMIN>",
        "<#C0SECRET>",
        "<https://evil.example|your bank>",
        "<!subteam^S1>",
    ],
)
def test_references_become_harmless_words(attack: str) -> None:
    """After escaping there is no angle bracket left for Slack to act on."""
    text = escape(f"hello {attack} there")
    assert "<" not in text
    assert ">" not in text


def test_direction_changes_and_zero_width_characters_go() -> None:
    """A right-to-left override cannot turn `gpj.exe` into `exe.jpg` on the screen."""
    assert escape("photo\u202egpj.exe\u200b") == "photogpj.exe"


def test_links_keep_only_web_addresses() -> None:
    """A source with a javascript address shows as plain words; a label cannot smuggle a second link."""
    assert link("https://a.example/x y|z>", "A <b>") == "<https://a.example/x%20y%7Cz%3E|A &lt;b&gt;>"
    assert link("javascript:alert(1)", "click") == "click"
    assert link(None, "Guide") == "Guide"


def test_question_loses_the_mention_and_reads_like_typed() -> None:
    """Slack's wire form becomes what the person saw: names, channels, links and entities as words."""
    wire = "<@UBOT> do <@U1|maya> &amp; <#C1|support> like <https://x.example|this page>? a &lt; b <!here>"
    assert question_of(wire, "UBOT") == "do @maya & #support like this page (https://x.example)? a < b @here"


def test_one_line_cuts_at_a_word() -> None:
    """Labels are cut with an ellipsis and stay within their limit."""
    assert one_line("short  \n text", 20) == "short text"
    assert one_line("alpha beta gamma delta", 12) == "alpha beta…"
    assert len(one_line("x" * 100, 12)) == 12
