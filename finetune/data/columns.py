"""Which column of a file is the ticket's text, its queue, its answer: guessed by name, then by content."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from finetune.data.ticket import DatasetError, Problem

# Names in order of preference, compared without case and with any separator as a space.
NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        *("text", "ticket text", "ticket", "message", "body", "ticket body", "description", "question"),
        *("content", "query", "utterance", "request", "prompt", "input", "instruction", "comment", "issue"),
    ),
    "label": (
        *("label text", "label name", "intent name", "category name", "class name", "queue name"),
        *("label", "queue", "category", "intent", "class", "team", "group", "department", "ticket group"),
        *("topic", "product area", "tag", "ticket type", "type"),
    ),
    "answer": (
        *("answer", "reply", "response", "agent reply", "agent response", "completion", "output"),
        *("resolution", "target"),
    ),
    "customer": (
        *("customer", "customer id", "requester", "requester id", "requester email", "customer email"),
        *("user", "user id", "email", "account", "account id", "client", "company", "contact", "sender"),
    ),
    "thread": ("thread", "thread id", "conversation", "conversation id", "session id", "thread ts"),
    "id": ("id", "ticket id", "ticket number", "number", "key", "case id", "case number"),
    "created_at": (
        *("created at", "created", "created on", "date", "created date", "opened at", "opened", "timestamp"),
        *("received at", "time", "submitted at"),
    ),
    "subject": ("subject", "title", "summary"),
}
PEOPLE = (
    *("requester name", "customer name", "name", "agent", "agent name", "assignee", "assigned to", "owner"),
    *("contact name", "full name", "requester", "customer"),
)
GIVEN = ("text", "label", "answer", "customer", "thread", "id", "created_at", "subject")


@dataclass(frozen=True)
class Columns:
    """The file's column for each of our fields, and the columns that hold people's names."""

    fields: Mapping[str, str]
    people: tuple[str, ...]
    how: str  # "given", "name" or "content"


def choose_columns(
    header: Sequence[str], sample: Sequence[Mapping[str, Any]], choice: Mapping[str, str] | None
) -> Columns:
    """The columns to read: `choice` ({our field: their column}) where there is one, guesses elsewhere.

    Raises DatasetError that names the columns at hand when the text, or both label and answer, are missing.
    """
    if choice:
        names, people = _plain_names(header)
        text = {field: name for field, name in _fields_by_name(names).items() if field == "text"}
        return Columns(_check_choice(text | dict(choice), header), people, "given")
    guess = guess_columns(header, sample)
    if "text" not in guess.fields:
        raise DatasetError(
            f"line 1: no column holds the ticket's text; there is {_list(header)}.", what_next=FIX
        )
    if not ({"label", "answer"} & guess.fields.keys()):
        message = f"line 1: no column holds a queue (label) or an answer; there is {_list(header)}."
        raise DatasetError(message, what_next=FIX)
    return guess


def guess_columns(header: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> Columns:
    """The best guess, by name and then by content; what was not found is left out of its fields.

    Raises DatasetError where the first line is no header but a ticket.
    """
    names, people = _plain_names(header)
    fields = _fields_by_name(names)
    if not ({"label", "answer"} & fields.keys()) and (column := _ends_like("label", header, fields, people)):
        fields["label"] = column
    if "text" not in fields and "subject" in fields:
        fields["text"] = fields.pop("subject")
    if "text" in fields and {"label", "answer"} & fields.keys():
        return Columns(fields, people, "name")
    _refuse_missing_header(header, sample)
    return Columns(fields | _by_content(header, sample, fields), people, "content")


def _plain_names(header: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The header's names by their plain spelling, and those that hold people's names."""
    names = {_plain(name): name for name in header}
    return names, tuple(names[name] for name in PEOPLE if name in names)


def _fields_by_name(columns: Mapping[str, str]) -> dict[str, str]:
    """Our fields whose column is told by its name; `columns` by plain spelling."""
    return {
        field: columns[name]
        for field, spellings in NAMES.items()
        for name in reversed(spellings)
        if name in columns
    }


def _ends_like(
    field: str, header: Sequence[str], fields: Mapping[str, str], people: Sequence[str]
) -> str | None:
    """The first free column whose last word is one of the field's names: `Assigned Team`, `support_queue`."""
    free = [name for name in header if name not in fields.values() and name not in people]
    return next((name for name in free if _plain(name).rpartition(" ")[2] in NAMES[field]), None)


FIX = (
    "Say which column is which: in Slack the form asks, in the terminal --text-column and --label-column "
    "(or --answer-column) name them."
)


def _plain(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", words).strip().casefold()


def _list(names: Sequence[str]) -> str:
    text = ", ".join(repr(name[:40]) for name in names[:12])
    return text + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _check_choice(choice: Mapping[str, str], header: Sequence[str]) -> dict[str, str]:
    if unknown := [field for field in choice if field not in GIVEN]:
        raise DatasetError(
            f"There is no field {_list(unknown)} to read a column into.", what_next=f"Use {_list(GIVEN)}."
        )
    columns = {_plain(name): name for name in header}
    if absent := [name for name in choice.values() if name not in header and _plain(name) not in columns]:
        message = f"line 1: the file has no column {_list(absent)}; it has {_list(header)}."
        raise DatasetError(message, what_next="Name one of those.")
    if "text" not in choice or not ({"label", "answer"} & choice.keys()):
        raise DatasetError("Which column is the text, and which the label or the answer?", what_next=FIX)
    return {field: name if name in header else columns[_plain(name)] for field, name in choice.items()}


def _refuse_missing_header(header: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> None:
    """A first line that reads like a ticket, or has a value of the rows below, is data: there is no header."""
    for cell in header:
        long = len(cell.split()) > 4 or len(cell) > 60
        if long or re.fullmatch(r"[\d.:/ -]{4,}", cell) or any(row.get(cell) == cell for row in sample):
            message = f"line 1: the file has no header; its first line is already a ticket: {cell[:60]!r}."
            raise DatasetError(
                message, what_next="Put a first line that names the columns, such as text,label."
            )


def _by_content(
    header: Sequence[str], sample: Sequence[Mapping[str, Any]], fields: Mapping[str, str]
) -> dict[str, str]:
    """Text is the column of long values; label is one of few, short, repeated values."""
    guesses: dict[str, str] = {}
    free = [name for name in header if name not in fields.values()]
    words = {name: median([len(str(row.get(name) or "").split()) for row in sample] or [0]) for name in free}
    if "text" not in fields and free and words[(longest := max(free, key=lambda name: words[name]))] >= 3:
        guesses["text"] = longest
    for name in free:
        values = [str(row[name]).strip() for row in sample if row.get(name)]
        few = 2 <= len(set(values)) <= max(2, len(values) // 3)
        if name not in guesses.values() and few and words[name] <= 4 and max(map(len, values)) <= 60:
            guesses["label"] = name
            break
    return guesses


MONTH_FIRST = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%m/%d/%y")
DAY_FIRST = tuple(form.replace("%m/%d", "%d/%m") for form in MONTH_FIRST)
WORDED = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y %H:%M", "%a, %d %b %Y %H:%M:%S %z")
SANE_YEARS = range(1990, 2101)


class DateReader:
    """Collects a column's values in row order and decides its format once all are seen."""

    def __init__(self) -> None:
        self._values: list[tuple[str, int, str]] = []
        self._unread: list[int] = []

    def add(self, value: str, line: int, unit: str) -> None:
        """Take the next row's value ('' if it has none)."""
        self._values.append((value.strip(), line, unit))

    def resolve(self) -> tuple[list[datetime | None], list[str]]:
        """The UTC times in row order (None where unread) and notes on what was decided."""
        day_first, notes = self._slash_order()
        times = [_read(value, day_first) for value, _, _ in self._values]
        if not notes:
            self._unread = [at for at, when in enumerate(times) if when is None and self._values[at][0]]
        return times, notes

    def problems(self, column: str) -> list[Problem]:
        """One problem for each date that could not be read; its row stays, without a date."""
        return [
            Problem(
                line, f"{value[:40]!r} is no date that I know; write 2026-11-24", column, value, True, unit
            )
            for value, line, unit in (self._values[at] for at in self._unread)
        ]

    def _slash_order(self) -> tuple[bool | None, list[str]]:
        """Whether 03/04/2026 means 3 April (True) or March 4 (False); None with a note if nothing tells."""
        pairs = [re.match(r"(\d{1,2})[/.](\d{1,2})[/.]\d{2,4}", value) for value, _, _ in self._values]
        both = [(int(pair[1]), int(pair[2])) for pair in pairs if pair]
        dates = [pair for pair in both if min(pair) in range(1, 13) and max(pair) in range(1, 32)]
        if not dates:
            return None, []
        day_first = any(first > 12 for first, _ in dates)
        month_first = any(second > 12 for _, second in dates)
        if day_first != month_first:
            return day_first, []
        return None, ["dates such as 03/04/2026 can mean March or April: not used; write 2026-04-03"]


def _read(value: str, day_first: bool | None) -> datetime | None:
    if not value:
        return None
    when = _iso(value) or _epoch(value)
    if when is None and day_first is not None:
        when = _first_match(value.replace(".", "/"), DAY_FIRST if day_first else MONTH_FIRST)
    when = when or _first_match(value, WORDED)
    if when is None or when.year not in SANE_YEARS:
        return None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def _iso(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value.removesuffix(" UTC"))
    except ValueError:
        return None


def _epoch(value: str) -> datetime | None:
    if not re.fullmatch(r"\d{10}(\d{3})?(\.\d+)?", value):
        return None
    seconds = float(value)
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)


def _first_match(value: str, forms: tuple[str, ...]) -> datetime | None:
    for form in forms:
        try:
            return datetime.strptime(value, form)
        except ValueError:
            continue
    return None
