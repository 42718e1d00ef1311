"""A hosted model: its endpoint, and its card in a job's folder.

There are no weights: the folder holds a card with the model's name at the platform, and each question goes there.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from finetune.errors import FinetuneError
from finetune.llm import (
    MAX_CALLS_AT_ONCE,
    Answers,
    AskLLM,
    Llm,
    ModelAnswer,
    SpendLimit,
    UnansweredError,
    ask_all,
    spent_in,
)
from finetune.progress import Progress
from finetune.wires import WIRES

METHOD = "hosted"
"""What the card of such a model names as its method."""
ANSWERED = "hosted_answers.jsonl"
PROMPTS = "prompts"
"""The folder for the answers of the language model that is evaluated beside it, with its own spending."""
TRIES = 3  # attempts per unanswered question, before the evaluation fails
TIMEOUT_S = 60.0
ALLOWED_S = 1800.0  # for the answers to all held-out tickets


class MissingAnswers(FinetuneError):
    """The hosted model did not answer enough; a later try may work."""

    retryable = True


@dataclass(frozen=True)
class Endpoint:
    """Where a hosted model answers: `label` names the platform, dollars are a million tokens.

    `wire` names how it is asked (`finetune/wires`), `base_url` another address than that wire's own; `key` is a text that
    the wire reads.
    """

    label: str
    model: str
    key: str = field(repr=False)
    base_url: str | None = None
    usd_in: float = 0.0
    usd_out: float = 0.0
    wire: str = "openai"

    def ask(self) -> AskLLM:
        """One question, one answer."""
        return WIRES[self.wire].asker(self.model, self.key, self.base_url, TIMEOUT_S)

    def ask_once(self, question: str) -> str:
        """One answer; EndpointFailure says in a sentence what to change."""
        ask = WIRES[self.wire].ask_once
        return ask(self.model, self.key, self.base_url, question, TIMEOUT_S).text

    def answers(
        self,
        questions: Sequence[str],
        answer_tokens: int,
        spend_usd: float,
        folder: Path,
        progress: Progress,
    ) -> Answers:
        """An answer a question, several at a time; MissingAnswers where time, money or the platform ends.

        Each is kept in `folder` as it comes: a later try there asks the rest alone, within the same `spend_usd`.
        """
        kept = CachedAnswers(folder / ANSWERED)
        prices = {"api_per_million": {self.model: {"in": self.usd_in, "out": self.usd_out}}}
        llm = Llm(kept.keeping(self.ask()), self.model, spend_usd, prices)
        limit = SpendLimit(llm, folder)
        seconds = kept.seconds
        for _ in range(TRIES):
            if not (missing := [one for one in questions if one not in kept]):
                break
            try:
                seconds += ask_all(llm, missing, answer_tokens, limit, progress, ALLOWED_S).seconds
            except UnansweredError as error:
                raise MissingAnswers(
                    f"{self.model} at {self.label} could not be measured: {error}"
                ) from error
        if left := sum(one not in kept for one in questions):
            raise MissingAnswers(
                f"{self.model} at {self.label} left {left} of {len(questions)} held-out tickets unanswered."
            )
        return Answers([kept[one] for one in questions], seconds, limit.total_usd)


class CachedAnswers:
    """Answers cached in a file by the question's hash, written one by one; `seconds` is their total time."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._texts: dict[str, str] = {}
        self.seconds = 0.0
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            with suppress(ValueError, KeyError, TypeError):  # an incomplete last line of a killed process
                value = json.loads(line)
                self._add(str(value["question"]), str(value["text"]), float(value["seconds"]))

    def __contains__(self, question: str) -> bool:
        return _hash(question) in self._texts

    def __getitem__(self, question: str) -> str:
        return self._texts[_hash(question)]

    def keeping(self, ask: AskLLM) -> AskLLM:
        """`ask` with cached answers."""

        def ask_and_keep(question: str) -> ModelAnswer:
            began = time.monotonic()
            answer = ask(question)
            key, text, seconds = _hash(question), answer.text.strip(), time.monotonic() - began
            line = json.dumps({"question": key, "text": text, "seconds": round(seconds, 4)})
            with self._lock:
                with self._file.open("a", encoding="utf-8") as stream:
                    stream.write(f"\n{line}")  # terminates an incomplete line of a killed process
                self._add(key, text, seconds)
            return answer

        return ask_and_keep

    def _add(self, key: str, text: str, seconds: float) -> None:
        self._texts[key] = text
        self.seconds += seconds / MAX_CALLS_AT_ONCE


def _hash(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:32]


FindEndpoint = Callable[[Mapping[str, Any]], Endpoint]
"""The endpoint for a hosted model's card; FinetuneError says what to set where this machine has none."""


def prompts_folder(folder: Path) -> Path:
    """Where the prompts beside a hosted model are kept."""
    (folder / PROMPTS).mkdir(exist_ok=True)
    return folder / PROMPTS


def measuring_usd(folder: Path) -> float:
    """The cost of all questions of an evaluation in this folder, including those to the language model."""
    return spent_in(folder) + spent_in(folder / PROMPTS)


def is_hosted(card: Mapping[str, Any]) -> bool:
    """Whether a saved model's card stands for one that a platform hosts."""
    return card.get("method") == METHOD


def no_endpoint(card: Mapping[str, Any]) -> NoReturn:
    """No platform is connected on this machine."""
    raise FinetuneError(
        f"The model {card.get('hosted_model')} is hosted by the platform {card.get('platform')}, which is not connected on "
        "this machine: give it the same settings as the bot (docs/platforms.md has the steps)."
    )


def refuse_hosted(card: Mapping[str, Any], what: str) -> None:
    """FinetuneError for a hosted model where files are needed; `what` continues "so it cannot be ..."."""
    if is_hosted(card):
        raise FinetuneError(
            f"{card.get('hosted_model')} is hosted by {card.get('label') or card.get('platform')} and its weights are not to be "
            f"had, so it cannot be {what} here. Ask it there by this name, or train on a machine that gives weights."
        )


def card_of(endpoint: Endpoint, platform: str, base_model: str, task: str, **more: Any) -> dict[str, Any]:
    """The card that stands for a hosted model in its job's folder."""
    names = {"task": task, "method": METHOD, "base_model": base_model, "hosted_model": endpoint.model}
    return {**names, "platform": platform, "label": endpoint.label, **more}
