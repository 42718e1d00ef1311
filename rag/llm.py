"""The language model behind `OPENAI_API_KEY` or `OPENAI_BASE_URL`, held to a time budget per question.

`Chat(chat_model(...), budget_s).turn()` is the allowance of one question. Whatever goes wrong - no answer in
time, a wrong key, 429, 5xx, a content filter, nonsense - is one ChatFailed whose text is safe to show.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rag.errors import RagError

Shape = TypeVar("Shape", bound=BaseModel)
Message = tuple[str, str]  # role ("system", "human", "ai") and text
METHODS = ("json_schema", "function_calling")  # the second for servers of one's own that lack the first
ALIVE_S = 0.25
LEAST_S = 0.5  # with less than this left no call is begun
RESTS_AFTER, REST_S = (
    3,
    30.0,
)  # so many questions without an answer in a row, and it is left alone for a while
log = logging.getLogger(__name__)


class ChatFailed(RagError):
    """Why the language model gave nothing usable (`reason`) and the setting to look at (`check`), if one is."""

    def __init__(self, reason: str, check: str = "", server_down: bool = False) -> None:
        told = f" An admin should check {check} (`trainwise doctor` tests it)." if check else ""
        super().__init__(f"The language model {reason}, so this is the embedded answer.{told}")
        self.reason, self.check, self.server_down = reason, check, server_down


class _Unreadable(Exception):
    """The server answered, but not in the shape that was asked for."""


def chat_model(model: str, api_key: str | None, base_url: str | None, timeout_s: float) -> Any:
    """A langchain chat model for an OpenAI-compatible server; no call is made here.

    A server of one's own is asked for chat completions only: few speak OpenAI's newer Responses API, which
    langchain picks by the model's name.
    """
    import warnings

    from langchain.chat_models import init_chat_model

    # A server without json_schema is met with function calling; langchain's advice to do so helps nobody here.
    warnings.filterwarnings("ignore", category=UserWarning, module="langchain_openai")
    return init_chat_model(
        f"openai:{model}",
        api_key=api_key or "none",
        base_url=base_url,
        timeout=timeout_s,
        max_retries=1,
        use_responses_api=False if base_url else None,
    )


class Ready(BaseModel):
    """The smallest shape there is, for a probe."""

    ready: bool


class Chat:
    """A langchain chat model with `budget_s` seconds of patience per question; safe for several threads."""

    def __init__(
        self, model: Any, budget_s: float = 12.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.model, self.budget_s, self.clock = model, budget_s, clock
        self.methods: tuple[str, ...] = METHODS
        self._failed, self._rests_until = 0, 0.0
        self._last: ChatFailed | None = None

    def turn(self, alive: Callable[[], None] = lambda: None) -> Turn:
        """The allowance for one question, running from now; while the model rests it has failed already.

        `alive` is called while the model is waited for; what it raises ends the wait (a person pressed Stop).
        """
        return Turn(self, alive, self._last if self.clock() < self._rests_until else None)

    def probe(self) -> str:
        """The way of structured output that works with this server, after one tiny call; ChatFailed if none does."""
        self.turn().ask(Ready, [("human", "Reply that you are ready.")])
        return self.methods[0]

    def ended(self, failure: ChatFailed | None) -> None:
        """Takes note of how a call ended: a server that is down costs a few questions their wait, not all."""
        if failure is None or not failure.server_down:
            self._failed = 0
            return
        self._failed, self._last = self._failed + 1, failure
        if self._failed >= RESTS_AFTER:
            self._rests_until = self.clock() + REST_S


class Turn:
    """One question's calls. After the first failure every further call fails at once for the same reason."""

    def __init__(self, chat: Chat, alive: Callable[[], None], failure: ChatFailed | None = None) -> None:
        self._chat, self._alive, self.failure = chat, alive, failure
        self._until = chat.clock() + chat.budget_s

    @property
    def left_s(self) -> float:
        """Seconds left of the budget."""
        return max(0.0, self._until - self._chat.clock())

    def ask(self, shape: type[Shape], messages: Sequence[Message], share: float = 1.0) -> Shape:
        """The model's answer in the given shape, within `share` of the time left; ChatFailed otherwise."""
        if self.failure is not None:
            raise self.failure
        try:
            found = self._ask(shape, messages, self.left_s * share)
        except ChatFailed as failure:
            self.failure = failure
            self._chat.ended(failure)
            raise
        self._chat.ended(None)
        return found

    def _ask(self, shape: type[Shape], messages: Sequence[Message], seconds: float) -> Shape:
        until = self._chat.clock() + seconds
        last: Exception = TimeoutError()
        for method in self._chat.methods:
            left = until - self._chat.clock()
            if left < LEAST_S:
                break
            outcome = _within(left, partial(self._call, shape, messages, method), self._alive)
            try:
                found = _read(shape, outcome.result())
            except Exception as error:  # the edge to a foreign server: whatever it does becomes a sentence
                last = error
                if not _other_method_may_help(error):
                    break
            else:
                self._chat.methods = (method, *(name for name in METHODS if name != method))
                return found
        log.info("the language model failed: %s (status %s)", type(last).__name__, _status(last))
        raise ChatFailed(*why(last), server_down=_down(last)) from None

    def _call(self, shape: type[BaseModel], messages: Sequence[Message], method: str) -> Any:
        from langchain_core.utils.function_calling import convert_to_openai_function

        strict = True if method == "json_schema" else None
        form = convert_to_openai_function(shape, strict=strict)
        if method == "json_schema":
            form = {"name": form["name"], "schema": form["parameters"], "strict": True}
        structured = self._chat.model.with_structured_output(form, method=method, include_raw=True)
        return structured.invoke([*messages])


def _within(seconds: float, work: Callable[[], Any], alive: Callable[[], None]) -> Future[Any]:
    """How `work` ended, with TimeoutError for one that has not; it runs aside, so a server that drips cannot hold us.

    Meanwhile `alive` is called every ALIVE_S; what it raises goes straight to the caller.
    """
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True, name="chat").start()
    until = time.monotonic() + seconds
    while not wait([done], timeout=min(ALIVE_S, max(0.0, until - time.monotonic()))).done:
        alive()
        if time.monotonic() >= until:
            late: Future[Any] = Future()
            late.set_exception(TimeoutError())
            return late
    return done


def _read(shape: type[Shape], answer: dict[str, Any]) -> Shape:
    """The answer in its shape: as parsed by langchain, or the JSON object that stands in its text."""
    raw, parsed = answer["raw"], answer["parsed"]
    if raw.response_metadata.get("finish_reason") == "content_filter" or raw.additional_kwargs.get("refusal"):
        raise PermissionError("filtered")
    try:
        return shape.model_validate(_writable(parsed if parsed is not None else _object_in(raw.text)))
    except ValidationError:
        raise _Unreadable from None


def _writable(value: Any) -> Any:
    """The value with halves of surrogate pairs replaced: JSON may carry them, UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    return value


def _object_in(text: str) -> Any:
    """The JSON object in prose or in a code fence, for servers that ignore the asked-for format."""
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[start : end + 1]) if 0 <= start < end else None
    except json.JSONDecodeError:
        return None


def _status(error: Exception) -> Any:
    return getattr(error, "status_code", None)


def _filtered(error: Exception) -> bool:
    import openai

    return isinstance(error, PermissionError | openai.ContentFilterFinishReasonError) or (
        getattr(error, "code", None) == "content_filter"
    )


def _other_method_may_help(error: Exception) -> bool:
    """A server of one's own may refuse json_schema (400, 422) or ignore it; nothing else is tried twice."""
    return isinstance(error, _Unreadable) or (_status(error) in (400, 422) and not _filtered(error))


def _down(error: Exception) -> bool:
    """Whether the next question would most likely meet the same: no answer, no way in, no server."""
    import openai

    gone = (TimeoutError, openai.APIConnectionError, openai.AuthenticationError, openai.InternalServerError)
    return isinstance(error, gone)


def why(error: Exception) -> tuple[str, str]:
    """What the model did, without a word of the error itself, and the setting to look at."""
    import openai

    if _filtered(error):
        return "declined to work on this question", ""
    kinds: tuple[tuple[Any, str, str], ...] = (
        ((openai.AuthenticationError, openai.PermissionDeniedError), "refused our key", "OPENAI_API_KEY"),
        (openai.NotFoundError, "does not exist at its server", "TRAINWISE_CHAT_MODEL and OPENAI_BASE_URL"),
        (openai.RateLimitError, "has no capacity for us right now (rate limit or quota)", ""),
        ((TimeoutError, openai.APITimeoutError), "did not answer in time", ""),
        (openai.APIConnectionError, "cannot be reached", "OPENAI_BASE_URL"),
        (openai.InternalServerError, "had an error of its own", ""),
    )
    for kind, reason, check in kinds:
        if isinstance(error, kind):
            return reason, check
    return "gave an answer that cannot be used", ""
