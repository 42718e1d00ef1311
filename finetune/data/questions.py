"""The questions to a person about a dataset: labels to merge, dummy rows, doubtful labels. Pure.

A question contains ticket texts (redacted), so it may be shown to one person only, never in a channel.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.data.dummy_rows import is_dummy_text
from finetune.data.label_check import LabelCheck, LabelIssue
from finetune.data.repair import Decision, Draft
from finetune.data.similar_labels import similar_labels
from finetune.data.ticket import DatasetError, Ticket, Tickets

Asking = Literal["merge", "drop", "label"]
EXAMPLES, EXAMPLE_CHARACTERS, TICKET_CHARACTERS = 3, 200, 900
MAX_PAIRS, MAX_DOUBTS = 50, 200
TEXTS_AT_ONCE, ROWS_AT_ONCE = 10, 1_000
CHOICES: Mapping[Asking, tuple[str, ...]] = {
    "merge": ("merge", "other", "apart"),
    "drop": ("drop", "stay"),
    "label": ("change", "keep"),
}
"""The possible answers; `only:PLACE` drops a single text of a `drop` question."""


@dataclass(frozen=True)
class Question:
    """One question; `labels` are (rarer, larger) of a merge or (given, suggested) of a doubt, `counts` their rows.

    `texts` are examples of each label, the ticket in doubt, or texts that look like tests with the ids of their rows.
    """

    id: str
    kind: Asking
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    texts: tuple[tuple[str, tuple[str, ...]], ...]
    why: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its rows; none for a merge."""
        return () if self.kind == "merge" else tuple(id for _, ids in self.texts for id in ids)

    def draft(self, choice: str) -> Draft:
        """The decision for a choice; DatasetError for an unknown choice."""
        only = choice.partition(":")[2] if choice.startswith("only:") else ""
        if self.kind == "drop" and only.isdigit() and int(only) < len(self.texts):
            return Draft("drop", (), self.texts[int(only)][1])
        drafts: dict[tuple[str, str], Draft] = {
            ("merge", "merge"): Draft("merge", self.labels),
            ("merge", "other"): Draft("merge", self.labels[::-1]),
            ("merge", "apart"): Draft("apart", self.labels),
            ("drop", "drop"): Draft("drop", (), self.ids),
            ("drop", "stay"): Draft("stay", (), self.ids),
            ("label", "change"): Draft("label", self.labels, self.ids),
            ("label", "keep"): Draft("keep", self.labels, self.ids),
        }
        if (self.kind, choice) not in drafts:
            offered = ", ".join(CHOICES[self.kind])
            raise DatasetError(f"{choice[:40]!r} answers no such question.", what_next=f"Choose: {offered}.")
        return drafts[self.kind, choice]


def open_questions(
    tickets: Tickets, decisions: Sequence[Decision], check: LabelCheck | None
) -> tuple[Question, ...]:
    """The open questions: labels to merge, then dummy rows, then the most doubtful labels.

    `decisions` are those in force on these rows.
    """
    return (
        *_merges(tickets, decisions, check),
        *_dummy_rows(tickets, decisions),
        *(_doubts(tickets, decisions, check) if check else ()),
    )


def _merges(tickets: Tickets, decisions: Sequence[Decision], check: LabelCheck | None) -> Iterator[Question]:
    apart = {frozenset(one.labels) for one in decisions if one.kind == "apart"}
    count, rank = dict(tickets.classes), {name: at for at, (name, _) in enumerate(tickets.classes)}
    reasons = dict.fromkeys(similar_labels(tickets.classes), "They are spelled alike.")
    for one in check.overlaps if check else ():
        names = {current_label(one.first, decisions), current_label(one.second, decisions)}
        if len(names) == 2 and names <= set(count):
            larger, smaller = sorted(names, key=rank.__getitem__)
            reason = f"A model gives one for the other on {100 * one.share:.0f}% of their tickets."
            reasons.setdefault((smaller, larger), reason)
    pairs = [pair for pair in reasons if frozenset(pair) not in apart][:MAX_PAIRS]
    homes: dict[str, list[Ticket]] = {name: [] for pair in pairs for name in pair}
    for row in tickets.rows:
        if row.label in homes:
            homes[row.label].append(row)
    for pair in pairs:
        texts = tuple(
            (_short(row.text, EXAMPLE_CHARACTERS), (label,)) for label in pair for row in _some(homes[label])
        )
        yield Question(
            _id("merge", *pair), "merge", pair, tuple(count[one] for one in pair), texts, reasons[pair]
        )


def _some(rows: Sequence[Ticket]) -> list[Ticket]:
    """Three rows: the first, the middle and the last."""
    places = {0, len(rows) // 2, len(rows) - 1} if len(rows) >= EXAMPLES else set(range(len(rows)))
    return [rows[place] for place in sorted(places)]


def _dummy_rows(tickets: Tickets, decisions: Sequence[Decision]) -> Iterator[Question]:
    stay = {id for one in decisions if one.kind == "stay" for id in one.ids}
    groups: dict[str, list[str]] = defaultdict(list)
    for row in tickets.rows:
        if is_dummy_text(row.text) and row.id not in stay:
            groups[" ".join(row.text.casefold().split())].append(row.id)
    texts = [(text, tuple(ids[:ROWS_AT_ONCE])) for text, ids in groups.items()]
    for at in range(0, len(texts), TEXTS_AT_ONCE):
        part = tuple(texts[at : at + TEXTS_AT_ONCE])
        ids = [id for _, own in part for id in own]
        yield Question(_id("drop", *ids), "drop", (), (len(ids),), part)


def _doubts(tickets: Tickets, decisions: Sequence[Decision], check: LabelCheck) -> Iterator[Question]:
    answers = {id for one in decisions if one.kind in ("keep", "label") for id in one.ids}
    doubts = {one.id: one for one in check.doubts if one.id not in answers}
    rows = {row.id: row for row in tickets.rows if row.id in doubts}
    count = dict(tickets.classes)
    for id, doubt in doubts.items():
        row, other = rows.get(id), current_label(doubt.other, decisions)
        if row is None or row.label is None or row.label == other or other not in count:
            continue
        texts = ((_short(row.text, TICKET_CHARACTERS), (id,)),)
        labels = (row.label, other)
        counts = tuple(count[one] for one in labels)
        yield Question(_id("label", id, *labels), "label", labels, counts, texts, _why(doubt))


def _why(doubt: LabelIssue) -> str:
    return (
        f"A model that never saw this ticket gives its label {100 * doubt.label_share:.0f}%, the other one "
        f"{100 * doubt.other_share:.0f}%."
    )


def current_label(label: str, decisions: Sequence[Decision]) -> str:
    """The name of an original label after the merges."""
    for one in decisions:
        if one.kind == "merge" and label == one.labels[0]:
            label = one.labels[1]
    return label


def count_open_doubts(questions: Sequence[Question]) -> int:
    """The number of questions about doubtful labels."""
    return sum(question.kind == "label" for question in questions)


def _short(text: str, most: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
