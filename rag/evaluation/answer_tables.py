"""Training pairs over made tables: cells by row, column and year, and rows, columns and years that are not there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rag.evaluation.answer_lines import (
    ANSWERS,
    OTHER_ATTRIBUTE,
    OTHER_SUBJECT,
    AnswerPair,
    Fact,
    Line,
    as_typed,
    pair_of,
    split_parts,
)
from rag.evaluation.answer_values import Values, fill

FOREIGN_COLUMNS = (
    "colour",
    "owner",
    "length",
    "licence",
    "insurance",
    "phone number",
    "age",
    "tax",
    "delivery time",
)


@dataclass(frozen=True)
class Table:
    """A made table: its caption, header, and the cells of each row."""

    caption: str
    year: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def line(self, row: int, chance: random.Random) -> Line:
        text = "| " + " | ".join(self.rows[row]) + " |"
        return Line(Fact("", (), (), (), ""), Values(chance), text, self.caption, header=self.header)


def pairs_of_table(form: str, chance: random.Random) -> list[AnswerPair]:
    """Questions for cells of one or two tables of a form, and for rows, columns and years that are not there."""
    caption, columns, labels, cells, questions = (part.strip() for part in form.split("|"))
    header = tuple(fill(part.strip(), Values(chance)) for part in columns.split(";"))
    names = [fill(part.strip(), Values(chance)) for part in labels.split(",")]
    names = list(dict.fromkeys(names))
    missing = names.pop(chance.randrange(len(names))) if len(names) > 3 else None
    values = [part.strip() for part in cells.split(";")]
    years = chance.sample(range(1990, 2026), 3)
    tables = [
        _table(caption, str(year), header, names, values, chance)
        for year in years[: 2 if "{y}" in caption and chance.random() < 0.7 else 1]
    ]
    title = fill(
        chance.choice(("{W} handbook", "About {W}", "{W}", "{C} figures", "{W} documentation")),
        Values(chance),
    )
    group = f"table {caption}"
    pairs: list[AnswerPair] = []
    templates = split_parts(questions, ";")
    for _ in range(5):
        at, row = chance.randrange(len(tables)), chance.randrange(len(names))
        table = tables[at]
        template = chance.choice(templates)
        column = chance.choice(header[1:])
        slots = {"r": names[row], "c": column, "y": table.year}
        question = _ask_table(template, slots, len(tables) > 1, chance)
        pairs.append(pair_of(question, title, table.line(row, chance), ANSWERS, group))
        others = chance.sample([n for n in range(len(names)) if n != row], min(2, len(names) - 1))
        pairs += [pair_of(question, title, table.line(n, chance), OTHER_SUBJECT, group) for n in others]
        if len(tables) > 1:
            pairs.append(pair_of(question, title, tables[1 - at].line(row, chance), OTHER_SUBJECT, group))
        strangers = {"y": str(years[2])} | ({} if missing is None else {"r": missing})
        pairs += _misses(template, slots, table, row, strangers, (title, group), chance)
    return pairs


def _misses(
    template: str, slots: dict[str, str], table: Table, row: int, strangers: dict[str, str],
    place: tuple[str, str], chance: random.Random,
) -> list[AnswerPair]:  # fmt: skip
    """Questions for another year, a row that is not there, and a column that is not there."""
    pairs = []
    title, group = place
    line = table.line(row, chance)
    if table.year in table.caption:
        question = _ask_table(template, {**slots, "y": strangers["y"]}, True, chance)
        pairs.append(pair_of(question, title, line, OTHER_SUBJECT, group))
    if "r" in strangers:
        question = _ask_table(template, {**slots, "r": strangers["r"]}, False, chance)
        pairs.append(pair_of(question, title, line, OTHER_SUBJECT, group))
    foreign = chance.choice(FOREIGN_COLUMNS)
    if foreign not in " ".join(table.header).lower():
        question = _ask_table(
            chance.choice(("{c} of {r}", "what is the {c} of {r}", "{r} {c}")),
            {**slots, "c": foreign},
            False,
            chance,
        )
        pairs.append(pair_of(question, title, line, OTHER_ATTRIBUTE, group))
    return pairs


def _ask_table(template: str, slots: dict[str, str], name_year: bool, chance: random.Random) -> str:
    if name_year and "{y}" not in template:
        template += chance.choice((" in {y}", " {y}", " ({y})"))
    for slot, value in slots.items():
        template = template.replace(f"{{{slot}}}", value)
    return as_typed(template, chance)


def _table(
    caption: str,
    year: str,
    header: tuple[str, ...],
    names: Sequence[str],
    cells: Sequence[str],
    chance: random.Random,
) -> Table:
    rows = []
    for name in names:
        columns = [cells[min(n, len(cells) - 1)] for n in range(len(header) - 1)]
        rows.append((name, *(fill(cell, Values(chance)) for cell in columns)))
    return Table(caption.replace("{y}", year), year, header, tuple(rows))
