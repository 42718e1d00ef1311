"""Documents with their labelled questions out of the passages in rag/data/answering, written for training and fitting.

Sections of one title are one Markdown document. `passages_offices.txt` is what the answerability model is trained on,
`held_documents.txt` is read by no training of it: weights, thresholds and confidence are fitted on the one half of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.documents_corpus import EVERYONE, LabelledQuestion
from rag.errors import RagError
from rag.evaluation.answer_lines import FOLDER, read_lines, row_of, split_parts
from rag.index import Index

OFFICES = FOLDER / "passages_offices.txt"
HELD = FOLDER / "held_documents.txt"


@dataclass
class Section:
    """A section: its title and heading, its columns if it is a table, its lines, `(question, number of the line or 0)`."""

    title: str
    heading: str
    columns: tuple[str, ...]
    lines: tuple[str, ...]
    questions: list[tuple[str, int]]

    @property
    def markdown(self) -> str:
        """The section as it stands in its document."""
        rows = [row_of("; ".join(self.columns)), row_of("; ".join("---" for _ in self.columns)), *self.lines]
        return f"## {self.heading}\n\n" + ("\n".join(rows) if self.columns else " ".join(self.lines))


def read_sections(path: Path) -> Iterator[Section]:
    """The sections of a file in order."""
    section: Section | None = None
    for text in read_lines(path):
        if text.startswith("> "):
            if section:
                yield section
            title, _, heading = (part.strip() for part in text[2:].partition(">"))
            section = Section(title, heading or title, (), (), [])
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


def file_name(title: str) -> str:
    """The name of a document's file."""
    return re.sub(r"\W+", "-", title.lower()).strip("-") + ".md"


def made_questions(path: Path) -> list[LabelledQuestion]:
    """The questions of a file; `passage` is the sentence or row that answers."""
    questions = []
    for section in read_sections(path):
        for text, number in section.questions:
            passage = section.lines[number - 1] if number else ""
            identity = f"{path.stem}-{len(questions) + 1:03}"
            document = file_name(section.title)
            questions.append(LabelledQuestion(identity, text, document, not number, passage, passage))
    return questions


def add_made_documents(index: Index, path: Path, folder: Path) -> None:
    """Write the documents of a file into `folder` and index them for everyone."""
    texts: dict[str, list[str]] = {}
    for section in read_sections(path):
        texts.setdefault(section.title, [f"# {section.title}"]).append(section.markdown)
    folder.mkdir(parents=True, exist_ok=True)
    for title, parts in texts.items():
        (folder / file_name(title)).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    report = index.add([folder], EVERYONE)
    if report.problems:
        raise RagError("; ".join(report.problems))
