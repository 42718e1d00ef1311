"""The interface of a help desk as a source: four calls, their values, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from finetune.errors import FinetuneError
from finetune.registry import Variable

Cursor = Mapping[str, Any]
Wait = Callable[[float, str], None]
"""Waits some seconds for the given reason; may raise to stop the pull, which then resumes from here."""

LAG_S = 120.0
"""A search index shows changes late: the next pull reads this many seconds before the last change again."""


class SourceError(FinetuneError):
    """A pull did not do what it was asked; says what to do next."""


class BadToken(SourceError):
    """The source does not take the token (any more), or it may not read what was asked."""


class Missing(SourceError):
    """The source does not know the address or the project."""


class Refusal(SourceError):
    """The source calls the request wrong; `detail` is its own sentence."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ExpiredCursor(SourceError):
    """The source rejects the cursor: the pull has to continue by time."""


class NoAnswer(SourceError):
    """The source did not answer: nothing is lost, and a later pull goes on where this one was."""

    retryable = True


class AskedToWait(NoAnswer):
    """The source wants a longer pause than a pull waits for: `wait_s` seconds."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Query:
    """What is asked of a source: the project, our fields by the source's, and the oldest change to read (ISO date, "": all).

    `labels` are those that count where a ticket has several; `has_replies` asks for questions and the team's replies instead of
    queues. Holds no secret: it is kept in the ledger and beside the dataset.
    """

    project: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    since: str = ""
    has_replies: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "project": self.project,
            "columns": dict(self.columns),
            "labels": list(self.labels),
            "since": self.since,
            **({"has_replies": True} if self.has_replies else {}),
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Query:
        """What `to_json` wrote."""
        columns, labels = dict(values["columns"]), tuple(values["labels"])
        has_replies = bool(values.get("has_replies"))
        return Query(values["project"], columns, labels, values["since"], has_replies)


@dataclass(frozen=True)
class Page:
    """One answer: its rows as the source has them, where to go on, and the newest change in it (Unix seconds).

    The cursor of the last page is where the next pull begins. `gone_ids` are those of deleted tickets, `skips` rows that are no
    customer's ticket, counted by what they are.
    """

    rows: tuple[Mapping[str, Any], ...]
    cursor: Cursor
    is_last: bool
    until: float | None = None
    gone_ids: tuple[str, ...] = ()
    skips: Mapping[str, int] = field(default_factory=dict)


class Connection(Protocol):
    """One source with its token. Every call may raise SourceError."""

    def ping(self) -> None:
        """Asks for nothing, to see that the address answers and the token is taken."""
        ...

    def resolve(self, query: Query) -> Query:
        """The query by the source's own names of fields; refuses a project or a field that is not there, where it can be asked."""
        ...

    def start(self, query: Query, since: float | None) -> Cursor:
        """Where to begin to read what changed since (Unix seconds; None: everything)."""
        ...

    def page(self, query: Query, cursor: Cursor) -> Page:
        """The rows from there on, in the order in which they changed. ExpiredCursor: `start` from the last change.

        Where the query `has_replies`, each row has what `exchange.with_exchange` adds; a row without both is no loss: it is left
        out and counted.
        """
        ...


@dataclass(frozen=True)
class Source:
    """One kind of help desk as data; `connect` makes a connection of the settings' values.

    `columns` are its fields for ours, the label's only a default; `project` says what the word after its name is ("": it has
    none), `projects` the setting that lists those allowed. `example` is a label field in its own words. `has_replies` says that
    its `page` can add the team's replies.
    """

    name: str
    label: str
    variables: tuple[Variable, ...]
    connect: Callable[[Mapping[str, str], Wait], Connection]
    columns: Mapping[str, str]
    project: str = ""
    projects: str = ""
    example: str = ""
    has_replies: bool = False

    def is_configured(self, values: Mapping[str, str]) -> bool:
        """Whether every setting without a default has a value."""
        return not self.gaps(values)

    def gaps(self, values: Mapping[str, str]) -> list[str]:
        """The settings that are missing."""
        return [one.name for one in self.variables if one.default is None and not values.get(one.name)]

    def query(
        self,
        project: str,
        columns: Mapping[str, str],
        labels: tuple[str, ...],
        since: str,
        has_replies: bool = False,
    ) -> Query:
        """The query with the source's usual fields where none was named. SourceError for replies that it cannot give."""
        if has_replies and not self.has_replies:
            raise SourceError(f"{self.label} gives no replies of the team: pull its tickets without them.")
        return Query(project.strip(), {**self.columns, **columns}, labels, since, has_replies)

    def check(self, values: Mapping[str, str], project: str) -> None:
        """SourceError where settings lack, or the project is missing, none is taken, or it is not on the list."""
        if gaps := self.gaps(values):
            raise SourceError(
                f"{self.label} is not connected: {', '.join(gaps)} {'is' if len(gaps) == 1 else 'are'} not set. Set them where "
                "the bot and this command run (a token also as a file that NAME_FILE names); docs/howto/pull-tickets.md says how."
            )
        if self.project and not project.strip():
            raise SourceError(f"{self.label} needs {self.project}: name it after `{self.name}`.")
        if project.strip() and not self.project:
            raise SourceError(f"{self.label} is pulled as a whole: leave {project.strip()[:40]!r} out.")
        allow_list = [
            one.strip().casefold() for one in values.get(self.projects, "").split(",") if one.strip()
        ]
        if allow_list and project.strip().casefold() not in allow_list:
            raise SourceError(
                f"{project.strip()[:80]} may not be pulled here: {self.projects} allows {', '.join(allow_list)[:200]}."
            )


def refuse_wait(seconds: float, why: str) -> None:
    """A `Wait` that raises instead of waiting, for a connection that makes a single call."""
    raise AskedToWait(f"{why}: try again in {seconds:.0f} seconds.", seconds)
