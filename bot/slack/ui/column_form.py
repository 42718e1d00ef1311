"""The second form of adding tickets: the guessed columns, which the person confirms. Pure builder and reader."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bot.errors import BotError
from bot.slack.ui.blocks import Block, context, modal, option, section, select
from bot.slack.ui.blocks import field as input_field
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import ABOUT_TEXT, CHANNEL_ID
from bot.slack.ui.verdict_card import meter
from finetune.data.store import check_name
from finetune.data.ticket import DatasetError

if TYPE_CHECKING:
    from finetune.data.reading import Preview

NONE = "none"
DAMAGED_TEXT = "This form is damaged. Close it and add the file again."
MOST_COLUMNS = 99  # Slack allows 100 options; one is "none"
COLUMN_FIELDS = {
    "text": ("The ticket's text", "What a customer wrote."),
    "label": ("Queue or intent", "Where the ticket went: a model for triage learns this."),
    "answer": ("Answer", "To learn writing replies, choose it here and set the queue to none."),
    "customer": ("Customer", "All tickets of a customer stay on one side of the test."),
    "created_at": ("Date", "With dates the latest weeks become the test."),
}
SEVERAL_WAYS = {
    "first": "Take the first",
    "frequent": "Take the one in most rows",
    "leave-out": "Leave these rows out",
}
STEPS = ("reading the columns", "fetching the file", "reading the rows", "cleaning and redacting")
KINDS_OF_GUESS = {"name": "by their names", "content": "by what stands in them"}


@dataclass(frozen=True)
class Upload:
    """An uploaded file in the form's private_metadata; permissions are checked again later."""

    channel: str
    file: str
    name: str
    scope: str
    licence: str

    def pack(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> Upload:
        """Parses the result of `pack`; raises BotError for anything else."""
        try:
            data = json.loads(text)
            upload = cls(**data)
            if not all(isinstance(value, str) for value in data.values()):
                raise TypeError
            check_name(upload.name)
            fits = CHANNEL_ID.fullmatch(upload.channel) and ABOUT_TEXT.fullmatch(upload.file)
        except (ValueError, TypeError, RecursionError, DatasetError):
            raise BotError(DAMAGED_TEXT) from None
        if not fits:
            raise BotError(DAMAGED_TEXT)
        return upload


def step_line(step: int, detail: str = "") -> str:
    """The progress of an import: a bar over STEPS, and the step by number and name."""
    bar = meter(step / len(STEPS), len(STEPS))
    return f"{bar}  Step {step} of {len(STEPS)}: {STEPS[step - 1]}{f' ({detail})' if detail else ''} …"


def columns_modal(
    upload: Upload, file_name: str, head: Preview, values: Mapping[str, str] | None = None
) -> Block:
    """One select of columns per field, set to the guess, and the first rows below.

    `values` are the form's current values: the rows are shown with these columns.
    """
    places = _column_places(head)
    how = KINDS_OF_GUESS[head.guess.how]
    guess = (
        "1 column. I guessed it" if len(head.header) == 1 else f"{len(head.header)} columns. I guessed them"
    )
    text = f"*{escape(one_line(file_name, 80))}* has {guess} {how}: right?"
    blocks = [section(text)]
    for name, (label, hint) in COLUMN_FIELDS.items():
        options = [option(_column_line(head, place), f"c{place}") for place in places]
        if name != "text":
            options.insert(0, option("none", NONE))
        initial = (values or {}).get(name) or _initial(head, name)
        choice = select(f"column:{name}", options, initial, "Choose a column")
        blocks.append(input_field(name, label, choice, hint=hint, live=True))
    fields = head.guess.fields if values is None else _columns_in_form(values, head)
    if share := head.several.get(fields.get("label", "")):
        blocks.append(_several_field(share, (values or {}).get("several")))
    blocks.append(context(*_first_rows(head, fields)) | {"block_id": "preview"})
    return modal("dataset_columns", "Check the columns", blocks, "Add", upload.pack())


def _several_field(share: float, way: str | None) -> Block:
    """The field for rows with several labels, when the chosen column has some."""
    options = [option(text, name) for name, text in SEVERAL_WAYS.items()]
    hint = (
        f"{share:.0%} of the first rows have several. One label a ticket is learned, never several at once."
    )
    return input_field("several", "Several labels", select("several", options, way or "first"), hint=hint)


def column_errors(values: Mapping[str, str]) -> dict[str, str]:
    """The errors of the chosen columns by field; empty when the file can be read with them."""
    columns = {name: values.get(name, NONE) for name in COLUMN_FIELDS if values.get(name, NONE) != NONE}
    if "text" not in columns:
        return {"text": "Choose the column that holds what the customer wrote."}
    if "label" not in columns and "answer" not in columns:
        return {"label": "Choose the column of the queue here, or the column of the answer below."}
    if "label" in columns and "answer" in columns:
        text = "A dataset teaches one thing. Set this to none to learn the queue, or the queue to none to learn replies."
        return {"answer": text}
    owners: dict[str, str] = {}
    for name, value in columns.items():
        if other := owners.get(value):
            return {
                name: f"This column is already taken as: {COLUMN_FIELDS[other][0].lower()}. Choose another."
            }
        owners[value] = name
    return {}


def chosen_columns(values: Mapping[str, str], head: Preview) -> dict[str, str]:
    """The file's column for each field: the chosen one, or the guess for fields that the form does not ask."""
    columns: dict[str, str] = {}
    for name in COLUMN_FIELDS:
        value = values.get(name, NONE)
        if value == NONE:
            columns[name] = ""  # the person chose none, so the guess does not apply
            continue
        place = value.removeprefix("c")
        if not place.isdecimal() or int(place) >= len(head.header):
            raise BotError(DAMAGED_TEXT)
        columns[name] = head.header[int(place)]
    used = set(columns.values())
    others = {f: c for f, c in head.guess.fields.items() if f not in COLUMN_FIELDS and c not in used}
    return {**others, **columns}


def _column_places(head: Preview) -> list[int]:
    """The indexes of the offered columns: all, or in a very wide file the guessed and the first ones."""
    guesses = {head.header.index(column) for column in head.guess.fields.values()}
    rest = [place for place in range(len(head.header)) if place not in guesses]
    return sorted([*guesses, *rest][:MOST_COLUMNS])


def _column_line(head: Preview, place: int) -> str:
    """A column's name with its first value."""
    name = head.header[place]
    values = (head.cell(row, name) for row in range(len(head.rows)))
    example = next((value for value in values if value), "")
    return one_line(f"{name} · {example}" if example else name, 75)


def _initial(head: Preview, name: str) -> str | None:
    """The guess as an option's value; no answer column beside a queue column, since a dataset learns one of them."""
    column = head.guess.fields.get(name)
    if name == "answer" and "label" in head.guess.fields:
        column = None
    if column is not None:
        return f"c{head.header.index(column)}"
    return None if name == "text" else NONE


def _columns_in_form(values: Mapping[str, str], head: Preview) -> dict[str, str]:
    """The columns of the form's current values, even if they are not valid yet."""
    columns = chosen_columns(values, head)
    return {name: column for name, column in columns.items() if column}


def _first_rows(head: Preview, fields: Mapping[str, str]) -> list[str]:
    """The first rows with these columns: the text and the label or answer."""
    target = fields.get("label") or fields.get("answer")
    lines = []
    for row in range(len(head.rows))[:2]:
        text = escape(one_line(head.cell(row, fields.get("text")), 160)) or "no text found"
        lesson = escape(one_line(head.cell(row, target), 80)) if target else "nothing to learn found"
        lines.append(f"“{text}” → *{lesson}*" if lesson else f"“{text}”")
    return lines or ["No row to show."]
