"""Where people's decisions about a dataset become its next version, or are taken back; and what there is to decide.

Each decision that changes rows makes a version that keeps no rows of its own (finetune/data/object_store.py). Jobs name
a version by its digest, so what runs keeps its rows. Who decided and when stands on the card, undone decisions too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from finetune.data.card import Card, describe
from finetune.data.doubts import LabelCheck
from finetune.data.object_store import Shelf
from finetune.data.questions import MAX_DOUBTS, Question, open_doubts, open_questions
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
from finetune.data.tryouts import is_tryout

TRIES = 5  # against others who repair the same dataset in this moment
MAX_DESCRIBED_ROWS = (
    5_000  # rows; of more, copies and split stay as the card has them: finding them anew takes a minute
)
DECIDED = "Somebody has decided this already, so nothing was changed."


@dataclass(frozen=True)
class Decider:
    """Who decides: an id and a name that is fit to show."""

    id: str
    name: str


@dataclass(frozen=True)
class Inspection:
    """What there is to decide about a version, and the decisions on it; `notes` say what was not looked at."""

    card: Card
    questions: tuple[Question, ...]
    decisions: tuple[Decision, ...]
    is_checked: bool
    notes: tuple[str, ...] = ()


class RepairDesk:
    """The repairs of one store; `now` gives the time, what `bundler` added is everybody's and stays as it is."""

    def __init__(self, shelf: Shelf, now: Callable[[], datetime], bundler: str) -> None:
        self._shelf, self._now, self._bundler = shelf, now, bundler

    def inspect(self, card: Card) -> Inspection:
        """The open questions about a version's rows, with examples."""
        repairs, check = Repairs.from_json(card.repairs, card.digest), self.check_of(card)
        tickets = self._shelf.rows(card.digest)
        questions = open_questions(tickets, repairs.in_force, check)
        firsts = list(islice((one for one in questions if one.kind == "label"), MAX_DOUBTS))
        others = [one for one in questions if one.kind != "label"]
        notes = _notes(card, check, open_doubts(questions))
        return Inspection(card, (*others, *firsts), repairs.decisions, check is not None, notes)

    def check_of(self, card: Card) -> LabelCheck | None:
        """What a model holds against the labels of a version, or of the rows that it is made of."""
        base = Repairs.from_json(card.repairs, card.digest).base
        return self._shelf.check_of(card.digest) or self._shelf.check_of(base)

    def keep_check(self, digest: str, check: LabelCheck) -> None:
        """Keep what a model holds against the labels of a digest's rows, for `inspect`."""
        self._shelf.keep_check(digest, check)

    def decide(self, name: str, draft: Draft, who: Decider) -> Card:
        """The newest version once the decision stands: a new one where rows change, else the same with one more decision.

        DatasetError where nothing would change, or too little would be left.
        """
        for _ in range(TRIES):
            card = self._newest(name)
            repairs = self._repairs(card)
            base = self._shelf.rows(repairs.base).rows
            rows = changed_rows(apply_decisions(base, repairs.decisions), draft)
            if draft.kind in CHANGES and not rows:
                raise DatasetError(DECIDED, what_next="Look again.")
            decision = self._decision(card, repairs, draft, rows, who)
            if new := self._stand(card, replace(repairs, decisions=(*repairs.decisions, decision)), base):
                return new
        raise DatasetError(f"Others are changing {name} right now.", what_next="Try again in a minute.")

    def undo(self, name: str, number: int, who: Decider) -> Card:
        """Takes a decision back, whatever was decided after it; the newest version then."""
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
            if new := self._stand(
                card, replace(repairs, decisions=decisions), self._shelf.rows(repairs.base).rows
            ):
                return new
        raise DatasetError(f"Others are changing {name} right now.", what_next="Try again in a minute.")

    def before(self, card: Card) -> str:
        """The digest of the rows as they were before people's decisions; the version's own where there are none."""
        return self._repairs(card).base

    def carry(self, before: str, card: Card) -> Card:
        """What was decided on the rows `before`, decided on the rows of `card`, a newer version, too: the version that comes of it.

        `card` itself where nothing was decided; where it was carried already, the version of then. A label that was settled
        counts until the row comes with another than before.
        """
        for _ in range(TRIES):
            live = self._shelf.live(card.name)
            newest, past = live[-1], [one for one in live if one.repairs and self.before(one) == before]
            if not past or before == card.digest or (newest.repairs and self.before(newest) == card.digest):
                return newest
            rows, repairs = self._shelf.rows(card.digest).rows, self._repairs(past[-1])
            decisions = without_moved(repairs.decisions, self._shelf.rows(before).rows, rows)
            if new := self._stand(newest, Repairs(card.digest, decisions), rows):
                return new
        raise DatasetError(f"Others are changing {card.name} right now.", what_next="Try again in a minute.")

    def _newest(self, name: str) -> Card:
        cards = self._shelf.live(name)
        if not cards:
            raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
        if cards[-1].added_by == self._bundler:
            raise DatasetError(
                f"{name} is a sample that comes with me.", what_next="Repair tickets of your own."
            )
        return cards[-1]

    def _repairs(self, card: Card) -> Repairs:
        """The decisions so far; where the rows before them are gone, they are settled in the rows that there are."""
        repairs = Repairs.from_json(card.repairs, card.digest)
        return repairs if self._shelf.has_whole_rows(repairs.base) else repairs.settled_on(card.digest)

    def _decision(self, card: Card, repairs: Repairs, draft: Draft, rows: int, who: Decider) -> Decision:
        number = max((one.number for one in repairs.decisions), default=0) + 1
        version = card.version + (draft.kind in CHANGES)
        at = self._now().isoformat(timespec="seconds")
        return Decision(number, draft.kind, draft.labels, draft.ids, rows, who.id, who.name, at, version)

    def _stand(self, card: Card, repairs: Repairs, base: Sequence[Ticket]) -> Card | None:
        """The card under which these decisions stand; None where somebody else was first."""
        tickets = Tickets(apply_decisions(base, repairs.decisions), card.kind, columns=card.columns)  # type: ignore[arg-type]
        facts: dict[str, Any] = {
            "repairs": repairs.to_json(),
            "noise": self._noise(card, repairs, tickets),
        }
        is_same = tickets.digest == card.digest
        if not is_same:
            check_whole(tickets, f"{card.name}, so repaired,")
        new = replace(card if is_same else self._describe(card, tickets), **facts)
        if self._newest(card.name) != card:  # reading and describing rows takes a while
            return None
        if is_same:
            self._shelf.rewrite(new)
            return new if self._newest(card.name).version == card.version else None
        fresh = replace(new, version=card.version + 1)
        return fresh if self._shelf.put_repaired(fresh) else None

    def _describe(self, card: Card, tickets: Tickets) -> Card:
        """The card with the counts of these rows."""
        now = self._now().isoformat(timespec="seconds")
        sizes = [count for _, count in tickets.classes]
        card = replace(
            card,
            digest=tickets.digest,
            rows=len(tickets),
            classes=tickets.classes,
            balance=round(max(sizes) / min(sizes), 1) if sizes else 1.0,
            tryouts=sum(map(is_tryout, tickets.texts)),
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
        """What the card says of the labels: the doubts that are still open."""
        check = self.check_of(card)
        if check is None or not card.noise:
            return card.noise
        count = open_doubts(open_questions(tickets, repairs.in_force, check))
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
