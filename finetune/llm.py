"""Calls to a language model: one prompt in, its answer and token counts out, within a spending limit."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from finetune.artifacts import write_whole
from finetune.errors import FinetuneError
from finetune.pricing import api_request, tokens_of
from finetune.progress import Progress

LONGEST_ANSWER = 400  # tokens; a class name needs ten, a model that thinks first some hundred


@dataclass(frozen=True)
class ModelAnswer:
    """An answer, with the tokens that the server counted (None where it does not tell)."""

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None


AskLLM = Callable[[str], ModelAnswer]


class EndpointFailure(FinetuneError):
    """Why a server did not answer: `reason` continues "the server ...", `advice` says what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"The language model's server {reason}. {advice}")
        self.reason, self.advice = reason, advice


def _spend_nothing(usd: float) -> None:
    """Records no spending."""


@dataclass(frozen=True)
class Llm:
    """A configured language model: how to ask it, its name, and for how much at most in one job.

    `free` marks a server of one's own, whose calls cost nothing; `record` gets the dollars of each call.
    """

    ask: AskLLM
    model: str | None
    spend_usd: float = 0.5
    prices: Mapping[str, Any] = field(default_factory=dict)
    free: bool = False
    record: Callable[[float], None] = _spend_nothing


OPTIONS: Mapping[str, Any] = {
    "temperature": 0,
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": False},
}
"""Options that are sent unless the server has refused them by name."""
LIMITS = ("max_tokens", "max_completion_tokens")
THOUGHT = re.compile(r"^.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)


def asker(model: str, api_key: str | None, base_url: str | None, timeout_s: float) -> AskLLM:
    """`ask(prompt)` for an OpenAI-compatible server, safe for several threads; no call is made here.

    Redirects are not followed: the address was chosen by a person, and the key goes nowhere else. Raises openai's
    errors.
    """
    return _Asker(model, api_key, base_url, timeout_s)


class _Asker:
    """Asks, and remembers which options this server refused."""

    def __init__(self, model: str, api_key: str | None, base_url: str | None, timeout_s: float) -> None:
        self._model, self._key, self._base_url, self._timeout_s = model, api_key, base_url, timeout_s
        unusual = {"max_tokens", "chat_template_kwargs"} if base_url is None else {"max_completion_tokens"}
        self._refusals = frozenset(unusual)
        self._sdk: Any = None
        self._lock = threading.Lock()

    def __call__(self, prompt: str) -> ModelAnswer:
        """The model's words without its thinking, and the server's count of tokens."""
        from openai import BadRequestError, UnprocessableEntityError

        for _ in range(len(OPTIONS) + len(LIMITS)):
            earlier = self._refusals  # another thread may find a refused option meanwhile
            try:
                return self._ask(prompt, earlier)
            except (BadRequestError, UnprocessableEntityError) as refusal:
                if not self._drop_named(f"{refusal.param} {refusal.body}", earlier):
                    raise
        return self._ask(prompt, self._refusals)

    def _ask(self, prompt: str, refusals: frozenset[str]) -> ModelAnswer:
        options = {name: value for name, value in OPTIONS.items() if name not in refusals}
        options |= {name: LONGEST_ANSWER for name in LIMITS if name not in refusals}
        completion = self._client().chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": prompt}], extra_body=options
        )
        message, usage = completion.choices[0].message, completion.usage
        text = THOUGHT.sub("", message.content or "").strip()
        return ModelAnswer(
            text, usage.prompt_tokens if usage else None, usage.completion_tokens if usage else None
        )

    def _drop_named(self, refusal: str, earlier: frozenset[str]) -> bool:
        """Leaves out the options that a refusal names by their identifiers; whether one of them was sent.

        `earlier`: the refusals that were known when the question was sent.
        """
        names_sent = {name for name in (*OPTIONS, *LIMITS) if name not in earlier and name in refusal}
        with self._lock:
            names = names_sent - self._refusals
            refusals = self._refusals | names
            # A refused limit comes back under its other name.
            if names & set(LIMITS) and not set(LIMITS) <= self._refusals:
                refusals = (refusals - set(LIMITS)) | (names & set(LIMITS))
            self._refusals = frozenset(refusals)
        return bool(names_sent)

    def _client(self) -> Any:
        with self._lock:
            if self._sdk is None:
                from openai import DefaultHttpxClient, OpenAI

                self._sdk = OpenAI(
                    api_key=self._key or "none",
                    base_url=self._base_url,
                    timeout=self._timeout_s,
                    max_retries=2,
                    http_client=DefaultHttpxClient(follow_redirects=False),
                )
            return self._sdk


def ask_once(
    model: str, api_key: str | None, base_url: str | None, prompt: str, timeout_s: float
) -> ModelAnswer:
    """One answer, as a test of a server that a person named; EndpointFailure with what to change.

    Nothing of the server's own words is in the failure: the address may lie in a private network.
    """
    import openai

    reasons: tuple[tuple[Any, str, str], ...] = (
        (openai.AuthenticationError, "refused the key", "Check the API key."),
        (openai.PermissionDeniedError, "refused the key", "Check what the API key may do."),
        (openai.NotFoundError, "knows no such model or address", "Check both; most addresses end in /v1."),
        (openai.RateLimitError, "has no capacity or no credit left", "Check the account, then try again."),
        (openai.APITimeoutError, f"did not answer in {timeout_s:.0f} s", "Is the model loaded? Try again."),
        (openai.APIConnectionError, "cannot be reached", "Check the address from the machine of the bot."),
    )
    try:
        return asker(model, api_key, base_url, timeout_s)(prompt)
    except Exception as error:  # any error of a foreign server becomes a sentence
        for kind, reason, advice in reasons:
            if isinstance(error, kind):
                raise EndpointFailure(reason, advice) from None
        raise EndpointFailure(
            "gave no answer in the form of OpenAI's chat completions", "Check address and model."
        ) from None


MAX_TICKET_CHARACTERS = 1_500  # in a prompt
HEAD_CHARACTERS = (
    1_000  # of a longer ticket; the rest of the room is its end, where a dialogue's question stands
)
MAX_CALLS_AT_ONCE = 8
ESTIMATE_MARGIN = 1.25  # words say less than the server counts: so much more is reserved before each call
MAX_ASKING_S = 180.0
SPENT_FILE = "llm_spending.json"


class SpendLimit:
    """The spending limit of a job for its language model, including earlier attempts in the same folder.

    Each call reserves its estimate before, and the server's count of tokens replaces it. The limit is passed by no
    more than what the calls under way were estimated too low. `share` is the part of the job's allowance for these
    calls. UnansweredError where the price table names no model at all.
    """

    def __init__(self, llm: Llm, folder: Path | None = None, share: float = 1.0) -> None:
        self._llm, self._file = llm, folder / SPENT_FILE if folder else None
        self.row = "" if llm.free else price_row(llm)
        self.usd_before = spent_in(folder)
        self.cap_usd = max(0.0, llm.spend_usd * share - self.usd_before)
        self.spent_usd = 0.0
        self._lock = threading.Lock()

    @property
    def total_usd(self) -> float:
        """What this attempt and the earlier ones have spent."""
        return self.usd_before + self.spent_usd

    @property
    def notes(self) -> list[str]:
        """What a reader must know about the prices."""
        if self._llm.free or self.row == self._llm.model:
            return []
        dearest = f"it was counted like {self.row}, the dearest."
        return [f"The price table does not know {self._llm.model}: {dearest}"]

    def estimate_usd(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars to reserve for one call; 0 on a server of one's own."""
        if self._llm.free:
            return 0.0
        return ESTIMATE_MARGIN * api_request(self._llm.prices, self.row, tokens_in, tokens_out)

    def affordable(self, usd_each: float) -> int:
        """How many calls of so many dollars the rest pays for."""
        return int(min((self.cap_usd - self.spent_usd) / usd_each, 1e9)) if usd_each > 0 else 10**9

    def reserve(self, usd: float) -> bool:
        """Whether there was enough left; then it is taken."""
        with self._lock:
            if self.spent_usd + usd > self.cap_usd:
                return False
            self.spent_usd += usd
            return True

    def record_call(self, estimate: float, answer: ModelAnswer | None) -> float:
        """Record the cost of a call (by the server's count, else the estimate) and release the rest of the reservation."""
        cost = estimate
        if answer is not None and answer.tokens_in is not None and answer.tokens_out is not None:
            free = self._llm.free
            cost = (
                0.0 if free else api_request(self._llm.prices, self.row, answer.tokens_in, answer.tokens_out)
            )
        with self._lock:
            self.spent_usd += cost - estimate
            if self._file is not None:
                write_whole(self._file, json.dumps({"usd": self.total_usd}))
        if cost:
            self._llm.record(cost)
        return cost


def spent_in(folder: Path | None) -> float:
    """What calls of a language model have cost that were made for the work in a folder."""
    try:
        return float(json.loads((folder / SPENT_FILE).read_text())["usd"]) if folder else 0.0
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def price_row(llm: Llm) -> str:
    """The row of the price table that the model is counted by: its own, else the dearest; UnansweredError without."""
    rows: Mapping[str, Mapping[str, Any]] = llm.prices.get("api_per_million", {})
    if llm.model in rows:
        return str(llm.model)
    if not rows:
        raise UnansweredError("the price table names no API model (`api_per_million`).")
    return max(rows, key=lambda name: float(rows[name]["out"]))


class UnansweredError(Exception):
    """Too few answers came; the text says why."""


def fence_ticket(text: str) -> str:
    """A ticket between fences that it cannot close; of a long one its beginning and its end."""
    if len(text) > MAX_TICKET_CHARACTERS:
        text = text[:HEAD_CHARACTERS] + "\n[...]\n" + text[HEAD_CHARACTERS - MAX_TICKET_CHARACTERS :]
    return '"""\n' + text.replace('"""', "'''") + '\n"""'


@dataclass(frozen=True)
class Answers:
    """One text a prompt (None: that one failed), with seconds and dollars of all."""

    texts: list[str | None]
    seconds: float
    usd: float


class _Failure(Enum):
    """Why one call brought nothing."""

    CAP = "the spending cap was reached."
    SERVER = "the model did not answer."


@dataclass(frozen=True)
class _Call:
    text: str | None = None
    usd: float = 0.0
    failure: _Failure | None = None
    error: str = ""


def ask_all(
    llm: Llm,
    prompts: Sequence[str],
    answer_tokens: int,
    limit: SpendLimit,
    progress: Progress,
    allowed_s: float = MAX_ASKING_S,
) -> Answers:
    """An answer a prompt, MAX_CALLS_AT_ONCE at a time; UnansweredError where time, money or the server ends."""
    began, calls = time.monotonic(), list[_Call]()

    def ask(prompt: str) -> _Call:
        estimate = limit.estimate_usd(tokens_of([prompt]), answer_tokens)
        if not limit.reserve(estimate):
            return _Call(failure=_Failure.CAP)
        try:
            answer = llm.ask(prompt)
        except Exception as error:  # any error of a foreign server counts as a missing answer
            return _Call(None, limit.record_call(estimate, None), _Failure.SERVER, type(error).__name__)
        return _Call(answer.text.strip(), limit.record_call(estimate, answer))

    with ThreadPoolExecutor(MAX_CALLS_AT_ONCE, thread_name_prefix="ask") as pool:
        for start in range(0, len(prompts), MAX_CALLS_AT_ONCE):
            progress.check()
            if time.monotonic() > began + allowed_s:
                raise UnansweredError(f"{len(calls)} of {len(prompts)} answers came in the time there was.")
            batch = list(pool.map(ask, prompts[start : start + MAX_CALLS_AT_ONCE]))
            if any(call.failure is _Failure.CAP for call in batch):
                raise UnansweredError(_Failure.CAP.value)
            if all(call.failure for call in batch):
                raise UnansweredError(f"the model did not answer ({batch[0].error}).")
            calls += batch
            left_s = (time.monotonic() - began) / len(calls) * (len(prompts) - len(calls))
            progress.step(len(calls), len(prompts), None, round(left_s, 1))
    seconds = time.monotonic() - began
    return Answers([call.text for call in calls], seconds, sum(call.usd for call in calls))
