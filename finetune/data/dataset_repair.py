"""Applies people's decisions about a dataset as new versions, undoes them, and lists the open questions.

Each decision that changes rows creates a version without stored rows (finetune/data/object_store.py). Jobs name a version
by its digest, so a running job keeps its rows. The card records who decided and when, also for undone decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from finetune.data.card import Card, describe
from finetune.data.dummy_rows import is_dummy_text
from finetune.data.label_check import LabelCheck
from finetune.data.object_store import ObjectStore
from finetune.data.questions import MAX_DOUBTS, Question, count_open_doubts, open_questions
from finetune.data.reading import check_whole
from finetune.data.repair import (
    CHANGES,
    Decision,
    Draft,
    Repairs,
    apply_decisions,
    changed_rows,
    without_moved,
)
from finetune.data.ticket import DatasetError, Ticket, Tickets

TRIES = 5  # attempts when others repair the same dataset at the same time
MAX_DESCRIBED_ROWS = 5_000  # rows; for more, the card keeps its counts of copies and its split, as computing them takes a minute
DECIDED = "Somebody has decided this already, so nothing was changed."


@dataclass(frozen=True)
class Decider:
    """The person who decides: an id and a display name."""

    id: str
    name: str


@dataclass(frozen=True)
class Inspection:
    """The open questions about a version and the decisions on it; `notes` name what was not checked."""

    card: Card
    questions: tuple[Question, ...]
    decisions: tuple[Decision, ...]
    is_checked: bool
    notes: tuple[str, ...] = ()


class DatasetRepair:
    """The repairs of one store; `now` gives the time; datasets added by `bundler` cannot be repaired."""

    def __init__(self, objects: ObjectStore, now: Callable[[], datetime], bundler: str) -> None:
        self._objects, self._now, self._bundler = objects, now, bundler

    def inspect(self, card: Card) -> Inspection:
        """The open questions about a version's rows, with examples."""
        repairs, check = Repairs.from_json(card.repairs, card.digest), self.check_of(card)
        tickets = self._objects.rows(card.digest)
        questions = open_questions(tickets, repairs.in_force, check)
        firsts = list(islice((one for one in questions if one.kind == "label"), MAX_DOUBTS))
        others = [one for one in questions if one.kind != "label"]
        notes = _notes(card, check, count_open_doubts(questions))
        return Inspection(card, (*others, *firsts), repairs.decisions, check is not None, notes)

    def check_of(self, card: Card) -> LabelCheck | None:
        """The label check of a version, or of its base rows."""
        base = Repairs.from_json(card.repairs, card.digest).base
        return self._objects.check_of(card.digest) or self._objects.check_of(base)

    def save_check(self, digest: str, check: LabelCheck) -> None:
        """Store the label check of a digest's rows, for `inspect`."""
        self._objects.save_check(digest, check)

    def decide(self, name: str, draft: Draft, who: Decider) -> Card:
        """Apply a decision; returns the newest version: a new one where rows change, else the same with one more decision.

        DatasetError where nothing would change, or too few rows would be left.
        """
        for _ in range(TRIES):
            card = self._newest(name)
            repairs = self._repairs(card)
            base = self._objects.rows(repairs.base).rows
            rows = changed_rows(apply_decisions(base, repairs.decisions), draft)
            if draft.kind in CHANGES and not rows:
                raise DatasetError(DECIDED, what_next="Look again.")
            decision = self._decision(card, repairs, draft, rows, who)
            if new := self._create_version(
                card, replace(repairs, decisions=(*repairs.decisions, decision)), base
            ):
                return new
        raise DatasetError(f"Others are changing {name} right now.", what_next="Try again in a minute.")

    def undo(self, name: str, number: int, who: Decider) -> Card:
        """Undo a decision, also an earlier one; returns the newest version."""
        for _ in range(TRIES):
            card = self._newest(name)
            repairs = self._repairs(card)
            decision = next((one for one in repairs.in_force if one.number == number), None)
            if decision is None or decision.is_settled:
                raise DatasetError(
                    f"Decision {number} cannot be taken back: it was already, or the rows before it are gone.",
                    what_next="Add the file again to begin anew.",
                )
            at = self._now().isoformat(timespec="seconds")
            reversal = replace(decision, undone_by=who.name, undone_at=at)
            decisions = tuple(reversal if one.number == number else one for one in repairs.decisions)
            if new := self._create_version(
                card, replace(repairs, decisions=decisions), self._objects.rows(repairs.base).rows
            ):
                return new
        raise DatasetError(f"Others are changing {name} right now.", what_next="Try again in a minute.")

    def original_digest(self, card: Card) -> str:
        """The digest of the rows before people's decisions; the version's own without any."""
        return self._repairs(card).base

    def carry_over(self, before: str, card: Card) -> Card:
        """Apply the decisions on the rows `before` to `card`, a newer version; returns the resulting version.

        Returns `card` itself without decisions, and the earlier result if this was done before. A decided label holds until
        the row arrives with another label.
        """
        for _ in range(TRIES):
            live = self._objects.live_versions(card.name)
            newest, past = (
                live[-1],
                [one for one in live if one.repairs and self.original_digest(one) == before],
            )
            if (
                not past
                or before == card.digest
                or (newest.repairs and self.original_digest(newest) == card.digest)
            ):
                return newest
            rows, repairs = self._objects.rows(card.digest).rows, self._repairs(past[-1])
            decisions = without_moved(repairs.decisions, self._objects.rows(before).rows, rows)
            if new := self._create_version(newest, Repairs(card.digest, decisions), rows):
                return new
        raise DatasetError(f"Others are changing {card.name} right now.", what_next="Try again in a minute.")

    def _newest(self, name: str) -> Card:
        cards = self._objects.live_versions(name)
        if not cards:
            raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
        if cards[-1].added_by == self._bundler:
            raise DatasetError(
                f"{name} is a sample that comes with me.", what_next="Repair tickets of your own."
            )
        return cards[-1]

    def _repairs(self, card: Card) -> Repairs:
        """The decisions so far; if the rows before them are gone, they become part of the present rows."""
        repairs = Repairs.from_json(card.repairs, card.digest)
        return repairs if self._objects.has_whole_rows(repairs.base) else repairs.settled_on(card.digest)

    def _decision(self, card: Card, repairs: Repairs, draft: Draft, rows: int, who: Decider) -> Decision:
        number = max((one.number for one in repairs.decisions), default=0) + 1
        version = card.version + (draft.kind in CHANGES)
        at = self._now().isoformat(timespec="seconds")
        return Decision(number, draft.kind, draft.labels, draft.ids, rows, who.id, who.name, at, version)

    def _create_version(self, card: Card, repairs: Repairs, base: Sequence[Ticket]) -> Card | None:
        """Create the version with these decisions; None where somebody else was first."""
        tickets = Tickets(apply_decisions(base, repairs.decisions), card.kind, columns=card.columns)  # type: ignore[arg-type]
        facts: dict[str, Any] = {
            "repairs": repairs.to_json(),
            "noise": self._noise(card, repairs, tickets),
        }
        is_same = tickets.digest == card.digest
        if not is_same:
            check_whole(tickets, f"{card.name}, so repaired,")
        new = replace(card if is_same else self._describe(card, tickets), **facts)
        if self._newest(card.name) != card:  # reading and describing rows is slow
            return None
        if is_same:
            self._objects.rewrite(new)
            return new if self._newest(card.name).version == card.version else None
        fresh = replace(new, version=card.version + 1)
        return fresh if self._objects.create_repaired(fresh) else None

    def _describe(self, card: Card, tickets: Tickets) -> Card:
        """The card with new counts for these rows."""
        now = self._now().isoformat(timespec="seconds")
        sizes = [count for _, count in tickets.classes]
        card = replace(
            card,
            digest=tickets.digest,
            rows=len(tickets),
            classes=tickets.classes,
            balance=round(max(sizes) / min(sizes), 1) if sizes else 1.0,
            tryouts=sum(map(is_dummy_text, tickets.texts)),
            added_at=now,
        )
        if len(tickets) > MAX_DESCRIBED_ROWS:
            return card
        fresh = describe(
            tickets, name=card.name, scopes=card.scopes, licence="", added_by=card.added_by, added_at=now
        )
        counts = ("duplicates", "splits", "weeks", "lengths", "customers")
        return replace(card, **{count: getattr(fresh, count) for count in counts})

    def _noise(self, card: Card, repairs: Repairs, tickets: Tickets) -> Mapping[str, Any]:
        """The card's label noise: the open doubts."""
        check = self.check_of(card)
        if check is None or not card.noise:
            return card.noise
        count = count_open_doubts(open_questions(tickets, repairs.in_force, check))
        return {**card.noise, "suspects": count, "share": round(count / max(1, check.count), 4)}


def _notes(card: Card, check: LabelCheck | None, doubts: int) -> tuple[str, ...]:
    if card.kind != "triage":
        return ()
    if check is None:
        return ("No model has looked at the labels yet.",)
    notes = []
    if check.count < check.total:
        notes.append(f"A model looked at {check.count:,} of {check.total:,} labels, drawn at random.")
    if doubts > MAX_DOUBTS:
        notes.append(f"Of {doubts:,} labels in doubt the {MAX_DOUBTS} most doubtful are asked about first.")
    return tuple(notes)
