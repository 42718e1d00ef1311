"""The names of a table's columns, a second header row below one of groups, and cells in the forms of spreadsheets and dumps. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from finetune.data.column_names import GIVEN, name_rank
from finetune.data.ticket import DatasetError

LONGEST_NAME = 60  # characters
_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_ESCAPED = re.compile(r"\\([\\tnrbN0])")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "b": "", "0": "", "N": ""}
NULL = "\\N"


def column_names(fields: Sequence[str]) -> list[str]:
    """The column names; a name that stands again gets a number, an empty one its place."""
    fields = list(fields)
    while len(fields) > 1 and not fields[-1].strip():
        fields = fields[:-1]
    names: dict[str, None] = {}
    uses: Counter[str] = Counter()
    for place, field in enumerate(fields, 1):
        name = own = field.strip() or f"column {place}"
        while own in names:
            uses[name] += 1
            own = f"{name} {uses[name] + 1}"
        names[own] = None
    return list(names)


def is_second_header(groups: Sequence[str], fields: Sequence[str]) -> bool:
    """Whether a row below one of repeated names (`Ticket, Ticket, Routing`) names the columns: two of its names at least are
    those of tickets' fields, more than in the row above."""
    cells = [field.strip() for field in fields]
    above = [group.strip() for group in groups]
    if len(set(filter(None, above))) > len(above) // 2 or len(cells) < len(above):
        return False
    if not all(cells) or len(set(zip(above, cells, strict=False))) < len(above):
        return False
    if any(len(cell) > LONGEST_NAME or not re.search(r"[^\W\d_]", cell) for cell in cells):
        return False
    count = _count_known(cells)
    return count > 1 and count > _count_known(set(above))


def _count_known(names: Sequence[str] | set[str]) -> int:
    return sum(any(name_rank(field, name) is not None for field in GIVEN) for name in names)


def second_names(groups: Sequence[str], fields: Sequence[str]) -> list[str]:
    """The names of the second header row; one that stands in several groups carries its group's."""
    counts = Counter(field.strip().casefold() for field in fields)
    pairs = zip([*groups, *[""] * len(fields)], fields, strict=False)
    return [
        f"{group.strip()} {field.strip()}"
        if counts[field.strip().casefold()] > 1 and group.strip()
        else field
        for group, field in pairs
    ]


def cell_value(cell: str, is_dump: bool) -> str:
    r"""The cell's own value: of Excel's `="00123"` the text; in a database's dump tabs and line ends for `\t` and `\n`, nothing for `\N`."""
    if is_dump:
        return _ESCAPED.sub(lambda match: _ESCAPES[match[1]], cell) if "\\" in cell else cell
    if cell.startswith('="') and (match := _FORMULA.fullmatch(cell.strip())):
        return match[1].replace('""', '"')
    return cell


def has_nulls(line: str) -> bool:
    r"""Whether a line of tabbed cells has one that is `\N`, as MySQL and PostgreSQL write nothing."""
    return NULL in line.split("\t")


def refuse_missing_header(header: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> None:
    """A first line that reads like a ticket, or has a value of the rows below, is data: there is no header.

    The questions of a form are one, where a column beside them is called as a time or a number of tickets is.
    """
    is_form = any(name_rank(field, cell) is not None for cell in header for field in ("created_at", "id"))
    for cell in header:
        long = (len(cell.split()) > 6 or len(cell) > LONGEST_NAME) and not is_form
        if long or re.fullmatch(r"[\d.:/ -]{4,}", cell) or any(row.get(cell) == cell for row in sample):
            message = f"line 1: the file has no header; its first line is already a ticket: {cell[:60]!r}."
            raise DatasetError(
                message, what_next="Put a first line that names the columns, such as text,label."
            )
