"""Chat files for a platform that tunes by itself: training and validation rows, never held-out ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finetune.data.ticket import Tickets
from finetune.platforms.contract import NotMade
from finetune.spec import Spec
from finetune.tasks import TASKS

TRAIN, DEV = "train.jsonl", "dev.jsonl"
BYTES_PER_TOKEN = 3.0  # fewer than English has; a Chinese sign has three: so that a budget is not passed


Line = Callable[[str, str], dict[str, Any]]
"""A question and its answer as one line of a platform's file."""


def openai_line(question: str, answer: str) -> dict[str, Any]:
    """A chat as OpenAI's wire has it."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def files_by(
    line: Line, tickets: Tickets, recipe: Mapping[str, Any], most_dev: int | None = None
) -> dict[str, bytes]:
    """The training rows and at most `most_dev` validation rows, one chat a line.

    The cut is the one that the evaluation at home makes; its test rows are in neither file.
    """
    spec = Spec.from_json(recipe)
    side = TASKS[spec.task].at_platform
    if side is None:
        raise NotMade(f"The task `{spec.task}` cannot be tuned by a platform: choose this team's workers.")
    train, dev = side.chats(spec, tickets)
    dev = dev[:most_dev]
    return {TRAIN: lines_of(line, train), **({DEV: lines_of(line, dev)} if dev else {})}


def chat_files(tickets: Tickets, recipe: Mapping[str, Any]) -> dict[str, bytes]:
    """The files in OpenAI's shape."""
    return files_by(openai_line, tickets, recipe)


def lines_of(line: Line, pairs: Sequence[tuple[str, str]]) -> bytes:
    """Questions and answers as lines of JSON."""
    return "".join(json.dumps(line(*pair), ensure_ascii=False) + "\n" for pair in pairs).encode()


def tokens_of(lines: bytes, epochs: int) -> float:
    """The tokens that are trained, rather too many than too few."""
    return tokens_of_size(len(lines), epochs)


def tokens_of_size(size: int, epochs: int) -> float:
    """The same for a file of so many bytes."""
    return size / BYTES_PER_TOKEN * epochs
