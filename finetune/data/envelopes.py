"""Where the rows of an API's answer or an export in JSON lie: in a known envelope, or in the list that reads like tickets. Pure.

Lists beside them that only name what the rows refer to by id (groups, lists of a board) give the names; other lists are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from finetune.data.chats import is_turns

ENVELOPES = (
    *("tickets", "results", "result", "rows", "data", "items", "issues", "conversations", "records", "value", "values"),
    *("cases", "objects", "hits", "content", "entries", "list", "response", "d", "requests", "incidents", "messages"),
)  # fmt: skip
_CONTENTS = re.compile(
    r"text|body|description|subject|summary|title|question|message|prompt|instruction", re.I
)
_LIKE_TICKETS = re.compile(rf"{_CONTENTS.pattern}|desc$|name$|content|preview|details", re.I)
_PEOPLE = re.compile(r"user|member|agent|people|person|customer|contact|requester|author|collaborator", re.I)
MAX_DEPTH = 6
MIN_ROWS = 2  # rows, for a list that is in no known envelope
MIN_TEXT_WORDS = 5  # words from which on a field is a row's own text, no title of the whole
MIN_WORDS_RATIO = 3  # times the words outside that the list must have


@dataclass(frozen=True)
class Rows:
    """The rows, the place of their list ("" for a plain list), and the lists beside it that are not read, with their sizes."""

    rows: list[Any]
    place: str = ""
    others: tuple[tuple[str, int], ...] = ()


def open_envelope(value: Any) -> Rows | None:
    """The list of rows in an API's answer or export; None where the value is one row itself."""
    if isinstance(value, list):
        return Rows([_node(one) for one in value])
    if not isinstance(value, dict):
        return None
    if (envelope := _in_known(value)) is not None:
        return Rows([_node(one) for one in envelope])
    own = list(_texts(value, MAX_DEPTH))
    if any(_CONTENTS.search(name) and words >= MIN_TEXT_WORDS for name, words in own):
        return None
    lists = {place: items for place, items in _lists(value, "", MAX_DEPTH) if len(items) >= MIN_ROWS}
    scores = {place: _score(items) for place, items in lists.items()}
    best = max(scores, key=lambda place: scores[place], default="")
    if not best or scores[best] <= MIN_WORDS_RATIO * sum(words for _, words in own):
        return None
    beside = {place: items for place, items in lists.items() if place != best and not _PEOPLE.search(place)}
    names = {place: own_names for place, items in beside.items() if (own_names := _names(items))}
    rows = [_with_names(_node(one), names) for one in lists[best]]
    others = tuple((place, len(items)) for place, items in lists.items() if place not in (best, *names))
    return Rows(rows, best, others)


def _in_known(value: Mapping[str, Any]) -> list[Any] | None:
    """The list under one of the usual names, one envelope in another at most twice."""
    lists = {key: item for key in ENVELOPES if (item := value.get(key)) is not None}
    for key, item in lists.items():
        others = [name for name in value if name != key and isinstance(value[name], str)]
        if any(_CONTENTS.search(name) for name in others) or is_turns(item):
            continue
        if isinstance(item, list) and (not item or isinstance(item[0], dict)):
            return item
        if isinstance(item, dict) and (inner := _in_known(item)) is not None:
            return inner
    return None


def _node(item: Any) -> Any:
    """What a GraphQL edge holds; anything else as it is."""
    inner = item.get("node") if isinstance(item, dict) else None
    return inner if isinstance(inner, dict) and set(item) <= {"node", "cursor", "__typename"} else item


def _texts(value: Mapping[str, Any], depth: int) -> Iterator[tuple[str, int]]:
    """The names of the fields that hold words, outside of lists, and how many."""
    for name, item in value.items():
        if isinstance(item, dict) and depth > 1:
            yield from _texts(item, depth - 1)
        elif isinstance(item, str) and item.strip():
            yield name, len(item.split())


def _lists(value: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, list[Any]]]:
    """Every list of objects with its place, `outer.inner`."""
    for name, item in value.items():
        if isinstance(item, dict) and depth > 1:
            yield from _lists(item, f"{prefix}{name}.", depth - 1)
        elif (
            isinstance(item, list)
            and item
            and all(isinstance(one, dict) for one in item)
            and not is_turns(item)
        ):
            yield f"{prefix}{name}", item


def _score(items: list[Any]) -> int:
    """The words in fields that read like a ticket's; 0 for a list of anything else."""
    sample = [_node(one) for one in items[:200]]
    words = sum(len(text.split()) for one in sample for text in _texts_within(one, MAX_DEPTH))
    return words * len(items) // len(sample) if words > 2 * len(sample) else 0


def _texts_within(value: Any, depth: int) -> Iterator[str]:
    """The texts of fields that are called as a ticket's are, those in lists too."""
    for one in value if isinstance(value, list) else (value,):
        for name, item in one.items() if isinstance(one, dict) and depth else ():
            if isinstance(item, str) and _LIKE_TICKETS.search(name):
                yield item
            elif isinstance(item, dict | list):
                yield from _texts_within(item, depth - 1)


def _names(items: list[Any]) -> dict[str, str]:
    """The names by id, of a list of things that are no people; {} for other lists."""
    names = {str(one.get("id")): one.get("name") or one.get("title") for one in items if "id" in one}
    is_plain = len(names) == len(items) and all(
        isinstance(name, str) and 0 < len(name) <= 80 for name in names.values()
    )
    return names if is_plain else {}  # type: ignore[return-value]


def _with_names(row: Any, lists: Mapping[str, Mapping[str, str]]) -> Any:
    """The row with names for the ids of what it refers to: `idList`, `group_id`, by the list that is called so."""
    if not isinstance(row, dict) or not lists:
        return row
    changes = {}
    for field, item in row.items():
        for place, names in lists.items():
            kind = place.rpartition(".")[2].rstrip("s").casefold()
            if kind in field.casefold() and str(item) in names:
                changes[field] = names[str(item)]
    return {**row, **changes}
