"""The interface of a chat API: an asker, and a single test question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune.llm import AskLLM, EndpointFailure, ModelAnswer

Asker = Callable[[str, str, str | None, float], AskLLM]
"""(model, key, address or None for the platform's own, seconds to wait) as a way to ask; it makes no call yet."""


@dataclass(frozen=True)
class Wire:
    """One way to ask a hosted model; `ask_once(model, key, address, question, seconds)` raises EndpointFailure."""

    name: str
    asker: Asker
    ask_once: Callable[[str, str, str | None, str, float], ModelAnswer]


def failure_of(status: int) -> EndpointFailure:
    """The failure for an HTTP status, with advice; never the server's own text."""
    if status in (401, 403):
        return EndpointFailure("refused the key", "Check the key and what it may do.")
    if status == 404:
        return EndpointFailure("knows no such model", "It may have been erased there.")
    if status == 429:
        return EndpointFailure("has no capacity or no credit left", "Check the account, then try again.")
    return EndpointFailure(f"answered with status {status}", "Try again.")


def ask_with_advice(
    make: Asker,
) -> Callable[[str, str, str | None, str, float], ModelAnswer]:
    """`ask_once` for an asker that raises EndpointFailure; any other error becomes a sentence too."""

    def ask(model: str, key: str, address: str | None, question: str, timeout_s: float) -> ModelAnswer:
        try:
            return make(model, key, address, timeout_s)(question)
        except EndpointFailure:
            raise
        except Exception as error:  # any error of a foreign server
            raise EndpointFailure(
                f"gave no answer that can be read ({type(error).__name__})", "Try again; see the network."
            ) from None

    return ask
