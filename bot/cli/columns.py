"""Which columns of a file are read, and how: settled by options, shown, and asked about on a terminal."""

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

FIRST = next(iter(SEVERAL))
Several = Annotated[
    str, typer.Option(help=f"Rows of several labels: {', '.join(SEVERAL)}. Default: {FIRST}.")
]


def settle_columns(
    path: Path,
    options: dict[str, str],
    part: str | None = None,
    several: str = "",
    ask: bool = False,
    quiet: bool = False,
) -> tuple[dict[str, str], str]:
    """The columns to read, and how rows of several labels are: as given, the rest guessed, shown and (on a terminal)
    confirmed or chosen."""
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
    if not ask or len(head.guess.fields) < 2:  # too few to confirm: reading says what is missing
        return options, several or FIRST
    for row in range(len(head.rows))[:2]:
        sample = {field: head.cell(row, column)[:60] for field, column in head.guess.fields.items()}
        console.print(f"  {sample}", highlight=False, markup=False, soft_wrap=True)
    if not typer.confirm("Read the file so?", default=True):
        raise BotError("Nothing was added. Say which column is which with --text-column and --label-column.")
    share = head.several.get(head.guess.fields.get("label", ""), 0.0)
    return options, several or (choose_several(share) if share else FIRST)


def show_columns(guess: Columns) -> None:
    """Which columns are read, which fitted a field too, and which are not read."""
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
    """Says that cells of the label's column hold several labels, and what is done with them."""
    name = head.guess.fields.get("label", "")
    if share := head.several.get(name, 0.0):
        ways = " or ".join(f"--several {way}" for way in SEVERAL if way != (several or FIRST))
        line = f"  {share:.0%} of the first rows have several labels in {name!r}: {SEVERAL[several or FIRST]} ({ways} reads them otherwise)"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def choose_several(share: float) -> str:
    """Asks what is to be done with rows of several labels."""
    for number, (way, words) in enumerate(SEVERAL.items(), 1):
        console.print(f"  {number}  {way}: {words}", highlight=False, markup=False, soft_wrap=True)
    question = f"{share:.0%} of the rows have several labels, and one is learned. Which way (number)?"
    return list(SEVERAL)[_ask_number(question, len(SEVERAL), default=1) - 1]


def show_intake(intake: Mapping[str, Any]) -> None:
    """What became of the file's rows and characters, in lines."""
    from finetune.data.import_report import report_lines

    for line in report_lines(intake):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def choose_label(head: Preview) -> str:
    """Asks which of the columns that fit equally is the queue."""
    for number, name in enumerate(head.guess.rivals_for_label, 1):
        values = sorted({head.cell(row, name) for row in range(len(head.rows))} - {""})
        line = f"  {number}  {name}: {', '.join(values)[:80]}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    most = len(head.guess.rivals_for_label)
    number = _ask_number("Several columns could be the queue. Which one (number)?", most)
    return head.guess.rivals_for_label[number - 1]


def _ask_number(question: str, most: int, default: int | None = None) -> int:
    """A whole number from 1 to `most`; asked again until it is one."""
    while True:
        number: int = typer.prompt(question, type=int, default=default)
        if 1 <= number <= most:
            return number
        console.print(f"A number from 1 to {most}, please.", highlight=False, markup=False)
