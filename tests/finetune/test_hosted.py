"""Asking a hosted model about many tickets: no answer is paid twice, whenever a try ends. On loopback, never run live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.hosted import ANSWERED, Endpoint, MissingAnswers
from finetune.llm import spent_in
from finetune.progress import silent
from tests.platforms.openai_server import OpenAiServer
from tests.platforms.standin import KEY, Answer

pytestmark = pytest.mark.integration
QUESTIONS = [f"ticket {number}" for number in range(20)]


class Moody(OpenAiServer):
    """Refuses the questions of `refusals`."""

    refusals: frozenset[str] = frozenset()

    def on_chat(self, body: dict[str, object]) -> Answer:
        messages = body["messages"]
        assert isinstance(messages, list)
        if messages[-1]["content"] in self.refusals:
            return self.refusal(400)
        return super().on_chat(body)


@pytest.fixture
def server() -> Iterator[Moody]:
    running = Moody(lambda: 1_800_000_000.0)
    running.models["ft:x"] = {"ticket": "Billing"}
    yield running
    running.close()


def test_a_later_try_asks_only_what_has_no_answer_yet(server: Moody, tmp_path: Path) -> None:
    """One ticket that is refused costs its own calls; money and answers of both tries are counted together."""
    endpoint = Endpoint("OpenAI", "ft:x", KEY, f"{server.url}/v1", 200.0, 800.0)
    server.refusals = frozenset(QUESTIONS[7:8])
    for _ in range(2):
        with pytest.raises(MissingAnswers):
            endpoint.answers(QUESTIONS, 12, 5.0, tmp_path, silent())
    assert sorted(server.questions) == sorted(set(QUESTIONS) - server.refusals)
    usd_before = spent_in(tmp_path)
    assert usd_before > 0
    with (tmp_path / ANSWERED).open("a", encoding="utf-8") as stream:
        stream.write('\n{"question": "half a li')  # as a kill leaves it
    server.refusals = frozenset()
    with pytest.raises(MissingAnswers, match="spending cap"):
        endpoint.answers(QUESTIONS, 12, usd_before, tmp_path, silent())
    answers = endpoint.answers(QUESTIONS, 12, 5.0, tmp_path, silent())
    assert answers.texts == ["Billing"] * 20
    assert sorted(server.questions) == sorted(QUESTIONS)
    assert answers.usd == pytest.approx(spent_in(tmp_path))
    assert answers.usd > usd_before
    assert answers.seconds > 0
