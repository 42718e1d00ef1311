"""Sends one request to an OpenAI-compatible server and reads text, thinking and tool arguments, streamed or whole.

The openai SDK carries the request; its reply is read as plain JSON, because servers of one's own put thinking into
fields of their own, arguments as objects, errors into a 200, and answer a request to stream with a whole reply.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rag.llm.structured_output import Completion, Unreadable

THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")


class RefusedInBody(Exception):
    """A 200 whose body is an error, as some gateways send it; `body` is its text."""

    def __init__(self, body: str) -> None:
        super().__init__("refused in the body")
        self.body = body


class ContentFilterRefusal(Exception):
    """The server or the model declined to answer."""


@dataclass
class Progress:
    """The partial reply of a running call; the call's thread writes it, the waiting thread reads it."""

    clock: Callable[[], float] = time.monotonic
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    arguments: dict[int, list[Any]] = field(default_factory=dict)
    finish_reason: str = ""
    refusal: bool = False
    first_piece_at: float | None = None
    pieces: int = 0
    cancellation: threading.Event = field(default_factory=threading.Event)

    def completion(self, finish_reason: str = "") -> Completion:
        """The reply so far, as a complete answer."""
        return Completion(
            "".join(self.content),
            "".join(self.reasoning),
            tuple(_join(parts) for _, parts in sorted(self.arguments.items())),
            finish_reason or self.finish_reason,
            self.refusal,
        )

    def add(self, message: Mapping[str, Any], finish_reason: Any) -> None:
        """One message or one streamed piece of it."""
        if self.first_piece_at is None:
            self.first_piece_at = self.clock()
        self.pieces += 1
        self.content.append(_text(message.get("content")))
        self.reasoning += [_text(message.get(name)) for name in THINKING_FIELDS]
        calls = message.get("tool_calls") or []
        if isinstance(message.get("function_call"), dict):
            calls = [{"function": message["function_call"]}]
        for place, call in enumerate(call for call in calls if isinstance(call, dict)):
            function = call.get("function")
            arguments = function.get("arguments") if isinstance(function, dict) else call.get("arguments")
            if arguments:
                index = call.get("index")
                self.arguments.setdefault(index if isinstance(index, int) else place, []).append(arguments)
        self.refusal = self.refusal or bool(message.get("refusal"))
        self.finish_reason = str(finish_reason or self.finish_reason)


def _join(parts: list[Any]) -> Any:
    return "".join(parts) if all(isinstance(part, str) for part in parts) else parts[-1]


def _text(content: Any) -> str:
    """The words of a message's content: a string, or a list of parts with text in them."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


class ChatClient:
    """`complete(request, ...)` at one server with one model; safe for several threads, no call on construction."""

    def __init__(self, model: str, api_key: str | None, base_url: str | None) -> None:
        self.model, self.base_url = model, base_url
        self._key = api_key
        self._sdk: Any = None
        self._lock = threading.Lock()

    def complete(
        self, request: Mapping[str, Any], progress: Progress, timeout_s: float, retries: int = 0
    ) -> Completion:
        """The whole answer; `progress` fills meanwhile. Raises openai's errors, RefusedInBody, Filtered, Unreadable."""
        from openai import OpenAIError

        body = dict(request)
        messages = body.pop("messages")
        calls = self._client().with_options(max_retries=retries).chat.completions.with_streaming_response
        try:
            with calls.create(
                model=self.model, messages=messages, extra_body=body, timeout=timeout_s
            ) as response:
                _read_reply(response, progress)
        except (OpenAIError, RefusedInBody, Unreadable):
            raise
        except Exception as error:  # the kinds of whichever HTTP library the SDK is built on
            late = "Timeout" in type(error).__name__
            raise (TimeoutError() if late else ConnectionError()) from error
        if progress.finish_reason == "content_filter" or progress.refusal:
            raise ContentFilterRefusal
        return progress.completion()

    def _client(self) -> Any:
        with self._lock:
            if self._sdk is None:
                from openai import OpenAI

                self._sdk = OpenAI(api_key=self._key or "none", base_url=self.base_url)
            return self._sdk


def _read_reply(response: Any, progress: Progress) -> None:
    """Reads a streamed or a whole reply into `progress`, until it ends or the call is cancelled."""
    is_stream = "event-stream" in response.headers.get("content-type", "")
    for reply in _events(response.iter_lines()) if is_stream else iter([response.read()]):
        _add_reply(progress, reply)
        if progress.cancellation.is_set():
            return


def _events(lines: Iterator[str]) -> Iterator[str]:
    """The data of each server-sent event until [DONE]; comments and other fields are passed over."""
    for line in lines:
        if line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            yield data


def _add_reply(progress: Progress, text: str | bytes) -> None:
    """Adds one reply or one piece of it; Unreadable for what is no chat completion."""
    try:
        reply = json.loads(text)
    except ValueError:
        raise Unreadable from None
    if not isinstance(reply, dict):
        raise Unreadable
    if reply.get("error"):
        raise RefusedInBody(str(reply["error"]))
    choices = reply.get("choices")
    if not isinstance(choices, list):
        raise Unreadable
    for choice in choices[:1]:
        if isinstance(choice, dict):
            message = choice.get("delta") or choice.get("message") or {}
            progress.add(message if isinstance(message, dict) else {}, choice.get("finish_reason"))
