"""Bad files: each ends in one message that names the place and the way out; good rows survive bad ones."""

from __future__ import annotations

import csv
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from finetune.data import workbooks
from finetune.data.reading import DatasetError, neutral_cell, read_tickets, write_problems

TOPICS = (("the invoice is wrong", "billing"), ("I cannot log in", "login"), ("the app crashes", "bug"))
WORDS = (
    "today",
    "again",
    "since May",
    "on my phone",
    "in Paris",
    "at work",
    "after lunch",
    "twice",
    "for Bo",
    "now",
)
ROWS = [(f"{text} {when}", label) for when in WORDS for text, label in TOPICS]
BODY = "\n".join(f"{text},{label}" for text, label in ROWS)


def save(folder: Path, data: bytes | str, name: str = "tickets.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


REFUSED = {
    "empty": (b"", "is empty", "Export"),
    "only blank lines": (b" \n\n", "is empty", "Export"),
    "header only": (b"text,label\n", "has no rows below its header", "Add tickets"),
    "no header": (BODY.replace("I cannot", "hello there, I cannot").encode(), "line 1", "names the columns"),
    "no header, quoted": (
        "\n".join(f'"{t}, please help us soon",{q}' for t, q in ROWS).encode(),
        "line 1: the file has no header; its first line is already a ticket",
        "names the columns",
    ),
    "wrong columns": (
        b"foo,bar\n" + b"1,2\n" * 20,
        "line 1: no column holds the ticket's text",
        "'foo', 'bar'",
    ),
    "one class": (
        ("text,label\n" + "\n".join(f"{t},billing" for t, _ in ROWS)).encode(),
        "one class only ('billing')",
        "Add tickets of other queues",
    ),
    "three rows": (
        ("text,label\n" + "\n".join(BODY.split("\n")[:3])).encode(),
        "3 usable rows",
        "at least 10",
    ),
    "a label per row": (
        ("text,label\n" + "\n".join(f"{t},{i}" for i, (t, _) in enumerate(ROWS * 2))).encode(),
        "60 different values in 60 rows",
        "name the column",
    ),
    "two columns that could be the queue": (
        (
            "text,team,category\n"
            + "\n".join(f"{t},{q},{'abc'[i // 2 % 3]}" for i, (t, q) in enumerate(ROWS))
        ).encode(),
        "several columns could be the queue: 'category', 'team'",
        '--label-column "category" or --label-column "team"',
    ),
    "a label twice": (
        (
            "text,label,label\n" + "\n".join(f"{t},{q},{'abc'[i // 2 % 3]}" for i, (t, q) in enumerate(ROWS))
        ).encode(),
        "several columns could be the queue: 'label', 'label 2'",
        '--label-column "label 2"',
    ),
    "only a state": (
        (
            "text,status\n"
            + "\n".join(f"{t},{'open' if i % 3 else 'closed'}" for i, (t, _) in enumerate(ROWS))
        ).encode(),
        "no column holds a queue",
        '--label-column "status"',
    ),
    "random bytes": (bytes((i * 7919) % 256 for i in range(5000)), "not text but binary", "Trainwise reads"),
    "a program": (b"\x7fELF" + b"\x00\x01\x00\x00\x02\x00" * 900, "not text but binary", "Trainwise reads"),
    "a workbook": (
        b"PK\x03\x04" + b"\0" * 40,
        "damaged zip archive or workbook",
        "Save it again, or send CSV",
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n", "a picture", "Trainwise reads"),
    "damaged Parquet": (b"PAR1garbage", "damaged Parquet", "Write it again"),
    "cut JSON": (b'{"tickets": [ {"a":', "not valid JSON: line 1", "Export it again"),
    "deep JSON": (b"[" * 100_000, "nested too deep", "Send CSV"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_dataset_is_refused_with_the_way_out(name: str, tmp_path: Path) -> None:
    """The message says what is wrong, where there is one on which line, and what to do next."""
    data, wrong, way_out = REFUSED[name]
    with pytest.raises(DatasetError) as error:
        read_tickets(save(tmp_path, data))
    assert wrong in str(error.value)
    assert way_out in str(error.value)


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    """Five (sparse) gigabytes are answered in well under a second, with the limit."""
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        os.truncate(stream.fileno(), 5 * 10**9)
    start = time.perf_counter()
    with pytest.raises(DatasetError, match=r"5,000 MB; the limit is 4,000 MB"):
        read_tickets(path)
    assert time.perf_counter() - start < 0.5


def test_a_workbook_that_unpacks_to_more_than_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes of zeros in the file, more than the most in its sheet."""
    monkeypatch.setattr(workbooks, "MAX_WORKBOOK", 20_000_000)
    path = tmp_path / "bomb.xlsx"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive, archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
        for _ in range(21):
            sheet.write(bytes(1_000_000))
    with pytest.raises(DatasetError, match=r"21 MB of sheets(.|\n)*as CSV"):
        read_tickets(path)


XLSX = {
    "[Content_Types].xml": """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml"
ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>""",
    "_rels/.rels": """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="xl/workbook.xml"
Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>""",
    "xl/workbook.xml": """<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="worksheets/sheet1.xml"
Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>
<Relationship Id="rId2" Target="sharedStrings.xml"
Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"/></Relationships>""",
}


def save_workbook(path: Path, cells: str, texts: str = "") -> None:
    """A workbook of one sheet, as its own markup says it."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, text in XLSX.items():
            archive.writestr(name, text)
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {main}><sheetData>{cells}</sheetData></worksheet>"
        )
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{texts}</sst>")


SMALL_SHEET = "".join(
    f'<row r="{at}"><c r="A{at}" t="inlineStr"><is><t>{text}</t></is></c>'
    f'<c r="B{at}" t="inlineStr"><is><t>{label}</t></is></c></row>'
    for at, (text, label) in enumerate([("text", "label"), *ROWS], 1)
)


def test_a_value_far_from_the_table_is_told_not_laid_out(tmp_path: Path) -> None:
    """One value in the sheet's last cell would be 17 billion cells in memory; a style there is nothing."""
    path = tmp_path / "far.xlsx"
    save_workbook(path, SMALL_SHEET + '<row r="1048576"><c r="XFD1048576" s="1"/></row>')
    assert len(read_tickets(path)) == 30
    save_workbook(path, SMALL_SHEET + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    with pytest.raises(DatasetError, match=r"1,048,576 rows by 16,384 columns(.|\n)*save the sheet as CSV"):
        read_tickets(path)


def test_one_text_that_thousands_of_cells_refer_to_is_counted_each_time(tmp_path: Path) -> None:
    """A megabyte that stands once in the file and 20,000 times in the sheet is 20 GB."""
    path = tmp_path / "texts.xlsx"
    cells = "".join(f'<row r="{at}"><c r="A{at}" t="s"><v>0</v></c></row>' for at in range(1, 20_001))
    save_workbook(path, cells, f"<si><t>{'x' * 1_000_000}</t></si>")
    with pytest.raises(DatasetError, match=r"20,00\d MB of sheets; a workbook may have 1,000 MB"):
        read_tickets(path)


def test_repeated_cells_of_an_opendocument_sheet_are_counted(tmp_path: Path) -> None:
    """A value repeated over a million rows of a thousand columns is refused; empty repetitions are usual."""
    path = tmp_path / "wide.ods"
    cell = '<table:table-cell office:value-type="float" table:number-columns-repeated="1000"/>'
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            '<table:table table:name="S"><table:table-row table:number-rows-repeated="1000000">'
            f"{cell}</table:table-row></table:table>",
        )
    with pytest.raises(DatasetError, match="1,000,000 rows by 1,000 columns"):
        read_tickets(path)


@pytest.mark.parametrize("name", ["missing.csv", "folder.csv"])
def test_what_is_no_file_is_named(name: str, tmp_path: Path) -> None:
    """A missing path and a folder get the same plain answer."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DatasetError, match=f"no file {name}"):
        read_tickets(tmp_path / name)


def test_mixed_encodings_are_read_and_said(tmp_path: Path) -> None:
    """Lines in cp1252 among UTF-8 give the same letters; each is listed as repaired, none is lost."""
    lines = [f"{text} – grüße aus café,{label}" for text, label in ROWS]
    content = b"\n".join(line.encode("cp1252" if at % 2 else "utf-8") for at, line in enumerate(lines))
    tickets = read_tickets(save(tmp_path, b"text,label\n" + content))
    assert [row.text for row in tickets.rows] == [line.rsplit(",", 1)[0] for line in lines]
    assert [problem.line for problem in tickets.problems] == list(range(3, 32, 2))
    assert all(problem.is_kept and "cp1252" in problem.message for problem in tickets.problems)


def test_mojibake_is_undone(tmp_path: Path) -> None:
    """Text that was decoded wrongly upstream is repaired, and the row says so."""
    tickets = read_tickets(save(tmp_path, f"text,label\nthe cafÃ© canâ€™t pay,billing\n{BODY}"))
    assert tickets.rows[0].text == "the café can’t pay"
    assert "garbled" in tickets.problems[0].message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_whole_files_in_other_encodings_read_alike(encoding: str, tmp_path: Path) -> None:
    """Excel's UTF-16, byte-order marks and western legacy files give the same rows."""
    body = BODY.replace("lunch", "brûlée")
    tickets = read_tickets(save(tmp_path, f"text,label\n{body}\n".encode(encoding)))
    assert len(tickets) == 30
    assert any("brûlée" in text for text in tickets.texts)


def test_every_bad_row_is_reported_by_line_and_the_rest_kept(tmp_path: Path) -> None:
    """NUL byte, missing field, empty text, endless text, open quote, odd date: each by its line."""
    bad = [
        "te\0xt is damaged,billing,2026-05-01",  # line 2
        "one field too few,billing",  # line 3: kept, without a date
        ",login,2026-05-01",  # line 4
        f"{'very long ' * 6000},login,2026-05-01",  # line 5: kept, cut
        "the date is odd,bug,32.13.2026",  # line 6: kept
        '"a quote that never closes,bug,2026-05-01',  # line 7
    ]
    good = [f"{text},{label},2026-05-01" for text, label in ROWS]
    tickets = read_tickets(save(tmp_path, "\n".join(["text,label,created_at", *bad, *good])))
    assert len(tickets) == 33
    assert [problem.line for problem in tickets.rejections] == [2, 4, 7]
    assert [problem.line for problem in tickets.problems if problem.is_kept] == [3, 5, 6]
    words = [problem.message for problem in tickets.problems]
    expectations = ("NUL", "one cell short", "empty", "cut to 50,000", "no date", "quote")
    for word, expected in zip(words, expectations, strict=True):
        assert expected in word
    assert tickets.intake.rows == len(tickets) + len(tickets.rejections)


def test_the_list_of_bad_rows_is_safe_to_open(tmp_path: Path) -> None:
    """A spreadsheet runs nothing from it: cells that would be formulas are neutral, rows stay whole."""
    attack = '=HYPERLINK("http://evil","x"),billing,extra'
    tickets = read_tickets(save(tmp_path, f"text,label\n{attack}\n{BODY}"))
    out = tmp_path / "bad.csv"
    assert write_problems(tickets, out) == 1
    [cells] = list(csv.reader(out.read_text("utf-8-sig").splitlines()))[1:]
    assert cells[:1] + cells[3:4] == ["2", "left out"]
    assert cells[4] == "'" + attack
    for start in ("=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\n=1"):
        assert neutral_cell(start).startswith("'"), start
    assert neutral_cell("plain") == "plain"


def test_a_refused_file_still_lists_every_problem(tmp_path: Path) -> None:
    """Too few good rows: the error carries all findings, its text the first few."""
    path = save(tmp_path, "text,label\n" + ",billing\n" * 20 + "\n".join(BODY.split("\n")[:3]))
    with pytest.raises(DatasetError) as error:
        read_tickets(path)
    assert len(error.value.problems) == 20
    assert "line 2, column 'text': is empty" in str(error.value)
    assert "... and 12 more" in str(error.value)
    assert "Repair the lines above" in str(error.value)


def test_cyrillic_and_japanese_legacy_files_are_detected(tmp_path: Path) -> None:
    """A file wholly in another alphabet's old encoding is not read as western letters."""
    encodings = {
        "cp1251": "Здравствуйте я не могу войти в свой аккаунт после обновления приложения",
        "shift_jis": "アプリを更新した後にログインできません。どうすればよいですか",
    }
    for encoding, text in encodings.items():
        rows = [f"{text} {when},{label}" for when in WORDS for label in ("login", "bug")]
        path = save(tmp_path, "\n".join(["text,label", *rows]).encode(encoding))
        assert text in read_tickets(path).rows[0].text, encoding


def test_rows_that_inflate_are_stopped(tmp_path: Path) -> None:
    """A small Parquet file that unpacks into far more text than the limit is refused while it is read."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "bomb.parquet"
    table = pa.table({"text": ["a " * 20_000] * 400, "label": ["x", "y"] * 200})
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(DatasetError, match="the limit is 1 MB"):
        read_tickets(path, max_bytes=1_000_000)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.lists(st.text(max_size=30), max_size=30).map(lambda parts: ("text,label\n" + "\n".join(parts)).encode()),
        st.lists(st.from_regex(r'[\[{"\],:}a\\ \r\n\x00;]{0,25}'), max_size=20).map(lambda p: "\n".join(p).encode()),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                     lambda inner: st.lists(inner, max_size=4)
                     | st.dictionaries(st.sampled_from(["text", "label", "messages", "tickets", "x"]), inner),
                     max_leaves=12).map(lambda value: json.dumps(value).encode()),
        st.tuples(st.integers(0, len(BODY)), st.binary(max_size=6)).map(
            lambda cut: f"text,label\n{BODY}".encode()[: cut[0]] + cut[1] + BODY.encode()[cut[0] :]),
    )
)  # fmt: skip
@example(data=b"[\x80")  # neither UTF-8 nor JSON
def test_no_bytes_at_all_break_the_reader(data: bytes, tmp_path: Path) -> None:
    """Random bytes, lines, JSON and damaged files: tickets or DatasetError, never another exception."""
    with suppress(DatasetError):
        tickets = read_tickets(save(tmp_path, data))
        assert len(tickets) >= 10
        assert all(row.text.strip() for row in tickets.rows)
