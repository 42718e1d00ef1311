"""A file of tickets in, validated rows out, with every problem of the file by line.

Covers what `formats` reads. Imports neither torch nor transformers: the bot reads files with it.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.data.columns import Columns, choose_columns, guess_columns, one_hot_name
from finetune.data.containers import folder_files
from finetune.data.dates import DateReader
from finetune.data.encoding import clean_text
from finetune.data.formats import read_records
from finetune.data.labels import is_no_label, merge_spellings, settle_labels
from finetune.data.ticket import (
    RAW_SHOWN,
    DatasetError,
    Intake,
    Kind,
    Problem,
    Record,
    Ticket,
    Tickets,
    canonical,
)

__all__ = [
    "DatasetError",
    "Preview",
    "Problem",
    "Ticket",
    "Tickets",
    "canonical",
    "preview",
    "read_tickets",
    "write_problems",
]

MAX_BYTES = 200_000_000
MAX_TEXT = 50_000  # characters of one field
MAX_LABEL = 80
MAX_CLASSES = 500
MIN_ROWS = 10  # the least that any provider accepts for tuning
SAMPLE_ROWS = 1_000
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def read_tickets(
    path: Path,
    columns: Mapping[str, str] | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    part: str | None = None,
) -> Tickets:
    """Read every good row of the file; `columns` maps our fields to the file's, the rest is guessed.

    `part` names a workbook's sheet or an archive's file.

    Bad rows are left out and stand in `Tickets.problems` with line and column. Raises DatasetError, listing
    every problem, when what is left is no dataset: no rows, under MIN_ROWS, one class, wrong columns.
    """
    _check_file(path, max_bytes)
    records = read_records(path, part)
    problems: list[Problem] = []
    ahead = list(itertools.islice(_records(records, problems), SAMPLE_ROWS))
    if not ahead:
        wrong = "no row that can be read" if problems else "no rows below its header"
        raise DatasetError(f"{path.name} has {wrong}.", problems, "Add tickets, one a line.")
    choice = choose_columns(_header(ahead), [record.values for record in ahead], columns)
    dates = DateReader()
    reader, rows = TicketReader(choice, dates, problems), []
    characters = total = 0
    for record in itertools.chain(ahead, _records(records, problems)):
        total += 1
        ticket = reader.ticket(record)
        if ticket is None:
            continue
        characters += len(ticket.text) + len(ticket.answer or "")
        if characters > max_bytes:
            raise _too_large(path, characters, max_bytes)
        rows.append(ticket)
    unreadable = sum(not problem.is_kept and problem.rule not in CELL_RULES for problem in problems)
    tickets, notes = settle_rows(rows, dates)
    problems.extend(dates.problems(choice.fields.get("created_at", "")))
    if reader.kind == "triage":
        tickets, several = settle_labels(tickets)
        tickets, spellings = merge_spellings(tickets)
        notes += several + spellings
    result = Tickets(
        rows=tuple(tickets),
        kind=reader.kind,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        columns=dict(choice.fields),
        guessed=choice.how != "given",
        notes=tuple(notes + _guess_note(choice)),
        intake=Intake(total + unreadable, dict(choice.also), choice.unread, dict(reader.changes)),
    )
    check_whole(result, path.name)
    return result


@dataclass(frozen=True)
class Preview:
    """The head of a file: its columns in order, the first rows by column, and the guess to be confirmed."""

    header: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    guess: Columns

    def cell(self, row: int, column: str | None) -> str:
        """A row's value in one line, empty without one."""
        return "" if column is None else " ".join(str(self.rows[row].get(column) or "").split())


def read_file(
    path: Path,
    columns: Mapping[str, str] | None = None,
    problems_to: Path | None = None,
    part: str | None = None,
) -> Tickets:
    """The rows of a file; where it is refused as a whole, `problems_to` gets the list of what is wrong with it."""
    try:
        return read_tickets(path, columns, part=part)
    except DatasetError as refused:
        if problems_to and refused.problems:
            write_problems(refused, problems_to)
        raise


def preview(
    path: Path, rows: int = 3, part: str | None = None, choice: Mapping[str, str] | None = None
) -> Preview:
    """What a person confirms before the file is read: `choice`, and guesses for the rest; fields may lack.

    Raises DatasetError for a file that has no rows, no header, or a format that is not read.
    """
    _check_file(path, MAX_BYTES)
    ahead = list(itertools.islice(_records(read_records(path, part), []), SAMPLE_ROWS))
    if not ahead:
        raise DatasetError(f"{path.name} has no rows below its header.", what_next="Add tickets, one a line.")
    header, sample = _header(ahead), [record.values for record in ahead]
    guess = guess_columns(header, sample, choice)
    first: list[Mapping[str, Any]] = list(sample[:rows])
    if guess.one_hot:  # the yes/no columns are one answer: shown as a column of its own
        header = [*header, one_hot_name(guess.one_hot)]
        first = [{**row, header[-1]: guess.value(row, "label")} for row in first]
    return Preview(tuple(header), tuple(first), guess)


def write_problems(tickets: Tickets | DatasetError, path: Path) -> int:
    """Write every problem as CSV (line, column, problem, kept, row) for a person to repair; return how many.

    Cells that a spreadsheet would run as a formula get a leading apostrophe.
    """
    try:
        with path.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.writer(stream)
            writer.writerow(["line", "column", "problem", "kept", "row"])
            for problem in tickets.problems:
                what = "repaired" if problem.is_kept else "left out"
                cells = [problem.column or "", problem.message, what, problem.raw[:RAW_SHOWN]]
                writer.writerow([problem.line, *map(neutral_cell, cells)])
    except OSError as error:
        message = f"The list of bad rows could not be written to {path.name}: {error.strerror}."
        raise DatasetError(message, what_next="Choose a folder that you may write to.") from error
    return len(tickets.problems)


def neutral_cell(value: str) -> str:
    """The value, safe to open in a spreadsheet: never a formula (OWASP's CSV injection advice)."""
    return "'" + value if value.lstrip(" \n").startswith(FORMULA_STARTS) else value


def _check_file(path: Path, max_bytes: int) -> None:
    if path.is_dir() and folder_files(path):
        return
    if not path.is_file():
        raise DatasetError(f"There is no file {path.name}.", what_next="Check the path.")
    size = path.stat().st_size
    if size > max_bytes:
        raise _too_large(path, size, max_bytes)


def _too_large(path: Path, size: int, max_bytes: int) -> DatasetError:
    message = f"{path.name} holds {size / 1e6:,.0f} MB; the limit is {max_bytes / 1e6:,.0f} MB."
    return DatasetError(message, what_next="Send the most recent tickets only: 20,000 are plenty.")


def _records(records: Iterator[Record | Problem], problems: list[Problem]) -> Iterator[Record]:
    for item in records:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            yield item


def _header(ahead: list[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in ahead for name in record.values))


CELL_RULES = frozenset(("no text", "no label", "no answer", "long labels"))


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
        label, answer = " ".join(values.get("label", "").split()), values.get("answer", "")
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
            message = f"is no queue name: {len(label)} characters (at most {MAX_LABEL})"
            return "long labels", message, "label"
        return None


def _problem(record: Record, rule: str, message: str, column: str, is_kept: bool = False) -> Problem:
    return Problem(record.line, message, column, record.raw[:RAW_SHOWN], is_kept, record.unit, rule)


def _is_list(label: str) -> bool:
    return label.startswith(("[", "{")) or label.count(",") > 2 or label.count(";") > 2


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


def settle_rows(rows: list[Ticket], dates: DateReader) -> tuple[list[Ticket], list[str]]:
    """Give rows their dates and distinct ids; messages that share an id are one thread."""
    times, notes = dates.resolve()
    rows = [replace(row, created_at=when) for row, when in zip(rows, times, strict=True)]
    counts = Counter(row.id for row in rows)
    shared = [id for id, count in counts.items() if count > 1]
    if not shared:
        return rows, notes
    notes.append(f"{len(shared)} ids stand on several rows; rows that share an id count as one thread")
    place: Counter[str] = Counter()
    dated_rows = []
    for row in rows:
        if counts[row.id] > 1:
            place[row.id] += 1
            row = replace(row, id=f"{row.id}#{place[row.id]}", thread=row.thread or row.id)
        dated_rows.append(row)
    return dated_rows, notes


def _guess_note(choice: Columns) -> list[str]:
    if choice.how == "given":
        return []
    guess = ", ".join(f"{field} = {column}" for field, column in choice.fields.items())
    return [f"columns guessed by {choice.how}: {guess}"]


def check_whole(tickets: Tickets, name: str) -> None:
    """Raise DatasetError when the good rows are no dataset, with every problem found on the way."""
    count = len(tickets)
    if count < MIN_ROWS:
        rows = "row" if count == 1 else "rows"
        message = f"{name} has {count} usable {rows}; at least {MIN_ROWS} are needed."
        hint = "Repair the lines above" if tickets.rejections else "Export more tickets"
        raise DatasetError(message, tickets.problems, f"{hint}; 50 to 200 per queue give a useful model.")
    if tickets.kind == "reply":
        return
    column, classes = tickets.columns.get("label", "label"), tickets.classes
    if len(classes) == 1:
        message = (
            f"column {column!r} of {name} has one class only ({classes[0][0]!r}): nothing to tell apart."
        )
        raise DatasetError(message, tickets.problems, "Add tickets of other queues, or name another column.")
    if len(classes) > MAX_CLASSES or (count >= 50 and len(classes) > count / 2):
        message = f"column {column!r} of {name} has {len(classes)} different values in {count} rows."
        raise DatasetError(
            message, tickets.problems, "That is no queue: name the column that holds the label."
        )
