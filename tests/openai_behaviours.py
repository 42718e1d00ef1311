"""What OpenAI-compatible servers do differently, by name: requests that they refuse, and shapes of their messages.

Each was seen in the documentation or the source of the server that its line names. Pure; tests/openai_server.py
sends it over the wire. Never run live.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
Message = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """An error for the requests that `applies` to."""

    about: str
    applies: Callable[[Body], bool]
    status: int
    message: str
    code: str | None = None
    param: str | None = None

    def body(self) -> dict[str, Any]:
        """The error as OpenAI and most others write it."""
        kind = self.code or "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "code": self.code, "param": self.param}}


def has(*names: str) -> Callable[[Body], bool]:
    """Whether a request carries one of the fields."""
    return lambda body: any(name in body for name in names)


def has_system(body: Body) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def always(_: Body) -> bool:
    return True


def strict(body: Body) -> bool:
    """Whether there is more in a request than the oldest servers know."""
    return bool(set(body) - {"model", "messages", "max_tokens"}) or has_system(body)


REFUSALS: dict[str, Refusal] = {
    "429": Refusal("rate limit", always, 429, "Rate limit reached", "rate_limit_exceeded"),
    "500": Refusal("server error", always, 500, "The server had an error", "server_error"),
    "503": Refusal("overloaded", always, 503, "The engine is overloaded", "overloaded"),
    "wrong_key": Refusal("OpenAI", always, 401, "Incorrect API key provided", "invalid_api_key"),
    "no_model": Refusal("OpenAI", always, 404, "The model does not exist", "model_not_found"),
    "content_filter": Refusal("Azure", always, 400, "The response was filtered", "content_filter"),
    "no_json_schema": Refusal(
        "DeepSeek, older vLLM: tools work", has("response_format"), 400, "'response_format' is not supported"
    ),
    "schema_500": Refusal(
        "llama.cpp: the grammar cannot be built", has("response_format"), 500, "failed to parse grammar"
    ),
    "schema_501": Refusal("gateways", has("response_format"), 501, "Not implemented"),
    "schema_403": Refusal("gateways with a list of fields", has("response_format"), 403, "Field not allowed"),
    "no_endpoint": Refusal(
        "OpenRouter: no provider takes either",
        has("response_format", "tools"),
        404,
        "No endpoints found that can handle the requested parameters",
    ),
    "text_only": Refusal(
        "llama.cpp without --jinja", has("response_format", "tools"), 500, "tools param requires --jinja flag"
    ),
    "no_tool_object": Refusal(
        "LM Studio: tool_choice is a word; the schema is refused by the model's engine",
        has("response_format", "tool_choice"),
        400,
        "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
    ),
    "no_temperature": Refusal(
        "OpenAI's reasoning models",
        has("temperature"),
        400,
        "Unsupported value",
        "unsupported_value",
        "temperature",
    ),
    "completion_tokens": Refusal(
        "OpenAI's newer models",
        has("max_tokens"),
        400,
        "Use 'max_completion_tokens' instead.",
        "unsupported_parameter",
        "max_tokens",
    ),
    "no_reasoning_effort": Refusal(
        "OpenAI's plain models",
        has("reasoning_effort"),
        400,
        "Unrecognized request argument supplied: reasoning_effort",
    ),
    "extra_forbidden": Refusal(
        "gateways that check fields",
        has("chat_template_kwargs"),
        422,
        "[{'type': 'extra_forbidden', 'loc': ('body', 'chat_template_kwargs')}]",
    ),
    "no_stream": Refusal(
        "gateways that log whole replies", has("stream"), 400, "stream is not supported", None, "stream"
    ),
    "no_system_role": Refusal(
        "vLLM and llama.cpp with Gemma's template", has_system, 400, "System role not supported"
    ),
    "oldest": Refusal("home-made servers: model, one message, max_tokens", strict, 400, "Bad request"),
}


def tool_calls(text: str, body: Body, arguments: Any = None) -> Message:
    """The text as the arguments of the tool that the request names."""
    function = {"name": body["tools"][0]["function"]["name"], "arguments": arguments or text}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def plain(text: str, body: Body) -> Message:
    """Tool calls where the request carries tools and the text is JSON, else content."""
    if body.get("tools") and text.lstrip().startswith("{"):
        return tool_calls(text, body)
    return {"role": "assistant", "content": text}


def says(text: str) -> Callable[[str, Body], Message]:
    """Always the same words."""
    return lambda _, body: {"role": "assistant", "content": text}


def _content(wrap: Callable[[str], Any]) -> Callable[[str, Body], Message]:
    return lambda text, body: {"role": "assistant", "content": wrap(text)}


def _renamed_as_tool(text: str, body: Body) -> Message:
    return {
        "role": "assistant",
        "content": f'<tool_call>\n{{"name": "f", "arguments": {text}}}\n</tool_call>',
    }


def _first_list(text: str) -> str:
    """The list inside the object alone, as models that forget the object around it write."""
    value = json.loads(text)
    return json.dumps(next((inner for inner in value.values() if isinstance(inner, list)), value))


def _odd_values(text: str) -> str:
    """Numbers as numbers, words as lists, a null, unknown keys and an unknown topic beside what is right."""
    value = json.loads(text)
    for entry in value.get("signals", []):
        entry["value"] = int(entry["value"]) if entry["value"].isdigit() else [entry["value"]]
        entry["certainty"] = 0.9
    if "signals" in value:
        value |= {"topic": "A Decision!", "mood": "calm"}
        value["signals"] += [{"quote": "x", "name": "task", "value": None}, "noise", {"name": "mood"}]
    return json.dumps(value)


def _cut(text: str) -> str:
    """The text without its last closing marks: cut by the limit of tokens."""
    return text.rstrip().rstrip("]}")


THOUGHT = 'They say {"quote": "nothing"}; so the topic is [1] clear.'

MESSAGES: dict[str, Callable[[str, Body], Message]] = {
    "fenced": _content(lambda text: f"Here you are:\n```json\n{text}\n```"),
    "prose": says("Sure! Here is what I think about it."),
    "empty": says(""),
    "think_tags": _content(lambda text: f"<think>\n{THOUGHT}\n</think>\n\n{text}"),
    "think_unclosed": _content(lambda text: f"<think>\n{THOUGHT}\n{text}"),
    "reasoning_content": lambda text, body: {**plain(text, body), "reasoning_content": THOUGHT},
    "reasoning_only": lambda text, body: {"role": "assistant", "content": None, "reasoning_content": text},
    "braces_around": _content(lambda text: f"In {{short}}: {text} I hope {{that}} helps }}."),
    "example_first": _content(lambda text: f'The form is {{"topic": "other"}}. The answer: {text}'),
    "tool_call_text": _renamed_as_tool,
    "arguments_object": lambda text, body: (
        tool_calls(text, body, json.loads(text))
        if body.get("tools")
        else {"role": "assistant", "content": ""}
    ),
    "wrapped": _content(lambda text: json.dumps({"answer": json.loads(text)})),
    "string_inside": _content(lambda text: json.dumps({"response": text})),
    "bare_list": _content(_first_list),
    "content_parts": _content(lambda text: [{"type": "text", "text": text}]),
    "truncated": _content(_cut),
    "odd_values": _content(_odd_values),
    "refusal": lambda text, body: {"role": "assistant", "content": None, "refusal": "I cannot help."},
    "filtered": says(""),
}
FINISH = {"truncated": "length", "filtered": "content_filter"}

WIRE = {
    "ok": "answers, streamed when the request asks for it",
    "stall": "accepts the request and sends nothing until the server stops",
    "stall_midway": "streams one piece, then nothing",
    "cut": "closes the connection in the middle of the body",
    "malformed": "200 with a body that is not JSON",
    "drip": "200, one byte at a time and never done: every read succeeds, the whole never comes",
    "stream_ignored": "a whole reply to a request to stream, as simple gateways send it",
    "keep_alive": "comments between the events and no [DONE] at the end, as OpenRouter and old llama.cpp send it",
    "error_in_200": "200 with an error in the body to a response_format, as gateways send it",
    "slow": "waits `pause_s` before the first piece, as a model on a CPU does",
    "thinks_long": "thinks past a limit below 4,000 tokens: finish_reason length and no answer",
    "lie": "200 with `lie(body)` in place of `answer(body)`",
}
BEHAVIOURS = frozenset({*REFUSALS, *MESSAGES, *WIRE})
