"""An OpenAI-compatible chat server on loopback that can be told to fail: never run live, never a product.

    with OpenAIServer(answer=lambda body: "hello") as server:
        chat_model("gpt-test", "sk-test", server.base_url, timeout_s=2)

`answer(body)` gets the request's JSON and returns the text of the reply (structured output: JSON text).
`behave(...)` queues one behaviour per coming request; when the queue is empty the last `always(...)`
holds ("ok" at the start). Behaviours: see BEHAVIOURS. `requests` keeps every body that arrived.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BEHAVIOURS = {
    "ok": "answers, streamed when the request asks for it",
    "429": "rate limit, Retry-After: 0",
    "500": "server error",
    "503": "overloaded",
    "wrong_key": "401 invalid_api_key",
    "no_model": "404 model_not_found",
    "content_filter": "400 content_filter, as Azure and OpenAI send it",
    "filtered": "200 with finish_reason content_filter and no text",
    "refusal": "200 with a refusal in place of content",
    "stall": "accepts the request and sends nothing until the server stops",
    "stall_midway": "streams one piece, then nothing",
    "cut": "closes the connection in the middle of the body",
    "malformed": "200 with a body that is not JSON",
    "empty": "200 with an empty answer",
    "prose": "200 with prose where JSON was asked for",
    "drip": "200, one byte at a time and never done: every read succeeds, the whole never comes",
    "no_json_schema": "400 to a response_format, as servers of one's own; tools work",
    "fenced": "200 with the answer in a Markdown code fence, as models that ignore the format do",
    "lie": "200 with `lie(body)` in place of `answer(body)`",
}
ERRORS = {
    "429": (429, "rate_limit_exceeded", "Rate limit reached"),
    "500": (500, "server_error", "The server had an error"),
    "503": (503, "overloaded", "The engine is overloaded"),
    "wrong_key": (401, "invalid_api_key", "Incorrect API key provided"),
    "no_model": (404, "model_not_found", "The model does not exist"),
    "content_filter": (400, "content_filter", "The response was filtered"),
}
Answer = Callable[[dict[str, Any]], str]


def _echo(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])[:200]


class OpenAIServer:
    """`/v1/chat/completions` and `/v1/models` on a free loopback port, for as long as the `with` lasts."""

    def __init__(self, answer: Answer = _echo, lie: Answer = _echo, key: str | None = None) -> None:
        self.answer, self.lie, self.key = answer, lie, key
        self.requests: list[dict[str, Any]] = []
        self._queue: deque[str] = deque()
        self._always = "ok"
        self._lock = threading.Lock()
        self.stopping = threading.Event()

    def behave(self, *names: str) -> None:
        """Queue one behaviour for each of the next requests."""
        for name in names:
            assert name in BEHAVIOURS, f"unknown behaviour {name!r}: one of {sorted(BEHAVIOURS)}"
            self._queue.append(name)

    def always(self, name: str) -> None:
        """What every request meets once the queue is empty."""
        assert name in BEHAVIOURS, f"unknown behaviour {name!r}: one of {sorted(BEHAVIOURS)}"
        self._always = name

    def next_behaviour(self, body: dict[str, Any]) -> str:
        with self._lock:
            self.requests.append(body)
            return self._queue.popleft() if self._queue else self._always

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> OpenAIServer:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Dies: open connections are dropped, new ones refused. May be called twice."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: OpenAIServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": "gpt-test", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.owner.stopping.is_set():
            self.close_connection = True
            return
        behaviour = self.owner.next_behaviour(body)
        if self.owner.key and self.headers.get("Authorization") != f"Bearer {self.owner.key}":
            behaviour = "wrong_key"
        if not self.path.endswith("/chat/completions"):
            self._json(404, {"error": {"message": f"no route {self.path}", "code": "not_found"}})
        elif behaviour in ERRORS:
            status, code, message = ERRORS[behaviour]
            headers = {"Retry-After": "0"} if status == 429 else {}
            self._json(status, {"error": {"message": message, "type": code, "code": code}}, headers)
        elif behaviour == "stall":
            self.owner.stopping.wait()
            self.close_connection = True
        elif behaviour == "malformed":
            self._raw(200, b"<html>bad gateway</html>", "text/html")
        elif behaviour == "no_json_schema" and body.get("response_format"):
            said = "'response_format' of type 'json_schema' is not supported"
            self._json(400, {"error": {"message": said, "type": "invalid_request_error", "code": None}})
        elif behaviour == "drip":
            self._drip()
        elif behaviour == "cut":
            self._head(200, "application/json", {"Content-Length": "5000"})
            self.wfile.write(b'{"id": "chatcmpl-1", "choices": [')
            self.close_connection = True
        else:
            self._reply(body, behaviour)

    def _drip(self) -> None:
        self._head(200, "application/json", {"Content-Length": "100000"})
        self.close_connection = True
        while not self.owner.stopping.wait(0.05):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def _reply(self, body: dict[str, Any], behaviour: str) -> None:
        text = {
            "filtered": "",
            "refusal": "",
            "empty": "",
            "prose": "Sure! Here is what I think about it.",
        }.get(behaviour)
        if text is None:
            text = self.owner.lie(body) if behaviour == "lie" else self.owner.answer(body)
            text = f"Here you are:\n```json\n{text}\n```" if behaviour == "fenced" else text
        finish = "content_filter" if behaviour == "filtered" else "stop"
        if body.get("stream"):
            self._stream(text, finish, behaviour == "stall_midway")
        elif behaviour == "stall_midway":
            self.owner.stopping.wait()
        else:
            self._json(200, _completion(body, text, finish, refused=behaviour == "refusal"))

    def _stream(self, text: str, finish: str, stall: bool) -> None:
        """Server-sent events, a few characters at a time, closed by [DONE]."""
        self._head(200, "text/event-stream", {"Connection": "close"})
        self.close_connection = True
        pieces = [text[i : i + 24] for i in range(0, len(text), 24)] or [""]
        for number, piece in enumerate(pieces):
            delta = {"role": "assistant", "content": piece} if number == 0 else {"content": piece}
            self._event({"index": 0, "delta": delta, "finish_reason": None})
            if stall:
                self.owner.stopping.wait()
                return
        self._event({"index": 0, "delta": {}, "finish_reason": finish})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, choice: dict[str, Any]) -> None:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "gpt-test"}
        self.wfile.write(b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n")
        self.wfile.flush()

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _raw(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", headers)


def _completion(body: dict[str, Any], text: str, finish: str, refused: bool) -> dict[str, Any]:
    """One whole completion; a forced tool call when the request carries tools (function calling)."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if refused:
        message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    elif body.get("tools") and text.lstrip().startswith("{"):
        function = {"name": body["tools"][0]["function"]["name"], "arguments": text}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", "gpt-test"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
