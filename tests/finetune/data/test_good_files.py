"""Good files: every promised format gives the same tickets, and guessed columns are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finetune.data.reading import DatasetError, preview, read_tickets
from tests.finetune.data.test_bad_files import ROWS, save

OBJECTS = [{"text": text, "label": label} for text, label in ROWS]


def lines(rows: list[dict[str, object]]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "jsonl", "json array", "parquet", "odd names"])
def test_each_format_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    """CSV with any separator, JSON lines, a JSON array and Parquet read alike."""
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = tmp_path / "t.parquet"
        pq.write_table(pa.Table.from_pylist(OBJECTS), path)
    else:
        mark = {"semicolons": ";", "tsv": "\t"}.get(kind, ",")
        table = "\n".join(mark.join(row) for row in [("text", "label"), *ROWS])
        odd = "\n".join(",".join(row) for row in [("Ticket Body", "ticket_group"), *ROWS])
        data = {"jsonl": lines(OBJECTS), "json array": json.dumps(OBJECTS), "odd names": odd}.get(kind, table)
        path = save(tmp_path, data, "t.tsv" if kind == "tsv" else "t.data")
    tickets = read_tickets(path)
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
    assert tickets.kind == "triage"
    assert tickets.guessed
    assert tickets.notes[-1].startswith("columns guessed by name: text = ")


def test_question_and_answer_lines_are_replies(tmp_path: Path) -> None:
    """JSON lines of question/answer become the reply task."""
    rows = [{"question": text, "answer": f"We look into it: {label}."} for text, label in ROWS]
    tickets = read_tickets(save(tmp_path, lines(rows), "qa.jsonl"))
    assert tickets.kind == "reply"
    assert tickets.rows[0].answer == "We look into it: billing."


def test_openai_chat_lines_are_replies_with_their_history(tmp_path: Path) -> None:
    """The last assistant turn is the answer, what stands before is the ticket; broken chats are listed."""
    chats: list[dict[str, object]] = [
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text},
                      {"role": "assistant", "content": f"Sorry about {label}."}]}
        for text, label in ROWS
    ]  # fmt: skip
    chats.append({"messages": [{"role": "user", "content": "hello?"}]})
    long = [
        ("user", "Hi"),
        ("assistant", "Hello, what is it?"),
        ("user", "no sound"),
        ("assistant", "Try 2."),
    ]
    chats.append({"messages": [{"role": role, "content": content} for role, content in long]})
    tickets = read_tickets(save(tmp_path, lines(chats), "chat.jsonl"))
    assert (tickets.rows[0].text, tickets.rows[0].answer) == (ROWS[0][0], "Sorry about billing.")
    assert tickets.rows[-1].text == "Customer: Hi\nAgent: Hello, what is it?\nCustomer: no sound"
    assert [(problem.line, problem.column) for problem in tickets.rejections] == [(31, "messages")]
    assert {problem.rule for problem in tickets.problems if problem.is_kept} == {"system prompts left out"}


def zendesk(at: int, text: str, label: str) -> dict[str, object]:
    return {
        "id": 1000 + at,
        "subject": "Help",
        "description": text,
        "requester_id": 7 + at % 5,
        "requester": {"id": 7 + at % 5, "name": "Maya Patel", "email": "maya@acme.test"},
        "assignee": {"name": "Ravi Shah"},
        "group": {"name": label},
        "created_at": f"2026-05-{1 + at % 28:02d}T10:00:00Z",
        "comments": [
            {"author_id": 7 + at % 5, "body": text, "public": True},
            {"author_id": 99, "body": "internal", "public": False},
            {"author_id": 99, "body": "We are on it.", "public": True},
        ],
    }


@pytest.mark.parametrize("whole", [True, False])
def test_a_zendesk_export_is_understood(whole: bool, tmp_path: Path) -> None:
    """Group is the queue, the first public comment of an agent the answer; people's names serve redaction."""
    items = [zendesk(at, text, label) for at, (text, label) in enumerate(ROWS)]
    data = json.dumps({"tickets": items, "count": len(items)}) if whole else lines(items)
    first = read_tickets(save(tmp_path, data, "export.json")).rows[0]
    assert (first.text, first.label, first.answer) == ("Help\n\n" + ROWS[0][0], "billing", "We are on it.")
    assert (first.customer, first.created_at) == ("7", datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert {"Maya Patel", "Ravi Shah"} <= set(first.names)
    assert "Maya" not in json.dumps(first.to_json())


def test_named_columns_win_over_guesses(tmp_path: Path) -> None:
    """`columns` decides; a column that is not there is named with those that are."""
    path = save(tmp_path, "text,notes,queue,area\n" + "\n".join(f"x,{t},q,{q}" for t, q in ROWS))
    tickets = read_tickets(path, {"text": "notes", "label": "area"})
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
    assert not tickets.guessed
    with pytest.raises(DatasetError, match=r"no column 'nope'; it has 'text', 'notes', 'queue', 'area'"):
        read_tickets(path, {"text": "nope", "label": "area"})


def test_columns_without_known_names_are_guessed_by_content(tmp_path: Path) -> None:
    """Long values are the text, few short repeated ones the label; the guess can be seen before reading."""
    path = save(tmp_path, "alpha,beta\n" + "\n".join(",".join(row) for row in ROWS))
    head = preview(path)
    assert dict(head.guess.fields) == {"text": "alpha", "label": "beta"}
    assert head.guess.how == "content"
    assert head.rows[0] == {"alpha": ROWS[0][0], "beta": "billing"}
    assert [row.label for row in read_tickets(path).rows][:3] == ["billing", "login", "bug"]


def test_spellings_of_a_label_become_one(tmp_path: Path) -> None:
    """`Log-in` and `log in` are one queue, named as most rows have it; the note says so."""
    extra = "where is it,Log-in\nwhat is it,log in\nwho is it,log in"
    tickets = read_tickets(save(tmp_path, "text,label\n" + extra + "\n" + "\n".join(map(",".join, ROWS))))
    assert dict(tickets.classes) == {"billing": 10, "bug": 10, "login": 10, "log in": 3}
    assert "label 'Log-in' counts as 'log in' (1 rows)" in tickets.notes


def test_equal_rows_have_equal_digests(tmp_path: Path) -> None:
    """The digest is of the rows: format and file name do not matter, any changed letter does."""
    csv_file = save(tmp_path, "id,text,label\n" + "\n".join(f"{i},{t},{q}" for i, (t, q) in enumerate(ROWS)))
    objects = [{"id": str(i), "text": t, "label": q} for i, (t, q) in enumerate(ROWS)]
    same = read_tickets(save(tmp_path, lines(objects), "same.jsonl"))  # type: ignore[arg-type]
    other = read_tickets(save(tmp_path, lines(objects).replace("today", "todaY"), "other.jsonl"))  # type: ignore[arg-type]
    assert read_tickets(csv_file).digest == same.digest != other.digest


@pytest.mark.parametrize("name", ["Assigned Team", "support_queue", "finalCategory", "intent_name"])
def test_a_column_whose_name_ends_like_a_label_is_one(name: str, tmp_path: Path) -> None:
    """Exports qualify their columns: the team assigned, the category in the end."""
    data = "\n".join(",".join(row) for row in [("Description", name), *ROWS])
    tickets = read_tickets(save(tmp_path, data, "export.csv"))
    assert [(row.text, row.label) for row in tickets.rows] == ROWS


def test_the_name_of_a_class_is_read_before_its_number(tmp_path: Path) -> None:
    """Published sets carry both; a report with numbers for queues helps nobody."""
    data = "\n".join(["text,label,label_text", *(f"{text},{len(label)},{label}" for text, label in ROWS)])
    assert [row.label for row in read_tickets(save(tmp_path, data, "hub.csv")).rows] == [
        row[1] for row in ROWS
    ]


def test_a_given_label_column_leaves_the_text_to_be_guessed(tmp_path: Path) -> None:
    """Naming one column is enough where the other is known by name."""
    data = "\n".join(",".join(row) for row in [("message", "zz"), *ROWS])
    tickets = read_tickets(save(tmp_path, data, "t.csv"), {"label": "zz"})
    assert [(row.text, row.label) for row in tickets.rows] == ROWS
