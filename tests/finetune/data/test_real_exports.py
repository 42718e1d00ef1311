"""Exports in shapes of their makers' own: spreadsheets' and databases' dumps, forms, boards, GraphQL, mail; read whole or told."""

from __future__ import annotations

import json
import mailbox
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from finetune.data.code_pages import code_page
from finetune.data.exports import document_text
from finetune.data.reading import DatasetError, read_tickets
from finetune.data.ticket import Tickets
from tests.finetune.data.test_bad_files import ROWS, save
from tests.finetune.data.test_import_tables import covers_each_row, table
from tests.outlook_message import compound_file, message

QUEUES = {"billing": 10, "login": 10, "bug": 10}


def left_out(tickets: Tickets) -> dict[str, int]:
    rules = [problem.rule for problem in tickets.rejections]
    return {rule: rules.count(rule) for rule in rules}


@pytest.mark.parametrize("mark", ["^", "~", "¦", "\x1f", "\x01"])
def test_other_separators_are_found(mark: str, tmp_path: Path) -> None:
    """Commas, semicolons and quotes within cells part nothing; control marks of dumps are no binary file."""
    rows = [[at, f'{text}, "really"; yes', label] for at, (text, label) in enumerate(ROWS)]
    lines = [mark.join(map(str, row)) for row in (["id", "text", "queue"], *rows)]
    tickets = read_tickets(save(tmp_path, "\n".join(lines)))
    assert dict(tickets.classes) == QUEUES
    assert tickets.rows[4].text == rows[4][1]


@pytest.mark.parametrize("mark", [",", ";"])
@pytest.mark.parametrize("repeats", [True, False])
def test_a_row_of_groups_above_the_header_is_a_title(repeats: bool, mark: str, tmp_path: Path) -> None:
    """`Ticket, Ticket, Routing` names no column; what stands in two groups carries its group's name."""
    groups = (
        ["Ticket", "Ticket", "Ticket", "Routing", "Routing"] if repeats else ["Ticket", "", "", "Routing", ""]
    )
    names = ["Number", "Description", "Name", "Team", "Name"]
    rows = [[at, text, f"n{at}", label, f"a{at % 3}"] for at, (text, label) in enumerate(ROWS)]
    tickets = read_tickets(save(tmp_path, table(groups, [names, *rows], mark)))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
    assert left_out(tickets) == {"title lines": 1}
    assert set(tickets.intake.unread) <= ({"Ticket Name", "Routing Name"} if repeats else {"Name", "Name 2"})
    assert covers_each_row(tickets)


def test_doubled_names_above_tickets_stay_the_header(tmp_path: Path) -> None:
    """A first ticket whose cells are called as columns are is no second header."""
    rows = [[text, "label", "label", label] for text, label in ROWS]
    tickets = read_tickets(save(tmp_path, table(["Summary", "Labels", "Labels", "Queue"], rows)))
    assert len(tickets) == 30


def test_a_spreadsheet_s_days_and_numbers_as_texts(tmp_path: Path) -> None:
    """Serial days are dates, and said so; `="00017"` is the text 00017."""
    rows = [f'="{at:05d}",{45_700 + at}.5,"{text}",{label}' for at, (text, label) in enumerate(ROWS)]
    tickets = read_tickets(save(tmp_path, "\n".join(["Case ID,Opened,Details,Queue", *rows])))
    assert [row.id for row in tickets.rows] == [f"{at:05d}" for at in range(30)]
    assert tickets.rows[0].created_at == datetime(2025, 2, 12, 12, tzinfo=UTC)
    assert any("numbers of days" in note for note in tickets.notes)


@pytest.mark.parametrize("form", ["/Date({ms})/", "/Date({ms}+0100)/", "{compact}"])
def test_dates_of_web_services_are_read(form: str, tmp_path: Path) -> None:
    """.NET's milliseconds, and digits in a row."""
    when = [datetime(2025, 3, at % 28 + 1, 9, at, 5, tzinfo=UTC) for at in range(30)]
    cells = [form.format(ms=int(one.timestamp() * 1000), compact=f"{one:%Y%m%d%H%M%S}") for one in when]
    rows = [
        {"text": text, "label": label, "created": cell}
        for (text, label), cell in zip(ROWS, cells, strict=True)
    ]
    tickets = read_tickets(save(tmp_path, json.dumps(rows), "t.json"))
    assert [row.created_at for row in tickets.rows] == when


def test_a_database_s_dump_has_its_nothing_and_its_line_ends(tmp_path: Path) -> None:
    r"""`\N` is no queue, `\t` and `\n` are what they stand for, `\\` is one backslash."""
    rows = [
        rf"{at}	{text}\nIt says:\n\tC:\\temp	{label if at % 5 else chr(92) + 'N'}"
        for at, (text, label) in enumerate(ROWS)
    ]
    tickets = read_tickets(save(tmp_path, "\n".join(["id\tbody\tqueue", *rows]), "dump.tsv"))
    assert left_out(tickets) == {"no label": 6}
    assert tickets.rows[0].text == f"{ROWS[1][0]}\nIt says:\n\tC:\\temp"
    assert set(dict(tickets.classes)) == set(QUEUES)


@pytest.mark.parametrize("end", ["", ",", ";;"])
def test_rows_that_were_saved_as_one_cell_each_are_opened(end: str, tmp_path: Path) -> None:
    """A spreadsheet that took the table for one column quotes each line whole."""
    inner = table(
        ["id", "text", "label"], [[at, f"{text}, really", label] for at, (text, label) in enumerate(ROWS)]
    )
    lines = ['"' + line.replace('"', '""') + f'"{end}' for line in inner.strip().split("\n")]
    tickets = read_tickets(save(tmp_path, "\r\n".join(lines)))
    assert [(row.text, row.label) for row in tickets.rows] == [
        (f"{text}, really", label) for text, label in ROWS
    ]


def test_a_form_s_questions_are_its_header(tmp_path: Path) -> None:
    """Long questions name columns where a time stands beside them; a ticket in the first line is still refused."""
    header = [
        "Timestamp",
        "What went wrong? Please describe it in your own words.",
        "Which team should look at it?",
    ]
    rows = [[f"3/{at % 28 + 1}/2025 9:15:00", text, label] for at, (text, label) in enumerate(ROWS)]
    tickets = read_tickets(save(tmp_path, table(header, rows)))
    assert dict(tickets.classes) == QUEUES
    assert all(row.created_at for row in tickets.rows)
    with pytest.raises(DatasetError, match="no header"):
        read_tickets(
            save(
                tmp_path,
                table(["The door of the second hall does not close", "x9"], [[t, q] for t, q in ROWS]),
            )
        )


OTHER_HEADERS = {
    "Polish": ("Numer zgłoszenia", "Temat", "Treść", "Kategoria", "Zgłaszający", "Data utworzenia"),
    "Swedish": ("Ärendenummer", "Ämne", "Beskrivning", "Avdelning", "Avsändare", "Skapad"),
    "Danish": ("Sagsnummer", "Emne", "Beskrivelse", "Afdeling", "Afsender", "Oprettet"),
    "Czech": ("Číslo", "Předmět", "Popis", "Oddělení", "Odesílatel", "Vytvořeno"),
    "Turkish": ("No", "Konu", "Açıklama", "Departman", "Müşteri", "Tarih"),
    "Russian": ("Номер", "Тема", "Описание", "Категория", "Клиент", "Дата создания"),
    "Chinese": ("编号", "标题", "描述", "类别", "客户", "创建时间"),
    "Korean": ("번호", "제목", "내용", "분류", "고객", "작성일"),
    "German office": ("Vorgangsnr.", "Betreff", "Beschreibung", "Zust. Gruppe", "Kunde", "Eingangsdatum"),
    "Explore": ("Ticket ID", "Ticket subject", "Ticket description", "Ticket group", "Requester ID", "Ticket created - Timestamp"),
    "Outlook": ("ID", "Subject", "Body", "Categories", "From: (Address)", "Sent"),
}  # fmt: skip


@pytest.mark.parametrize("language", OTHER_HEADERS)
def test_headers_of_ten_more_kinds_are_understood(language: str, tmp_path: Path) -> None:
    """Id, subject, text, queue, customer and date are found."""
    rows = [
        [at, f"about {label}", text, label, f"c{at % 7}@x.example", f"2026-01-{at % 28 + 1:02d}"]
        for at, (text, label) in enumerate(ROWS)
    ]
    tickets = read_tickets(save(tmp_path, table(OTHER_HEADERS[language], rows, ";")))
    assert (
        dict(
            zip(
                ("id", "subject", "text", "label", "customer", "created_at"),
                OTHER_HEADERS[language],
                strict=True,
            )
        )
        == tickets.columns
    )


WORDS = {
    "cp1250": ("Płatność się nie zgadza, proszę o pomoc", "Kwota została źle naliczona", "Číslo účtu je špatně, prosím o opravu žádosti"),
    "cp1254": ("Ödeme sayfası açılmıyor, şifremi değiştiremiyorum", "Müşteri bilgileri yanlış görünüyor"),
    "cp850": ("Die Rechnung läßt sich nicht öffnen", "Größe und Höhe fehlen für die Tür"),
    "mac_roman": ("Die Lösung läßt sich nicht öffnen", "Un problème se répète à chaque démarrage"),
    "cp1252": ("Die Lösung läßt sich nicht öffnen", "Un problème se répète à chaque démarrage", "It doesn’t open – why?", "La señal no llegó aquí", "Não há conexão"),
}  # fmt: skip


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, texts in WORDS.items() for text in texts])
def test_lone_accents_tell_the_code_page(page: str, text: str, tmp_path: Path) -> None:
    """Windows', DOS' and the Mac's letters come out as they were, whatever language uses them."""
    body = "\n".join(f"{text} {at};{label}" for at, (_, label) in enumerate(ROWS))
    data = f"text;label\n{body}\n".encode(page)
    assert text in data.decode(code_page(data)[0])
    assert read_tickets(save(tmp_path, data)).rows[3].text == f"{text} 3"


def rasa(rows: Sequence[tuple[str, str]]) -> Any:
    return {"rasa_nlu_data": {"common_examples": [{"text": t, "intent": q, "entities": []} for t, q in rows], "regex_features": []}}  # fmt: skip


def graphql(rows: Sequence[tuple[str, str]]) -> Any:
    edges = [{"cursor": str(at), "node": {"id": at, "title": "t", "description": t, "team": {"name": q}}} for at, (t, q) in enumerate(rows)]  # fmt: skip
    return {"data": {"issues": {"pageInfo": {"hasNextPage": False}, "edges": edges}}}


def board(rows: Sequence[tuple[str, str]]) -> Any:
    names = sorted({q for _, q in rows})
    lists = [{"id": f"l{at}", "name": name} for at, name in enumerate(names)]
    cards = [{"id": f"c{at}", "name": f"Card {at}", "desc": t, "idList": f"l{names.index(q)}", "labels": []} for at, (t, q) in enumerate(rows)]  # fmt: skip
    members = [{"id": f"m{at}", "name": "Ada Brook"} for at in range(2)]
    return {
        "id": "b",
        "name": "Desk",
        "desc": "",
        "lists": lists,
        "members": members,
        "actions": [{"id": "a"}] * 40,
        "cards": cards,
    }


def sideloads(rows: Sequence[tuple[str, str]]) -> Any:
    names = sorted({q for _, q in rows})
    issues = [{"id": at, "description": t, "group_id": names.index(q) + 70} for at, (t, q) in enumerate(rows)]
    return {"ticket_list": issues, "groups": [{"id": 70 + at, "name": name} for at, name in enumerate(names)]}


@pytest.mark.parametrize("make", [rasa, graphql, board, sideloads])
def test_rows_are_found_in_any_envelope(
    make: Callable[[Sequence[tuple[str, str]]], Any], tmp_path: Path
) -> None:
    """The list that reads like tickets is read; ids become the names that a list beside it gives them; others are told."""
    tickets = read_tickets(save(tmp_path, json.dumps(make(ROWS)), "export.json"))
    assert dict(tickets.classes) == QUEUES
    assert all(text in row.text for row, (text, _) in zip(tickets.rows, ROWS, strict=True))
    messages = [problem.message for problem in tickets.problems if problem.rule == "lists not read"]
    assert bool(messages) is (make is board)
    assert all("actions (40)" in one and "members (2)" in one for one in messages)
    assert covers_each_row(tickets)


def test_a_row_with_lists_is_no_envelope(tmp_path: Path) -> None:
    """A line of words with what was found in them, a ticket with its comments."""
    rows = [
        {"utterance": text, "team": label, "entities": [{"name": "a long name of it"}, {"name": "b"}]}
        for text, label in ROWS
    ]
    tickets = read_tickets(save(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl"))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS


def test_custom_fields_can_be_named(tmp_path: Path) -> None:
    """Each by its name or number, not all in one cell."""
    rows = [
        {
            "id": at,
            "description": text,
            "custom_fields": [{"id": 360, "value": label}, {"id": 361, "value": None}],
        }
        for at, (text, label) in enumerate(ROWS)
    ]
    path = save(tmp_path, json.dumps({"tickets": rows}), "t.json")
    assert dict(read_tickets(path, {"label": "custom_fields.360"}).classes) == QUEUES


@pytest.mark.parametrize("note", [
    {"type": "note", "createdBy": {"type": "user"}},
    {"part_type": "note", "author": {"type": "admin"}},
    {"jsdPublic": False, "author": {"accountId": "x"}},
    {"visibility": {"type": "role"}, "author": {"accountId": "x"}},
    {"private": True, "incoming": False},
    {"source": 8, "private": False, "incoming": False},
    {"part_type": "comment", "author": {"type": "bot"}},
])  # fmt: skip
def test_internal_notes_are_never_an_answer(note: dict[str, Any], tmp_path: Path) -> None:
    """Nor what a program wrote, nor a mail to somebody else: the first public reply of the team is."""
    rows = []
    for at, (text, label) in enumerate(ROWS):
        question = {"type": "customer", "body": text, "createdBy": {"type": "customer"}, "incoming": True}
        reply = {"type": "message", "body": f"Done, number {at}.", "createdBy": {"type": "user"}}
        talk = [question, {**note, "body": "SECRET NOTE"}, reply]
        threads = [
            {**one, "createdAt": f"2025-03-04T10:{at:02d}:0{place}Z"} for place, one in enumerate(talk)
        ]
        rows.append({"id": at, "subject": "Help", "tags": [{"id": 1, "tag": label}], "_embedded": {"threads": threads[::-1]}, "mailbox": label})  # fmt: skip
    tickets = read_tickets(
        save(tmp_path, json.dumps({"_embedded": {"conversations": rows}}), "t.json"), {"label": "mailbox"}
    )
    assert [row.answer for row in tickets.rows] == [f"Done, number {at}." for at in range(30)]
    assert [row.text for row in tickets.rows] == [f"Help\n\n{text}" for text, _ in ROWS]


def test_an_atlassian_document_is_read_as_it_is_shown() -> None:
    """People, links, states, days, what unfolds, tasks and tables are words of it; each block is a line."""

    def text(words: str) -> dict[str, Any]:
        return {"type": "text", "text": words}

    def block(kind: str, *content: dict[str, Any], **attrs: Any) -> dict[str, Any]:
        return {"type": kind, "content": list(content), **({"attrs": attrs} if attrs else {})}

    cells = block("tableRow", block("tableCell", block("paragraph", text("8443"))), block("tableCell", block("paragraph", {"type": "status", "attrs": {"text": "CLOSED"}})))  # fmt: skip
    inline = [{"type": "mention", "attrs": {"id": "1", "text": "@Bo"}}, text(" see "), {"type": "inlineCard", "attrs": {"url": "https://x.example/1"}}, {"type": "date", "attrs": {"timestamp": "1741046400000"}}]  # fmt: skip
    document = block(
        "doc",
        block("paragraph", *inline),
        block("panel", block("paragraph", text("Only since May.")), panelType="info"),
        block("codeBlock", text("run\nexit 3"), language="sh"),
        block("expand", block("paragraph", text("timeout")), title="The log"),
        block("taskList", block("taskItem", text("restart"), state="TODO")),
        block("table", cells),
    )
    assert (
        document_text(document)
        == "@Bo see https://x.example/12025-03-04\nOnly since May.\nrun\nexit 3\nThe log\ntimeout\nrestart\n8443 | CLOSED"
    )


def test_a_mail_forwarded_as_an_attachment_is_the_ticket(tmp_path: Path) -> None:
    """Its words come below the "fyi"; other attachments are told by name."""
    box = mailbox.mbox(tmp_path / "mail.mbox")
    for at, (text, label) in enumerate(ROWS):
        inner, mail = EmailMessage(), EmailMessage()
        inner["From"], inner["Subject"] = "Ada <a@x.example>", "It does not work"
        inner.set_content(text)
        mail["From"], mail["Message-ID"], mail["X-Gmail-Labels"] = "Desk <d@x.example>", f"<{at}@x>", label
        mail.set_content("fyi")
        mail.add_attachment(inner)
        mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="bill.pdf")
        box.add(mail)
    box.close()
    tickets = read_tickets(tmp_path / "mail.mbox")
    assert all(
        text in row.text and "It does not work" in row.text
        for row, (text, _) in zip(tickets.rows, ROWS, strict=True)
    )
    assert [problem.message for problem in tickets.problems] == [
        "has attachments that are not read: bill.pdf"
    ] * 30


def test_a_folder_of_outlook_messages_is_read(tmp_path: Path) -> None:
    """Packed as a zip: the folder is the queue, an answer is its thread's, HTML counts where there is no plain text."""
    path = tmp_path / "mails.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for at, (text, label) in enumerate(ROWS):
            words = {"page": f"<p>{text}</p>"} if at % 2 else {"body": text}
            head = f"Date: Mon, 3 Mar 2025 09:{at:02d}:00 +0000\n"
            mail = message(subject="Help", address=f"a{at}@x.example", id=f"<{at}@x>", headers=head, **words)  # type: ignore[arg-type]
            archive.writestr(f"{label}/{at}.msg", compound_file(mail))
    tickets = read_tickets(path)
    assert dict(tickets.classes) == QUEUES
    assert all(text in row.text for row, (text, _) in zip(tickets.rows, ROWS, strict=True))
    assert all(row.created_at and row.customer for row in tickets.rows)


def test_a_file_of_fasttext_is_read(tmp_path: Path) -> None:
    """Labels stand before the text, several as a list; a line without one is told."""
    lines = [
        f"__label__{label} {'__label__urgent ' if at % 2 else ''}{text}"
        for at, (text, label) in enumerate(ROWS)
    ]
    tickets = read_tickets(save(tmp_path, "\n".join([*lines, "no label here"]), "train.txt"))
    assert dict(tickets.classes) == QUEUES
    assert [row.text for row in tickets.rows] == [text for text, _ in ROWS]
    assert left_out(tickets) == {"lines without a label": 1}


@pytest.mark.parametrize("write", [repr, json.dumps])
def test_a_queue_that_is_an_object_is_its_name(write: Callable[[object], str], tmp_path: Path) -> None:
    """As Python or JSON writes it into a cell; PostgreSQL's braces stay a list."""
    rows = [[text, write({"id": 7, "name": label, "active": True})] for text, label in ROWS]
    assert dict(read_tickets(save(tmp_path, table(["text", "queue"], rows))).classes) == QUEUES
    rows = [[text, "{" + label + ",vip}"] for text, label in ROWS]
    assert dict(read_tickets(save(tmp_path, table(["text", "tags"], rows))).classes) == QUEUES


def test_yaml_is_named_with_the_way_out(tmp_path: Path) -> None:
    """One sentence, and how Rasa's own files are converted."""
    with pytest.raises(DatasetError, match=r"nlu\.yml is YAML(.|\n)*rasa data convert"):
        read_tickets(save(tmp_path, "nlu:\n- intent: a\n  examples: |\n    - b\n", "nlu.yml"))
