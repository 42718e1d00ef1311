"""The passages by hand in rag/data/answering: sections of documents with questions, answered and not, as training pairs.

A section is `> title > heading`, `= columns` where its lines are rows, sentences or rows between |, then
`? question => number of the line` and `x question` for what nothing there answers. What stands nearest to a question
that nothing answers is the pair that counts most: it shares all words but one. A hand's near misses give themselves away by
their style, so `contrasts_*.txt` has for each of them, below the same `> title > heading`, `x question => line` with the line
that would answer it: no question is known by its words alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rag.answer.pieces import piece_in_context
from rag.errors import RagError
from rag.evaluation.answer_lines import (
    ANSWERS,
    FOLDER,
    NO_ANSWER,
    OTHER_ATTRIBUTE,
    OTHER_SUBJECT,
    AnswerPair,
    as_typed,
    nearest,
    read_lines,
    row_of,
    split_parts,
)
from rag.evaluation.answer_swaps import find_swap

NEAR_OF_ANSWERED, NEAR_OF_MISSED = 1, 2  # lines of the section that do not answer, a question
NEAR_WITH_CONTRASTS = 2  # the same number for every question, where each has its answer
FOR_FITTING = "passages_chats_reports"  # the file of one hand, left to the fit of the score
SHARE_OF_OTHER_SECTIONS = 0.5  # of questions, paired also with a line of another section of the document


@dataclass
class Section:
    """A section: its title and heading, its columns if it is a table, its lines, `(question, number of the line or 0)`."""

    title: str
    heading: str
    columns: tuple[str, ...]
    lines: tuple[str, ...]
    questions: list[tuple[str, int]]
    contrasts: dict[str, str] = field(default_factory=dict)  # a near miss and the line that would answer it

    @property
    def markdown(self) -> str:
        """The section as it stands in its document."""
        rows = [row_of("; ".join(self.columns)), row_of("; ".join("---" for _ in self.columns)), *self.lines]
        return f"## {self.heading}\n\n" + ("\n".join(rows) if self.columns else " ".join(self.lines))

    @property
    def texts(self) -> list[str]:
        """Each line as the answerability model reads it."""
        befores = [""] * len(self.lines) if self.columns else ["", *self.lines]
        return [self.text_of(line, before) for line, before in zip(self.lines, befores, strict=False)]

    def text_of(self, line: str, before: str) -> str:
        """A line of it, or one that might stand there behind `before`, as the answerability model reads it."""
        return piece_in_context(self.title, self.heading, line, "" if self.columns else before, self.columns)


def passage_files() -> list[Path]:
    """The files that the answerability model is trained on, one a hand and kind of document."""
    return sorted(FOLDER.glob("passages*.txt"))


def is_for_fitting(path: Path) -> bool:
    """Whether no training reads a file: the score and its confidence are fitted on it."""
    return path.stem == FOR_FITTING


def _place_of(text: str) -> tuple[str, str]:
    """Title and heading in `> title > heading`; a section without a heading of its own has the title's."""
    title, _, heading = (part.strip() for part in text[2:].partition(">"))
    return title, heading or title


def read_sections(path: Path) -> Iterator[Section]:
    """The sections of a file in order."""
    section: Section | None = None
    for text in read_lines(path):
        if text.startswith("> "):
            if section:
                yield section
            section = Section(*_place_of(text), (), (), [])
        elif section is None:
            raise RagError(f"{path}: the first line must be `> title > heading`.")
        elif text.startswith("= "):
            section.columns = split_parts(text[2:], ";")
        elif text.startswith("? "):
            question, _, number = text[2:].rpartition(" => ")
            section.questions.append((question.strip(), int(number)))
        elif text.startswith("x "):
            section.questions.append((text[2:].strip(), 0))
        else:
            section.lines = tuple(map(row_of, split_parts(text)) if section.columns else split_parts(text))
    if section:
        yield section


def read_contrasts(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """By title and heading of a passages file: its near misses with the lines that would answer them; empty without a file."""
    contrasts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    file, place = path.with_name(path.name.replace("passages", "contrasts", 1)), ("", "")
    for text in read_lines(file) if file.is_file() else ():
        if text.startswith("> "):
            place = _place_of(text)
        else:
            question, _, line = text.removeprefix("x ").partition(" => ")
            contrasts[place][question.strip()] = line.strip()
    return contrasts


def sections_with_contrasts(path: Path) -> list[Section]:
    """The sections of a file, each with the lines that would answer its near misses."""
    contrasts, sections = read_contrasts(path), list(read_sections(path))
    for section in sections:
        for question, line in contrasts.get((section.title, section.heading), {}).items():
            is_row = section.columns and line.count(";") == len(section.columns) - 1
            section.contrasts[question] = row_of(line) if is_row else line
    return sections


def pairs_of_passages(path: Path, chance: random.Random) -> Iterator[AnswerPair]:
    """The pairs of a file: each question, as somebody might type it, with its answer and with what stands near."""
    documents: dict[str, list[str]] = defaultdict(list)
    sections = sections_with_contrasts(path)
    for section in sections:
        documents[section.title] += section.texts
    for section in sections:
        group = f"{path.stem}: {section.title}"
        texts = section.texts
        elsewhere = [text for text in documents[section.title] if text not in texts]
        for question, number in section.questions:
            contrasts = {
                near_miss: section.text_of(line, chance.choice(section.lines))
                for near_miss, line in section.contrasts.items()
            }
            answer = texts[number - 1] if number else contrasts.pop(question, None)
            question = as_typed(question, chance)
            others = [text for text in texts if text != answer]
            if answer and (swap := find_swap(question, answer, chance)):
                yield AnswerPair(swap(question), answer, OTHER_SUBJECT, group)
                yield AnswerPair(swap(question), swap(answer), ANSWERS, group)
            if section.contrasts and answer:
                yield AnswerPair(question, answer, ANSWERS, group)
                likely = [*others, *contrasts.values()]
                near = nearest(question, likely, NEAR_WITH_CONTRASTS, chance)
                yield from (AnswerPair(question, text, NO_ANSWER, group) for text in near)
            elif answer:
                yield AnswerPair(question, answer, ANSWERS, group)
                near = nearest(question, others, NEAR_OF_ANSWERED, chance)
                yield from (AnswerPair(question, text, OTHER_ATTRIBUTE, group) for text in near)
            else:
                near = nearest(question, others, NEAR_OF_MISSED, chance)
                yield from (AnswerPair(question, text, NO_ANSWER, group) for text in near)
            if elsewhere and chance.random() < SHARE_OF_OTHER_SECTIONS:
                (other,) = nearest(question, elsewhere, 1, chance)
                yield AnswerPair(question, other, NO_ANSWER, group)
