"""The demo's story, whole: real Redis, the real bot over Socket Mode, a real worker, real training."""

from __future__ import annotations

import io
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from bot.demo.stack import local_stack
from bot.demo.story import CHANNEL, play_story
from bot.playground.client.person import Person

pytestmark = pytest.mark.integration


def test_a_question_and_a_fine_tune_end_in_the_channel(tmp_path: Path) -> None:
    """A cited verdict comes to the thread; one card reaches its end; one report with pictures follows."""
    out = io.StringIO()
    with local_stack(tmp_path, fresh=True) as stack:
        stack.wait_for_bot()
        play_story(stack, Console(file=out, width=200))
        ravi = Person(stack.url, "ravi")
        messages = ravi.messages(CHANNEL)
        cards = [m for m in messages if "Fine-tune · sample-tickets" in str(m.get("blocks"))]
        assert len(cards) == 1
        thread = ravi.messages(CHANNEL, cards[0]["ts"])
        assert sum("Tuned with LoRA" in str(m.get("blocks")) for m in thread) == 1
        assert any(m.get("files") for m in thread)
        memory = psutil.Process(stack.processes["bot"].pid).memory_info().rss / 2**20
        assert memory < 500
    text = out.getvalue()
    assert "RAG" in text
    assert "95%" in text
