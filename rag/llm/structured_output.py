"""Finds the requested JSON object in a model's output: tool arguments, prose, thinking, cut-off text; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from rag.llm.dialect import Form

MAX_CHARACTERS = 200_000
WRAPPERS = ("arguments", "parameters", "input", "answer", "result", "response", "output", "json")
_START = re.compile(r"[{\[]")
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_DECODER = json.JSONDecoder()


class Unreadable(Exception):
    """The server answered, but not in the shape that was asked for."""


class Shape(BaseModel):
    """The shape of an answer; `list_field` names the field that a bare list, or objects in a row, are meant for.

    The shape's validators drop invalid entries one by one; unknown keys are ignored.
    """

    model_config = ConfigDict(extra="ignore")
    list_field: ClassVar[str] = ""

    @classmethod
    def form(cls) -> Form:
        """Its JSON schema as OpenAI's strict mode wants it."""
        import openai

        function = openai.pydantic_function_tool(cls)["function"]
        return Form(cls.__name__, dict(function["parameters"]))


ShapeT = TypeVar("ShapeT", bound=Shape)


@dataclass(frozen=True)
class Completion:
    """The result of one call: text, thinking, the arguments of tool calls, and the finish reason."""

    content: str = ""
    reasoning: str = ""
    arguments: tuple[Any, ...] = ()  # JSON text, or an object where the server sends one
    finish_reason: str = ""
    refusal: bool = False

    @property
    def cut(self) -> bool:
        """Whether the answer ended at a limit of tokens or time."""
        return self.finish_reason in ("length", "deadline")


def read_shape(shape: type[ShapeT], completion: Completion) -> ShapeT:
    """The answer in its shape, from tool arguments, else the text, else the thinking; raises Unreadable if none fits."""
    for source in (*completion.arguments, completion.content, completion.reasoning):
        objects = [source] if isinstance(source, dict | list) else list(objects_in(str(source)))
        for candidate in candidates(shape, objects):
            try:
                return shape.model_validate(candidate)
            except ValidationError:
                continue
    raise Unreadable


def candidates(shape: type[Shape], objects: list[Any]) -> Iterator[dict[str, Any]]:
    """The objects that could be the answer, last first, because examples and drafts precede the answer."""
    fields = set(shape.model_fields)
    for candidate in reversed(objects):
        for inner in unwrap(candidate, shape.__name__):
            if isinstance(inner, dict) and fields & inner.keys():
                yield inner
            if (
                isinstance(inner, list)
                and shape.list_field
                and any(isinstance(i, dict | bool) for i in inner)
            ):
                yield {shape.list_field: inner}
    if shape.list_field and len(objects) > 1:
        yield {shape.list_field: [candidate for candidate in objects if isinstance(candidate, dict)]}
    if shape.list_field and objects and isinstance(objects[-1], dict):
        yield {shape.list_field: [objects[-1]]}


def unwrap(value: Any, name: str) -> Iterator[Any]:
    """The value and what it wraps: `{"Reading": {...}}`, a tool call written out as text, JSON within a string."""
    yield value
    if not isinstance(value, dict):
        return
    for key in (name, name.lower(), *WRAPPERS):
        inner = value.get(key)
        if isinstance(inner, str):
            inner = next(iter(objects_in(inner)), None)
        if isinstance(inner, dict | list):
            yield inner


def objects_in(text: str) -> Iterator[Any]:
    """The JSON objects and lists of a text in their order, each found by parsing; the last may be cut off.

    Ignores thinking between tags where there is other text.
    """
    text = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode()
    outside = _THOUGHT.sub(" ", text)
    text = outside if _START.search(outside) else text
    at = 0
    while start := _START.search(text, at):
        try:
            value, at = _DECODER.raw_decode(text, start.start())
        except (json.JSONDecodeError, RecursionError):
            at = start.end()
            partial = _partial(text[start.start() :])
            if partial:
                yield _writable(partial)
                return
        else:
            if value:
                yield _writable(value)


def _partial(text: str) -> Any:
    """The value that a cut-off JSON text holds, without its unfinished end; None for what is no JSON."""
    try:
        value = from_json(text, allow_partial=True)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _writable(value: Any) -> Any:
    """The value with halves of surrogate pairs replaced: JSON may carry them, UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {str(_writable(key)): _writable(item) for key, item in value.items()}
    return value
