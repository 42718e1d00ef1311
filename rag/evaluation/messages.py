"""The labelled messages that the readers learn from: rag/data/{prototypes,scenarios}.yaml and rag/data/reading/*.jsonl.

Written by hand for this project (CC0), one file an author, so that a reader can be measured on an author whom it never
read. Covers reading and checking. Does not train anything (see rag/evaluation/train_signal_classifier.py).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rag.errors import RagError

DATA = Path(__file__).parents[1] / "data"
READING = DATA / "reading"
EXCLUSIVE = {
    "topic": ("decision", "guide", "other", "people", "injection", "document", "concierge"),
    "task": ("none", "classify", "extract", "reply", "summarise", "qa", "search", "translate", "code", "foundation"),
    "baseline": ("none", "not_tried", "tried_ok", "tried_fail"),
}  # fmt: skip
EACH = {
    "gaps": ("knowledge", "style", "format", "accuracy", "cost", "latency", "offline", "ambition", "capability", "vague"),
    "flags": ("citations", "acl", "stable", "pii", "no_consent", "in_training", "vendor_claim", "changing",
              "already_tuned", "cheaper_tried", "lab"),
}  # fmt: skip
ONLY_BY_AUTHORS = frozenset(
    {"already_tuned", "cheaper_tried", "lab"}
)  # flags that the YAML files never label
KINDS = (
    "examples", "classes", "per_class", "eval_n", "score", "target", "volume_hour", "volume_day", "volume_week",
    "volume_month", "volume_year", "cost_month", "cost_day", "cost_year", "budget", "price_call", "kb_tokens",
    "kb_docs", "prompt_tokens", "latency", "gpus", "params", "pretrain_tokens", "deadline", "team", "change_every",
    "version", "other",
)  # fmt: skip


@dataclass(frozen=True)
class LabelledNumber:
    """A number as it stands in a message (`text[start:end]`), and what it counts (one of KINDS)."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class LabelledMessage:
    """A message and its labels by head: one for each of EXCLUSIVE, any number for each of EACH.

    `numbers` is None where the numbers are not labelled. `verdict` is what the table must say (scenarios alone).
    """

    text: str
    labels: Mapping[str, tuple[str, ...]]
    author: str
    family: str | None = None
    verdict: str | None = None
    lang: str = "en"
    numbers: tuple[LabelledNumber, ...] | None = None

    @property
    def is_decision(self) -> bool:
        """Whether it is about building or training, so that the heads other than topic learn from it."""
        return self.labels["topic"] == ("decision",)

    def labelled(self, label: str) -> bool:
        """Whether the absence of this flag is known."""
        return self.numbers is not None or label not in ONLY_BY_AUTHORS


FOLDS = (1, 2, 3)
FOLD_OF_AUTHOR = {"author_a": 1, "author_b": 2, "author_d": 1, "author_e": 3, "author_f": 2}
FOLDS_OF_FAMILIES = {
    "author_c": (1, 2),
    "author_g": (2, 3),
    "author_h": (1, 3),
    "author_i": (1, 2),
}  # who write other languages


def fold_of(message: LabelledMessage) -> int | None:
    """The fold whose reader never read this message's author; None for the YAML files, which every fold reads.

    Of FOLDS_OF_FAMILIES the families of situations are kept apart, not the author.
    """
    if folds := FOLDS_OF_FAMILIES.get(message.author):
        return folds[zlib.crc32((message.family or message.text).encode()) % len(folds)]
    return FOLD_OF_AUTHOR.get(message.author)


def read_messages(data: Path = DATA) -> list[LabelledMessage]:
    """All labelled messages, the YAML files first; RagError names the file, the place and the bad label."""
    messages = [m for name in ("prototypes", "scenarios") for m in _read_groups(data / f"{name}.yaml")]
    for path in sorted((data / "reading").glob("*.jsonl")):
        messages += _read_author(path)
    return messages


def _read_groups(path: Path) -> Iterator[LabelledMessage]:
    for number, group in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), 1):
        labels = _labels(group["labels"], f"{path}, group {number}")
        for text in group["say"]:
            yield LabelledMessage(text, labels, path.stem, group.get("family"), group.get("verdict"))


def _read_author(path: Path) -> Iterator[LabelledMessage]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
            text = row["text"]
            numbers = _numbers(text, row.get("numbers", []), place)
        except (ValueError, KeyError, TypeError) as error:
            raise RagError(
                f"{place}: each line is a JSON object with `text`, `topic` and labels ({error})."
            ) from error
        heads = {head: row[head] for head in (*EXCLUSIVE, *EACH) if head in row}
        labels = _labels(heads, place)
        yield LabelledMessage(
            text, labels, path.stem, row.get("family"), None, row.get("lang", "en"), numbers
        )


def _labels(raw: Mapping[str, Any], place: str) -> Mapping[str, tuple[str, ...]]:
    """The labels of every head; a head that is not named means: topic decision, else none."""
    labels = dict.fromkeys(EXCLUSIVE, ("none",)) | dict.fromkeys(EACH, ()) | {"topic": ("decision",)}
    labels_by_head = {**EXCLUSIVE, **EACH}
    for head, value in raw.items():
        values = tuple(value) if isinstance(value, list) else (value,)
        if head not in labels_by_head or not set(values) <= set(labels_by_head[head]):
            raise RagError(f"{place}: {head}={value!r} is not a label.")
        labels[head] = values
    return labels


def _numbers(text: str, raw: list[list[str]], place: str) -> tuple[LabelledNumber, ...]:
    """The numbers with their places, in the text's order; RagError for one that does not stand in the text."""
    numbers: list[LabelledNumber] = []
    for words, kind in raw:
        if kind not in KINDS:
            raise RagError(f"{place}: {kind!r} is no kind of number.")
        places = {place for number in numbers for place in range(number.start, number.end)}
        spans = [match.span() for match in re.finditer(re.escape(words), text)]
        free = [span for span in spans if not places & set(range(*span))] or spans
        whole = [span for span in free if _stands_alone(text, *span)] or free
        if not whole:
            raise RagError(f"{place}: the number {words!r} does not stand in the text.")
        numbers.append(LabelledNumber(*whole[0], kind))
    return tuple(sorted(numbers, key=lambda number: number.start))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no digit touches the span, so that "4" is not found inside "14"."""
    return not (text[start - 1 : start].isdigit() or text[end : end + 1].isdigit())
