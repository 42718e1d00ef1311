"""A file of tickets in, validated rows out, with every problem of the file by line.

Covers what `formats` reads. Imports neither torch nor transformers: the bot reads files with it.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.data.columns import Columns, choose_columns, guess_columns, one_hot_name
from finetune.data.containers import folder_files
from finetune.data.dates import DateReader
from finetune.data.formats import read_records
from finetune.data.labels import count_several, merge_spellings, resolve_labels
from finetune.data.row_file import collect_rows
from finetune.data.ticket import (
    RAW_SHOWN,
    DatasetError,
    Intake,
    Problem,
    ProblemLog,
    Record,
    Ticket,
    Tickets,
    canonical,
)
from finetune.data.ticket_reader import CELL_RULES, MAX_LABEL, TicketReader, finalize_rows
from finetune.progress import Progress

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

MAX_BYTES = 4_000_000_000  # of the file, and of its texts
MAX_CLASSES = 500
MIN_ROWS = 10  # the least that any provider accepts for tuning
SAMPLE_ROWS = 1_000
PROGRESS_EVERY = 1_000  # rows
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def read_tickets(
    path: Path,
    columns: Mapping[str, str] | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    part: str | None = None,
    progress: Progress | None = None,
    several: str = "first",
) -> Tickets:
    """Read every good row of the file; `columns` maps our fields to the file's, the rest is guessed.

    `part` names a workbook's sheet or an archive's file, `several` says what is done with rows of several labels
    (`labels.SEVERAL`). Rows that are too many for memory lie on disk.

    Bad rows are left out and stand in `Tickets.problems` with line and column. Raises DatasetError, listing
    every problem, when what is left is no dataset: no rows, under MIN_ROWS, one class, wrong columns.
    """
    _check_file(path, max_bytes)
    records = read_records(path, part)
    problems = ProblemLog()
    ahead = list(itertools.islice(_records(records, problems), SAMPLE_ROWS))
    if not ahead:
        wrong = "no row that can be read" if problems else "no rows below its header"
        raise DatasetError(f"{path.name} has {wrong}.", problems, "Add tickets, one a line.")
    choice = choose_columns(_header(ahead), [record.values for record in ahead], columns)
    dates = DateReader()
    reader = TicketReader(choice, dates, problems)
    counter = RowCounter(path, ahead, max_bytes, progress)
    rows = collect_rows(counter.tickets(itertools.chain(ahead, _records(records, problems)), reader))
    unreadable = sum(not problem.is_kept and problem.rule not in CELL_RULES for problem in problems)
    tickets, notes = finalize_rows(rows, dates)
    problems.extend(dates.problems(choice.fields.get("created_at", "")))
    if reader.kind == "triage":
        longest = None if choice.one_hot else MAX_LABEL
        labels = resolve_labels(tickets, several, choice.fields["label"], longest)
        tickets, spellings = merge_spellings(labels.rows)
        problems.extend(labels.problems)
        notes += [*labels.notes, *spellings]
    result = Tickets(
        rows=tickets,
        kind=reader.kind,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        columns=dict(choice.fields),
        guessed=choice.how != "given",
        notes=tuple(notes + _guess_note(choice)),
        intake=Intake(counter.total + unreadable, dict(choice.also), choice.unread, dict(reader.changes)),
    )
    check_whole(result, path.name)
    return result


class RowCounter:
    """Counts a file's rows while they become tickets: how far it is, and whether its texts are too many."""

    def __init__(self, path: Path, ahead: Sequence[Record], most: int, progress: Progress | None) -> None:
        self.total = 0
        self._path, self._most, self._progress = path, most, progress
        size = sum(len(record.raw.encode()) + 1 for record in ahead) / len(ahead)
        self._about = round(path.stat().st_size / size) if path.is_file() else 0

    def tickets(self, records: Iterable[Record], reader: TicketReader) -> Iterator[Ticket]:
        """The tickets of the records. Raises DatasetError beyond the most characters, Stopped where it is asked for."""
        characters = 0
        for record in records:
            self.total += 1
            if self._progress is not None and self.total % PROGRESS_EVERY == 0:
                self._progress.check()
                self._progress.step(self.total, max(self._about, self.total + 1), None, None)
            if (ticket := reader.ticket(record)) is None:
                continue
            characters += len(ticket.text) + len(ticket.answer or "")
            if characters > self._most:
                raise _too_large(self._path, characters, self._most)
            yield ticket


@dataclass(frozen=True)
class Preview:
    """The head of a file: its columns in order, the first rows by column, and the guess to be confirmed.

    `several` are the columns of which cells hold several labels, with the share of cells that do.
    """

    header: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    guess: Columns
    several: Mapping[str, float] = field(default_factory=dict)

    def cell(self, row: int, column: str | None) -> str:
        """A row's value in one line, empty without one."""
        return "" if column is None else " ".join(str(self.rows[row].get(column) or "").split())


def read_file(
    path: Path,
    columns: Mapping[str, str] | None = None,
    problems_to: Path | None = None,
    part: str | None = None,
    progress: Progress | None = None,
    several: str = "first",
) -> Tickets:
    """The rows of a file; where it is refused as a whole, `problems_to` gets the list of what is wrong with it."""
    if progress is not None:
        progress.phase("reading")
    try:
        return read_tickets(path, columns, part=part, progress=progress, several=several)
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
    cells = {
        name: [str(guess.value(row, "label") if name not in row else row[name] or "") for row in sample]
        for name in header
    }
    counts = {name: count_several(values, name) / len(sample) for name, values in cells.items()}
    several = {name: share for name, share in counts.items() if share}
    return Preview(tuple(header), tuple(first), guess, several)


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
