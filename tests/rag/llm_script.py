"""What the scripted model of tests/openai_server.py says: faithful answers to the adviser's two requests."""

from __future__ import annotations

import json
import re
from typing import Any

from rag.adviser import Adviser
from rag.answer.extractive import units
from rag.index import Index
from rag.llm import Chat, chat_model
from rag.reply import Reply
from tests.openai_server import OpenAIServer

WEEKLY = "our help center changes every week, should we fine-tune on the articles?"
PHRASED = "Facts that are missing, outdated or private call for retrieval."
KEY = "sk-live-3f9a77c2b1d84e55"
BUDGET_S = 20.0  # what works or fails at once never needs it, however busy the machine
PASSAGE = re.compile(r"<passage-\w+ id='(\d+)' heading='[^']*'>\n(.*?)\n</passage-", re.DOTALL)


def wanted(body: dict[str, Any]) -> str:
    """The shape that a request asks for: "Reading", "Draft" or "Ready"."""
    form = json.dumps(body.get("response_format") or body.get("tools"))
    return next(name for name in ("Reading", "Draft", "Ready") if f'"{name}"' in form)


def passages(body: dict[str, Any]) -> dict[str, str]:
    """The passages that a request carries, by id."""
    return dict(PASSAGE.findall(body["messages"][1]["content"]))


def reading(topic: str = "decision", **seen: tuple[str, str]) -> str:
    """A reading as JSON: name=(value, quote)."""
    told = [{"name": n, "value": value, "quote": quote} for n, (value, quote) in seen.items()]
    return json.dumps({"topic": topic, "seen": told})


def draft(*sentences: tuple[str, str, str]) -> str:
    """A draft as JSON: (chunk_id, quote, text)."""
    return json.dumps({"sentences": [{"chunk_id": c, "quote": q, "text": t} for c, q, t in sentences]})


def find(body: dict[str, Any], words: str) -> tuple[str, str]:
    """The id of the passage that holds the words, and its piece with them."""
    for chunk_id, text in passages(body).items():
        for piece in units(text):
            if words in piece:
                return chunk_id, piece
    raise AssertionError(f"no passage with {words!r} was sent")


def faithful(body: dict[str, Any]) -> str:
    """Reads "weekly" and "knowledge" from the help-center question; phrases the rule about facts."""
    if wanted(body) == "Ready":
        return json.dumps({"ready": True})
    if wanted(body) == "Reading":
        return reading(
            volatility=("weekly", "changes every week"),
            gaps=("knowledge", "articles"),
            task=("qa", "help center"),
        )
    chunk_id, _ = find(body, "missing, outdated or private facts")
    quote = "missing, outdated or private facts call for retrieval"
    return draft((chunk_id, quote, "Facts that are missing, outdated or private call for retrieval."))


def adviser(index: Index, server: OpenAIServer, budget_s: float = BUDGET_S, key: str = KEY) -> Adviser:
    model = chat_model("gpt-test", key, server.base_url, budget_s)
    return Adviser(index, index.embed, {"as_of": "2026-11"}, chat=Chat(model, budget_s))


def said(reply: Reply) -> str:
    return "\n".join(claim.text for claim in reply.why)
