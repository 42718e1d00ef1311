"""An OpenAI-compatible chat server on loopback that can be told how to behave: never run live, never a product.

    with OpenAIServer(answer=lambda body: "hello") as server:
        ChatClient("gpt-test", "sk-test", server.base_url)

`answer(body)` gets the request's JSON and returns the text of the reply (structured output: JSON text).
`behave(...)` queues one behaviour per coming request; when the queue is empty the last `always(...)`
holds ("ok" at the start). Behaviours: tests/openai_behaviours.py. `requests` keeps every body that arrived.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.openai_behaviours import BEHAVIOURS, FINISH, MESSAGES, REFUSALS, plain

Answer = Callable[[dict[str, Any]], str]
PIECE = 24  # characters of a streamed piece
THINKING_TOKENS = 4_000


def _echo(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])[:200]


class OpenAIServer:
    """`/v1/chat/completions` and `/v1/models` on a free loopback port, for as long as the `with` lasts."""

    def __init__(
        self, answer: Answer = _echo, lie: Answer = _echo, key: str | None = None, pause_s: float = 0.0
    ) -> None:
        self.answer, self.lie, self.key, self.pause_s = answer, lie, key, pause_s
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

    def text_for(self, body: dict[str, Any], behaviour: str) -> str:
        """What the model behind the server says to a request."""
        return self.lie(body) if behaviour == "lie" else self.answer(body)

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
        name = self.owner.next_behaviour(body)
        if self.owner.key and self.headers.get("Authorization") != f"Bearer {self.owner.key}":
            name = "wrong_key"
        if not self.path.endswith("/chat/completions"):
            self._json(404, {"error": {"message": f"no route {self.path}", "code": "not_found"}})
            return
        refusal = REFUSALS.get(name)
        if refusal is not None and refusal.applies(body):
            headers = {"Retry-After": "0"} if refusal.status == 429 else {}
            self._json(refusal.status, refusal.body(), headers)
        elif not self._breaks(name, body):
            self._reply(body, name)

    def _breaks(self, name: str, body: dict[str, Any]) -> bool:
        """Plays a behaviour that sends no answer; whether it was one."""
        if name == "stall":
            self.owner.stopping.wait()
            self.close_connection = True
        elif name == "malformed":
            self._raw(200, b"<html>bad gateway</html>", "text/html")
        elif name == "drip":
            self._drip()
        elif name == "cut":
            self._head(200, "application/json", {"Content-Length": "5000"})
            self.wfile.write(b'{"id": "chatcmpl-1", "choices": [')
            self.close_connection = True
        elif name == "error_in_200" and body.get("response_format"):
            self._json(200, {"error": {"message": "Provider returned error", "code": 400}})
        else:
            return False
        return True

    def _drip(self) -> None:
        self._head(200, "application/json", {"Content-Length": "100000"})
        self.close_connection = True
        while not self.owner.stopping.wait(0.05):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def _reply(self, body: dict[str, Any], name: str) -> None:
        if name == "slow" and self.owner.stopping.wait(self.owner.pause_s):
            return
        text = self.owner.text_for(body, name)
        message, finish = MESSAGES.get(name, plain)(text, body), FINISH.get(name, "stop")
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        if name == "thinks_long" and limit < THINKING_TOKENS:
            message = {"role": "assistant", "content": "", "reasoning_content": "Let me think about it. "}
            finish = "length"
        if body.get("stream") and name != "stream_ignored":
            self._stream(message, finish, name)
        elif name == "stall_midway":
            self.owner.stopping.wait()
        else:
            self._json(200, _completion(body, message, finish))

    def _stream(self, message: dict[str, Any], finish: str, name: str) -> None:
        """Server-sent events, a few characters at a time, closed by [DONE]."""
        self._head(200, "text/event-stream", {"Connection": "close"})
        self.close_connection = True
        for number, delta in enumerate(_pieces(message)):
            delta = {"role": "assistant", **delta} if number == 0 else delta
            if name == "keep_alive":
                self.wfile.write(b": PROCESSING\n\n")
            self._event({"index": 0, "delta": delta, "finish_reason": None})
            if name == "stall_midway":
                self.owner.stopping.wait()
                return
        self._event({"index": 0, "delta": {}, "finish_reason": finish})
        if name != "keep_alive":
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


def _pieces(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The message as deltas: each text in pieces, arguments under their call's index, all else whole."""
    deltas: list[dict[str, Any]] = []
    for field, value in message.items():
        if isinstance(value, str) and field != "role":
            deltas += [{field: value[at : at + PIECE]} for at in range(0, len(value), PIECE)]
        elif field == "tool_calls":
            deltas += [{"tool_calls": [call]} for part in value for call in _call_pieces(part)]
        elif field != "role":
            deltas.append({field: value})
    return deltas or [{"content": ""}]


def _call_pieces(call: dict[str, Any]) -> list[dict[str, Any]]:
    arguments = call["function"]["arguments"]
    if not isinstance(arguments, str):
        return [call]
    texts = [arguments[at : at + PIECE] for at in range(0, len(arguments), PIECE)]
    start = {**call, "function": {"name": call["function"]["name"], "arguments": texts[0]}}
    return [start, *({"index": call["index"], "function": {"arguments": text}} for text in texts[1:])]


def _completion(body: dict[str, Any], message: dict[str, Any], finish: str) -> dict[str, Any]:
    """One whole completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", "gpt-test"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
