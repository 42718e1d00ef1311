"""A table in HTML, as help desks save it under a name that ends in .xls: the longest table of the page, row by row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

from finetune.data.delimited import Dialect, Row, table_records
from finetune.data.ticket import RAW_SHOWN, DatasetError, ReadResult

MAX_SPAN = 1_000
MAX_CELLS = 20_000_000  # of all tables, spans counted out
_START = re.compile(
    rb"(?>(?:<!--.*?-->|<\?xml[^>]*>|\s)*)<(?:!doctype html|html|head|meta|body|table|style|div)\b",
    re.I | re.S,
)
_BLOCKS = frozenset(
    ("p", "div", "li", "ul", "ol", "tr", "table", "blockquote", "pre", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6")
)  # fmt: skip
_CHARSET = re.compile(rb"charset=[\"']?([\w-]+)", re.I)


def is_html_table(head: bytes) -> bool:
    """Whether the file begins as a page and has a table."""
    text = head.replace(b"\0", b"") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head
    return bool(_START.match(text.lstrip(b"\xef\xbb\xbf\xff\xfe"))) and b"<table" in text.lower()


def html_records(data: bytes, name: str) -> Iterator[ReadResult]:
    """The rows of the page's longest table by its header; a cell over several rows stands in each.

    Raises DatasetError for a page without a table, and one of more than MAX_CELLS cells.
    """
    parser = _Tables(name)
    parser.feed(_decode(data))
    parser.close()
    rows = max(parser.tables, key=len, default=[])
    if len(rows) < 2:
        raise DatasetError(
            f"{name} is a web page without a table of tickets.", what_next="Export them as CSV."
        )
    rows_with_text = [[cell for cell in row if cell] for row in rows]
    widths = Counter(len(cells) for cells in rows_with_text if cells)
    width = max(widths, key=lambda size: (widths[size], size))

    def lines() -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            yield number, row, ",".join(row)[:RAW_SHOWN]

    yield from table_records(lines(), Dialect(",", width=width), unit="row")


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    charset = _CHARSET.search(data[:4_000])
    for encoding in ("utf-8-sig", charset[1].decode() if charset else "cp1252", "cp1252"):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return data.decode("cp1252", "replace")


class _Tables(HTMLParser):
    """Every table of a page as rows of texts; a table within a cell is text of the cell."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name, self._cells = name, 0
        self.tables: list[list[list[str]]] = []
        self._depth = 0
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._span = 1, 1
        self._below: dict[int, tuple[int, str]] = {}  # column: rows that a cell above still covers, its text
        self._is_hidden = False

    def close(self) -> None:
        """Ends a row that the file breaks off in."""
        super().close()
        if self.tables:
            self._end_row()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A table, row or cell begins."""
        if tag == "table":
            self._part_words(tag)
            self._depth += 1
            if self._depth == 1:
                self.tables.append([])
                self._below = {}
        elif tag in ("style", "script"):
            self._is_hidden = True
        elif tag == "br" and self._cell is not None:
            self._cell.append("\n")
        elif self._depth == 1 and tag == "tr":
            self._end_row()
            self._row = []
        elif self._depth == 1 and tag in ("td", "th"):
            self._end_cell()
            self._row = [] if self._row is None else self._row
            spans = {name: int(value) for name, value in attrs if value and value.isdecimal()}
            self._span = tuple(min(max(1, spans.get(name, 1)), MAX_SPAN) for name in ("rowspan", "colspan"))  # type: ignore[assignment]
            self._cell = []
        else:
            self._part_words(tag)

    def _part_words(self, tag: str) -> None:
        """A block within a cell begins a line, a cell of a table within it stands apart."""
        if self._cell and tag in _BLOCKS and not "".join(self._cell[-2:]).rstrip(" ").endswith("\n"):
            self._cell.append("\n")
        elif self._cell and tag in ("td", "th"):
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """A table, row or cell ends."""
        if tag in ("style", "script"):
            self._is_hidden = False
        elif tag == "table" and self._depth:
            if self._depth == 1:
                self._end_row()
            self._depth -= 1
        elif self._depth == 1 and tag in ("td", "th"):
            self._end_cell()
        elif self._depth == 1 and tag == "tr":
            self._end_row()
        elif tag in _BLOCKS:
            self._part_words(tag)

    def handle_data(self, data: str) -> None:
        """Text of the cell that is open."""
        if self._cell is not None and not self._is_hidden:
            self._cell.append(re.sub(r"\s+", " ", data))

    def _end_cell(self) -> None:
        if self._cell is None or self._row is None:
            return
        self._cover()
        text = re.sub(r" ?\n ?", "\n", re.sub(r" +", " ", "".join(self._cell))).strip()
        rows, columns = self._span
        self._count(columns)
        for place in range(columns):
            text_there = text if place == 0 else ""
            if rows > 1:
                self._below[len(self._row)] = rows - 1, text_there
            self._row.append(text_there)
        self._cell = None

    def _cover(self) -> None:
        """The cells of rows above that reach into this place."""
        row = self._row if self._row is not None else []
        while len(row) in self._below:
            left, text = self._below.pop(len(row))
            if left > 1:
                self._below[len(row)] = left - 1, text
            row.append(text)
            self._count(1)

    def _count(self, cells: int) -> None:
        self._cells += cells
        if self._cells > MAX_CELLS:
            message = f"{self._name} has a table of more than {MAX_CELLS:,} cells."
            raise DatasetError(message, what_next="Export the tickets as CSV: it is read in a stream.")

    def _end_row(self) -> None:
        self._end_cell()
        if self._row is not None:
            self._cover()
            for place in sorted(place for place in self._below if place > len(self._row)):
                gap = max(0, place - len(self._row))  # the row ends before a cell that reaches down into it
                self._count(gap)
                self._row += [""] * gap
                self._cover()
            self.tables[-1].append(self._row)
        self._row = None
