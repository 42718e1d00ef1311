"""What a platform that tunes by itself is given to read: the training rows as chat lines, never the held-out ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from finetune.data.ticket import Tickets
from finetune.platforms.contract import NotMade
from finetune.spec import Spec
from finetune.tasks import TASKS

TRAIN, DEV = "train.jsonl", "dev.jsonl"
BYTES_PER_TOKEN = 3.0  # fewer than English has; a Chinese sign has three: so that a budget is not passed


def chat_files(tickets: Tickets, recipe: Mapping[str, Any]) -> dict[str, bytes]:
    """The rows to train on, and those to choose on where there are some, one chat a line in OpenAI's shape.

    The cut is the one that the evaluation at home makes; its test rows are in neither file.
    """
    spec = Spec.from_json(recipe)
    side = TASKS[spec.task].at_platform
    if side is None:
        raise NotMade(f"The task `{spec.task}` cannot be tuned by a platform: choose this team's workers.")
    train, dev = side.chats(spec, tickets)
    return {TRAIN: lines_of(train), **({DEV: lines_of(dev)} if dev else {})}


def lines_of(pairs: Sequence[tuple[str, str]]) -> bytes:
    """Questions and answers as chat lines."""
    lines = []
    for question, answer in pairs:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def tokens_of(lines: bytes, epochs: int) -> float:
    """The tokens that are trained, rather too many than too few."""
    return tokens_of_size(len(lines), epochs)


def tokens_of_size(size: int, epochs: int) -> float:
    """The same for a file of so many bytes."""
    return size / BYTES_PER_TOKEN * epochs
