"""The label of a row: which words mean that there is none, and what a cell of several labels counts as. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from finetune.data.row_file import gather
from finetune.data.ticket import Ticket

_NO_LABEL = frozenset(
    """nan null none n/a na #n/a #na n.a. nil undefined unknown (blank) blank (none) (null) (empty) empty not_set
    unassigned unset tbd missing #ref! #value! unbekannt keine keiner inconnu aucun aucune desconocido ninguno ninguna
    desconhecido nenhum sconosciuto nessuno nessuna onbekend geen nat pd.na 不明 なし 未設定""".split()  # noqa: SIM905 - a list of words reads best as words
) | {"not set", "no label", "not available", "not applicable", "no category", "k.a.", "<na>", "ohne"}
_SEPARATORS = (",", ";", "|")
_LISTED = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)
EVERYWHERE = 0.95  # of the rows; a part that stands in more tells nothing


def is_no_label(value: str) -> bool:
    """Whether a cell says that there is no value: empty, only marks, or one of the words for it."""
    text = value.strip()
    return not re.search(r"\w", text) or text.casefold() in _NO_LABEL


def settle_labels(rows: Sequence[Ticket]) -> tuple[Sequence[Ticket], list[str]]:
    """Cells of several labels become their first that tells something; notes say what was chosen from what."""
    parts_of = _parts_by_cell(Counter(row.label for row in rows if row.label))
    if not parts_of:
        return rows, []
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(set(parts_of.get(row.label or "", (row.label or "",))))
    common = {part for part, count in counts.items() if count > EVERYWHERE * len(rows)}
    first = {
        cell: next((part for part in parts if part not in common), parts[0])
        for cell, parts in parts_of.items()
    }
    several = sum(len(parts_of.get(row.label or "", ())) > 1 for row in rows)
    rest = Counter(
        part for row in rows for part in parts_of.get(row.label or "", ()) if part != first[row.label or ""]
    )
    rows = gather(replace(row, label=first.get(row.label or "", row.label)) for row in rows)
    if not several:
        return rows, []
    others = ", ".join(f"{name} {count:,}" for name, count in rest.most_common(6))
    note = (
        f"{several:,} rows have several labels in one cell: the first was taken (left out: {others}). A column of one "
        "label a row says it better; training on several at once is not offered"
    )
    return rows, [note]


def _parts_by_cell(cells: Counter[str]) -> dict[str, tuple[str, ...]]:
    """The parts of each cell that holds a list, or is made of parts that stand in other cells too; the rest is left out."""
    parts_of = {cell: parts for cell in cells if (parts := _listed_parts(cell))}
    for mark in _SEPARATORS:
        joined = {cell: _split(cell, mark) for cell in cells if mark in cell and cell not in parts_of}
        homes: dict[str, set[str]] = defaultdict(set)
        for cell in cells:
            for part in joined.get(cell, (cell,)):
                homes[part.casefold()].add(cell)
        shared = [
            cell for cell, parts in joined.items() if all(len(homes[part.casefold()]) > 1 for part in parts)
        ]
        if joined and 2 * len(shared) >= len(joined):
            parts_of |= {cell: parts for cell, parts in joined.items() if len(parts) > 0}
    return parts_of


def _split(cell: str, mark: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in cell.split(mark) if part.strip()))


def _listed_parts(cell: str) -> tuple[str, ...]:
    """The items of a cell that is a list as Python, JSON or PostgreSQL writes it."""
    text = cell.strip()
    if not _LISTED.fullmatch(text):
        return ()
    try:
        value = json.loads(text)
    except ValueError:
        value = [part.strip().strip("'\"") for part in re.split(r",(?=(?:[^']*'[^']*')*[^']*$)", text[1:-1])]
    items: Iterable[object] = value if isinstance(value, list) else ()
    names = [item.get("name", "") if isinstance(item, dict) else item for item in items]
    return tuple(dict.fromkeys(str(name).strip() for name in names if str(name).strip()))


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
    return gather(
        replace(row, label=best[_label_key(row.label)]) if row.label else row for row in rows
    ), notes


def _label_key(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").split()).casefold()
