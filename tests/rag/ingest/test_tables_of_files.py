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
