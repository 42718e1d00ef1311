"""One date column read as a whole: a single format for all rows, or none when it is ambiguous."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from finetune.data.ticket import Problem

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
        found = [pair for pair in both if min(pair) in range(1, 13) and max(pair) in range(1, 32)]
        if not found:
            return None, []
        day_first = any(first > 12 for first, _ in found)
        month_first = any(second > 12 for _, second in found)
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
