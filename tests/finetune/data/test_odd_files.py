"""Files as help desks and people really save them: nothing is lost or bent without a word."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from pathlib import Path

import pytest

from finetune.data import containers, formats, html_tables
from finetune.data.html_tables import is_html_table
from finetune.data.labels import resolve_labels
from finetune.data.reading import DatasetError, read_tickets
from finetune.data.ticket import Ticket, Tickets
from tests.finetune.data.test_bad_files import ROWS, save

QUEUES = {"billing": 10, "login": 10, "bug": 10}


def lines(form: str = "{0},{1}\n") -> str:
    return "".join(form.format(text, label) for text, label in ROWS)


def page(rows: str) -> str:
    return f"<html><head><meta charset=utf-8><style>td {{}}</style></head><body><table border=1>{rows}</table></body></html>"


def left_out(tickets: Tickets) -> dict[str, int]:
    rules = [problem.rule for problem in tickets.rejections]
    return {rule: rules.count(rule) for rule in rules}


HTML_ROWS = "".join(f"<tr><td>{text}<br>Bye &amp; thanks</td><td>{label}</td></tr>" for text, label in ROWS)
GOOD: dict[str, tuple[str, str, dict[str, int]]] = {
    "html as xls": (
        "export.xls",
        page(
            f"<tr><th colspan=2>Tickets of May</th></tr><tr><th>Message</th><th>Group</th></tr>{HTML_ROWS}"
        ),
        {"title lines": 1},
    ),
    "preamble with a date": (
        "report.csv",
        f"Report: tickets by team\nGenerated,2026-01-02\n\nText,Team\n{lines()}",
        {"title lines": 2},
    ),
    "a summary below": (
        "summary.csv",
        f"Text,Team\n{lines()}\nTotal,30\nbilling,10\nlogin,10\nbug,10\nother,0\n",
        {"footers": 5},
    ),
    "two files in one, the second in another order": (
        "joined.csv",
        f"text,label\n{lines()[: lines().index('I cannot log in at work')]}label,text\n"
        + "".join(f"{label},{text}\n" for text, label in ROWS[ROWS.index(("I cannot log in at work", "login")) :]),
        {"repeated headers": 1},
    ),
    "pandas by column": (
        "columns.json",
        json.dumps({"text": {str(n): t for n, (t, _) in enumerate(ROWS)}, "label": {str(n): q for n, (_, q) in enumerate(ROWS)}}),
        {},
    ),
    "pandas split": ("split.json", json.dumps({"columns": ["text", "label"], "index": [0], "data": ROWS}), {}),
    "nested deep": (
        "nested.ndjson",
        "".join(
            json.dumps({"ticket": {"body": {"plain": {"text": text}}, "routing": {"team": {"name": label}}}}) + "\n"
            for text, label in ROWS
        ),
        {},
    ),
    "a row for each message": (
        "turns.csv",
        "ticket_id,author_role,body,category\n"
        + "".join(
            f"{n},customer,{text},{label}\n{n},agent,We are looking into number {n},{label}\n"
            for n, (text, label) in enumerate(ROWS)
        ),
        {"written by the team": 30},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_odd_files_are_read_whole(name: str, tmp_path: Path) -> None:
    """Each ticket under its queue, and each other row counted by what it is."""
    file, content, rules = GOOD[name]
    tickets = read_tickets(save(tmp_path, content, file))
    assert dict(tickets.classes) == QUEUES
    assert left_out(tickets) == rules
    assert tickets.rows[0].text.startswith(ROWS[0][0])
    assert tickets.intake.rows == 30 + sum(rules.values())


def test_a_ticket_that_sounds_like_a_footer_stays_where_labels_are_numbers(tmp_path: Path) -> None:
    """`Total loss of signal,2` at the end is a ticket like the others, whose queues are numbers too."""
    rows = "".join(f"{text},{len(label)}\n" for text, label in ROWS)
    tickets = read_tickets(save(tmp_path, f"text,label\n{rows}Total loss of signal again,3\n"))
    assert len(tickets) == 31
    assert not tickets.problems


def test_cells_over_several_rows_of_a_page_stand_in_each(tmp_path: Path) -> None:
    """A queue that spans the rows below it is theirs too."""
    spans = "".join(
        "".join(
            f"<tr>{f'<td rowspan=10>{queue}</td>' if at == 0 else ''}<td>{text}</td></tr>"
            for at, (text, _) in enumerate([row for row in ROWS if row[1] == queue])
        )
        for queue in QUEUES
    )
    tickets = read_tickets(save(tmp_path, page(f"<tr><th>Queue</th><th>Text</th></tr>{spans}"), "spans.xls"))
    assert dict(tickets.classes) == QUEUES


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<?xml version='1.0'?><tickets><ticket>no</ticket></tickets>", "is XML"),
        (page("<tr><td>Session expired, log in again</td></tr>"), "without a table of tickets"),
    ],
)
def test_markup_that_is_no_table_is_named(content: str, words: str, tmp_path: Path) -> None:
    """XML and a login page saved as an export get one sentence each, and CSV is the way out."""
    with pytest.raises(DatasetError, match=f"{words}(.|\n)*CSV"):
        read_tickets(save(tmp_path, content, "export.xls"))


def test_a_queue_merged_over_its_rows_is_theirs(tmp_path: Path) -> None:
    """Excel keeps a merged cell's value in the first row alone."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    book = xlsxwriter.Workbook(str(tmp_path / "merged.xlsx"))
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ("Queue", "Text"))
    for number, queue in enumerate(QUEUES):
        sheet.merge_range(1 + 10 * number, 0, 10 + 10 * number, 0, queue)
        sheet.write_column(1 + 10 * number, 1, [text for text, label in ROWS if label == queue])
    book.close()
    assert dict(read_tickets(tmp_path / "merged.xlsx").classes) == QUEUES


def test_blocks_within_a_cell_of_a_page_stay_apart(tmp_path: Path) -> None:
    """Words of two paragraphs, or of two cells of a table in a mail, never run together."""
    body = "{0}<div>Best, Ada</div><table><tr><td>Plan</td><td>Team</td></tr></table>"
    rows = "".join(f"<tr><td>{body.format(text)}</td><td>{label}</td></tr>" for text, label in ROWS)
    head = "<tr><th>Text</th><th>Queue</th></tr>"
    tickets = read_tickets(save(tmp_path, page(head + rows), "mails.xls"))
    assert tickets.rows[0].text == f"{ROWS[0][0]}\nBest, Ada\nPlan Team"


def test_a_page_that_breaks_off_keeps_its_last_row(tmp_path: Path) -> None:
    """A download that ended early has no end tags."""
    rows = "".join(f"<tr><td>{text}<td>{label}" for text, label in ROWS)
    content = f"<html><body><table><tr><th>Text<th>Queue{rows}"
    assert dict(read_tickets(save(tmp_path, content, "cut.xls")).classes) == QUEUES


def test_a_cell_reaches_down_into_a_row_that_ends_before_it(tmp_path: Path) -> None:
    """The queue stands right of an empty cell that the row below leaves out."""
    rows = "".join(f"<tr><td>{text}<td><td rowspan=2>{label}<tr><td>{text} again" for text, label in ROWS)
    content = page(f"<tr><th>Text<th>Note<th>Queue{rows}")
    tickets = read_tickets(save(tmp_path, content, "short.xls"))
    assert dict(tickets.classes) == dict.fromkeys(QUEUES, 20)


def test_a_page_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes of spans are millions of cells; a page over the limit is not read in part."""
    monkeypatch.setattr(html_tables, "MAX_CELLS", 100_000)
    bomb = page("<tr>" + "<td rowspan=1000 colspan=1000>x" * 50 + "<tr>" * 50)
    with pytest.raises(DatasetError, match="more than 100,000 cells"):
        read_tickets(save(tmp_path, bomb, "bomb.xls"))
    monkeypatch.setattr(formats, "MAX_JSON", 1_000)
    with pytest.raises(DatasetError, match="one HTML page of more than"):
        read_tickets(save(tmp_path, page(f"<tr><th>Text<th>Queue{HTML_ROWS}"), "large.xls"))


def test_comments_at_the_head_cost_no_time() -> None:
    """Each is looked at once."""
    start = time.process_time()
    assert not is_html_table(b"<!-- a -->" * 2_000 + b"x <table")
    assert is_html_table(b"<?xml version='1.0'?> <!-- a --> <!-- b --><html><table>")
    assert time.process_time() - start < 1


def archive_of(name: str, data: bytes, locked: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    content = bytearray(out.getvalue())
    if locked:  # the bit that says so, in both of the member's headers
        content[6] |= 1
        content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize("name", ["t.csv", "t.eml"])
def test_a_locked_archive_is_said_so(name: str, tmp_path: Path) -> None:
    """One sentence, and the way out."""
    path = tmp_path / "t.zip"
    path.write_bytes(archive_of(name, f"text,label\n{lines()}".encode(), locked=True))
    with pytest.raises(DatasetError, match=r"damaged or locked(.|\n)*without a password"):
        read_tickets(path)


def test_bits_that_flipped_in_an_archive_are_said_so(tmp_path: Path) -> None:
    """What zlib cannot read is no crash."""
    path = tmp_path / "t.csv.gz"
    content = bytearray(gzip.compress(f"text,label\n{lines()}".encode()))
    content[10:14] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="damaged or locked"):
        read_tickets(path)


def test_an_archive_of_too_many_files_is_not_read_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mails beyond the limit were dropped without a word."""
    monkeypatch.setattr(containers, "MAX_MEMBERS", 3)
    path = tmp_path / "mails.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4):
            archive.writestr(f"billing/{number}.eml", "From: a@x.example\nSubject: Hi\n\nWhere is it?")
    with pytest.raises(DatasetError, match="4 files; 3 are read"):
        read_tickets(path)


def test_lists_of_labels_cost_no_time_and_break_nothing() -> None:
    """Of any depth and length; commas within apostrophes part nothing."""
    start = time.process_time()
    cells = ["[" * 20_000 + "]" * 20_000, "[" + "a b, " * 10_000 + "c]", "['a, b', 'c']", "['a, b']"]
    labels = resolve_labels([Ticket(str(n), "t", cell) for n, cell in enumerate(cells)]).rows
    assert [row.label for row in labels[1:]] == ["a b", "a, b", "a, b"]
    assert time.process_time() - start < 2


def test_a_story_of_several_lines_is_no_queue(tmp_path: Path) -> None:
    """A cell with line ends may list labels; where it does not, its length counts as in others."""
    story = (
        "I called twice and nobody\nanswered, and the second invoice is wrong as well as the first one was."
    )
    rows = [{"text": text, "queue": label} for text, label in ROWS] + [
        {"text": "Hello there", "queue": story}
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    tickets = read_tickets(save(tmp_path, content, "t.jsonl"))
    assert dict(tickets.classes) == QUEUES
    assert left_out(tickets) == {"long labels": 1}


def test_rows_of_equal_cells_cost_no_time(tmp_path: Path) -> None:
    """Wide tables of zeros are read in the time of others."""
    zeros = ",0" * 400
    names = "".join(f",c{n}" for n in range(400))
    start = time.process_time()
    tickets = read_tickets(save(tmp_path, f"text,label{names}\n{lines(f'{{0}},{{1}}{zeros}' + chr(10))}"))
    assert dict(tickets.classes) == QUEUES
    assert time.process_time() - start < 3


def test_merged_cells_that_overlap_are_damage(tmp_path: Path) -> None:
    """Thousands of merges over a whole sheet would be filled for hours."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    book = xlsxwriter.Workbook(str(tmp_path / "t.xlsx"))
    sheet = book.add_worksheet()
    for number, row in enumerate((("Queue", "Text"), *((label, text) for text, label in ROWS))):
        sheet.write_row(number, 0, row)
    sheet.merge_range(1, 0, 2, 0, "billing")
    book.close()
    with zipfile.ZipFile(tmp_path / "t.xlsx") as old, zipfile.ZipFile(tmp_path / "o.xlsx", "w") as new:
        for name in old.namelist():
            data = old.read(name).replace(b'<mergeCell ref="A2:A3"/>', b'<mergeCell ref="A2:A31"/>' * 50)
            new.writestr(name, data)
    with pytest.raises(DatasetError, match="damaged or locked"):
        read_tickets(tmp_path / "o.xlsx")
