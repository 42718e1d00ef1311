"""Every small file of ../shared/data/files goes through `trainwise datasets add` and comes out as its README says."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.data.card import Card
from finetune.data.reading import read_tickets
from finetune.data.store import DatasetStore, suggest_name
from finetune.data.ticket import DatasetError, Tickets

QUEUES = {"billing", "bug", "login", "shipping"}
Check = Callable[[Card, Tickets, list[dict[str, str]]], bool]


def queues(card: Card) -> set[str]:
    return {name.casefold() for name, _ in card.classes}


def has_all(part: str) -> Check:
    """Whether each row's own words stand in its ticket."""
    return lambda _, tickets, rows: all(
        rows[at][part].split(".")[0] in row.text for at, row in enumerate(tickets.rows)
    )


CHECKS: dict[str, Check] = {
    "K01_assigned_team.csv": lambda card, _, rows: card.columns["label"] == "Assigned Team" and card.rows == len(rows),
    "K02_github_state.csv": lambda card, *_: card.columns["label"] == "labels" and queues(card) == QUEUES,
    "K02_status_abteilung.csv": lambda card, *_: card.columns["label"] == "Abteilung" and queues(card) == QUEUES,
    "K03_long_record.csv.gz": lambda card, *_: queues(card) == QUEUES and card.rows == 48 and card.rejected == 0,
    "K04_forwarded.csv": lambda card, tickets, rows: card.rows == len(rows) and all(len(row.text.split()) > 6 for row in tickets.rows),
    "K05_code.csv": lambda _, tickets, __: any("<port>841</port>" in row.text for row in tickets.rows) and any("onClick={save}" in row.text for row in tickets.rows),
    "K06_subject_only.csv": lambda card, tickets, rows: card.rows == len(rows) and has_all("Subject")(card, tickets, rows),
    "K07_named_label.csv": lambda card, *_: set(card.columns) == {"text", "label", "customer", "created_at", "subject"},
    "K08_error_codes.csv": lambda card, _, rows: card.rows == len(rows),
    "K09_numbers_that_stay.csv": lambda card, tickets, rows: not card.redactions and [row.text for row in tickets.rows] == [row["text"] for row in rows],
    "K10_secrets_that_go.csv": lambda card, tickets, _: dict(card.redactions) == {"SECRET": 5, "EMAIL": 1} and "hunter2" not in str(tickets.rows),
    "K11_alpaca.json": lambda card, tickets, _: card.rows == 48 and "\n\nThe customer writes in German." in tickets.rows[0].text,
    "K11_openai_parts.jsonl": lambda card, *_: card.kind == "reply" and card.rows == 30,
    "K11_sharegpt.jsonl": lambda card, *_: card.kind == "reply" and card.rows == 48 and card.intake["repaired"] == {"system prompts left out": 48},
    "K15_header_row3_wide.csv": lambda card, *_: card.rows == 48 and card.intake["left_out"] == {"title lines": 2},
    "K16_jira_doubled.csv": lambda card, *_: queues(card) == QUEUES and {"Labels", "Labels 2"} <= {*card.intake["unread"], *card.columns.values()},
    "K17_label_nan.csv": lambda card, *_: queues(card) == QUEUES and card.intake["left_out"] == {"no label": 12},
    "K18_labels_joined.csv": lambda card, *_: queues(card) == QUEUES and any("several labels" in note for note in card.notes),
    "K19_dates_ampm.csv": lambda card, tickets, _: all(row.created_at for row in tickets.rows) and card.repaired == 0,
    "K19_dates_jira.csv": lambda card, tickets, _: all(row.created_at for row in tickets.rows) and card.repaired == 0,
    "K20_french_headers.csv": lambda card, *_: {"text", "label", "customer", "created_at", "subject", "id"} == set(card.columns),
    "K21_label_name_empty.csv": lambda card, *_: card.columns["label"] == "label" and card.rows == 48,
    "K22_backslash_quotes.csv": lambda card, tickets, _: card.rows == 48 and all('"not found", twice' in row.text for row in tickets.rows),
    "K22_trailing_separator.csv": lambda card, *_: card.rows == 48 and queues(card) == QUEUES,
    "K23_freshdesk.json": lambda card, *_: card.rows == 48 and card.columns["label"] == "type" and "group_id" in card.intake["unread"],
    "K23_servicenow_api.json": lambda card, *_: card.rows == 48 and card.columns["label"] == "assignment_group.display_value",
    "K24_mailbox.mbox": lambda card, *_: card.rows == 20 and queues(card) == QUEUES,
    "K25_about_automatic_mail.csv": lambda card, _, rows: card.rows == len(rows) and "mail" in queues(card),
    "K26_names_that_are_words.csv": lambda card, tickets, rows: not card.redactions and [row.text for row in tickets.rows] == [row["text"] for row in rows],
    "K28_tiny60.csv": lambda card, _, rows: card.rows == len(rows),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_each_kind_of_file_comes_out_right(name: str, shared_data: Path, tmp_path: Path) -> None:
    """The queue, the rows and the texts are those that the file's README asks for, and each row is accounted for."""
    path = shared_data / "files" / name
    if not path.is_file():
        pytest.skip(f"no {name} in {shared_data / 'files'}")
    store = DatasetStore(str(tmp_path / "store"))
    card = store.add(path, suggest_name(path.stem), "me", frozenset({"workspace"}), "")
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig"))) if path.suffix == ".csv" else []
    assert CHECKS[name](card, store.tickets(card.digest), rows), card.to_json()
    assert card.intake["rows"] == card.intake["kept"] + sum(card.intake["left_out"].values())


def test_a_knowledge_base_is_no_dataset_and_says_so(shared_data: Path) -> None:
    """K14 holds articles without a queue: as tickets it is refused with the columns at hand."""
    with pytest.raises(DatasetError, match="'id', 'title', 'body'"):
        read_tickets(shared_data / "files" / "K14_kb_html.csv")
