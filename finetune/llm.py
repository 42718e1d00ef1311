"""A language model as the measurement asks it: one prompt in, its words and its count of tokens out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_ANSWER = 400  # tokens; a class name needs ten, a model that thinks first some hundred


@dataclass(frozen=True)
class Said:
    """An answer, with the tokens that the server counted (None where it does not tell)."""

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None


AskLLM = Callable[[str], Said]


@dataclass(frozen=True)
class Llm:
    """A configured language model: how to ask it, its name, and for how much at most in one job."""

    ask: AskLLM
    model: str | None
    spend_usd: float = 0.5
    prices: Mapping[str, Any] = field(default_factory=dict)


def asker(model: str, api_key: str | None, base_url: str | None, timeout_s: float) -> AskLLM:
    """`ask(prompt)` for an OpenAI-compatible server, safe for several threads; no call is made here."""
    from langchain.chat_models import init_chat_model

    chat = init_chat_model(
        f"openai:{model}",
        api_key=api_key or "none",
        base_url=base_url,
        timeout=timeout_s,
        max_retries=2,
        max_tokens=LONGEST_ANSWER,
    )

    def ask(prompt: str) -> Said:
        message = chat.invoke(prompt)
        usage = dict(message.usage_metadata or {})
        return Said(str(message.text), _count(usage, "input_tokens"), _count(usage, "output_tokens"))

    return ask


def _count(usage: Mapping[str, object], name: str) -> int | None:
    found = usage.get(name)
    return found if isinstance(found, int) else None
