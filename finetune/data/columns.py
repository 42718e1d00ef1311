"""Finds the columns for a ticket's text, queue and answer: by name where the values fit, then by content.

A column that is empty, nearly constant or says state, priority or language is never preferred. Where two columns
fit equally and differ, none is taken: the caller asks, or the error names them with the option that settles it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from finetune.data.column_names import (
    BY_CUSTOMER,
    BY_TEAM,
    GIVEN,
    PEOPLE,
    ROLES,
    is_never_label,
    label_tier,
    name_forms,
    name_rank,
    plain_name,
)
from finetune.data.header_rows import refuse_missing_header
from finetune.data.labels import is_no_label
from finetune.data.ticket import DatasetError

CONSTANT = 0.98  # share of one value above which a column tells nothing
MIN_TEXT_WORDS = 3
MIN_ONE_HOT = 3  # yes/no columns that together are one answer,
ONE_HOT_ROWS = 0.6  # where this share of rows has a mark in one of them
FIX = (
    "Say which column is which: in Slack the form asks, in the terminal --text-column and --label-column "
    "(or --answer-column) name them."
)
_YES, _NO = frozenset(("1", "1.0", "true", "yes", "x", "y")), frozenset(("0", "0.0", "false", "no", "", "n"))


@dataclass(frozen=True)
class Columns:
    """The file's column for each of our fields, and the columns that hold people's names.

    `also` are columns that fitted a field too, `rivals_for_label` those among which a person must choose the label,
    `one_hot` the yes/no columns that the label is read from, `role` tells customers' messages from the team's, `unread` is not read.
    """

    fields: Mapping[str, str]
    people: tuple[str, ...]
    how: str  # "given", "name" or "content"
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rivals_for_label: tuple[str, ...] = ()
    one_hot: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    hint: str = ""
    role: str = ""

    def is_by_team(self, values: Mapping[str, Any]) -> bool:
        """Whether the record is a message of the team."""
        return bool(self.role) and str(values.get(self.role) or "").strip().casefold() in BY_TEAM

    def value(self, values: Mapping[str, Any], name: str) -> Any:
        """The record's value for one of our fields; None where the file has no column for it."""
        if name == "label" and self.one_hot:
            marks = [column for column in self.one_hot if is_yes(values.get(column))]
            return ", ".join(one_hot_label(column) for column in marks)
        column = self.fields.get(name)
        return None if column is None else values.get(column)


def choose_columns(
    header: Sequence[str], sample: Sequence[Mapping[str, Any]], choice: Mapping[str, str] | None
) -> Columns:
    """The columns to read: `choice` ({our field: their column, "" for none}) first, guesses for the rest.

    Raises DatasetError that names the columns at hand when the text, or both label and answer, are missing or
    several columns fit equally.
    """
    guess = guess_columns(header, sample, choice)
    if "text" not in guess.fields:
        raise DatasetError(
            f"line 1: no column holds the ticket's text; there is {_list(header)}.", what_next=FIX
        )
    if {"label", "answer"} & guess.fields.keys():
        return guess
    if guess.rivals_for_label:
        options = " or ".join(f'--label-column "{name}"' for name in guess.rivals_for_label[:6])
        message = f"line 1: several columns could be the queue: {_list(guess.rivals_for_label)}."
        raise DatasetError(
            message, what_next=f"Run the command again with {options}; in Slack the form asks."
        )
    message = f"line 1: no column holds a queue (label) or an answer; there is {_list(header)}."
    raise DatasetError(message, what_next=guess.hint or FIX)


def guess_columns(
    header: Sequence[str], sample: Sequence[Mapping[str, Any]], choice: Mapping[str, str] | None = None
) -> Columns:
    """`choice`, then the best guess by name and content; what was not found is left out of its fields.

    Raises DatasetError for a choice that is not there, and where the first line is no header but a ticket.
    """
    facts = {name: ColumnStats(name, [row.get(name) for row in sample]) for name in header}
    group = _one_hot(header, facts, sample)
    own_choice = _check_choice(choice or {}, header, group)
    fields = {name: column for name, column in own_choice.items() if column}
    people = tuple(name for name in header if set(name_forms(name)) & set(PEOPLE))
    also: dict[str, tuple[str, ...]] = {}
    for name in GIVEN:
        if name in ("label", "text", "answer") or name in own_choice:
            continue
        candidates = _by_name(name, facts, set(fields.values()))
        if candidates:
            fields[name] = candidates[0]
    how = "given" if choice else "name"
    _guess_text(fields, own_choice, facts, also)
    if (not choice and "text" not in fields) or not _has_target(fields, facts):
        refuse_missing_header(header, sample)
    if "answer" not in own_choice and (answers := _by_name("answer", facts, set(fields.values()))):
        fields["answer"] = answers[0]
    rivals_for_label: tuple[str, ...] = ()
    hint = ""
    if "label" not in own_choice and "answer" not in {name for name, column in own_choice.items() if column}:
        rivals_for_label, hint, by_content = _guess_label(fields, facts, group, people, also)
        how = "content" if by_content and how == "name" else how
    one_hot = group if fields.get("label") == one_hot_name(group) else ()
    role = _find_role(facts, set(fields.values())) if "answer" not in fields else ""
    used = {*fields.values(), *one_hot, *people, role}
    unread = tuple(name for name in header if name not in used)
    fields = {name: fields[name] for name in GIVEN if name in fields}
    return Columns(fields, people, how, also, rivals_for_label, one_hot, unread, hint, role)


def _find_role(facts: Mapping[str, ColumnStats], used: set[str]) -> str:
    """The column that tells customers' messages from the team's; "" where there is none."""
    for name in facts:
        if name in used or not ROLES & set(name_forms(name)):
            continue
        values = {value.casefold() for value in facts[name].counts}
        if values <= BY_CUSTOMER | BY_TEAM and values & BY_CUSTOMER and values & BY_TEAM:
            return name
    return ""


class ColumnStats:
    """Statistics of a column's values over the sample rows."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        self.rows = len(values)
        self.all_values = [
            "" if value is None or is_no_label(str(value)) else str(value).strip() for value in values
        ]
        self.values = [value for value in self.all_values if value]

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.values)

    @cached_property
    def words(self) -> float:
        return median([len(value.split()) for value in self.values] or [0])

    @property
    def is_empty(self) -> bool:
        return not self.values

    @property
    def is_constant(self) -> bool:
        """Empty, of one value, or of one value in nearly all rows."""
        return len(self.counts) < 2 or max(self.counts.values()) > CONSTANT * len(self.values)

    @property
    def is_yes_no(self) -> bool:
        values = {value.casefold() for value in self.all_values}
        return values <= _YES | _NO and bool(values & _YES) and bool(values & _NO) and len(values - {""}) <= 2

    @property
    def is_numeric(self) -> bool:
        return all(re.fullmatch(r"[-+]?[\d.,:/ T-]+Z?", value) for value in self.counts)

    @property
    def is_few(self) -> bool:
        """A few short values that repeat, as the names of queues do."""
        few = 2 <= len(self.counts) <= max(2, len(self.values) // 3)
        return few and self.words <= 4 and max(map(len, self.counts)) <= 60


def is_yes(value: Any) -> bool:
    """Whether a cell of a yes/no column is set."""
    return value is True or str(value).strip().casefold() in _YES


def one_hot_label(column: str) -> str:
    """The queue that a yes/no column stands for: `is_billing`, `label_billing` are billing."""
    return re.sub(
        r"^(?:is|label|category|cat|class|intent|queue|tag|topic|team)[ _.:-]+", "", column, flags=re.I
    )


def one_hot_name(columns: Sequence[str]) -> str:
    """What the yes/no columns are called together, as one column."""
    names = [one_hot_label(column) for column in columns[:4]]
    return f"one of {len(columns)} columns: {', '.join(names)}{', ...' if len(columns) > 4 else ''}"


def _by_name(field_name: str, facts: Mapping[str, ColumnStats], used: Iterable[str]) -> list[str]:
    """The free columns whose name tells the field and whose values do not speak against it, best first."""
    ranks = {
        name: rank for name in facts if (rank := name_rank(field_name, name)) is not None and name not in used
    }
    names = [name for name in sorted(ranks, key=lambda name: ranks[name]) if not facts[name].is_empty]
    if field_name == "created_at":
        names = [name for name in names if any(re.search(r"\d", value) for value in facts[name].values)]
    if field_name in ("text", "answer", "subject"):
        names = [name for name in names if ranks[name] < 1_000 or facts[name].words >= MIN_TEXT_WORDS]
        if field_name != "subject":
            names.sort(key=lambda name: (facts[name].is_constant, ranks[name]))
    return names


def _guess_text(
    fields: dict[str, str],
    own_choice: Mapping[str, str],
    facts: Mapping[str, ColumnStats],
    also: dict[str, tuple[str, ...]],
) -> None:
    """The text by name, by content, else the subject alone."""
    if "text" in own_choice:
        return
    used = set(fields.values())
    names = _by_name("text", facts, used)
    if names:
        fields["text"] = names[0]
        rest = tuple(name for name in names[1:] if facts[name].words >= MIN_TEXT_WORDS)
        also |= {"text": rest} if rest else {}
        return
    least = facts[fields["subject"]].words + 1 if "subject" in fields else MIN_TEXT_WORDS
    free = [name for name in facts if name not in used and not facts[name].is_numeric]
    longest = max(free, key=lambda name: facts[name].words, default=None)
    if longest is not None and facts[longest].words >= least:
        fields["text"] = longest
    elif "subject" in fields and "subject" not in own_choice:
        fields["text"] = fields.pop("subject")


def _guess_label(
    fields: dict[str, str],
    facts: Mapping[str, ColumnStats],
    group: Sequence[str],
    people: Sequence[str],
    also: dict[str, tuple[str, ...]],
) -> tuple[tuple[str, ...], str, bool]:
    """Puts the label into `fields`, or returns those to choose from; a hint; whether its content told."""
    used = set(fields.values())
    by_name = [name for name in _by_name("label", facts, used) if not is_never_label(name)]
    flags = [name for name in by_name if facts[name].is_yes_no and not facts[name].is_constant]
    by_name = [name for name in by_name if name not in flags]
    good = [name for name in by_name if not facts[name].is_constant]
    good = [name for name in good if label_tier(name) < 3 or facts[name].is_few]
    by_content = False
    if not good and group:
        fields["label"] = one_hot_name(group)
        return (), "", False
    if not good and "answer" not in fields:
        free = [name for name in facts if name not in used and name not in people and name not in group]
        few = [name for name in free if facts[name].is_few and not facts[name].is_constant]
        good = [
            name
            for name in few
            if not (is_never_label(name) or facts[name].is_numeric or facts[name].is_yes_no)
        ]
        by_content = bool(good)
        if not good and not by_name and few:
            names = ", ".join(f'--label-column "{name}"' for name in few[:4])
            return (), f"Columns with few values, but their names say something else: {names}. {FIX}", False
    if not good:  # yes and no are two queues only where the name says so; of one value: reading says so
        good = [name for name in flags if label_tier(name) == 0 and "answer" not in fields][:1] or by_name[:1]
    if not good:
        return (), "", False
    tier = label_tier(good[0])
    others = [
        name for name in good[1:] if label_tier(name) == tier and not _alike(facts[good[0]], facts[name])
    ]
    if rest := tuple(name for name in good[1:]):
        also["label"] = rest
    if others:
        return (good[0], *others), "", by_content
    fields["label"] = good[0]
    return (), "", by_content


def _alike(left: ColumnStats, right: ColumnStats) -> bool:
    """Whether two columns divide the rows in the same way."""
    pairs = set(zip(left.all_values, right.all_values, strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _one_hot(
    header: Sequence[str], facts: Mapping[str, ColumnStats], sample: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """The yes/no columns that together are one answer: three or more, and most rows have a mark."""
    columns = tuple(
        name for name in header if facts[name].is_yes_no and not is_never_label(one_hot_label(name))
    )
    marks = [sum(is_yes(row.get(name)) for name in columns) for row in sample]
    enough = len(columns) >= MIN_ONE_HOT and sum(mark > 0 for mark in marks) >= ONE_HOT_ROWS * len(sample)
    return columns if enough and sum(marks) <= 2 * len(sample) else ()


def _has_target(fields: Mapping[str, str], facts: Mapping[str, ColumnStats]) -> bool:
    by_name = (_by_name(name, facts, set(fields.values())) for name in ("label", "answer"))
    return bool({"label", "answer"} & fields.keys()) or any(by_name)


def _list(names: Sequence[str]) -> str:
    text = ", ".join(repr(name[:40]) for name in names[:12])
    return text + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _check_choice(choice: Mapping[str, str], header: Sequence[str], group: Sequence[str]) -> dict[str, str]:
    """The choice by the header's own spelling; "" stays: no column for that field."""
    if unknown := [name for name in choice if name not in GIVEN]:
        raise DatasetError(
            f"There is no field {_list(unknown)} to read a column into.", what_next=f"Use {_list(GIVEN)}."
        )
    plain = {plain_name(name): name for name in [*header, *([one_hot_name(group)] if group else [])]}
    exact = {*header, *plain.values()}
    names = [name for name in choice.values() if name]
    if absent := [name for name in names if name not in exact and plain_name(name) not in plain]:
        message = f"line 1: the file has no column {_list(absent)}; it has {_list(header)}."
        raise DatasetError(message, what_next="Name one of those.")
    return {
        field: name if not name or name in exact else plain[plain_name(name)]
        for field, name in choice.items()
    }
