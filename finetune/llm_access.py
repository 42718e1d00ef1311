"""The access data of a language model that can be passed to another process: address, key, spending limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.llm import Llm, asker


@dataclass(frozen=True)
class LlmAccess:
    """`spend_usd` is for one job; `free` marks a server of one's own. The key is in no repr."""

    model: str
    key: str | None = field(repr=False)
    base_url: str | None
    timeout_s: float
    spend_usd: float
    free: bool = False

    def open(self, prices: Mapping[str, Any], record: Callable[[float], None] | None = None) -> Llm:
        """The model to ask; `record` gets the dollars of each call. No call is made here."""
        ask = asker(self.model, self.key, self.base_url, self.timeout_s)
        llm = Llm(ask, self.model, self.spend_usd, prices, self.free)
        return llm if record is None else Llm(ask, self.model, self.spend_usd, prices, self.free, record)


@dataclass(frozen=True)
class LlmAccount:
    """An access, and who is told what it has cost."""

    access: LlmAccess
    record: Callable[[float], None]


FindLlm = Callable[[], LlmAccount | None]
"""The language model that measures prompts now; None where there is none, or nothing may be spent."""


def no_llm() -> LlmAccount | None:
    """None is configured."""
    return None
