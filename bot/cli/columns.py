"""Chooses the columns of a file: from options or guesses, shown, and confirmed on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.console import console
from bot.errors import BotError
from finetune.data.labels import SEVERAL

if TYPE_CHECKING:
    from finetune.data.columns import Columns
    from finetune.data.reading import Preview

DEFAULT_SEVERAL = next(iter(SEVERAL))
Several = Annotated[
    str, typer.Option(help=f"Rows of several labels: {', '.join(SEVERAL)}. Default: {DEFAULT_SEVERAL}.")
]


def choose_columns(
    path: Path,
    options: dict[str, str],
    part: str | None = None,
    several: str = "",
    ask: bool = False,
    quiet: bool = False,
) -> tuple[dict[str, str], str]:
    """The columns to read, and the way for rows with several labels: given ones, guesses for the rest; on a terminal the
    person confirms or chooses them."""
    from finetune.data.reading import preview

    if several and several not in SEVERAL:
        raise BotError(f"--several takes {', '.join(SEVERAL)}, not {several!r}.")

    head = preview(path, part=part, choice=options)
    if ask and head.guess.rivals_for_label and "label" not in options:
        label = choose_label(head)
        head = preview(path, part=part, choice={**options, "label": label})
        options = {**options, "label": label}
    if not quiet:
        show_columns(head.guess)
        show_several(head, several)
    if not ask or len(head.guess.fields) < 2:  # too few to confirm: the import reports what is missing
        return options, several or DEFAULT_SEVERAL
    for row in range(len(head.rows))[:2]:
        sample = {field: head.cell(row, column)[:60] for field, column in head.guess.fields.items()}
        console.print(f"  {sample}", highlight=False, markup=False, soft_wrap=True)
    if not typer.confirm("Read the file so?", default=True):
        raise BotError("Nothing was added. Say which column is which with --text-column and --label-column.")
    share = head.several.get(head.guess.fields.get("label", ""), 0.0)
    return options, several or (choose_several(share) if share else DEFAULT_SEVERAL)


def show_columns(guess: Columns) -> None:
    """Prints which columns are read, which other columns fitted a field, and which are not read."""
    if guess.fields:
        summary = ", ".join(f"{field} = {column!r}" for field, column in guess.fields.items())
        how = "Columns" if guess.how == "given" else f"Columns guessed by {guess.how}"
        console.print(f"{how}: {summary}", highlight=False, markup=False, soft_wrap=True)
    for field, names in guess.also.items():
        line = f"  fitted {field} too: {', '.join(map(repr, names))}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if guess.unread:
        line = f"  not read: {', '.join(map(repr, guess.unread))}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_several(head: Preview, several: str) -> None:
    """Prints that cells of the label column hold several labels, and how they are read."""
    name = head.guess.fields.get("label", "")
    if share := head.several.get(name, 0.0):
        ways = " or ".join(f"--several {way}" for way in SEVERAL if way != (several or DEFAULT_SEVERAL))
        line = f"  {share:.0%} of the first rows have several labels in {name!r}: {SEVERAL[several or DEFAULT_SEVERAL]} ({ways} reads them otherwise)"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def choose_several(share: float) -> str:
    """Asks how to read rows with several labels."""
    for number, (way, words) in enumerate(SEVERAL.items(), 1):
        console.print(f"  {number}  {way}: {words}", highlight=False, markup=False, soft_wrap=True)
    question = f"{share:.0%} of the rows have several labels, and one is learned. Which way (number)?"
    return list(SEVERAL)[_ask_number(question, len(SEVERAL), default=1) - 1]


def show_intake(intake: Mapping[str, Any]) -> None:
    """Prints what the import did with the file's rows and characters."""
    from finetune.data.import_report import report_lines

    for line in report_lines(intake):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def choose_label(head: Preview) -> str:
    """Asks which of several equally good columns is the queue."""
    for number, name in enumerate(head.guess.rivals_for_label, 1):
        values = sorted({head.cell(row, name) for row in range(len(head.rows))} - {""})
        line = f"  {number}  {name}: {', '.join(values)[:80]}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    most = len(head.guess.rivals_for_label)
    number = _ask_number("Several columns could be the queue. Which one (number)?", most)
    return head.guess.rivals_for_label[number - 1]


def _ask_number(question: str, most: int, default: int | None = None) -> int:
    """Asks for a whole number from 1 to `most` until it is valid."""
    while True:
        number: int = typer.prompt(question, type=int, default=default)
        if 1 <= number <= most:
            return number
        console.print(f"A number from 1 to {most}, please.", highlight=False, markup=False)
