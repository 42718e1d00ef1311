"""Imports one page of a pull: reads, cleans and redacts its rows before anything is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from finetune.data.column_names import PEOPLE, name_forms, plain_name
from finetune.data.columns import Columns
from finetune.data.dates import DateReader
from finetune.data.exports import flat_values
from finetune.data.ticket import Intake, Problem, Record, Ticket, Tickets
from finetune.data.ticket_reader import TicketReader, finalize_rows
from finetune.errors import did_you_mean
from finetune.sources.contract import Page, Query, SourceError
from finetune.sources.exchange import QUESTION, REPLY

Prepare = Callable[[Tickets], tuple[Tickets, Mapping[str, Any]]]
OBJECT_NAMES = ("name", "value", "title", "displayName", "email", "id")
SHOWN = 25
SEVERAL = "had several labels: one was taken"
OTHER_LABELS = "of other queues"


def resolve_columns(page: Page, query: Query) -> Query:
    """The query with columns as the first rows have them; SourceError, with what there is, for one that no row has."""
    header = list(dict.fromkeys(name for row in page.rows for name in flat_values(row)))
    if not header:
        return query
    columns = {field: _find(name, header) for field, name in query.columns.items()}
    for field in ("label", "text"):
        if columns.get(field) is None and not query.has_replies:
            name = query.columns[field]
            raise SourceError(
                f"No ticket has a field {name[:60]!r} for the {field}.{did_you_mean(name, header)} "
                f"Name one of: {', '.join(header[:SHOWN])}{', ...' if len(header) > SHOWN else ''}."
            )
    return replace(query, columns={field: name for field, name in columns.items() if name})


def _find(name: str, header: Sequence[str]) -> str | None:
    """The field of this name: itself, what an object of this name holds, or the one that ends so."""
    if name in header:
        return name
    for part in OBJECT_NAMES:
        if f"{name}.{part}" in header:
            return f"{name}.{part}"
    plain = plain_name(name)
    alike = [one for one in header if plain in (plain_name(one), plain_name(one.rpartition(".")[2]))]
    return alike[0] if len(alike) == 1 else None


def import_page(page: Page, query: Query, prepare: Prepare, first: int) -> dict[str, Any]:
    """The page to store, as JSON values: redacted `rows`, ids of tickets that `left`, and counts as `facts`.

    `first` is the number of the page's first ticket in the pull. Fields that were not requested are dropped.
    """
    columns = columns_read(query)
    fields_wanted = set(columns.values())
    page = _last_states(page, query.columns["id"])
    flat = [flat_values(row) for row in page.rows]
    ids = [str(values.get(query.columns["id"], "")) for values in flat]
    people = tuple(
        name
        for name in dict.fromkeys(name for values in flat for name in values)
        if set(name_forms(name)) & set(PEOPLE)
    )
    problems: list[Problem] = []
    several = 0
    dates = DateReader()
    reader = TicketReader(Columns(columns, people, "given"), dates, problems)
    tickets: list[Ticket] = []
    for number, (row, values) in enumerate(zip(page.rows, flat, strict=True), first):
        several += _settle_label(row, values, query)
        if query.has_replies and query.labels and values.get(query.columns.get("label", "")) is None:
            problems.append(Problem(number, "is of another queue", rule=OTHER_LABELS, unit="ticket"))
            continue
        values_kept = {name: values[name] for name in values if name in fields_wanted or name in people}
        if (ticket := reader.ticket(Record(number, values_kept, unit="ticket"))) is not None:
            tickets.append(ticket)
    rows, notes = finalize_rows(tickets, dates)
    arrivals = Tickets(
        tuple(rows),
        reader.kind,
        tuple(problems),
        intake=Intake(len(page.rows), characters=dict(reader.changes)),
    )
    rows_ready, facts = prepare(arrivals)
    here = {row.id for row in rows_ready.rows}
    return {
        "rows": [row.to_json() for row in rows_ready.rows],
        "left": [*page.gone_ids, *(one for one in dict.fromkeys(ids) if one and one not in here)],
        "deleted": len(page.gone_ids),
        "notes": notes,
        "facts": {
            "rows": len(page.rows),
            "left_out": dict(facts["intake"].get("left_out", {})),
            "characters": dict(facts["intake"].get("characters", {})),
            "cleaned": dict(facts["cleaned"]),
            "redactions": dict(facts["redactions"]),
            "repaired": {**facts["intake"].get("repaired", {}), **({SEVERAL: several} if several else {})},
            "not_covered": facts["not_covered"],
            "skips": dict(page.skips),
        },
    }


def columns_read(query: Query) -> dict[str, str]:
    """The fields that tickets are made of: with replies question and reply, and no queue."""
    if not query.has_replies:
        return dict(query.columns)
    rest = {field: name for field, name in query.columns.items() if field not in ("label", "text")}
    return {"text": QUESTION, "answer": REPLY, **rest}


def _settle_label(row: Mapping[str, Any], values: dict[str, Any], query: Query) -> bool:
    """Puts one label in place of several, and none in place of one that was not asked for; whether there were several."""
    label = query.columns.get("label", "")
    names = _list_at(row, label)
    if names:
        values[label] = next((name for name in query.labels if name in names), names[0])
    if query.labels and values.get(label) not in query.labels:
        values[label] = None
    return len(names) > 1


def _last_states(page: Page, column: str) -> Page:
    """The page with the last state of each ticket; rows with one id would count as a thread."""
    ids = [str(flat_values(row).get(column, "")) for row in page.rows]
    last = {one: at for at, one in enumerate(ids) if one}
    rows = tuple(row for at, row in enumerate(page.rows) if last.get(ids[at], at) == at)
    return replace(page, rows=rows)


def _list_at(row: Mapping[str, Any], name: str) -> list[str]:
    """The names in a list under this name; [] where it holds no list."""
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return []
    names = (
        next((one[key] for key in OBJECT_NAMES if one.get(key)), "") if isinstance(one, dict) else one
        for one in value
    )
    return [str(name).strip() for name in names if str(name).strip()]


COUNTED = ("left_out", "characters", "cleaned", "redactions", "repaired", "skips")


def add_facts(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of several pages as one."""
    total: dict[str, Any] = {"rows": sum(one["rows"] for one in facts)}
    for name in COUNTED:
        counts: Counter[str] = Counter()
        for one in facts:
            counts.update(one[name])
        total[name] = dict(counts)
    total["not_covered"] = facts[-1]["not_covered"] if facts else ""
    return total
