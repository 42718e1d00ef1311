"""Makes HTML tables regular before their conversion to Markdown: repeats merged cells, joins header rows, puts captions above.

Covers row and column spans (also to the end of a section), header rows of several levels, rows that head a group,
tables for layout and tables inside cells. Does not cover tables drawn by other elements or by styles.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

MAX_SPAN = 1000
MAX_CELLS = 200_000  # of a table: spans could make a small file large
MAX_HEADER_WORDS = 8
_BLOCKS = ("p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "dd", "dt")
_LAYOUT = ("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre", "table", "blockquote")
_NUMBER = re.compile(r"[\d.,%$€£\s+-]*\d[\d.,%$€£\s+-]*")
Element: TypeAlias = Any  # of BeautifulSoup, whose own types do not know what was found
_YEAR = re.compile(r"(?:FY ?)?(?:19|20)\d\d")
Grid = list[list[str]]


def regularise_tables(soup: Element, body: Element) -> None:
    """Each table of `body` becomes a header row and rows as wide as it; the innermost first."""
    for table in reversed(body.find_all("table")):
        rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
        if _is_layout(table, rows):
            for part in table.find_all(["tr", "td", "th", "tbody", "thead", "tfoot"]):
                part.name = "div"
            table.name = "div"
            continue
        if not rows:
            continue
        caption = _caption(table)
        grid, header_rows, groups = _grid(rows)
        table.replace_with(*_tables(soup, caption, grid, header_rows, groups))


def _is_layout(table: Element, rows: list[Element]) -> bool:
    """One cell a row that holds blocks: a frame around text, as in mails and old pages."""
    if table.get("role") in ("presentation", "none"):
        return True
    widths = [len(row.find_all(["td", "th"], recursive=False)) for row in rows]
    blocks = table.find(_LAYOUT) is not None or len(table.find_all("p")) > 2
    return blocks and max(widths, default=0) <= 1


def _caption(table: Element) -> str:
    """The words of the table's own caption, or of the figure that it is alone in."""
    caption = table.find("caption")
    if caption is not None and caption.find_parent("table") is table:
        return " ".join(caption.get_text(" ").split())
    figure = table.find_parent("figure")
    own = figure.find("figcaption") if figure is not None and len(figure.find_all("table")) == 1 else None
    if own is None:
        return ""
    words = " ".join(own.get_text(" ").split())
    own.decompose()
    return words


def _grid(rows: list[Element]) -> tuple[Grid, int, list[int]]:
    """The cells' text with spans filled in, how many rows are header, and which rows are one cell across."""
    grid: dict[tuple[int, int], str] = {}
    alone: dict[int, int] = {}  # rows of one cell, by how many columns it covers
    header_rows, still_header = 0, True
    for y, row in enumerate(rows):
        cells = row.find_all(["td", "th"], recursive=False)
        in_head = row.parent is not None and row.parent.name == "thead"
        still_header = still_header and bool(cells) and (in_head or all(cell.name == "th" for cell in cells))
        header_rows += still_header
        x = 0
        rest = _rows_left(rows, y)
        for cell in cells:
            while (y, x) in grid:
                x += 1
            high, wide = min(_span(cell, "rowspan", rest), rest), _span(cell, "colspan", MAX_SPAN)
            if len(cells) == 1 and x == 0 and high == 1:
                alone[y] = wide
            text = _cell_text(cell)
            for down in range(min(high, len(rows) - y)):
                for right in range(wide):
                    if len(grid) < MAX_CELLS:
                        grid.setdefault((y + down, x + right), text)
            x += wide
    width = max((x for _, x in grid), default=0) + 1
    if len(rows) * width > MAX_CELLS:
        width = max(1, MAX_CELLS // len(rows))
    full = [[grid.get((y, x), "") for x in range(width)] for y in range(len(rows))]
    groups = [y for y, wide in alone.items() if 1 < width <= wide]
    return _without_empty_columns(full), header_rows, groups


def _rows_left(rows: list[Element], y: int) -> int:
    """How many rows there are from this one to the end of its section: no cell reaches beyond that."""
    end = y
    while end < len(rows) and rows[end].parent is rows[y].parent:
        end += 1
    return end - y


def _span(cell: Element, name: str, rest: int) -> int:
    value = str(cell.get(name, "1")).strip()
    number = int(value) if value.isdecimal() and len(value) < 6 else 1
    return rest if number == 0 else min(max(1, number), MAX_SPAN)


def _cell_text(cell: Element) -> str:
    for mark in cell.find_all("br"):
        mark.replace_with(" ")
    for block in cell.find_all(_BLOCKS):
        block.insert_before(" ")
        block.append(" ")
    return " ".join(cell.get_text().split())


def _without_empty_columns(grid: Grid) -> Grid:
    columns = [x for x in range(len(grid[0]) if grid else 0) if any(row[x] for row in grid)]
    return [[row[x] for x in columns] for row in grid]


def _tables(soup: Element, caption: str, grid: Grid, header_rows: int, groups: list[int]) -> list[Element]:
    """The table as elements: one for each group of rows, each below its caption and with the whole header."""
    if not grid or not grid[0]:
        return [soup.new_tag("p")]
    width = len(grid[0])
    title_rows = [y for y in range(header_rows) if y in groups and width > 1 and y + 1 < len(grid)]
    caption = " ".join([caption, *(grid[y][0] for y in title_rows)]).strip()
    if header_rows == len(title_rows):
        header_rows = len(title_rows) + int(looks_like_header(grid[len(title_rows) :]))
    header = [
        " ".join(dict.fromkeys(grid[y][x] for y in range(header_rows) if y not in title_rows and grid[y][x]))
        for x in range(width)
    ]
    elements: list[Element] = []
    label, rows = "", Grid()
    for y in range(header_rows, len(grid)):
        if y in groups and width > 1:
            elements += _table(soup, caption, label, header, rows)
            label, rows = grid[y][0], []
        else:
            rows.append(grid[y])
    elements += _table(soup, caption, label, header, rows)
    if label and not rows:  # a last line across the table heads nothing: it is a note
        elements.append(soup.new_tag("p", string=label))
    return elements or _table(soup, caption, "", header, [[""] * width])


def looks_like_header(rows: Grid) -> bool:
    """Whether the first row names the columns: filled, distinct and short, with words above numbers or longer rows."""
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    first = rows[0]
    if not all(first[1:]) or len(set(first)) < len(first):
        return False
    if any(len(cell.split()) > MAX_HEADER_WORDS or cell.endswith(("?", ".")) for cell in first):
        return False
    if any(_NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell) for cell in first[1:]):
        return False
    below = sum(bool(_NUMBER.fullmatch(cell)) for row in rows[1:] for cell in row[1:])
    return len(first) > 2 or below > 0 or not re.search(r"[@:]", "".join(first))


def _table(soup: Element, caption: str, label: str, header: list[str], rows: Grid) -> list[Element]:
    if not rows:
        return []
    elements = []
    if words := ", ".join(part for part in (caption, label) if part):
        line = soup.new_tag("p")
        line.append(soup.new_tag("strong", string=words))
        elements.append(line)
    table, head, body = soup.new_tag("table"), soup.new_tag("thead"), soup.new_tag("tbody")
    for place, kind, lines in ((head, "th", [header]), (body, "td", rows)):
        for line in lines:
            row = soup.new_tag("tr")
            for cell in line:
                row.append(soup.new_tag(kind, string=cell.replace("|", "\\|")))
            place.append(row)
        table.append(place)
    return [*elements, table]
