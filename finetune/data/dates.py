"""The times of a column, whatever form it has: ISO, epoch, 03/04/2026, 01/Mar/25 1:05 PM, 1. März 2026, 20260304101112, Excel's days.

A form that can mean two days is decided by the whole column, or not used and said so; no day is guessed.
"""

from __future__ import annotations

import re
from array import array
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from finetune.data.ticket import Problem

SANE_YEARS = range(1990, 2101)
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
_FIRST_DAY, _FIRST, _LAST = datetime(1899, 12, 30, tzinfo=UTC), 36_526, 55_153  # 2000 to 2050
SERIALS = "dates are a spreadsheet's numbers of days: read as such"
MAX_UNREAD = 0.5  # of a column's values; above this the column holds no dates that we know
_SLASHES = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})\b")
_MONTHS = {
    1: "januar januari janvier enero janeiro gennaio jän jan ene gen",
    2: "februar februari février fevrier febrero fevereiro febbraio feb fév fev febr",
    3: "märz maerz maart mars marzo março marco mär mrz mrt mar",
    4: "april avril abril aprile apr avr abr",
    5: "mai mei mayo maio maggio may mag",
    6: "juni juin junio junho giugno jun giu",
    7: "juli juillet julio julho luglio jul lug",
    8: "august augustus août aout agosto aug aoû ago",
    9: "september septembre septiembre setembro settembre sept sep set",
    10: "oktober octobre octubre outubro ottobre okt oct out ott",
    11: "november novembre noviembre novembro nov",
    12: "dezember december décembre decembre diciembre dezembro dicembre dez dec déc dic",
}
_MONTH_OF = {word: month for month, words in _MONTHS.items() for word in words.split()}
_ENGLISH = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
_JAPANESE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日")
_FILLER = re.compile(r"\b(?:at|um|à|a las|às|alle|om|le|el|il|op|den|de|del|uhr|kl)\b\.?|\([^)]*\)", re.I)


class DateReader:
    """Collects a column's values in row order and decides its format once all are seen."""

    def __init__(self) -> None:
        self._values: list[str] = []
        self._lines, self._units = array("q"), list[str]()
        self._unread: list[int] = []

    def add(self, value: str, line: int, unit: str) -> None:
        """Take the next row's value ('' if it has none)."""
        self._values.append(value.strip())
        self._lines.append(line)
        self._units.append(unit)

    def resolve(self) -> tuple[list[datetime | None], list[str]]:
        """The UTC times in row order (None where unread) and notes on what was decided."""
        if self._are_serials():
            return [_from_serial(value) if value else None for value in self._values], [SERIALS]
        day_first, notes = self._slash_order()
        times_of: dict[str, datetime | None] = {}
        times = []
        for value in self._values:
            if value not in times_of:
                times_of[value] = _read(value, day_first)
            times.append(times_of[value])
        unread = [at for at, when in enumerate(times) if when is None and self._values[at]]
        count = sum(map(bool, self._values))
        if notes or not unread:
            return times, notes
        if len(unread) > MAX_UNREAD * count:
            example = self._values[unread[0]][:40]
            note = (
                f"dates not understood ({example!r}, {len(unread):,} rows): split at random; write 2026-11-24"
            )
            return [None] * len(times), [note]
        self._unread = unread
        return times, notes

    def problems(self, column: str) -> list[Problem]:
        """One problem for each date that could not be read; its row stays, without a date."""
        return [
            Problem(
                line, f"{value[:40]!r} is no date that I know; write 2026-11-24", column, value, True, unit
            )
            for value, line, unit in (
                (self._values[at], self._lines[at], self._units[at]) for at in self._unread
            )
        ]

    def _are_serials(self) -> bool:
        """Whether every value is a spreadsheet's number of days, of this century."""
        values = [value for value in self._values if value]
        return bool(values) and all(map(_is_serial, values))

    def _slash_order(self) -> tuple[bool | None, list[str]]:
        """Whether 03/04/2026 means 3 April (True) or March 4 (False); None with a note if nothing tells.

        Told by a part above 12, by dots (German dates), or by the order of the rows: one reading runs in time.
        """
        matches = (_SLASHES.match(value) for value in self._values)
        dates = [
            (int(match[1]), int(match[3]), int(match[4]), match[2])
            for match in matches
            if match
            and min(int(match[1]), int(match[3])) in range(1, 13)
            and max(int(match[1]), int(match[3])) < 32
        ]
        if not dates:
            return True, []
        day_first = any(first > 12 for first, _, _, _ in dates)
        month_first = any(second > 12 for _, second, _, _ in dates)
        if day_first != month_first:
            return day_first, []
        if not day_first:
            if all(mark == "." for *_, mark in dates):
                return True, []
            runs = {order for order in (True, False) if _runs_in_time(dates, order)}
            if len(runs) == 1 and len(set(dates)) > 9:
                return runs.pop(), []
        note = "dates such as 03/04/2026 can mean March or April: not used, split at random; write 2026-04-03"
        return None, [note]


def _is_serial(value: str) -> bool:
    return bool(_SERIAL.fullmatch(value)) and _FIRST <= int(value[:5]) < _LAST


def _from_serial(value: str) -> datetime:
    days = float(value.replace(",", "."))
    return _FIRST_DAY + timedelta(seconds=round(days * 86_400))


def _runs_in_time(dates: list[tuple[int, int, int, str]], day_first: bool) -> bool:
    keys = [(year, b, a) if day_first else (year, a, b) for a, b, year, _ in dates]
    steps = [(left > right) - (left < right) for left, right in pairwise(keys)]
    return not (1 in steps and -1 in steps)


def _read(value: str, day_first: bool | None) -> datetime | None:
    if not value or len(value) > 80:
        return None
    when = _iso(value) or _epoch(value)
    if when is None and (day_first is not None or not _SLASHES.match(value)):
        when = _loose(value, bool(day_first))
    if when is None or when.year not in SANE_YEARS:
        return None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


_COMPACT = re.compile(r"((?:19|20)\d{6})(\d{4}(?:\d\d)?)")
_JSON_DATE = re.compile(r"/?\\?/?Date\((-?\d{11,13})(?:[+-]\d{4})?\)\\?/?")


def _iso(value: str) -> datetime | None:
    if match := _COMPACT.fullmatch(value):
        value = f"{match[1]}T{match[2]}"
    try:
        return datetime.fromisoformat(value.removesuffix(" UTC"))
    except ValueError:
        return None


def _epoch(value: str) -> datetime | None:
    if match := _JSON_DATE.fullmatch(value):
        value = match[1]
    if not re.fullmatch(r"\d{10}(\d{3})?(\.\d+)?", value):
        return None
    seconds = float(value)
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)


_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|[/.\- '’]\d\d(?=\D|$)")
_BASES = (
    datetime(2000, 2, 3),
    datetime(2004, 5, 6),
)  # what dateutil fills in; a date that differs is incomplete


def _loose(value: str, day_first: bool) -> datetime | None:
    """Any form that dateutil reads, months in eight languages, if day, month and year all stand in it."""
    from dateutil import parser as dateutil

    text = re.sub(r"\b(?:GMT|UTC)(?=[+-]\d)", "", _JAPANESE.sub(r"\1-\2-\3", value))
    text = re.sub(r"[^\W\d_]+\.?", _english_month, _FILLER.sub(" ", text))
    if not _YEAR.search(text) or not re.search(r"\d", text):
        return None
    day_first = day_first and not re.match(r"\d{4}", text)
    readings = []
    for base in _BASES:
        try:
            readings.append(dateutil.parse(text, dayfirst=day_first, default=base, tzinfos=_ZONES))
        except (ValueError, OverflowError, TypeError):
            return None
    return readings[0] if readings[0].date() == readings[1].date() else None


_ZONES = {
    name: 3600 * hours
    for names, hours in (
        *(("UTC GMT WET", 0), ("CET MEZ BST WEST", 1), ("CEST MESZ EET", 2), ("EEST MSK", 3), ("JST KST", 9)),
        *(
            ("EDT", -4),
            ("EST CDT", -5),
            ("CST MDT", -6),
            ("MST PDT", -7),
            ("PST", -8),
            ("AEST", 10),
            ("AEDT", 11),
        ),
    )
    for name in names.split()
}


def _english_month(word: re.Match[str]) -> str:
    month = _MONTH_OF.get(word[0].rstrip(".").casefold())
    return _ENGLISH[month - 1] if month else word[0]
