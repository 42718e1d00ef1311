"""Documents with their labelled questions out of the passages in rag/data/answering, written for training and fitting.

Sections of one title are one Markdown document. No training of the answerability model reads FITTING, on which the score
is fitted; HELD is read by neither, answers are measured on it.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.documents_corpus import EVERYONE, LabelledQuestion
from rag.errors import RagError
from rag.evaluation.answer_lines import FOLDER
from rag.evaluation.answer_passages import FOR_FITTING, read_sections
from rag.index import Index

HELD = FOLDER / "held_documents.txt"
FITTING = FOLDER / f"{FOR_FITTING}.txt"


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
    write_made_documents(path, folder)
    report = index.add([folder], EVERYONE)
    if report.problems:
        raise RagError("; ".join(report.problems))


def add_made_documents_apart(index: Index, path: Path, folder: Path) -> dict[str, frozenset[str]]:
    """Write and index the documents each in a scope of its own; the scopes by file name."""
    files = write_made_documents(path, folder)
    scopes = {file.name: frozenset({f"channel:C{number}"}) for number, file in enumerate(files)}
    for file in files:
        if problems := index.add([file], scopes[file.name]).problems:
            raise RagError("; ".join(problems))
    return scopes


def write_made_documents(path: Path, folder: Path) -> list[Path]:
    """Write the documents of a file into `folder`."""
    texts: dict[str, list[str]] = {}
    for section in read_sections(path):
        texts.setdefault(section.title, [f"# {section.title}"]).append(section.markdown)
    folder.mkdir(parents=True, exist_ok=True)
    for title, parts in texts.items():
        (folder / file_name(title)).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [folder / file_name(title) for title in texts]
