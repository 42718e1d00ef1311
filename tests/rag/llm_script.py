"""What the scripted model of tests/openai_server.py says: faithful answers to the adviser's two requests."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from rag.adviser import Adviser
from rag.answer.pieces import sentences_alone
from rag.index import Index
from rag.llm import ChatClient, LanguageModel
from rag.llm.qualification import STATEMENTS
from rag.reply import Reply
from tests.openai_server import OpenAIServer

WEEKLY = "our help center changes every week, should we fine-tune on the articles?"
PHRASED = "Facts that are missing, outdated or private call for retrieval."
KEY = "sk-live-3f9a77c2b1d84e55"
BUDGET_S = 120.0  # what works or fails at once never needs it, however busy the machine
PASSAGE = re.compile(r"<passage-\w+ id='(\d+)' heading='[^']*'>\n(.*?)\n</passage-", re.DOTALL)


def shape_of(body: dict[str, Any]) -> str:
    """The shape that a request asks for: "ModelReading", "Draft" or "Qualification"."""
    form = json.dumps(body.get("response_format") or body.get("tools") or body["messages"][0])
    return next(name for name in ("ModelReading", "Draft", "Qualification") if name in form)


def answer_requests(server: OpenAIServer) -> list[dict[str, Any]]:
    """The requests without the model's test, which comes before the first answer."""
    return [body for body in server.requests if shape_of(body) != "Qualification"]


class QualifiedServer(OpenAIServer):
    """The scripted server with a model that passes its test, whatever else it says."""

    def text_for(self, body: dict[str, Any], behaviour: str) -> str:
        if shape_of(body) == "Qualification":
            return json.dumps({"said": [true for _, _, true in STATEMENTS]})
        return super().text_for(body, behaviour)


class WorkClock:
    """Seconds of this process's own work and of the pauses that its server says it made: the same on a busy machine."""

    def __init__(self) -> None:
        self._pauses_s = 0.0

    def __call__(self) -> float:
        return time.process_time() + self._pauses_s

    def pause(self, seconds: float) -> None:
        """Lets so many seconds pass."""
        self._pauses_s += seconds


def passages(body: dict[str, Any]) -> dict[str, str]:
    """The passages that a request carries, by id."""
    return dict(PASSAGE.findall("\n".join(str(message["content"]) for message in body["messages"][:2])))


def reading(topic: str = "decision", **fields: tuple[str, str]) -> str:
    """A reading as JSON: name=(value, quote)."""
    entries = [{"name": n, "value": value, "quote": quote} for n, (value, quote) in fields.items()]
    return json.dumps({"topic": topic, "signals": entries})


def draft(*sentences: tuple[str, str, str]) -> str:
    """A draft as JSON: (chunk_id, quote, text)."""
    return json.dumps({"sentences": [{"chunk_id": c, "quote": q, "text": t} for c, q, t in sentences]})


def find(body: dict[str, Any], words: str) -> tuple[str, str]:
    """The id of the passage that holds the words, and its piece with them."""
    for chunk_id, text in passages(body).items():
        for piece in sentences_alone(text):
            if words in piece:
                return chunk_id, piece
    raise AssertionError(f"no passage with {words!r} was sent")


def faithful(body: dict[str, Any]) -> str:
    """Reads "weekly" and "knowledge" from the help-center question; phrases the rule about facts."""
    if shape_of(body) == "ModelReading":
        return reading(
            volatility=("weekly", "changes every week"),
            gaps=("knowledge", "articles"),
            task=("qa", "help center"),
        )
    chunk_id, _ = find(body, "missing, outdated or private facts")
    quote = "missing, outdated or private facts call for retrieval"
    return draft((chunk_id, quote, "Facts that are missing, outdated or private call for retrieval."))


def adviser(index: Index, server: OpenAIServer, budget_s: float = BUDGET_S, key: str = KEY) -> Adviser:
    model = language_model(server, budget_s, key)
    return Adviser(index, index.embed, {"as_of": "2026-11"}, chat=model)


def language_model(server: OpenAIServer, budget_s: float = BUDGET_S, key: str = KEY) -> LanguageModel:
    return LanguageModel(ChatClient("gpt-test", key, server.base_url), budget_s)


def text_of(reply: Reply) -> str:
    return "\n".join(claim.text for claim in reply.why)
