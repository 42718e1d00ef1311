"""Tables in PDF, workbooks and presentations become rows with their headers, so that a question about a cell finds it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.ingest.load import load
from rag.ingest.readers.reader import Text
from rag.ingest.sandbox import Sandbox
from tests.rag import documents as make

PRICES = [
    ["Plan", "Price in 2025", "Price in 2026"],
    ["Starter", "9 dollars", "11 dollars"],
    ["Team", "29 dollars", "34 dollars"],
]
ROW = "| Team | 29 dollars | 34 dollars |"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as reader:
        yield reader


def one_document(path: Path, sandbox: Sandbox) -> Text:
    (document,) = load(path, path.name, sandbox)
    assert isinstance(document, Text)
    return document


def test_a_ruled_table_of_a_pdf_stands_in_its_place(tmp_path: Path, sandbox: Sandbox) -> None:
    """Header, rule and rows between the lines above and below, each word once."""
    path = tmp_path / "prices.pdf"
    path.write_bytes(make.table_pdf(PRICES, "Our prices a month are these.", "All prices are without tax."))
    text = one_document(path, sandbox).text
    table = f"| Plan | Price in 2025 | Price in 2026 |\n| --- | --- | --- |\n| Starter | 9 dollars | 11 dollars |\n{ROW}"
    assert f"Our prices a month are these.\n\n{table}\n\nAll prices are without tax." in text
    assert text.count("34 dollars") == 1


@pytest.mark.parametrize(
    "boxes",
    [
        "/MediaBox [0 0 900 792] /CropBox [20 100 880 720]",
        "/MediaBox [0 100 900 892]",
        "/MediaBox [0 -50 900 742] /CropBox [0 0 900 742]",
    ],
)
def test_a_cropped_page_loses_no_line_beside_its_table(boxes: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """A table's place is told from the top of the sheet, not of the part that is shown."""
    path = tmp_path / "cropped.pdf"
    path.write_bytes(make.table_pdf(PRICES, "Prices a month.", "All without tax.", boxes))
    text = one_document(path, sandbox).text
    assert text.index("Prices a month.") < text.index(ROW) < text.index("All without tax.")
    assert text.count("34 dollars") == 1


def test_a_turned_page_loses_no_line(tmp_path: Path, sandbox: Sandbox) -> None:
    """What is read off a turned page stands whole, its table below it."""
    path = tmp_path / "turned.pdf"
    above = " ".join(f"word{number}" for number in range(14, 32))
    boxes, turn = "/MediaBox [0 0 792 900] /Rotate 90", "0 1 -1 0 792 0 cm"
    path.write_bytes(make.table_pdf(PRICES, above, "All without tax.", boxes, turn))
    text = one_document(path, sandbox).text
    assert above in " ".join(text.split())
    assert "All without tax." in text
    assert ROW in text


def test_a_cell_that_spans_rows_of_a_pdf_stands_in_each(tmp_path: Path, sandbox: Sandbox) -> None:
    """In its own column, whatever stands to its left."""
    path = tmp_path / "merged.pdf"
    rows = [["Region", "Plan", "Price"], ["Europe", "Team", "29 dollars"], ["Asia", "^", "34 dollars"]]
    path.write_bytes(make.table_pdf(rows, "Our prices.", "Without tax."))
    assert "| Asia | Team | 34 dollars |" in one_document(path, sandbox).text


def test_a_pdf_that_only_one_of_two_readers_opens_is_read(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its table is lines of text then, and nothing is lost."""
    path = tmp_path / "odd.pdf"
    path.write_bytes(make.table_pdf(PRICES, "Our prices.", "Without tax.", f"{make.BOX} /Rotate /None"))
    assert "34 dollars" in one_document(path, sandbox).text


def test_rows_below_a_gap_keep_their_header(tmp_path: Path, sandbox: Sandbox) -> None:
    """A block of a sheet that begins with numbers goes on with the table above; one of words and years is its own."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    book = xlsxwriter.Workbook(str(tmp_path / "gaps.xlsx"))
    sheet = book.add_worksheet("Rates")
    rows = (
        ["Plan", "Seats", "Price"],
        ["Solo", 1, 9],
        [],
        ["Team", 5, 29],
        ["Firm", 50, 199],
        [],
        ["City", 2025, 2026],
        ["Oslo", 22, 33],
    )
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    text = one_document(tmp_path / "gaps.xlsx", sandbox).text
    header = "| Plan | Seats | Price |\n| --- | --- | --- |\n"
    assert f"{header}| Team | 5 | 29 |\n| Firm | 50 | 199 |" in text
    assert "| City | 2025 | 2026 |\n| --- | --- | --- |\n| Oslo | 22 | 33 |" in text


def test_a_workbook_is_a_section_per_sheet(tmp_path: Path, sandbox: Sandbox) -> None:
    """Titles above a table are words, merged cells are repeated, an empty sheet is nothing, dates are dates."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    book = xlsxwriter.Workbook(str(tmp_path / "prices.xlsx"))
    sheet = book.add_worksheet("Prices")
    sheet.write(0, 0, "Prices a month")
    for number, row in enumerate(PRICES):
        sheet.write_row(1 + number, 0, row)
    sheet.merge_range(5, 0, 6, 0, "Support")
    sheet.write_column(5, 1, ["by mail", "by phone"])
    book.add_worksheet("Empty")
    book.close()
    text = one_document(tmp_path / "prices.xlsx", sandbox).text
    assert "## Prices\n\nPrices a month\n\n| Plan | Price in 2025 | Price in 2026 |\n| --- |" in text
    assert ROW in text
    assert "| Support | by phone |" in text
    assert "Empty" not in text


def test_a_damaged_workbook_is_said_so(tmp_path: Path, sandbox: Sandbox) -> None:
    """One sentence with the way out."""
    path = tmp_path / "torn.xlsx"
    path.write_bytes(b"PK\x03\x04" + random.Random(1).randbytes(3_000))
    with pytest.raises(RagError, match="locked or damaged"):
        list(load(path, path.name, sandbox))


def test_an_opendocument_presentation_is_a_section_per_slide(tmp_path: Path, sandbox: Sandbox) -> None:
    """Words and tables of each slide below its name."""
    from odfdo import Document, DrawPage, Frame, Paragraph

    document = Document("presentation")
    document.body.clear()
    for number, words in enumerate(("Refunds take five days.", "Returns are free in March."), 1):
        slide = DrawPage(f"page{number}", name=f"Part {number}")
        slide.append(Frame.text_frame(Paragraph(words), size=("10cm", "2cm"), position=("1cm", "1cm")))
        document.body.append(slide)
    document.save(tmp_path / "road.odp")
    text = one_document(tmp_path / "road.odp", sandbox).text
    assert "## Part 1\n\nRefunds take five days." in text
    assert "## Part 2\n\nReturns are free in March." in text
