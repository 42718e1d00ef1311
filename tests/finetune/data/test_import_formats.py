"""Files that are no table: chats, help desks' API answers, mailboxes, workbooks, dataset folders. Made anew, read whole."""

from __future__ import annotations

import json
import mailbox
import zipfile
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from finetune.data.reading import DatasetError, read_tickets
from finetune.data.ticket import Tickets
from tests.finetune.data.test_bad_files import ROWS, save

ANSWER = "We look into it at once."


def read_json(folder: Path, rows: Sequence[Any], form: str = "lines") -> Tickets:
    text = "\n".join(map(json.dumps, rows)) if form == "lines" else json.dumps(list(rows))
    return read_tickets(save(folder, text, "chats.json"))


def turns_of(text: str, answer: str = ANSWER) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]


def parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}, {"type": "image_url", "image_url": "x"}]


CHATS = {
    "openai": lambda text: {"messages": turns_of(text)},
    "parts": lambda text: {"messages": [{"role": "user", "content": parts(text)}, {"role": "assistant", "content": ANSWER}]},
    "sharegpt": lambda text: {"conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": text}, {"from": "gpt", "value": ANSWER}]},
    "prompt and completion": lambda text: {"prompt": [turns_of(text)[0]], "completion": [turns_of(text)[1]]},
    "prompt and completion as text": lambda text: {"prompt": text, "completion": ANSWER},
    "dpo": lambda text: {"prompt": text, "chosen": ANSWER, "rejected": "No."},
    "dpo as turns": lambda text: {"chosen": turns_of(text), "rejected": turns_of(text, "No.")},
    "kto": lambda text: {"prompt": text, "completion": ANSWER, "label": True},
    "alpaca": lambda text: {"instruction": text, "input": "", "output": ANSWER},
}  # fmt: skip


@pytest.mark.parametrize("form", ["lines", "array"])
@pytest.mark.parametrize("kind", CHATS)
def test_each_form_of_chat_is_question_and_answer(kind: str, form: str, tmp_path: Path) -> None:
    """K11: the same tickets come out of each, and no thumb becomes a queue."""
    tickets = read_json(tmp_path, [CHATS[kind](text) for text, _ in ROWS], form)
    assert tickets.kind == "reply"
    assert [(row.text, row.answer) for row in tickets.rows] == [(text, ANSWER) for text, _ in ROWS]


def test_alpaca_keeps_the_instruction(tmp_path: Path) -> None:
    """K11: text = instruction, blank line, input, in JSON and in CSV."""
    rows = [{"instruction": "Answer:", "input": text, "output": ANSWER} for text, _ in ROWS]
    table = "instruction,input,output\n" + "\n".join(f"Answer:,{text},{ANSWER}" for text, _ in ROWS)
    for tickets in (read_json(tmp_path, rows), read_tickets(save(tmp_path, table))):
        assert [row.text for row in tickets.rows] == [f"Answer:\n\n{text}" for text, _ in ROWS]


def test_tool_turns_are_read_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    """K11: an assistant's call without content is no answer; bad answers, pictures and system prompts are told."""
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "find", "arguments": "{}"}}],
    }
    turns = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "Where is it?"},
        call,
        {"role": "tool", "content": "in Paris"},
    ]
    chats: list[Any] = [
        {"messages": [*turns, {"role": "assistant", "content": f"It is in Paris, parcel {at}."}]}
        for at in range(12)
    ]
    chats.append({"prompt": "a", "completion": "b", "label": False})
    tickets = read_json(tmp_path, chats)
    assert tickets.rows[3].text == "Customer: Where is it?\nTool: in Paris"
    assert tickets.rows[3].answer == "It is in Paris, parcel 3."
    rules = {problem.rule for problem in tickets.problems}
    assert rules == {"bad answers", "system prompts left out", "tool calls without words left out"}
    assert tickets.intake.rows == len(tickets) + len(tickets.rejections)


def freshdesk(at: int, text: str, label: str) -> dict[str, Any]:
    reply = [{"body_text": ANSWER, "incoming": False, "private": False}]
    return {"id": at, "subject": f"Help {at}", "description": f"<div>{text}</div>", "description_text": text, "type": label,
            "status": 2 + at % 3, "priority": 1 + at % 2, "requester_id": 7 + at % 5, "conversations": reply, "tags": ["vip"]}  # fmt: skip


def jira(at: int, text: str, label: str) -> dict[str, Any]:
    doc = {"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}]}
    comments = {
        "comments": [
            {"author": {"accountId": "a"}, "body": doc | {"content": [{"type": "text", "text": ANSWER}]}}
        ]
    }
    fields = {"summary": f"Help {at}", "description": doc, "components": [{"name": label}], "status": {"name": "Open"},
              "issuetype": {"name": "Support"}, "priority": {"name": "High"}, "labels": [], "comment": comments}  # fmt: skip
    return {"id": str(at), "key": f"SUP-{at}", "fields": fields}


def intercom(at: int, text: str, label: str) -> dict[str, Any]:
    replies = [{"body": "thanks", "author": {"type": "user"}}, {"body": ANSWER, "author": {"type": "admin"}}]
    return {"id": at, "created_at": 1_740_000_000 + at, "source": {"subject": f"Help {at}", "body": text, "author": {"email": "a@b.test"}},
            "state": "open", "tags": {"tags": [{"name": label}]}, "conversation_parts": {"conversation_parts": replies}}  # fmt: skip


def hubspot(at: int, text: str, label: str) -> dict[str, Any]:
    return {"id": str(at), "properties": {"subject": f"Help {at}", "content": text, "hs_ticket_category": label,
            "hs_ticket_priority": "HIGH", "createdate": "2026-01-02T10:00:00Z"}}  # fmt: skip


def servicenow(at: int, text: str, label: str) -> dict[str, Any]:
    return {"number": f"INC{at}", "short_description": f"Help {at}", "description": text,
            "assignment_group": {"display_value": label, "link": "https://x"}, "state": str(at % 3)}  # fmt: skip


def salesforce(at: int, text: str, label: str) -> dict[str, Any]:
    return {"attributes": {"type": "Case", "url": f"/x/{at}"}, "CaseNumber": f"{at:08d}", "Subject": f"Help {at}", "Description": text,
            "Type": label, "Status": "New", "Origin": "Web", "CreatedDate": "2026-01-02T10:00:00.000+0000"}  # fmt: skip


DESKS = {
    "freshdesk": (freshdesk, None, True),
    "jira": (jira, "issues", True),
    "intercom": (intercom, "conversations", True),
    "hubspot": (hubspot, "results", False),
    "servicenow": (servicenow, "result", False),
    "salesforce": (salesforce, "records", False),
}


@pytest.mark.parametrize("form", ["envelope", "lines", "pages"])
@pytest.mark.parametrize("desk", DESKS)
def test_help_desks_answers_are_opened(desk: str, form: str, tmp_path: Path) -> None:
    """K23: subject, text and queue are found in each, whole, by line or page by page; every field can be named."""
    make, envelope, has_answer = DESKS[desk]
    items = [make(at, text, label) for at, (text, label) in enumerate(ROWS)]
    if form == "lines" or (form == "pages" and not envelope):
        data = "\n".join(map(json.dumps, items))
    elif form == "pages":
        data = "\n".join(
            json.dumps({envelope: items[at : at + 10], "total": 30, "next": None}) for at in (0, 10, 20)
        )
    else:
        data = json.dumps({envelope: items, "total": 30} if envelope else items)
    tickets = read_tickets(save(tmp_path, data, "export.json"))
    expectation = [(f"Help {at}\n\n{text}", label) for at, (text, label) in enumerate(ROWS)]
    assert [(row.text, row.label) for row in tickets.rows] == expectation
    assert all(row.answer == (ANSWER if has_answer else None) for row in tickets.rows)


def mail(at: int, text: str, label: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = f"Ada {at} <p{at}@example.org>", "help@acme.example"
    message["Subject"], message["Message-ID"] = f"Help {at}", f"<{at}@x>"
    message["Date"], message["X-Gmail-Labels"] = (
        f"Tue, {at % 28 + 1} Mar 2026 09:00:00 +0100",
        f"Inbox,{label}",
    )
    if at % 3:
        message.set_content(text, cte="quoted-printable" if at % 2 else "base64")
    else:
        message.set_content(f"<p>{text}</p>", subtype="html")
    return message


def reply(at: int) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"], message["In-Reply-To"] = (
        "help@acme.example",
        f"Re: Help {at}",
        f"<{at}@x>",
    )
    message.set_content(ANSWER)
    return message


@pytest.mark.parametrize("form", ["mbox", "zip of EML"])
def test_mail_is_read_by_thread(form: str, tmp_path: Path) -> None:
    """K24: one ticket a thread, its labels as queue, the first answer by someone else as reply."""
    mails = [(mail(at, text, label), reply(at)) for at, (text, label) in enumerate(ROWS)]
    path = tmp_path / f"mail.{form[:3]}"
    if form == "mbox":
        box = mailbox.mbox(path)
        for pair in mails:
            box.add(pair[0])
        for pair in mails:
            box.add(pair[1])
        box.close()
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for at, pair in enumerate(mails):
                archive.writestr(f"mails/{at:02d}-a.eml", pair[0].as_bytes())
                archive.writestr(f"mails/{at:02d}-b.eml", pair[1].as_bytes())
    tickets = read_tickets(path)
    assert [row.label for row in tickets.rows] == [label for _, label in ROWS]
    assert all(text in row.text for row, (text, _) in zip(tickets.rows, ROWS, strict=True))
    assert {(row.answer or "").strip() for row in tickets.rows} == {ANSWER}
    assert all(row.created_at for row in tickets.rows)


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> Path:
    """A workbook as Excel reads it, with its text inline."""
    kinds = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", kinds)
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        names = "".join(
            f'<sheet name="{escape(name)}" sheetId="{at}" r:id="r{at}"/>' for at, name in enumerate(sheets, 1)
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="r{at}" Type="{office}/worksheet" Target="worksheets/s{at}.xml"/>'
            for at in range(1, len(sheets) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}">{links}</Relationships>'
        )
        for at, rows in enumerate(sheets.values(), 1):
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/s{at}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
            )
    return path  # fmt: skip


def cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


SHEET = [
    ("Report of May", "", ""),
    ("id", "text", "label"),
    *((at, text, label) for at, (text, label) in enumerate(ROWS)),
]


def test_a_workbooks_sheet_is_read(tmp_path: Path) -> None:
    """Titles above the header, whole numbers without .0, sheets of notes passed over, months read together."""
    notes = [("made by Ada",)]
    tickets = read_tickets(workbook(tmp_path / "t.xlsx", {"Notes": notes, "May": SHEET}))
    assert [(row.id, row.text, row.label) for row in tickets.rows[:2]] == [("0", *ROWS[0]), ("1", *ROWS[1])]
    months = {"May": SHEET[:17], "June": [*SHEET[:2], *SHEET[17:]]}
    assert len(read_tickets(workbook(tmp_path / "t.xlsx", months))) == 30


def test_sheets_that_differ_are_asked_about(tmp_path: Path) -> None:
    """Each sheet is named with its size; `part` takes one."""
    agents = [("agent", "team"), *((f"Ada {at}", "x") for at in range(12))]
    path = workbook(tmp_path / "t.xlsx", {"Tickets": SHEET, "Agents": agents})
    with pytest.raises(
        DatasetError, match=r"2 sheets: 'Tickets' \(31 rows\), 'Agents' \(12 rows\)[\s\S]*--part \"Tickets\""
    ):
        read_tickets(path)
    assert len(read_tickets(path, part="tickets")) == 30


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_dataset_folder_is_read_with_its_classes(form: str, tmp_path: Path) -> None:
    """A Hugging Face folder: numbers become the names of their classes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted({label for _, label in ROWS})
    table = pa.table({"text": [text for text, _ in ROWS], "label": [names.index(label) for _, label in ROWS]})
    info = {
        "info": {"features": {"text": {"_type": "Value"}, "label": {"_type": "ClassLabel", "names": names}}}
    }
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    if form == "parquet":
        pq.write_table(
            table.replace_schema_metadata({"huggingface": json.dumps(info)}), folder / "data.parquet"
        )
    else:
        (folder / "dataset_info.json").write_text(json.dumps(info["info"]))
        with (
            pa.OSFile(str(folder / "data-0.arrow"), "wb") as out,
            pa.ipc.new_stream(out, table.schema) as writer,
        ):
            writer.write_table(table)
    assert [(row.text, row.label) for row in read_tickets(tmp_path / "set").rows] == ROWS
