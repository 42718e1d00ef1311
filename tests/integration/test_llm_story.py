"""The bot in the local workspace with a language model behind OPENAI_BASE_URL, and without it after its failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.demo.stack import local_stack
from bot.demo.story import CHANNEL
from bot.playground.client.person import Person
from bot.playground.state.seed import BOT_USER
from tests.homes import home_with_graphs
from tests.rag.llm_script import QualifiedServer, answer_requests, faithful

pytestmark = pytest.mark.integration
QUESTION = "our help center changes every week, should we fine-tune on the articles?"
PHRASED = "Facts that are missing, outdated or private call for retrieval."
EXTRACTED = "The rule that all serious guides share"


def answer_to(person: Person, question: str) -> str:
    """Everything the bot shows in the thread of a new mention once its verdict is there."""
    ask = person.say(CHANNEL, f"<@{BOT_USER}> {question}")

    def is_settled(message: dict[str, Any]) -> bool:
        return "What would change" in str(message)

    return str(person.wait_message(CHANNEL, is_settled, timeout=240, thread_ts=ask["ts"]))


def test_the_bot_phrases_with_the_model_and_does_without_when_it_dies(
    tmp_path: Path, embed_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mention is answered in the model's checked words; the server gone, the next one by the embedded reader."""
    key = "sk-live-3f9a77c2b1d84e55"
    with QualifiedServer(answer=faithful, key=key) as server:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("TRAINWISE_CHAT_TIMEOUT", "120")  # as long as a busy machine may need
        home = home_with_graphs(tmp_path, embed_cache)
        with local_stack(home, fresh=True, processes=("bot",)) as stack:
            stack.wait_for_bot()
            maya = Person(stack.url, "maya")
            first = answer_to(maya, QUESTION)
            server.stop()
            second = answer_to(maya, QUESTION)
            log = stack.tail("bot", 10_000)
            memory = psutil.Process(stack.processes["bot"].pid).memory_info().rss / 2**20
    assert memory < 600
    assert PHRASED in first
    assert "Knowledge or behaviour" in first
    assert "embedded answer" not in first
    assert len(answer_requests(server)) == 2
    assert EXTRACTED in second
    assert "The language model cannot be reached" in second
    assert key not in log
