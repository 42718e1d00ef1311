"""The label of a row: words that mean no label, and cells with several labels. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from finetune.data.column_names import is_list_name
from finetune.data.row_file import collect_rows
from finetune.data.ticket import RAW_SHOWN, DatasetError, Problem, Ticket

_NO_LABEL = frozenset(
    """nan null none n/a na #n/a #na n.a. nil undefined unknown (blank) blank (none) (null) (empty) empty not_set
    unassigned unset tbd missing #ref! #value! unbekannt keine keiner inconnu aucun aucune desconocido ninguno ninguna
    desconhecido nenhum sconosciuto nessuno nessuna onbekend geen nat pd.na 不明 なし 未設定""".split()  # noqa: SIM905 - a list of words reads best as words
) | {"not set", "no label", "not available", "not applicable", "no category", "k.a.", "<na>", "ohne"}
LINE = "\n"
_SEPARATORS = (",", ";", "|", LINE, "、", "，", "；")
_TAGS = re.compile(r"[a-z0-9_:.-]+(?: [a-z0-9_:.-]+)+")
LONGEST = 300  # characters of a cell that may hold labels
RULE, LONG = "several labels", "long labels"
SEVERAL = {
    "first": "the first was taken",
    "frequent": "the one in most rows was taken",
    "leave-out": "these rows were left out",
}
"""The ways to treat rows with several labels, with their descriptions."""
_LISTED = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)
EVERYWHERE = 0.95  # of the rows; a part that stands in more tells nothing


def is_no_label(value: str) -> bool:
    """Whether a cell means "no value": empty, only punctuation, or one of the words for it."""
    text = value.strip()
    return not re.search(r"\w", text) or text.casefold() in _NO_LABEL


@dataclass(frozen=True)
class ResolvedLabels:
    """The rows with one label each, notes, and the rows that were left out as ambiguous."""

    rows: Sequence[Ticket]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def resolve_labels(
    rows: Sequence[Ticket], several: str = "first", column: str = "", longest: int | None = None
) -> ResolvedLabels:
    """Cells of several labels become one by `several`, a key of SEVERAL; a part that is in nearly every row is passed over.

    In a `column` called tags, labels or the like a cell is a list where one of its parts stands elsewhere, in others where all do.
    Rows whose one label has more than `longest` characters after that are left out: it is no queue's name.

    Raises DatasetError for another way than those.
    """
    if several not in SEVERAL:
        what_next = f"Use {', '.join(SEVERAL)}."
        raise DatasetError(f"There is no way {several!r} to read several labels.", what_next=what_next)
    parts_of = parts_by_cell(Counter(row.label for row in rows if row.label), column)
    if not parts_of:
        rows, too_long = _without_long(_in_one_line(rows), longest, column)
        return ResolvedLabels(rows, (), too_long)
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(set(parts_of.get(row.label or "", (row.label or "",))))
    common = {part for part, count in counts.items() if count > EVERYWHERE * len(rows)}
    telling = {cell: [part for part in parts if part not in common] for cell, parts in parts_of.items()}
    best = {cell: _best(telling[cell] or parts, counts, several) for cell, parts in parts_of.items()}
    ambiguous = {cell for cell, parts in parts_of.items() if len(telling[cell] or parts) > 1}
    number, rest = 0, Counter[str]()
    problems = []
    for row in rows:
        label = row.label or ""
        if len(parts_of.get(label, ())) < 2 or (several == "leave-out" and label not in ambiguous):
            continue
        number += 1
        rest.update(part for part in parts_of[label] if part != best[label])
        if several == "leave-out":
            message = f"has several labels ({label.replace(LINE, ', ')})"
            problems.append(Problem(row.line, message, column, row.text[:RAW_SHOWN], rule=RULE))
    rows = collect_rows(
        replace(row, label=best.get(row.label or "", row.label))
        for row in rows
        if several != "leave-out" or row.label not in ambiguous
    )
    notes = (_several_note(number, rest, several),) if number else ()
    rows, too_long = _without_long(_in_one_line(rows), longest, column)
    return ResolvedLabels(rows, notes, (*problems, *too_long))


def _best(parts: Sequence[str], counts: Mapping[str, int], several: str) -> str:
    """The part to keep: the first, or the one in most rows, of equal ones the first."""
    return max(parts, key=lambda part: counts[part]) if several == "frequent" else parts[0]


def _several_note(count: int, rest: Counter[str], several: str) -> str:
    others = ", ".join(f"{name} {number:,}" for name, number in rest.most_common(6))
    more = f" and {len(rest) - 6:,} more" if len(rest) > 6 else ""
    ways = " or ".join(f"`--several {way}`" for way in SEVERAL if way != several)
    return (
        f"{count:,} rows have several labels in one cell: {SEVERAL[several]} (labels not used: {others}{more}). One label a "
        f"ticket is learned, never several at once; in the form, or with {ways}, it is read otherwise"
    )


def _in_one_line(rows: Sequence[Ticket]) -> Sequence[Ticket]:
    """Labels that were written on several lines and are one."""
    if not any(row.label and LINE in row.label for row in rows):
        return rows
    return collect_rows(replace(row, label=(row.label or "").replace(LINE, " ") or None) for row in rows)


def _without_long(
    rows: Sequence[Ticket], longest: int | None, column: str
) -> tuple[Sequence[Ticket], tuple[Problem, ...]]:
    if longest is None or not any(len(row.label or "") > longest for row in rows):
        return rows, ()
    problems = tuple(
        Problem(row.line, describe_long_label(row.label, longest), column, row.text[:RAW_SHOWN], rule=LONG)
        for row in rows
        if row.label and len(row.label) > longest
    )
    return collect_rows(row for row in rows if len(row.label or "") <= longest), problems


def describe_long_label(label: str, longest: int) -> str:
    """Why a label is none."""
    return f"is no queue name: {len(label)} characters (at most {longest})"


def one_line_each(label: str) -> str:
    """The label without needless blanks; each of its lines stays one, as Jira and Excel list labels."""
    return LINE.join(" ".join(line.split()) for line in label.splitlines() if line.strip())


def count_several(cells: Sequence[str], column: str) -> int:
    """How many of a column's cells hold several labels; 0 where they are texts."""
    labels = [one_line_each(cell) for cell in cells]
    if any(len(label) > LONGEST and not _LISTED.fullmatch(label) for label in labels):
        return 0
    parts_of = parts_by_cell(Counter(label for label in labels if label), column)
    return sum(len(parts_of.get(label, ())) > 1 for label in labels)


def parts_by_cell(cells: Counter[str], column: str) -> dict[str, tuple[str, ...]]:
    """The parts of each cell that holds a list, or is made of parts that stand in other cells too; the rest is left out."""
    enough = any if is_list_name(column) else all
    parts_of = {cell: parts for cell in cells if (parts := _listed_parts(cell))}
    for mark in (*_SEPARATORS, *((" ",) if _are_tags(cells) else ())):
        lists = {cell: _split(cell, mark) for cell in cells if mark in cell and cell not in parts_of}
        homes: dict[str, set[str]] = defaultdict(set)
        for cell in cells:
            for part in lists.get(cell, (cell,)):
                homes[part.casefold()].add(cell)
        shared = [
            cell for cell, parts in lists.items() if enough(len(homes[part.casefold()]) > 1 for part in parts)
        ]
        if lists and 2 * len(shared) >= len(lists):
            parts_of |= {cell: parts for cell, parts in lists.items() if len(parts) > 0}
    return parts_of


def _are_tags(cells: Iterable[str]) -> bool:
    """Whether every cell is made of words as help desks write tags, and those with several blanks between are most."""
    names = list(cells)
    several = [cell for cell in names if _TAGS.fullmatch(cell)]
    words = {word for cell in several for word in cell.split()}
    is_plain = all(re.fullmatch(r"[a-z0-9_:. -]+", cell) for cell in names)
    return is_plain and 2 * len(several) > len(names) and any("_" in word for word in words)


def _split(cell: str, mark: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in cell.split(mark) if part.strip()))


def _listed_parts(cell: str) -> tuple[str, ...]:
    """The items of a cell that is a list as Python, JSON or PostgreSQL writes it."""
    text = cell.strip()
    if not _LISTED.fullmatch(text):
        return ()
    try:
        value = json.loads(text)
    except RecursionError:
        return ()
    except ValueError:
        value = _python_object(text) or [
            part.strip().strip("'\"") for part in _split_outside_quotes(text[1:-1])
        ]
    items: Iterable[object] = (
        value if isinstance(value, list) else (value,) if isinstance(value, dict) else ()
    )
    names = [_name_of(item) if isinstance(item, dict) else item for item in items]
    return tuple(dict.fromkeys(str(name).strip() for name in names if str(name).strip()))


def _python_object(text: str) -> dict[str, object] | None:
    """The object that Python writes so; None for anything else."""
    if not text.startswith("{") or ":" not in text or len(text) > LONGEST:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _name_of(item: Mapping[str, object]) -> object:
    """What an object is called; "" where nothing of it says so."""
    names = ("name", "title", "label", "value", "display_value", "displayName")
    return next((item[name] for name in names if item.get(name)), "")


def _split_outside_quotes(text: str) -> list[str]:
    """The text at its commas that have an even number of apostrophes behind them."""
    parts, start, behind = [], 0, text.count("'")
    for mark in re.finditer("[',]", text):
        if mark[0] == "'":
            behind -= 1
        elif behind % 2 == 0:
            parts.append(text[start : mark.start()])
            start = mark.end()
    return [*parts, text[start:]]


def merge_spellings(rows: Sequence[Ticket]) -> tuple[Sequence[Ticket], list[str]]:
    """Labels that differ only by case or separators become the most frequent spelling."""
    counts = Counter(row.label for row in rows if row.label)
    best: dict[str, str] = {}
    for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        best.setdefault(_label_key(label), label)
    spellings = sorted(label for label in counts if best[_label_key(label)] != label)
    notes = [
        f"label {label!r} counts as {best[_label_key(label)]!r} ({counts[label]:,} rows)"
        for label in spellings
    ]
    if not spellings:
        return rows, notes
    return collect_rows(
        replace(row, label=best[_label_key(row.label)]) if row.label else row for row in rows
    ), notes


def _label_key(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").split()).casefold()
