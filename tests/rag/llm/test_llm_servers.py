"""What Ollama, vLLM, llama.cpp, LM Studio and gateways do differently never costs the model's answer.

Each behaviour of tests/openai_behaviours.py through the real openai client over a real socket.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bot.playground.patience import Patience
from rag.adviser import Adviser
from rag.index import Index
from rag.llm import ChatClient, LanguageModel
from rag.llm.qualification import STATEMENTS
from rag.reply import Reply
from tests.openai_behaviours import MESSAGES, REFUSALS, WIRE
from tests.openai_server import OpenAIServer
from tests.rag.llm_script import (
    BUDGET_S,
    PHRASED,
    WEEKLY,
    QualifiedServer,
    WorkClock,
    adviser,
    answer_requests,
    faithful,
    language_model,
    shape_of,
    text_of,
)

pytestmark = pytest.mark.integration
ANSWERED = (
    *(
        "no_json_schema",
        "schema_500",
        "schema_501",
        "schema_403",
        "no_endpoint",
        "text_only",
        "no_tool_object",
    ),
    *("no_temperature", "completion_tokens", "no_reasoning_effort", "extra_forbidden", "no_stream"),
    *("no_system_role", "oldest", "stream_ignored", "keep_alive", "error_in_200", "thinks_long"),
    *("fenced", "think_tags", "think_unclosed", "reasoning_content", "reasoning_only", "braces_around"),
    *("example_first", "tool_call_text", "arguments_object", "wrapped", "string_inside", "bare_list"),
    *("content_parts", "truncated", "odd_values"),
)
UNANSWERED = (
    *(
        "429",
        "500",
        "503",
        "wrong_key",
        "no_model",
        "content_filter",
        "filtered",
        "refusal",
        "cut",
        "malformed",
    ),
    *("empty", "prose", "stall", "stall_midway", "drip", "slow", "lie", "ok"),
)
"""Tested elsewhere: no answer at all (test_llm_failures.py), slow servers below, and what needs no test here."""


def test_each_behaviour_of_the_stand_in_is_tested() -> None:
    """A new behaviour has to be named in one of the two lists."""
    assert {*ANSWERED, *UNANSWERED} == {*REFUSALS, *MESSAGES, *WIRE}
    assert len(ANSWERED) >= 19


def read_by_the_model(reply: Reply) -> bool:
    """Whether the model's own sentence went out, without a word of failure."""
    return PHRASED in text_of(reply) and reply.note is None


@pytest.mark.parametrize("behaviour", ANSWERED)
def test_the_answer_is_the_models(guide_index: Index, server: OpenAIServer, behaviour: str) -> None:
    """Two questions are answered in the model's words; the second needs no more calls than two."""
    server.always(behaviour)
    assistant = adviser(guide_index, server)
    first = assistant.ask(WEEKLY)
    calls = len(server.requests)
    second = assistant.ask(WEEKLY)
    assert read_by_the_model(first), first.note
    assert read_by_the_model(second), second.note
    assert len(server.requests) - calls == 2
    assert all("max_tokens" in body or "max_completion_tokens" in body for body in server.requests)


@pytest.mark.parametrize(
    ("behaviour", "way"),
    [("ok", "json_schema"), ("schema_500", "tools"), ("text_only", "text"), ("oldest", "text")],
)
def test_the_way_that_works_is_remembered(server: OpenAIServer, behaviour: str, way: str) -> None:
    """The probe names it, and later requests begin with it."""
    server.always(behaviour)
    model = language_model(server)
    assert model.probe() == way
    server.requests.clear()
    assert model.probe() == way
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("behaviour", "option"),
    [
        ("no_temperature", "temperature"),
        ("no_reasoning_effort", "reasoning_effort"),
        ("extra_forbidden", "chat_template_kwargs"),
        ("no_stream", "stream"),
        ("completion_tokens", "max_tokens"),
    ],
)
def test_a_refused_option_goes_and_the_way_stays(server: OpenAIServer, behaviour: str, option: str) -> None:
    """One refusal, then the same way without what was named; a refused limit comes back under its other name."""
    server.always(behaviour)
    assert language_model(server).probe() == "json_schema"
    assert [option in body for body in server.requests] == [True, False]
    assert "max_tokens" in server.requests[1] or "max_completion_tokens" in server.requests[1]


def test_what_a_server_can_keep_stays_the_same(guide_index: Index, server: OpenAIServer) -> None:
    """System message and schema of two questions are equal byte for byte; the fence's mark stands behind them."""
    assistant = adviser(guide_index, server)
    assistant.ask(WEEKLY)
    assistant.ask("we want our own foundation model, we have 40 GPUs")
    for shape in ("ModelReading", "Draft"):
        heads = {
            json.dumps([body["messages"][0], body.get("response_format")])
            for body in server.requests
            if shape_of(body) == shape
        }
        assert len(heads) == 1
    marks = {body["messages"][1]["content"].split()[1] for body in answer_requests(server)}
    assert len(marks) == len(answer_requests(server))


def test_a_model_that_fails_its_test_is_not_used(guide_index: Index) -> None:
    """One that obeys the form and always says yes: asked once, then never; the answer is the embedded one."""
    with OpenAIServer(answer=lambda body: json.dumps({"said": [True] * len(STATEMENTS)})) as weak:
        assistant = adviser(guide_index, weak)
        first, second = assistant.ask(WEEKLY), assistant.ask(WEEKLY)
        assert len(weak.requests) == 1
    embedded = Adviser(guide_index, guide_index.embed, {"as_of": "2026-11"}).ask(WEEKLY)
    assert (first.verdict, first.why, second.why) == (embedded.verdict, embedded.why, embedded.why)
    assert "judged only 4 of 8 plain statements right" in (first.note or "")


class PausingServer(QualifiedServer):
    """A server that calls `pause` before each answer, and waits a little before the first piece."""

    def __init__(self, pause: Callable[[], None]) -> None:
        super().__init__(answer=faithful, pause_s=0.6)
        self._pause = pause

    def text_for(self, body: dict[str, Any], behaviour: str) -> str:
        self._pause()
        return super().text_for(body, behaviour)


def test_a_slow_server_gets_the_time_that_its_pace_asks_for(guide_index: Index) -> None:
    """The test call measures the pace; the question then outlasts the budget, and the person sees that it goes on."""
    steps: list[str] = []
    clock = WorkClock()
    with PausingServer(lambda: clock.pause(15)) as server:
        server.always("slow")
        model = LanguageModel(ChatClient("gpt-test", "any", server.base_url), 20.0, clock)
        reply = Adviser(guide_index, guide_index.embed, {}, chat=model).ask(WEEKLY, on_step=steps.append)
    assert read_by_the_model(reply), reply.note
    assert model.patience_s > 20
    assert "" in steps


def test_a_server_that_still_loads_serves_the_next_question(guide_index: Index) -> None:
    """The first question is not held for it; its late answer sets the pace that the next one is given."""
    clock, is_loaded = WorkClock(), threading.Event()

    def load() -> None:
        if not is_loaded.is_set():
            clock.pause(70)
            is_loaded.wait(300)

    with PausingServer(load) as server:
        model = LanguageModel(ChatClient("gpt-test", "any", server.base_url), 40.0, clock)
        assistant = Adviser(guide_index, guide_index.embed, {}, chat=model)
        first = assistant.ask(WEEKLY)
        assert "did not answer in time" in (first.note or "")
        is_loaded.set()
        patience = Patience(120)
        while model.pace is None and not patience.is_over():
            time.sleep(0.05)
        second = assistant.ask(WEEKLY)
    assert read_by_the_model(second), second.note


def test_the_headline_is_never_the_models(guide_index: Index, server: OpenAIServer) -> None:
    """Headline, next step and what would change come from our own tables: the same without a model, decided anew."""
    with_model = adviser(guide_index, server, BUDGET_S).ask(WEEKLY)
    alone = Adviser(guide_index, guide_index.embed, {"as_of": "2026-11"})
    embedded = alone.correct([], state=with_model.state)
    assert read_by_the_model(with_model)
    assert with_model.headline == embedded.headline
    assert with_model.next_step == embedded.next_step
    assert with_model.would_change == embedded.would_change
