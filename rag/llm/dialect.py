"""The dialect of a server: the method of structured output and the options that it accepts; pure.

OpenAI-compatible servers differ: some know no `response_format`, some no tools, some refuse `temperature`, want
`max_completion_tokens`, or allow no system message. A `Dialect` is what is known of one server so far.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Way = Literal["json_schema", "tools", "text"]
Message = tuple[str, str]  # role ("system", "human", "ai") and text
WAYS: tuple[Way, ...] = ("json_schema", "tools", "text")
ROLES = {"system": "system", "human": "user", "ai": "assistant"}
OPTIONS: dict[str, Any] = {
    "stream": True,
    "temperature": 0,
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": False},
}
LIMITS = ("max_tokens", "max_completion_tokens")
MAX_TOKEN_FACTOR = 8  # factor on the limit, once, for a model whose thinking exceeds it


@dataclass(frozen=True)
class Form:
    """The shape of an answer as JSON schema, with its name."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """What a server takes: its ways (the one that worked first), the refused options, the name of its limit."""

    ways: tuple[Way, ...] = WAYS
    refusals: frozenset[str] = frozenset()
    token_factor: int = 1
    system_role: bool = True

    @classmethod
    def of(cls, base_url: str | None) -> Dialect:
        """The first guess: OpenAI's own models want `max_completion_tokens`, other servers know `max_tokens`."""
        unusual = {"chat_template_kwargs", "max_tokens"} if base_url is None else {"max_completion_tokens"}
        return cls(refusals=frozenset(unusual))

    def preferring(self, way: Way) -> Dialect:
        """The same with this way first."""
        return replace(self, ways=(way, *(other for other in WAYS if other != way)))

    def without(self, names: frozenset[str]) -> Dialect:
        """The same without these options; a refused limit is replaced by its other name."""
        options = self.refusals | names
        if names & set(LIMITS) and not set(LIMITS) <= self.refusals:
            options = (options - set(LIMITS)) | (names & set(LIMITS))
        return replace(self, refusals=frozenset(options))

    def plainest(self) -> Dialect:
        """The request that every server understands: one message of plain text, no option but the limit."""
        return replace(self, ways=("text",), refusals=self.refusals | set(OPTIONS), system_role=False)

    def longer(self) -> Dialect:
        """The same with room for a model that thinks before it answers."""
        return replace(self, token_factor=MAX_TOKEN_FACTOR)

    def named_in(self, text: str) -> frozenset[str]:
        """Our options that a refusal names; it matches API identifiers, not words of a language."""
        options = [name for name in (*OPTIONS, *LIMITS) if name not in self.refusals]
        names = {name for name in options if name in text}
        return frozenset(names - {"max_tokens"} if "max_completion_tokens" in names else names)

    def request(self, way: Way, form: Form, messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
        """The JSON of one request, without the model's name."""
        body: dict[str, Any] = {name: value for name, value in OPTIONS.items() if name not in self.refusals}
        for name in LIMITS:
            if name not in self.refusals:
                body[name] = max_tokens * self.token_factor
        if way == "json_schema":
            schema = {"name": form.name, "schema": form.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif way == "tools":
            function = {"name": form.name, "description": "The answer.", "parameters": form.schema}
            body["tools"] = [{"type": "function", "function": function}]
            body["tool_choice"] = {"type": "function", "function": {"name": form.name}}
        return {**body, "messages": self._messages(way, form, messages)}

    def _messages(self, way: Way, form: Form, messages: Sequence[Message]) -> list[dict[str, str]]:
        wire = [{"role": ROLES[role], "content": text} for role, text in messages]
        if way == "text":
            wish = (
                "\nAnswer with one JSON object and nothing else. Its JSON schema:\n"
                f"{json.dumps({'title': form.name, **form.schema})}"
            )
            wire[0] = {**wire[0], "content": wire[0]["content"] + wish}
        if not self.system_role and wire[0]["role"] == "system" and len(wire) > 1:
            first, second, *rest = wire
            wire = [{**second, "content": f"{first['content']}\n\n{second['content']}"}, *rest]
        return wire
