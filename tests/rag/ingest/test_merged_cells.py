"""Whatever rectangle of a table is merged, in Word, PowerPoint, OpenDocument, RTF or reStructuredText, each row has its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.ingest.readers.office import read_docx, read_pptx
from rag.ingest.readers.opendocument import read_odt
from rag.ingest.readers.reader import Text
from rag.ingest.readers.rst import read_rst
from rag.ingest.readers.rtf import read_rtf
from rag.search.tables import cells_of, split_blocks
from tests.rag.documents import light_document


@dataclass(frozen=True)
class Merge:
    """A table of `high` x `wide` cells below its header, of which one rectangle is merged; columns are 0, 1, ..."""

    high: int
    wide: int
    top: int
    left: int
    bottom: int
    right: int

    def covers(self, y: int, x: int) -> bool:
        return self.top <= y <= self.bottom and self.left <= x <= self.right

    @property
    def grid(self) -> list[list[str]]:
        """What a reader sees, without the header."""
        origin = f"cell {self.top}{self.left}"
        return [
            [origin if self.covers(y, x) else f"cell {y}{x}" for x in range(self.wide)]
            for y in range(self.high)
        ]

    @property
    def header(self) -> list[str]:
        return [f"head {x}" for x in range(self.wide)]


@st.composite
def merges(draw: st.DrawFn) -> Merge:
    """Any rectangle that is smaller than a row across all columns."""
    high, wide = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    top, left = draw(st.integers(0, high - 1)), draw(st.integers(0, wide - 1))
    bottom, right = draw(st.integers(top, high - 1)), draw(st.integers(left, wide - 1))
    if right - left + 1 == wide:
        right -= 1
    return Merge(high, wide, top, left, bottom, max(left, right))


def docx(path: Path, merge: Merge) -> None:
    document = light_document()
    table = document.add_table(merge.high + 1, merge.wide)
    _fill(table, merge)
    table.cell(merge.top + 1, merge.left).merge(table.cell(merge.bottom + 1, merge.right))
    document.save(str(path))


def pptx(path: Path, merge: Merge) -> None:
    from pptx import Presentation
    from pptx.util import Inches

    show = Presentation()
    shapes = show.slides.add_slide(show.slide_layouts[6]).shapes
    table = shapes.add_table(merge.high + 1, merge.wide, Inches(1), Inches(1), Inches(6), Inches(3)).table
    _fill(table, merge)
    table.cell(merge.top + 1, merge.left).merge(table.cell(merge.bottom + 1, merge.right))
    show.save(str(path))


def _fill(table: object, merge: Merge) -> None:
    """Only the first of the merged cells holds words, as people fill them."""
    for y, row in enumerate([merge.header, *merge.grid]):
        for x, words in enumerate(row):
            if not merge.covers(y - 1, x) or (y - 1, x) == (merge.top, merge.left):
                table.cell(y, x).text = words  # type: ignore[attr-defined]


def odt(path: Path, merge: Merge) -> None:
    from odfdo import Document, Table

    document = Document("text")
    document.body.clear()
    table = Table("T", width=merge.wide, height=merge.high + 1)
    for y, row in enumerate([merge.header, *merge.grid]):
        table.set_row_values(y, row)
    if merge.bottom > merge.top or merge.right > merge.left:
        table.set_span((merge.left, merge.top + 1, merge.right, merge.bottom + 1))
    document.body.append(table)
    document.save(path)


def rtf(path: Path, merge: Merge) -> None:
    lines = []
    for y, row in enumerate([merge.header, *merge.grid]):
        marks, cells = "", ""
        for x, words in enumerate(row):
            inside = merge.covers(y - 1, x)
            down = r"\clvmgf" if y - 1 == merge.top else r"\clvmrg"
            across = r"\clmgf" if x == merge.left else r"\clmrg"
            marks += (down if inside and merge.bottom > merge.top else "") + (
                across if inside and merge.right > merge.left else ""
            )
            marks += rf"\cellx{1000 * (x + 1)}"
            is_first = (y - 1, x) == (merge.top, merge.left)
            cells += rf"{words if not inside or is_first else ''}\cell "
        lines.append(rf"\trowd{marks}\pard\intbl {cells}\row" + "\n")
    path.write_text(r"{\rtf1\ansi " + "".join(lines) + r"\pard\par}", encoding="ascii")


def rst(path: Path, merge: Merge) -> None:
    """A list-table cannot merge, a grid can: rules are left out inside of the rectangle."""
    width = 10
    rows = [merge.header, *merge.grid]
    lines = ["+" + ("-" * width + "+") * merge.wide]
    for y, row in enumerate(rows):
        line = "|"
        for x, words in enumerate(row):
            is_first = (y - 1, x) == (merge.top, merge.left)
            words_here = words if not merge.covers(y - 1, x) or is_first else ""
            joined_right = merge.covers(y - 1, x) and merge.covers(y - 1, x + 1)
            line += f" {words_here}".ljust(width) + (" " if joined_right else "|")
        lines.append(line)
        rule = ""
        for x in range(merge.wide):
            inside = merge.covers(y - 1, x) and merge.covers(y, x)
            left_inside = inside and merge.covers(y - 1, x - 1) and merge.covers(y, x - 1)
            edge = " " if left_inside else "|" if inside and x == 0 else "+"
            rule += edge + (" " * width if inside else ("=" if y == 0 else "-") * width)
        last = merge.wide - 1
        rule += "|" if merge.covers(y - 1, last) and merge.covers(y, last) else "+"
        lines.append(rule)
    path.write_text("Prices\n======\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


Read = Callable[[Path, str], list[Text]]
KINDS: dict[str, tuple[Callable[[Path, Merge], None], Read]] = {
    "docx": (docx, read_docx),
    "pptx": (pptx, read_pptx),
    "odt": (odt, read_odt),
    "rtf": (rtf, read_rtf),
    "rst": (rst, read_rst),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(merge=merges())
def test_every_row_has_its_values(tmp_path_factory: pytest.TempPathFactory, kind: str, merge: Merge) -> None:
    """The merged value stands in each cell that it covers, all others where they are."""
    write, read = KINDS[kind]
    path = tmp_path_factory.mktemp(kind) / f"t.{kind}"
    write(path, merge)
    (document,) = read(path, path.name)
    (table,) = [block for block in split_blocks(document.text) if block.is_table]
    assert cells_of(table.header[0]) == merge.header
    assert [cells_of(row) for row in table.rows] == merge.grid
