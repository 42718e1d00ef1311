"""Lines at a table's end that sum it up and are no tickets: `Total,36`, `Exported by Ada`, names with counts. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from finetune.data.ticket import RAW_SHOWN, Problem, ReadResult, Record

FOOTER_LINES, TAIL_LINES = 3, 40

_FOOTER = re.compile(
    r"\W*(?:grand total|totals?|sum|count|generated|exported|printed|created (?:on|by)|end of (?:export|report|file|list)"
    r"|page \d+|records?|rows?|summe|gesamt|anzahl|erstellt am|exportiert|ende|total|nombre|exporté|fin|suma|exportado"
    r"|totale|totaal|合計|件数|以上)\b",
    re.IGNORECASE,
)


def without_footer(items: Iterator[ReadResult], width: int) -> Iterator[ReadResult]:
    """The items without the lines at the file's end that sum it up: `Total,36`, `Exported by Ada`.

    They are the last three, or below an empty line as many as stand there, names with counts among them.
    """
    tail: deque[ReadResult] = deque()
    for item in items:
        tail.append(item)
        if len(tail) > TAIL_LINES:
            yield tail.popleft()
    records = [item for item in tail if isinstance(item, Record)]
    words = {name for record in records for name, value in record.values.items() if not _is_number(value)}
    below = _below_gap(records, width, words)
    last = {id(record) for record in records[-FOOTER_LINES:] if _sums_up(record, width, words)}
    for item in tail:
        if id(item) in below | last:
            yield Problem(item.line, "is a footer, no ticket", raw=item.raw, rule="footers")
        else:
            yield item


def _below_gap(records: list[Record], width: int, words: set[str]) -> set[int]:
    """The records below the last empty line, where the first of them sums up and the others are names with counts."""
    for place in range(len(records) - 1, 0, -1):
        above, record = records[place - 1], records[place]
        if record.line <= above.line + above.raw.count("\n") + 1 or len(above.raw) >= RAW_SHOWN:
            continue
        rest = records[place:]
        if _sums_up(record, width, words) and all(_is_count(one, words) for one in rest[1:]):
            return set(map(id, rest))
    return set()


def _sums_up(record: Record, width: int, words: set[str]) -> bool:
    return is_summary(list(record.values.values()), width) and _is_count(record, words)


def _is_count(record: Record, words: set[str]) -> bool:
    """Whether it is a name alone, or with numbers where other rows have words."""
    cells = [(name, value) for name, value in record.values.items() if value.strip()]
    return all(_is_number(value) and name in words for name, value in cells[1:])


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(r"[\d.,:/ %-]+", value.strip()))


def is_summary(fields: list[str], width: int) -> bool:
    """Whether the row says how many or when: `Total,36`, `Generated,2026-01-02`."""
    cells = [field.strip() for field in fields if field.strip()]
    if not cells or not _FOOTER.match(cells[0]) or len(cells[0]) > 60:
        return False
    rest = cells[1:]
    return all(_is_number(cell) for cell in rest) and (width > 2 or bool(rest))
