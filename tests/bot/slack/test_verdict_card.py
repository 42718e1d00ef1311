"""A reply as a card and its modals: pure, within Slack's limits, and harmless whatever was quoted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.slack.ui.limits import split_blocks, validate_message, validate_view
from bot.slack.ui.verdict_card import (
    BUILD_VERDICTS,
    change_modal,
    source_modal,
    verdict_card,
    verdict_text,
    why_modal,
)
from rag.reply import Citation, Claim, DecidingSignal, FollowUp, Reply, Verdict

NASTY = "<!channel> <@U0ANA000001> & *stars* _under_ <https://evil.example|safe> "
SOURCE = Citation(
    1, "c1", "The guide", "The guide > Fine-Tuning > When", "facts belong in retrieval", "a facts  belong\nin retrieval b"
)  # fmt: skip
REPLY = Reply(
    verdict=Verdict.RAG,
    confidence=0.72,
    headline="Retrieval: what is missing is facts.",
    why=(Claim("Facts belong in retrieval.", (1,)),),
    signals=(
        DecidingSignal("gaps", "knowledge", "our help center", "facts are missing (rag +4, fine_tune -3)"),
        DecidingSignal(
            "volatility", "weekly", "every week", "facts are missing (rag +4, fine_tune -3); they change"
        ),
    ),
    citations=(SOURCE,),
    next_step="Index the documents.",
    would_change=("The tone is wrong → prompt.",),
    cost_line="From $0.10.",
)


def words(node: Any) -> str:
    """The marked-up text of blocks; plain text (buttons, titles) is never read as markup by Slack."""
    if isinstance(node, list):
        return "\n".join(text for part in node if (text := words(part)))
    if not isinstance(node, dict):
        return ""
    return node["text"] if node.get("type") == "mrkdwn" else words(list(node.values()))


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_card_within_limits(verdict: Verdict) -> None:
    """Also when every field is as long as a model could make it, and full of Slack's own tokens."""
    long = NASTY * 300
    claims = tuple(Claim(long, (1, 2)) for _ in range(9))
    cites = tuple(
        replace(SOURCE, number=n, title=long, heading=long, quote=long, passage=long) for n in range(1, 12)
    )
    signals = tuple(DecidingSignal(long, long, long, long) for _ in range(9))
    reply = Reply(
        verdict, 0.5, long, claims, signals, cites, long, (long,) * 9, long,
        FollowUp(long, (long,) * 9), Verdict.RAG, long,
    )  # fmt: skip
    assert len(verdict_text(reply)) < 4000
    for blocks in (
        *(validate_message(message) for message in split_blocks(verdict_card(reply))),
        validate_view(why_modal(reply))["blocks"],
        validate_view(change_modal(reply))["blocks"],
        validate_view(source_modal(cites[0]))["blocks"],
    ):
        assert "<!channel>" not in words(blocks)
        assert "<@U0ANA" not in words(blocks)


def test_a_verdict_that_builds_can_be_measured_and_questioned() -> None:
    """Why, what would change it, measure, and a button for each source; a missing fact offers none of them."""
    for verdict in Verdict:
        blocks = verdict_card(replace(REPLY, verdict=verdict))
        on_press = {e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]}
        assert ({"why", "would_change", "measure"} <= on_press) is (verdict in BUILD_VERDICTS)
        assert "cite:1" in on_press


def test_the_reasons_are_told_in_words_and_once() -> None:
    """Signals by names that people use, options as the card calls them, no reason twice."""
    text = words(why_modal(REPLY)["blocks"])
    assert "*What is missing*: knowledge — “our help center”" in text
    assert text.count("facts are missing (RAG +4, fine-tune -3)") == 1
    assert "fine_tune" not in text


def test_a_source_marks_the_quoted_words_and_names_its_place_once() -> None:
    """White space may differ between quote and passage."""
    text = words(source_modal(SOURCE)["blocks"])
    assert "*facts belong in retrieval*" in text
    assert "Fine-Tuning &gt; When" in text
    assert text.count("The guide") == 1
