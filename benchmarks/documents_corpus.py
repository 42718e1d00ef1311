"""The documents of benchmarks/documents with their labelled questions (CC0), written by another hand than the code."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from rag.errors import RagError
from rag.index import Index

FOLDER = Path(__file__).with_name("documents")
SECOND, THIRD, FOURTH = (
    FOLDER / name for name in ("second", "third", "fourth")
)  # `heldout` of other hands, with their documents
EVERYONE = frozenset({"workspace"})
_YES_OR_NO = ("yes", "no")


def plain(text: str) -> str:
    """Words and numbers alone, in lower case: tags, pipes and emphasis gone."""
    return " ".join(re.sub(r"\W+", " ", re.sub(r"<[^>]+>", " ", text)).lower().split())


@dataclass(frozen=True)
class LabelledQuestion:
    """A question; `near` if nothing answers it, else the `passage` that does and the `answer` inside it."""

    id: str
    question: str
    document: str
    near: bool
    answer: str = ""
    passage: str = ""

    def is_held_by(self, text: str) -> bool:
        """Whether the labelled passage stands in a text whole."""
        return bool(self.passage) and plain(self.passage) in plain(text)

    def is_answered_by(self, text: str) -> bool:
        """Whether a text holds the passage, or is the part of it with the answer."""
        if not self.passage:
            return False
        mine, passage, answer = plain(text), plain(self.passage), plain(self.answer)
        part = len(mine) > 12 and mine in passage and (answer in mine or answer in _YES_OR_NO)
        return part or passage in mine


def read_questions(name: str, folder: Path = FOLDER) -> list[LabelledQuestion]:
    """The questions of `dev` or `heldout`; RagError names a line that is none."""
    path = folder / f"{name}.jsonl"
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            near = bool(row.get("near"))
            questions.append(
                LabelledQuestion(
                    row["id"],
                    row["question"],
                    row["document"],
                    near,
                    "" if near else row["answer"],
                    "" if near else row["passage"],
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RagError(
                f"{path}, line {number}: needs id, question, document, answer, passage."
            ) from error
    return questions


def add_documents(index: Index, folder: Path = FOLDER) -> None:
    """Index the documents, for everyone."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".md", ".html", ".txt")]
    report = index.add(files, EVERYONE)
    if report.problems:
        raise RagError("; ".join(report.problems))
