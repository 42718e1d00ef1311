"""A language model as the measurement asks it: one prompt in, its words and its count of tokens out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from finetune.pricing import api_request, tokens_of
from finetune.progress import Progress

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


LONGEST = 1_500  # characters of a ticket in a prompt
AT_ONCE = 8  # calls under way
SPARE = 1.25  # words say less than the server counts: so much more is set aside before each call


class Purse:
    """What may still be spent: each call sets its estimate aside before, and the server's count replaces it."""

    def __init__(self, usd: float, prices: Mapping[str, Any], model: str) -> None:
        self.cap, self.spent, self._prices, self._model = usd, 0.0, prices, model
        self._lock = threading.Lock()

    def set_aside(self, usd: float) -> bool:
        """Whether there was enough left; then it is taken."""
        with self._lock:
            if self.spent + usd > self.cap:
                return False
            self.spent += usd
            return True

    def settle(self, aside: float, said: Said) -> float:
        """What the call came to; the rest of what was set aside goes back."""
        if said.tokens_in is None or said.tokens_out is None:
            return aside
        cost = api_request(self._prices, self._model, said.tokens_in, said.tokens_out)
        with self._lock:
            self.spent += cost - aside
        return cost


def priced_as(model: str | None, prices: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The row of the price table that `model` is counted by: its own, else the dearest, and a note on it."""
    rows: Mapping[str, Mapping[str, Any]] = prices.get("api_per_million", {})
    if model in rows:
        return str(model), []
    if not rows:
        return "", ["Prompting was not measured: the price table names no API model (`api_per_million`)."]
    dearest = max(rows, key=lambda name: float(rows[name]["out"]))
    return dearest, [f"The price table does not know {model}: it was counted like {dearest}, the dearest."]


class UnansweredError(Exception):
    """Too few answers came; the text says why."""


ALLOWED_S = 180.0


def fenced(text: str) -> str:
    """Text between fences that it cannot close; of a long one the end, where a dialogue's question stands."""
    return '"""\n' + text[-LONGEST:].replace('"""', "'''") + '\n"""'


def price_of(prompt: str, answer_tokens: int, priced: str, llm: Llm) -> float:
    """Dollars to set aside for one call."""
    return SPARE * api_request(llm.prices, priced, tokens_of([prompt]), answer_tokens)


def ask_all(
    llm: Llm,
    prompts: Sequence[str],
    answer_tokens: int,
    purse: Purse,
    priced: str,
    progress: Progress,
    allowed_s: float = ALLOWED_S,
) -> list[str | None]:
    """An answer per prompt, None where that one failed; UnansweredError where time, money or the server ends."""
    until = time.monotonic() + allowed_s
    found: list[str | None] = []

    def one(prompt: str) -> tuple[str | None, str]:
        aside = price_of(prompt, answer_tokens, priced, llm)
        if not purse.set_aside(aside):
            return None, "the spending cap was reached."
        try:
            said = llm.ask(prompt)
        except Exception as error:  # the edge to a foreign server: whatever it does is a missing answer
            return None, f"the model did not answer ({type(error).__name__})."
        purse.settle(aside, said)
        return said.text.strip(), ""

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask") as pool:
        for at in range(0, len(prompts), AT_ONCE):
            progress.check()
            if time.monotonic() > until:
                raise UnansweredError(f"{len(found)} of {len(prompts)} answers came in the time there was.")
            made = list(pool.map(one, prompts[at : at + AT_ONCE]))
            if why := next((why for _, why in made if "cap" in why), ""):
                raise UnansweredError(why)
            if all(why for _, why in made):
                raise UnansweredError(made[0][1])
            found += [text for text, _ in made]
    return found
