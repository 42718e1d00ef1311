"""How a stand-in's tuned model answers: with the answer of the training row that shares most words with the question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def lessons_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Answers by their questions in lower case."""
    return {question.lower(): answer for question, answer in pairs}


def answer_to(question: str, lessons: Mapping[str, str]) -> str:
    """The answer of the nearest question, "" where nothing was learned."""
    words = set(question.lower().split())
    near = max(
        lessons,
        key=lambda text: len(words & set(text.split())) / len(words | set(text.split())),
        default="",
    )
    return lessons.get(near, "")
