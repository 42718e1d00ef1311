"""Tables of every shape that teams send: the right columns, every row covers_each_row for, nothing lost without a word.

Each test is of a kind: its files are generated, with delimiters, quotes, titles, names and date forms drawn anew.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.reading import DatasetError, preview, read_tickets
from finetune.data.ticket import Tickets
from tests.finetune.data.test_bad_files import ROWS, save

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LABELS = [label for _, label in ROWS]
MARKS = st.sampled_from([",", ";", "\t", "|"])


def table(header: Sequence[str], rows: Sequence[Sequence[object]], mark: str = ",", **form: object) -> str:
    """The rows as delimited text."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=mark, lineterminator="\n", **form)  # type: ignore[arg-type]
    writer.writerows([header, *rows])
    return out.getvalue()


def covers_each_row(tickets: Tickets) -> bool:
    """Whether each row of the file is a ticket or stands among those left out, with a line and a reason."""
    reasons = all(problem.line and problem.message and problem.rule for problem in tickets.problems)
    return reasons and tickets.intake.rows == len(tickets) + len(tickets.rejections)


QUEUES = (
    "Assigned Team",
    "Queue",
    "ticket_category",
    "Support Group",
    "issueCategory",
    "Abteilung",
    "Département",
)
NOISE = {
    "Status": ("open", "closed"),
    "state": ("new", "done", "waiting"),
    "Ticket Priority": ("low", "high"),
    "Customer Gender": ("f", "m", "x"),
    "language": ("en", "de"),
    "is_vip": ("True", "False"),
    "flagged": ("0", "1"),
    "Ticket Channel": ("mail", "phone", "chat"),
    "Severity": ("S1", "S2", "S3"),
    "Priorität": ("hoch", "niedrig"),
    "Statut": ("ouvert", "fermé"),
}


@few
@given(
    queue=st.sampled_from(QUEUES),
    others=st.lists(st.sampled_from(sorted(NOISE)), unique=True, max_size=5),
    mark=MARKS,
    place=st.integers(0, 5),
)
def test_no_state_or_flag_is_taken_for_the_queue(
    queue: str, others: list[str], mark: str, place: int, tmp_path: Path
) -> None:
    """K01, K02: the column that is named as a queue is read, wherever columns of few values stand."""
    names = ["Ticket ID", *others, "Ticket Description"]
    names.insert(min(place, len(names)), queue)
    cells = {name: values for name, values in NOISE.items() if name in others}
    rows = [
        [
            text
            if name == "Ticket Description"
            else label
            if name == queue
            else at
            if name == "Ticket ID"
            else cells[name][at % len(cells[name])]
            for name in names
        ]
        for at, (text, label) in enumerate(ROWS)
    ]
    tickets = read_tickets(save(tmp_path, table(names, rows, mark)))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
    assert set(tickets.intake.unread) == set(others)
    assert covers_each_row(tickets)


@few
@given(others=st.lists(st.sampled_from(sorted(NOISE)), unique=True, min_size=1, max_size=3))
def test_a_file_with_states_only_is_refused_with_the_way_out(others: list[str], tmp_path: Path) -> None:
    """K02: no queue in it; the message names the option that takes one of them all the same."""
    rows = [
        [text, *(NOISE[name][at % len(NOISE[name])] for name in others)] for at, (text, _) in enumerate(ROWS)
    ]
    path = save(tmp_path, table(["message", *others], rows))
    with pytest.raises(DatasetError, match="--label-column") as error:
        read_tickets(path)
    assert others[0] in str(error.value)
    assert {row.label for row in read_tickets(path, {"label": others[0]}).rows} == set(NOISE[others[0]])


@pytest.mark.parametrize("names", [("team", "category"), ("alpha", "beta"), ("Group", "Topic", "Department")])
def test_queues_that_fit_equally_are_asked_about(names: tuple[str, ...], tmp_path: Path) -> None:
    """K02: two columns that divide the rows otherwise and are named alike: none is taken unasked."""
    rows = [
        [text, *(f"{name}{at // (2 + place) % 3}" for place, name in enumerate(names))]
        for at, (text, _) in enumerate(ROWS)
    ]
    path = save(tmp_path, table(["message", *names], rows))
    with pytest.raises(DatasetError, match="several columns could be the queue") as error:
        read_tickets(path)
    assert all(f'--label-column "{name}"' in str(error.value) for name in names)
    assert set(preview(path).guess.rivals_for_label) == set(names)
    assert read_tickets(path, {"label": names[1]}).columns["label"] == names[1]


@few
@given(
    form=st.sampled_from([("1", "0"), ("True", "False"), ("x", ""), ("yes", "no"), ("1.0", "0.0")]),
    prefix=st.sampled_from(["", "is_", "label_"]),
)
def test_yes_no_columns_are_one_answer(form: tuple[str, str], prefix: str, tmp_path: Path) -> None:
    """K02: a queue spread over yes/no columns is read as one; no single one of them becomes the queue."""
    queues = ("billing", "login", "bug")
    header = ["message", *(prefix + queue for queue in queues)]
    rows = [[text, *(form[0] if label == queue else form[1] for queue in queues)] for text, label in ROWS]
    tickets = read_tickets(save(tmp_path, table(header, rows)))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS


@few
@given(mark=MARKS, size=st.integers(100_001, 260_000), with_lines=st.booleans(), place=st.integers(0, 29))
def test_one_endless_ticket_costs_itself_only(
    mark: str, size: int, with_lines: bool, place: int, tmp_path: Path
) -> None:
    """K03: a quoted field of any length is one ticket, cut and told at its line."""
    log = ("a line of the log; with marks, | and so on\n" if with_lines else "word " * 8) * (size // 40 + 1)
    rows = [[text, label] for text, label in ROWS]
    rows[place][0] = log[:size]
    tickets = read_tickets(save(tmp_path, table(["text", "label"], rows, mark, quoting=csv.QUOTE_ALL)))
    assert [row.label for row in tickets.rows] == LABELS
    assert len(tickets.rows[place].text) == 50_000
    assert [problem.rule for problem in tickets.problems] == ["cut to length"]
    assert covers_each_row(tickets)


@pytest.mark.parametrize(
    "subject", ["Subject", "Short description", "summary", "Title", "Betreff", "Objet", "件名"]
)
def test_a_ticket_without_a_body_is_its_subject(subject: str, tmp_path: Path) -> None:
    """K06: the text is what there is, under any name of the subject."""
    rows = [
        [text, "" if at % 2 else f"More about it, number {at}.", label]
        for at, (text, label) in enumerate(ROWS)
    ]
    tickets = read_tickets(save(tmp_path, table([subject, "Body", "Queue"], rows)))
    assert [row.text.split("\n")[0] for row in tickets.rows] == [text for text, _ in ROWS]
    assert covers_each_row(tickets)


@pytest.mark.parametrize("column", ["text", "label", "customer"])
def test_naming_one_column_keeps_the_other_guesses(column: str, tmp_path: Path) -> None:
    """K07: given columns win, the rest is guessed as before."""
    header = ["Subject", "Body", "Queue", "Requester", "Created"]
    rows = [
        [f"about {label}", text, label, f"c{at % 7}", f"2026-01-{at % 28 + 1:02d}"]
        for at, (text, label) in enumerate(ROWS)
    ]
    path = save(tmp_path, table(header, rows))
    whole = read_tickets(path)
    assert read_tickets(path, {column: whole.columns[column]}).rows == whole.rows
    assert set(whole.columns) == {"text", "label", "customer", "created_at", "subject"}
    assert "customer" not in read_tickets(path, {"customer": ""}).columns


@few
@given(
    mark=MARKS,
    titles=st.lists(
        st.sampled_from(["Ticket export", "Printed 2026-03-01", "", "Confidential: internal"]), max_size=4
    ),
    padded=st.booleans(),
    footer=st.sampled_from(["", "Total{m}30{m}", "Exported by Ada{m}{m}", "End of report"]),
)
def test_titles_above_and_footers_below_are_no_tickets(
    mark: str, titles: list[str], padded: bool, footer: str, tmp_path: Path
) -> None:
    """K15: the header is found below titles, a footer is no ticket, and both are told with their line."""
    body = table(["id", "text", "label"], [[at, text, label] for at, (text, label) in enumerate(ROWS)], mark)
    above = "".join(f"{title}{mark * 2 if padded else ''}\n" for title in titles)
    tickets = read_tickets(save(tmp_path, above + body + footer.format(m=mark)))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
    assert tickets.rows[0].line == len(titles) + 2
    assert sum(problem.rule == "title lines" for problem in tickets.problems) == sum(map(bool, titles))
    assert covers_each_row(tickets)


def test_doubled_headers_are_numbered(tmp_path: Path) -> None:
    """K16: names that stand twice get a number; one of them can be asked for."""
    header = ["Summary", "Comment", "Labels", "Labels", "Component/s", "Comment", "Status"]
    rows = [[text, "seen", "customer", label, label.title(), "", "Done"] for text, label in ROWS]
    path = save(tmp_path, table(header, rows))
    assert dict(read_tickets(path).classes) == {"Billing": 10, "Login": 10, "Bug": 10}
    assert read_tickets(path, {"label": "Labels 2"}).rows[0].label == "billing"


@few
@given(
    word=st.sampled_from(
        ["nan", "NaN", "NULL", "None", "N/A", "-", "--", "?", "unknown", "#N/A", "unbekannt", " ", "(blank)"]
    )
)
def test_placeholder_labels_are_no_queue(word: str, tmp_path: Path) -> None:
    """K17: such rows are counted as without label, each by its line."""
    rows = [[text, word if at % 3 == 2 else label] for at, (text, label) in enumerate(ROWS)]
    tickets = read_tickets(save(tmp_path, table(["text", "label"], rows)))
    assert len(tickets) == 20
    assert {problem.rule for problem in tickets.rejections} == {"no label"}
    assert covers_each_row(tickets)


@few
@given(mark=st.sampled_from([",", ";", "|", ", "]), form=st.sampled_from(["cell", "python", "json"]))
def test_several_labels_in_a_cell_are_no_class_of_their_own(mark: str, form: str, tmp_path: Path) -> None:
    """K18: parts that repeat are noticed; the first is taken, and what was left out is said."""
    cells = [
        [label] if at % 2 else [label, "urgent", *(["vip"] if at % 4 else [])]
        for at, label in enumerate(LABELS)
    ]
    write = {"cell": mark.join, "python": repr, "json": json.dumps}[form]
    rows = [[text, write(cell)] for (text, _), cell in zip(ROWS, cells, strict=True)]  # type: ignore[operator]
    tickets = read_tickets(save(tmp_path, table(["text", "labels"], rows)))
    assert dict(tickets.classes) == {"billing": 10, "login": 10, "bug": 10}
    assert any("several labels in one cell" in note and "urgent" in note for note in tickets.notes)


def test_a_comma_in_a_queues_name_is_no_list(tmp_path: Path) -> None:
    """K18: `Returns, refunds` stays one queue where its parts stand nowhere else."""
    names = {"billing": "Returns, refunds", "login": "Access; accounts", "bug": "Bugs"}
    tickets = read_tickets(
        save(tmp_path, table(["text", "label"], [[text, names[label]] for text, label in ROWS]))
    )
    assert {name for name, _ in tickets.classes} == set(names.values())


FORMS = (
    *(
        "%m/%d/%Y %I:%M:%S %p",
        "%d/%b/%y %I:%M %p",
        "%d-%m-%Y %H:%M",
        "%d.%m.%Y %H:%M",
        "%Y/%m/%d %H:%M",
        "%B %d, %Y %I:%M %p",
    ),
    *(
        "%a, %d %b %Y %H:%M:%S +0000",
        "%d %B %Y, %H:%M",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y年%m月%d日 %H:%M",
        "%d. %b %Y %H:%M",
        "%Y%m%dT%H%M%S",
    ),
)


@few
@given(form=st.sampled_from(FORMS), start=st.datetimes(datetime(2019, 1, 1), datetime(2026, 1, 1)))
def test_common_date_forms_are_read(form: str, start: datetime, tmp_path: Path) -> None:
    """K19: am/pm, Jira's, German, Japanese and mail's dates; the order of day and month told by the column."""
    times = [(start + timedelta(days=9 * at)).replace(second=0, microsecond=0) for at in range(len(ROWS))]
    rows = [[text, label, when.strftime(form)] for (text, label), when in zip(ROWS, times, strict=True)]
    tickets = read_tickets(save(tmp_path, table(["text", "label", "created"], rows)))
    assert [row.created_at for row in tickets.rows] == [when.replace(tzinfo=UTC) for when in times]
    assert not tickets.problems


def test_dates_that_are_none_give_one_sentence(tmp_path: Path) -> None:
    """K19: not 30 repairs but one note that says what follows from it."""
    rows = [[text, label, f"sprint {at} of Q3"] for at, (text, label) in enumerate(ROWS)]
    tickets = read_tickets(save(tmp_path, table(["text", "label", "created"], rows)))
    assert not tickets.problems
    assert sum("split at random" in note for note in tickets.notes) == 1


HEADERS = {
    "German": ("Ticketnummer", "Betreff", "Beschreibung", "Kategorie", "Kunde", "Erstellt am"),
    "French": ("Numéro", "Objet", "Description", "Catégorie", "Demandeur", "Ouvert le"),
    "Spanish": ("Número", "Asunto", "Descripción", "Categoría", "Cliente", "Fecha de creación"),
    "Portuguese": ("Número", "Assunto", "Descrição", "Categoria", "Cliente", "Criado em"),
    "Italian": ("Numero", "Oggetto", "Descrizione", "Categoria", "Cliente", "Data di creazione"),
    "Dutch": ("Nummer", "Onderwerp", "Omschrijving", "Afdeling", "Klant", "Aangemaakt op"),
    "Japanese": ("番号", "件名", "内容", "カテゴリ", "顧客", "作成日時"),
}


@pytest.mark.parametrize("language", HEADERS)
def test_headers_of_other_languages_are_understood(language: str, tmp_path: Path) -> None:
    """K20: date, customer and subject are found too, with accents, without, and in capitals."""
    rows = [
        [at, f"about {label}", text, label, f"c{at % 7}", f"2026-01-{at % 28 + 1:02d}"]
        for at, (text, label) in enumerate(ROWS)
    ]
    for header in (HEADERS[language], [name.upper() for name in HEADERS[language]]):
        tickets = read_tickets(save(tmp_path, table(header, rows, ";")))
        assert set(tickets.columns) == {"id", "subject", "text", "label", "customer", "created_at"}, header


@pytest.mark.parametrize("value", ["", "nan", "n/a", "all the same"])
def test_an_empty_column_is_no_candidate_whatever_its_name(value: str, tmp_path: Path) -> None:
    """K21: empty or of one value, it tells nothing; the filled one is read."""
    rows = [[text, value, label, value] for text, label in ROWS]
    tickets = read_tickets(save(tmp_path, table(["message", "label_name", "category", "body"], rows)))
    assert [(row.text.split("\n")[0], row.label) for row in tickets.rows] == ROWS


@few
@given(
    mark=MARKS,
    places=st.lists(st.integers(0, 29), unique=True, max_size=30),
    surplus=st.integers(1, 3),
    short=st.booleans(),
)
def test_rows_a_cell_short_or_long_are_kept(
    mark: str, places: list[int], surplus: int, short: bool, tmp_path: Path
) -> None:
    """K22: empty cells at a row's end are taken off or added, and said with the line."""
    lines = (
        table(["text", "label", "note"], [[text, label, ""] for text, label in ROWS], mark)
        .strip("\n")
        .split("\n")
    )
    for place in places:
        lines[place + 1] = lines[place + 1][:-1] if short else lines[place + 1] + mark * surplus
    tickets = read_tickets(save(tmp_path, "\n".join(lines)))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
    assert [problem.line for problem in tickets.problems] == sorted(place + 2 for place in places)
    assert covers_each_row(tickets)


@few
@given(mark=MARKS, some=st.booleans())
def test_quotes_escaped_by_a_backslash_are_read(mark: str, some: bool, tmp_path: Path) -> None:
    r"""K22: `\"` inside a quoted field, as MySQL writes it, does not end the field."""
    words = [
        f'{text} says "not found"{mark} twice' if not some or at % 3 else text
        for at, (text, _) in enumerate(ROWS)
    ]
    rows = [[at, word, label] for (at, word), label in zip(enumerate(words), LABELS, strict=True)]
    form = {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"}
    tickets = read_tickets(save(tmp_path, table(["id", "text", "label"], rows, mark, **form)))
    assert [row.text for row in tickets.rows] == words
    assert covers_each_row(tickets)


@pytest.mark.parametrize("wrap", ["gz", "zip", "zip with junk"])
def test_packed_files_are_read(wrap: str, tmp_path: Path) -> None:
    """One file of tickets in a gzip or zip is read as if it were unpacked."""
    data = table(["text", "label"], ROWS).encode()
    path = tmp_path / f"t.{wrap[:3].strip()}"
    if wrap == "gz":
        path.write_bytes(gzip.compress(data))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("export/tickets.csv", data)
            if "junk" in wrap:
                archive.writestr("__MACOSX/export/._tickets.csv", b"\0junk")
                archive.writestr("README.md", "hello")
    assert [(row.text, row.label) for row in read_tickets(path).rows] == ROWS


def test_a_zip_of_several_files_asks_which(tmp_path: Path) -> None:
    """The members are named, and `part` takes one."""
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", table(["text", "label"], ROWS))
        archive.writestr("b.csv", table(["text", "label"], ROWS[:12]))
    with pytest.raises(DatasetError, match=r"2 files: 'a.csv', 'b.csv'[\s\S]*--part"):
        read_tickets(path)
    assert len(read_tickets(path, part="b.csv")) == 12


def test_what_cannot_be_unpacked_is_said(tmp_path: Path) -> None:
    """Cut and locked archives end in one sentence."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(table(["text", "label"], ROWS).encode())[:60])
    with pytest.raises(DatasetError, match="damaged or locked"):
        read_tickets(path)


SEVERAL_ROWS = [
    [text, "refund, billing" if at % 5 == 0 else "login" if label == "bug" else label]
    for at, (text, label) in enumerate(ROWS)
]


@pytest.mark.parametrize(
    ("way", "classes", "left_out"),
    [
        ("first", {"billing": 8, "login": 16, "refund": 6}, 0),
        ("frequent", {"billing": 14, "login": 16}, 0),
        ("leave-out", {"billing": 8, "login": 16}, 6),
    ],
)
def test_rows_of_several_labels_are_read_as_a_person_says(
    way: str, classes: dict[str, int], left_out: int, tmp_path: Path
) -> None:
    """The first label, the most frequent one, or the rows left out, each counted and said; no other way."""
    path = save(tmp_path, table(["text", "tags"], SEVERAL_ROWS))
    tickets = read_tickets(path, several=way)
    assert dict(tickets.classes) == classes
    assert any("6 rows have several labels in one cell" in note for note in tickets.notes)
    assert [one.rule for one in tickets.rejections] == ["several labels"] * left_out
    assert covers_each_row(tickets)
    with pytest.raises(DatasetError, match="Use first, frequent, leave-out"):
        read_tickets(path, several="all")


@pytest.mark.parametrize(
    "cells",
    [
        ("billing, refund", "billing", "refund, login", "login"),
        ("billing\nrefund", "billing", "refund\nlogin", "login"),
        ('["billing", "refund"]', '["billing"]', '["refund", "login"]', '["login"]'),
        ("{billing,refund}", "{billing}", "{refund,login}", "{login}"),
        ("vip_user billing", "refund_late billing", "login refund_late", "login vip_user"),
        ("請求、返金", "請求", "返金、ログイン", "ログイン"),
    ],
)
def test_tags_are_lists_however_they_are_written(cells: tuple[str, ...], tmp_path: Path) -> None:
    """Commas, lines, JSON, PostgreSQL, help desks' blanks, Japanese commas: no class is a list."""
    rows = [[text, cells[at % 4]] for at, (text, _) in enumerate(ROWS)]
    path = save(tmp_path, table(["text", "tags"], rows))
    head, tickets = preview(path), read_tickets(path)
    assert head.several["tags"] >= 0.4
    assert any("have several labels" in note for note in tickets.notes)
    assert not any(re.search(r"[\s,、\[{]", name) for name, _ in tickets.classes)


def test_a_queue_of_two_words_or_lines_is_no_list(tmp_path: Path) -> None:
    """`billing issue` and a name that a spreadsheet wrapped stay one queue."""
    names = {"billing": "billing issue", "login": "login\nissue", "bug": "bug report"}
    path = save(tmp_path, table(["text", "tags"], [[text, names[label]] for text, label in ROWS]))
    assert {name for name, _ in read_tickets(path).classes} == {"billing issue", "login issue", "bug report"}
    assert not preview(path).several
