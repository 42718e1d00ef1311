"""Chat training files as question and answer: OpenAI messages, ShareGPT, prompt/completion, KTO and DPO. Pure.

The last turn of the assistant is the answer, what stands before it the ticket; tool turns are read, system prompts,
pictures and rejected answers are left out and said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TURN_LISTS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns")
_ROLES = {
    "user": "user", "human": "user", "customer": "user", "prompter": "user", "client": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "agent": "assistant",
    "chatgpt": "assistant", "bard": "assistant", "bing": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool", "function_response": "tool",
    "function_call": "call", "tool_call": "call",
}  # fmt: skip
_WHO = {"user": "Customer", "assistant": "Agent", "tool": "Tool", "call": "Agent"}


@dataclass(frozen=True)
class Chat:
    """One conversation as values by column, and what of it was left out; `refusal` says why it is none."""

    values: Mapping[str, Any]
    left_out: tuple[str, ...] = ()
    refusal: str = ""
    rule: str = "broken chats"


def is_turns(value: Any) -> bool:
    """Whether a value is a list of turns: {role, content} or {from, value}."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and ({"role", "from"} & turn.keys()) for turn in value[:3])
        and any({"content", "value", "tool_calls", "text"} & turn.keys() for turn in value[:3])
    )


def read_chat(value: Mapping[str, Any]) -> Chat | None:
    """The object as a chat; None where it is something else."""
    for key in TURN_LISTS:
        if is_turns(value.get(key)) or (key == "messages" and isinstance(value.get(key), list)):
            return _from_turns(value[key], _rest(value, key))
    if "prompt" in value and {"chosen", "rejected"} <= value.keys():
        chat = _from_pair(value["prompt"], value["chosen"], _rest(value, "prompt", "chosen", "rejected"))
        return Chat(chat.values, (*chat.left_out, "rejected answers"), chat.refusal)
    if {"chosen", "rejected"} <= value.keys() and is_turns(value["chosen"]):
        chat = _from_turns(value["chosen"], _rest(value, "chosen", "rejected"))
        return Chat(chat.values, (*chat.left_out, "rejected answers"), chat.refusal)
    answer = next((key for key in ("completion", "response") if key in value), None)
    if "prompt" not in value or answer is None:
        return None
    is_kto = isinstance(value.get("label"), bool)
    if not is_kto and isinstance(value["prompt"], str) and isinstance(value[answer], str):
        return None  # plain columns: read by their names
    if is_kto and not value["label"]:
        return Chat({}, refusal="is marked as a bad answer (label false)", rule="bad answers")
    return _from_pair(
        value["prompt"], value[answer], _rest(value, "prompt", answer, *(["label"] if is_kto else []))
    )


def join_instruction(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """An Alpaca row with its input below its instruction, as the model saw it; any other row as it is."""
    names = {str(name).casefold(): name for name in values}
    if not ("instruction" in names and "input" in names and {"output", "response"} & names.keys()):
        return values
    parts = [str(values[names[key]] or "").strip() for key in ("instruction", "input")]
    rest = {key: value for key, value in values.items() if key != names["input"]}
    return rest | {names["instruction"]: "\n\n".join(part for part in parts if part)}


def _rest(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {
        key: item
        for key, item in value.items()
        if key not in names and not isinstance(item, list | dict) and key not in ("text", "answer")
    }


def _from_pair(prompt: Any, answer: Any, rest: Mapping[str, Any]) -> Chat:
    """A prompt and what follows it, each as text or as turns."""
    first = prompt if is_turns(prompt) else [{"role": "user", "content": prompt}]
    last = answer if is_turns(answer) else [{"role": "assistant", "content": answer}]
    if is_turns(answer) and len(last) >= len(first) and last[: len(first)] == first:
        first = []  # the answer repeats its prompt
    return _from_turns([*first, *last], rest)


def _from_turns(turns: list[Any], rest: Mapping[str, Any]) -> Chat:
    history: list[tuple[str, str]] = []
    left_out: list[str] = []
    for turn in turns:
        if not isinstance(turn, dict):
            return Chat({}, refusal="a turn is not {role, content} or {from, value}")
        role = _ROLES.get(str(turn.get("role") or turn.get("from") or "").casefold(), "")
        text, other = _content(turn)
        left_out += other
        if role == "system":
            left_out += ["system prompts"] if text else []
        elif not role:
            return Chat({}, refusal=f"a turn has the role {str(turn.get('role') or turn.get('from'))[:30]!r}")
        elif text:
            history.append((role, text))
    while history and history[-1][0] != "assistant":
        history.pop()
    if not history or not any(role == "user" for role, _ in history[:-1]):
        return Chat({}, refusal="needs a customer's (user) turn followed by an agent's (assistant)")
    *before, (_, answer) = history
    lines = (f"{_WHO[role]}: {words}" for role, words in before)
    text = before[0][1] if len(before) == 1 else "\n".join(lines)
    return Chat({**rest, "text": text, "answer": answer}, tuple(dict.fromkeys(left_out)))


def _content(turn: Mapping[str, Any]) -> tuple[str, list[str]]:
    """A turn's words, and what else it holds that is not read."""
    content = next((turn[key] for key in ("content", "value", "text") if turn.get(key) is not None), None)
    left_out: list[str] = []
    if isinstance(content, list):
        parts = [part if isinstance(part, dict) else {"text": part} for part in content]
        left_out = (
            ["pictures and sound"]
            if any(part.get("type", "text") not in _TEXT_PARTS for part in parts)
            else []
        )
        content = "\n".join(str(part["text"]) for part in parts if isinstance(part.get("text"), str))
    words = content.strip() if isinstance(content, str) else ""
    calls = [_call(call) for call in turn.get("tool_calls") or () if isinstance(call, dict)]
    if isinstance(turn.get("function_call"), dict):
        calls.append(_call(turn["function_call"]))
    if calls and not words and turn.get("role") == "assistant":
        return "", ["tool calls without words"]
    return words, left_out


_TEXT_PARTS = frozenset(("text", "input_text", "output_text"))


def _call(call: Mapping[str, Any]) -> str:
    inner = call.get("function", call)
    return f"{inner.get('name', '')}({json.dumps(inner.get('arguments', ''), ensure_ascii=False)})"
