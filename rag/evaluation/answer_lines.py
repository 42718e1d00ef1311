"""What training pairs are made of: the lines of rag/data/answering, pieces of made documents, questions as people type."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rag.answer.pieces import piece_in_context
from rag.evaluation.answer_values import Values

FOLDER = Path(__file__).parents[1] / "data" / "answering"
HEADS = ("answers", "subject", "attribute")
UNKNOWN = -1
AnyLine = TypeVar("AnyLine")


@dataclass(frozen=True)
class AnswerPair:
    """`labels` in the order of HEADS: 1, 0 or UNKNOWN; `group` names the field that it comes from."""

    question: str
    text: str
    labels: tuple[int, int, int]
    group: str


@dataclass(frozen=True)
class Fact:
    """One line of a facts file: its section, wordings, questions, questions that it nearly answers, and its row."""

    section: str
    wordings: tuple[str, ...]
    questions: tuple[str, ...]
    near: tuple[str, ...]
    row: str


@dataclass(frozen=True)
class Field:
    """The facts of one kind of document: how its subject is called, its names and its titles."""

    name: str
    noun: str
    names: tuple[str, ...]
    titles: tuple[str, ...]
    facts: tuple[Fact, ...]


@dataclass
class Line:
    """A piece of a made document: the fact it states with its values, and what stands around it."""

    fact: Fact
    values: Values
    text: str
    leaf: str
    before: str = ""
    header: tuple[str, ...] = field(default=())


ANSWERS, OTHER_SUBJECT, OTHER_ATTRIBUTE, NO_ANSWER = (1, 1, 1), (0, 0, 1), (0, 1, 0), (0, UNKNOWN, UNKNOWN)
STRANGER = (0, 0, 0)


def read_lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def split_parts(text: str, mark: str = " | ") -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(mark.strip()) if part.strip())


def read_fields(path: Path) -> list[Field]:
    """The fields of a facts file: `== name | noun | names | titles`, then one fact a line, its parts between #."""
    fields: list[Field] = []
    for line in read_lines(path):
        if line.startswith("== "):
            name, noun, names, titles, *_ = split_parts(line[3:])
            fields.append(Field(name, noun, split_parts(names, ";"), split_parts(titles, ";"), ()))
            continue
        parts = [part.strip() for part in line.split(" # ")]
        section = "" if fields[-1].name == "chat" else parts.pop(0)
        fact = Fact(
            section,
            (parts[0],) if fields[-1].name == "chat" else split_parts(parts[0]),
            split_parts(parts[1]),
            split_parts(parts[2]),
            parts[3] if len(parts) > 3 else "",
        )
        last = fields[-1]
        fields[-1] = Field(last.name, last.noun, last.names, last.titles, (*last.facts, fact))
    return fields


def row_of(cells: str) -> str:
    """A row of a Markdown table from its cells between semicolons."""
    return f"| {' | '.join(split_parts(cells, ';'))} |"


def as_typed(question: str, chance: random.Random) -> str:
    chance_value = chance.random()
    if chance_value < 0.35:
        question = question.lower()
    elif chance_value < 0.7:
        question = question[0].upper() + question[1:]
    if not question.endswith("?") and chance.random() < 0.5:
        question += "?"
    if chance.random() < 0.04 and len(question) > 12:
        at = chance.randrange(4, len(question) - 2)
        question = question[:at] + question[at + 1 :]
    return question


def pair_of(question: str, title: str, line: Line, labels: tuple[int, int, int], group: str) -> AnswerPair:
    text = piece_in_context(title, line.leaf, line.text, line.before, line.header)
    return AnswerPair(question, text, labels, group)


def nearest(
    question: str,
    lines: Sequence[AnyLine],
    count: int,
    chance: random.Random,
    text_of: Callable[[AnyLine], str] = str,
) -> list[AnyLine]:
    """The lines that share most words with the question, and by chance another."""
    question_words = set(re.findall(r"\w{3,}", question.lower()))
    order = sorted(
        lines, key=lambda line: -len(question_words & set(re.findall(r"\w{3,}", text_of(line).lower())))
    )
    if len(order) > count and chance.random() < 0.4:
        return [*order[: count - 1], chance.choice(order[count - 1 :])]
    return order[:count]
