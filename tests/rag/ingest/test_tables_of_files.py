"""Tables in PDF, workbooks and presentations become rows with their headers, so that a question about a cell finds it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.ingest.load import load
from rag.ingest.readers.reader import Text
from rag.ingest.sandbox import Sandbox
from tests.outlook_message import compound_file, message
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


WIDE = [["Item", "Unit", "Price in 2025", "Price in 2026"], ["Bolt", "box", "9.50", "11.00"], ["Washer", "box", "2.10", "2.40"], ["Anchor\nof steel", "each", "29.00", "34.00"]]  # fmt: skip


@pytest.mark.parametrize("gap", [14, 20, 24])
def test_columns_that_white_space_sets_are_a_table_in_their_place(
    gap: int, tmp_path: Path, sandbox: Sandbox
) -> None:
    """Header, rule and rows between the lines above and below, each word once; a cell of two lines is one."""
    path = tmp_path / "list.pdf"
    path.write_bytes(
        make.columns_pdf(WIDE, "Our prices are these.", "All without tax.", (130, 90, 110, 90), gap)
    )
    text = one_document(path, sandbox).text
    header = "| Item | Unit | Price in 2025 | Price in 2026 |\n| --- | --- | --- | --- |\n| Bolt | box | 9.50 | 11.00 |"
    assert f"Our prices are these.\n\n{header}" in text
    assert "34.00 |\n\nAll without tax." in text
    assert "Anchor" in text
    assert text.count("2.40") == text.count("steel") == 1


PROSE = "The lift is out of order until noon and the stairs are open to all".split()  # noqa: SIM905


@pytest.mark.parametrize(
    ("rows", "widths"),
    [
        ([[" ".join(PROSE[n % 5 :][:7]), " ".join(PROSE[n % 4 :][:7])] for n in range(12)], (260, 200)),
        ([[f"{n} Chapter of the book . . . . . . . .", str(7 * n)] for n in range(1, 9)], (300, 60)),
        ([["Dear Ms Brook,", "12 May 2026"]], (300, 100)),
    ],
)
def test_what_is_no_table_stays_lines(
    rows: list[list[str]], widths: tuple[int, ...], tmp_path: Path, sandbox: Sandbox
) -> None:
    """Two columns of prose, a list of contents, a letter's head: every word is there, and no bar."""
    path = tmp_path / "prose.pdf"
    path.write_bytes(make.columns_pdf(rows, "Our house.", "The end.", widths))
    text = one_document(path, sandbox).text
    assert "|" not in text
    assert all(word in text for row in rows for cell in row for word in cell.split())


def test_an_outlook_message_is_read_with_what_is_attached(tmp_path: Path, sandbox: Sandbox) -> None:
    """People, date and words; a message attached to it as a section, HTML as text, a picture by name; RTF alone is told."""
    inner = message(
        subject="Second",
        page="<p>The <b>meter</b> is read by Ines on Fridays, always before the shift begins.</p>",
    )
    when = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
    long = "The gate is closed at night. " * 200
    tree = message(
        {"in.msg": inner, "gate.png": b"x" * 5_000},
        when=when,
        subject="Gate",
        sender="Jo Park",
        to="Ana Lee",
        body=long,
    )
    path = tmp_path / "gate.msg"
    path.write_bytes(compound_file(tree))
    document = one_document(path, sandbox)
    for words in (
        "# Gate\n",
        "From: Jo Park. To: Ana Lee. Date: 04 May 2026, 09:30 UTC.",
        "closed at night",
        "## Second",
        "read by Ines on Fridays",
    ):
        assert words in document.text
    assert any("gate.png" in note for note in document.notes)
    path.write_bytes(compound_file({**message(subject="Only RTF"), "__substg1.0_10090102": b"LZFu"}))
    with pytest.raises(RagError, match=r"RTF alone(.|\n)*\.eml"):
        one_document(path, sandbox)
    path.write_bytes(b"\xd0\xcf\x11\xe0 broken")
    with pytest.raises(RagError, match="damaged"):
        one_document(path, sandbox)
