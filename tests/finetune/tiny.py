"""Models of some ten thousand weights and tickets that can be learned in seconds, for tests that really train."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from finetune.data.ticket import Ticket, Tickets
from finetune.methods.scratch import Size, causal_from_shape, encoder_from_shape
from finetune.progress import Progress
from finetune.spec import Spec, parse_spec
from finetune.tasks.reply.tokens import AnswerLoss, Encoder, Template, collate_padded
from finetune.training.loop import Examples, TrainingResult, fit

SIZE = Size(hidden=32, layers=2, heads=2, inner=64, vocabulary=400)
TOPICS = {
    "billing": ("invoice", "charged twice", "refund my payment", "wrong amount on the bill"),
    "login": ("password reset", "cannot sign in", "locked out of my account", "two factor code"),
    "shipping": ("parcel is late", "tracking number", "delivery address", "box arrived broken"),
}
OPENINGS = ("Hello,", "Hi team,", "Please help:", "Good morning,", "Urgent!")
ENDINGS = ("since Monday.", "again and again.", "what can I do?", "thank you.", "for order")


def tickets(rows: int, seed: int = 0) -> Tickets:
    """So many different tickets of three queues, each with an answer that its queue decides."""
    draw = random.Random(seed)
    lines = []
    for at in range(rows):
        queue = list(TOPICS)[at % len(TOPICS)]
        words = (
            f"{draw.choice(OPENINGS)} {draw.choice(TOPICS[queue])} {draw.choice(ENDINGS)} {draw.random():.9f}"
        )
        lines.append(Ticket(str(at), words, queue, f"We looked into your {queue} case {at} and solved it."))
    return Tickets(tuple(lines), "reply")


def save_causal(folder: Path, shape: str = "tiny-llama", places: int = 128) -> Path:
    """A causal model with its tokenizer, saved as a hub would hand it out; the same random weights each time."""
    rows = tickets(40).rows
    texts = [row.text for row in rows] + [str(row.answer) for row in rows]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return _save(folder, *causal_from_shape(shape, texts, places, SIZE))


def save_encoder(folder: Path, shape: str = "tiny-bert") -> Path:
    """An encoder with its tokenizer; the same random weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return _save(folder, *encoder_from_shape(shape, tickets(40).texts, 128, SIZE))


def _save(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def recipe(**form: Any) -> Spec:
    """A reply recipe for tiny models."""
    small = {"dataset": "d", "task": "reply", "epochs": 2, "batch_size": 8, "max_length": 128}
    return parse_spec({**small, "learning_rate": 5e-3, "max_new_tokens": 8, **form})


def quietly(emit: Callable[[dict[str, Any]], None] = lambda _: None, stop: Any = lambda: None) -> Progress:
    """A Progress that reports every step and asks each time."""
    return Progress(emit, stop, every_s=0)


def fit_reply(
    model: Any, tokenizer: Any, spec: Spec, folder: Path, progress: Progress | None = None
) -> TrainingResult:
    """`fit` on 40 tickets with 12 to choose on."""
    encoder = Encoder(tokenizer, Template.of(tokenizer), spec.max_length)
    rows = tickets(40), tickets(12, seed=1)
    sides = [encoder.rows(side.texts, [str(row.answer) for row in side.rows]) for side in rows]
    collate = collate_padded(tokenizer.pad_token_id)
    return fit(AnswerLoss(model), Examples(*sides, collate), spec, folder, progress or quietly())
