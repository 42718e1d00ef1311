"""The progress message of adding documents, rewritten in a real (local) workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from slack_sdk import WebClient

from bot.playground import Person, Playground
from bot.slack.features import documents

MANIFEST = yaml.safe_load((Path(__file__).parents[3] / "manifest.yml").read_text(encoding="utf-8"))


@pytest.mark.integration
def test_the_message_counts_what_is_read_and_is_not_rewritten_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many of how many and the file in work, as words; within the pause nothing is sent."""
    workspace = Playground(MANIFEST)
    workspace.start()
    try:
        client = WebClient(workspace.bot_token, base_url=workspace.api_url)
        maya = Person(workspace.url, "maya", timeout=20)
        (channel,) = [c["id"] for c in client.conversations_list()["channels"] if c["name"] == "support-ml"]
        message = client.chat_postMessage(channel=channel, text="starting")
        monkeypatch.setattr(documents, "PROGRESS_S", 0.0)
        tell = documents._progress(client, channel, message["ts"], "Maya adds documents")
        tell(3, 1200, "a <b>.pdf (64 of 900 passages)")

        def text() -> str:
            return next(m["text"] for m in maya.messages("#support-ml") if m["ts"] == message["ts"])

        assert text() == "Maya adds documents: 3 of 1,200 read, now a &lt;b&gt;.pdf (64 of 900 passages)"
        monkeypatch.setattr(documents, "PROGRESS_S", 3600.0)
        tell(4, 1200, "next.pdf")
        assert "3 of 1,200" in text()
    finally:
        workspace.stop()
