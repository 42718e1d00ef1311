"""The vocabulary of ticket data: one ticket, one problem of a file, a whole set and its digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, overload

from finetune.errors import FinetuneError

Kind = Literal["triage", "reply"]
SHOWN_PROBLEMS = 8
RAW_KEPT = 20_000  # bad rows of which the text is kept
RAW_SHOWN = 2_000  # characters of a bad row that are kept for a person to repair


@dataclass(frozen=True, slots=True)
class Ticket:
    """One resolved ticket: what came in, and the queue it belongs to and/or the answer it got.

    `created_at` is UTC. `names` are people named by the file's own metadata and `line` is where the row
    starts in it: they serve redaction and the list of problems, and are never stored.
    """

    id: str
    text: str
    label: str | None = None
    answer: str | None = None
    customer: str | None = None
    thread: str | None = None
    created_at: datetime | None = None
    names: tuple[str, ...] = field(default=(), compare=False, repr=False)
    line: int = field(default=0, compare=False, repr=False)

    def to_json(self) -> dict[str, str]:
        """The stored form: no empty fields, no names, dates as ISO 8601 in UTC."""
        row = {
            "id": self.id,
            "text": self.text,
            "label": self.label,
            "answer": self.answer,
            "customer": self.customer,
            "thread": self.thread,
            "created_at": self.created_at.astimezone(UTC).isoformat() if self.created_at else None,
        }
        return {key: value for key, value in row.items() if value is not None}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Ticket:
        """The ticket that `to_json` wrote."""
        date = row.get("created_at")
        return Ticket(
            id=row["id"],
            text=row["text"],
            label=row.get("label"),
            answer=row.get("answer"),
            customer=row.get("customer"),
            thread=row.get("thread"),
            created_at=datetime.fromisoformat(date) if date else None,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one place in the file; `is_kept` says that the row was repaired and stays.

    A row that is left out has exactly one that is not kept: the import report counts rows by them.
    """

    line: int
    message: str
    column: str | None = None
    raw: str = ""
    is_kept: bool = False
    unit: str = "line"
    rule: str = ""  # what the import report counts it under

    def __str__(self) -> str:
        place = f"{self.unit} {self.line}" + (f", column {self.column!r}" if self.column else "")
        return f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Record:
    """One row as the file has it: where it starts, its values by column, its text for the bad rows' list."""

    line: int
    values: Mapping[str, Any]
    raw: str = ""
    unit: str = "line"


ReadResult = Record | Problem


@dataclass(frozen=True)
class Intake:
    """What reading saw of the file: its rows, the columns that fitted a field too or were not read, and the
    characters of text and answers that were changed, by what was done."""

    rows: int = 0
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    characters: Mapping[str, int] = field(default_factory=dict)


class Texts(Sequence[str]):
    """The texts of rows that are not all in memory."""

    def __init__(self, rows: Sequence[Ticket]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [row.text for row in self._rows[at]]
        return self._rows[at].text

    def __iter__(self) -> Iterator[str]:
        return (row.text for row in self._rows)


@dataclass(frozen=True)
class Tickets:
    """Rows of one kind, with what was wrong in the file they came from and how its columns were read.

    Many rows lie on disk (`row_file`): go through them in order, or ask for one; never copy them all.
    """

    rows: Sequence[Ticket]
    kind: Kind
    problems: tuple[Problem, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    guessed: bool = False
    notes: tuple[str, ...] = ()
    intake: Intake = field(default_factory=Intake)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def texts(self) -> Sequence[str]:
        """The rows' texts; of rows on disk each is read when it is asked for."""
        return [row.text for row in self.rows] if isinstance(self.rows, tuple) else Texts(self.rows)

    @property
    def rejections(self) -> tuple[Problem, ...]:
        """The problems whose rows were left out."""
        return tuple(problem for problem in self.problems if not problem.is_kept)

    @cached_property
    def classes(self) -> tuple[tuple[str, int], ...]:
        """Each label with its number of rows, most frequent first."""
        counts = Counter(row.label for row in self.rows if row.label is not None)
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical rows: equal rows in equal order give equal digests."""
        if known := getattr(self.rows, "digest", ""):
            return str(known)
        digest = hashlib.sha256()
        for line in canonical_lines(self.rows):
            digest.update(line)
        return digest.hexdigest()


def canonical_lines(rows: Iterable[Ticket]) -> Iterator[bytes]:
    """The rows as JSON lines with sorted keys: what is hashed and what is stored."""
    for row in rows:
        yield (json.dumps(row.to_json(), sort_keys=True, ensure_ascii=False) + "\n").encode()


def canonical(rows: Iterable[Ticket]) -> bytes:
    """All of `canonical_lines` at once."""
    return b"".join(canonical_lines(rows))


class ProblemLog(list[Problem]):
    """Problems of a file in the order that they were found; those beyond the first `RAW_KEPT` without their text."""

    def append(self, problem: Problem) -> None:
        """Take one more."""
        super().append(problem if len(self) < RAW_KEPT or not problem.raw else replace(problem, raw=""))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take these too."""
        for problem in problems:
            self.append(problem)


class DatasetError(FinetuneError):
    """The file is no dataset; `problems` holds every finding, str() the first few and what to do next."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), what_next: str = "") -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(self.problems) - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(part for part in (message, *lines, what_next) if part))
