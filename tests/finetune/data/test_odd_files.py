"""Files as help desks and people really save them: nothing is lost or bent without a word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.data.reading import DatasetError, read_tickets
from finetune.data.ticket import Tickets
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
