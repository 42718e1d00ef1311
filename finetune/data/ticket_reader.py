"""Records made into tickets one by one, each cell's damage repaired and told; then their dates and distinct ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from finetune.data.columns import Columns
from finetune.data.dates import DateReader
from finetune.data.encoding import clean_text
from finetune.data.labels import LINE, LONG, describe_long_label, is_no_label, one_line_each
from finetune.data.row_file import collect_rows
from finetune.data.ticket import RAW_SHOWN, Kind, Problem, Record, Ticket

MAX_TEXT = 50_000  # characters of one field
MAX_LABEL = 80
CELL_RULES = frozenset(("no text", "no label", "no answer", LONG, "written by the team"))


class TicketReader:
    """Makes tickets of a file's records, and keeps each record's problems and what was changed in its texts."""

    def __init__(self, choice: Columns, dates: DateReader, problems: list[Problem]) -> None:
        self.kind: Kind = "triage" if "label" in choice.fields else "reply"
        self.changes: Counter[str] = Counter()
        self._choice, self._dates, self._problems = choice, dates, problems

    def ticket(self, record: Record) -> Ticket | None:
        """The record as a ticket, or None after noting why not. A ticket without a body is its subject."""
        repairs: list[Problem] = []
        values = {
            field: self._value(record, field, column, repairs)
            for field, column in self._choice.fields.items()
        }
        text, subject = values["text"], values.get("subject", "")
        if subject and not text.casefold().startswith(subject.casefold()):
            text = f"{subject}\n\n{text}".strip()
        label, answer = one_line_each(values.get("label", "")), values.get("answer", "")
        if self.kind == "triage" and self._choice.is_by_team(record.values):
            message = "is a message of the team, no ticket"
            self._problems.append(_problem(record, "written by the team", message, self._choice.role))
            return None
        if (rejection := self._rejection(text, label, answer)) is not None:
            rule, message, field = rejection
            self._problems.append(_problem(record, rule, message, self._choice.fields[field]))
            return None
        self._problems.extend(repairs)
        self._dates.add(values.get("created_at", ""), record.line, record.unit)
        people = {clean_text(str(record.values.get(column) or ""))[0] for column in self._choice.people}
        return Ticket(
            id=values.get("id") or f"{record.unit}-{record.line}",
            text=text,
            label=None if is_no_label(label) else label,
            answer=answer or None,
            customer=values.get("customer") or None,
            thread=values.get("thread") or None,
            names=tuple(sorted(people - {""})),
            line=record.line,
        )

    def _value(self, record: Record, field: str, column: str, repairs: list[Problem]) -> str:
        """The field's text, repaired and cut to length, either of which is noted."""
        value, is_repair = _clean_value(self._choice.value(record.values, field), field, self.changes)
        if len(value) > MAX_TEXT:
            message = f"has {len(value):,} characters: cut to {MAX_TEXT:,}"
            repairs.append(_problem(record, "cut to length", message, column, is_kept=True))
            self.changes["cut to length"] += len(value) - MAX_TEXT
        elif is_repair:
            message = "had garbled characters (wrong encoding), now repaired"
            repairs.append(_problem(record, "other encodings", message, column, is_kept=True))
        return value[:MAX_TEXT]

    def _rejection(self, text: str, label: str, answer: str) -> tuple[str, str, str] | None:
        """Why these texts are no ticket: the rule, the message and the field that is to blame; None where they are."""
        if not text:
            return "no text", "is empty", "text"
        if self.kind == "reply":
            return None if answer else ("no answer", "is empty", "answer")
        if is_no_label(label):
            return "no label", f"has no label ({label!r})" if label else "has no label: it is empty", "label"
        if len(label) > MAX_LABEL and not self._choice.one_hot and not _is_list(label):
            return LONG, describe_long_label(label, MAX_LABEL), "label"
        return None


def _problem(record: Record, rule: str, message: str, column: str, is_kept: bool = False) -> Problem:
    return Problem(record.line, message, column, record.raw[:RAW_SHOWN], is_kept, record.unit, rule)


def _is_list(label: str) -> bool:
    return label.startswith(("[", "{")) or LINE in label or label.count(",") > 2 or label.count(";") > 2


def _clean_value(raw: Any, field: str, changes: Counter[str]) -> tuple[str, bool]:
    """The value without damage, and whether letters were repaired; what changed in texts is counted."""
    before = "" if raw is None else str(raw)
    value, is_repair = clean_text(before)
    if field in ("text", "answer", "subject") and value != before:
        if is_repair:
            changes["garbled letters repaired"] += abs(len(before) - len(value)) or 1
        elif blank := len(before) - len(before.strip()):
            changes["blank at the ends"] += blank
        if not is_repair and (rest := len(before.strip()) - len(value)) > 0:
            changes["control and direction marks"] += rest
    return value, is_repair


def finalize_rows(rows: Sequence[Ticket], dates: DateReader) -> tuple[Sequence[Ticket], list[str]]:
    """Give rows their dates and distinct ids; messages that share an id are one thread."""
    times, notes = dates.resolve()
    shared = _shared_ids(rows)
    if shared:
        notes.append(f"{len(shared)} ids stand on several rows; rows that share an id count as one thread")
    elif not any(times):
        return rows, notes
    return collect_rows(_with_times(rows, times, shared)), notes


def _shared_ids(rows: Sequence[Ticket]) -> set[str]:
    """The ids that stand on several rows; each is held by its hash until it stands again."""
    first: set[int] = set()
    again = {key for row in rows if (key := hash(row.id)) in first or first.add(key)}  # type: ignore[func-returns-value]
    if not again:
        return set()
    counts = Counter(row.id for row in rows if hash(row.id) in again)
    return {id for id, count in counts.items() if count > 1}


def _with_times(
    rows: Iterable[Ticket], times: Iterable[datetime | None], shared: set[str]
) -> Iterator[Ticket]:
    place: Counter[str] = Counter()
    for row, when in zip(rows, times, strict=True):
        if row.id not in shared:
            yield replace(row, created_at=when) if when else row
            continue
        place[row.id] += 1
        id_alone = f"{row.id}#{place[row.id]}"
        yield replace(row, created_at=when, id=id_alone, thread=row.thread or row.id)
