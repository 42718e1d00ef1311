"""Checks before training: loss masks, truncation, and whether the model can learn one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from finetune.errors import BaseModelError, TrainingDataError, is_out_of_memory
from finetune.progress import Progress

IGNORED = -100
TRUNCATION_NOTED = 0.05
NO_LIMIT = 1 << 20
PROBE_STEPS = 12
WORSE = 1.05
PROBE_SHARE = 0.9  # repeated steps on one batch must reduce its loss by a tenth


def check_triage_rows(
    rows: Sequence[dict[str, Any]],
    texts: Sequence[str],
    tokenizer: Any,
    max_length: int,
    limit: int = NO_LIMIT,
) -> list[str]:
    """Notes on the rows; TrainingDataError when no row has anything to learn from."""
    if not rows:
        raise TrainingDataError("No rows are left to train on: add tickets with a label.")
    if all(len(row["input_ids"]) <= 2 for row in rows):
        raise TrainingDataError(
            "The tokenizer reads nothing in these tickets: choose a base model for the language."
        )
    return truncation_notes(rows, max_length, limit) + unknown_notes(rows, tokenizer)


def max_input_length(model: Any, tokenizer: Any) -> int:
    """The maximum input length of the model and its tokenizer, in tokens.

    Beyond it learned positions do not exist (GPT-2, BERT) and rotary positions were not trained.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [positions, getattr(tokenizer, "model_max_length", None)]
    return min(int(most) for most in [*limits, NO_LIMIT] if most)


def truncation_notes(rows: Sequence[dict[str, Any]], max_length: int, limit: int = NO_LIMIT) -> list[str]:
    """A sentence when more than one row in twenty is cut at `max_length`; `limit` is the base model's own."""
    cut = sum(len(row["input_ids"]) >= max_length for row in rows)
    if cut <= TRUNCATION_NOTED * len(rows):
        return []
    ways = "raise max_length" if max_length < limit else "no more fits this base model"
    return [f"{cut} of {len(rows)} tickets are longer than {max_length} tokens and were cut: {ways}."]


def unknown_notes(rows: Sequence[dict[str, Any]], tokenizer: Any) -> list[str]:
    """A sentence when the tokenizer knows too few of the words."""
    unknown = getattr(tokenizer, "unk_token_id", None)
    total = sum(len(row["input_ids"]) for row in rows)
    if unknown is None or unknown == getattr(tokenizer, "eos_token_id", None):
        return []
    share = sum(row["input_ids"].count(unknown) for row in rows) / max(total, 1)
    if share < TRUNCATION_NOTED:
        return []
    return [f"The base model's tokenizer does not know {share:.0%} of the words: it was made for other text."]


def check_reply_rows(rows: Sequence[dict[str, Any]], max_length: int, limit: int = NO_LIMIT) -> list[str]:
    """Notes on rows whose answer was cut away; TrainingDataError when none has an answer to learn from."""
    empty = sum(all(label == IGNORED for label in row["labels"]) for row in rows)
    if not rows or empty == len(rows):
        raise TrainingDataError(
            f"No row has an answer within {max_length} tokens: raise max_length or shorten the tickets."
        )
    notes = truncation_notes(rows, max_length, limit)
    if empty:
        notes.append(
            f"{empty} of {len(rows)} rows have no answer token left after cutting and teach nothing."
        )
    return notes


def decode_row(row: dict[str, Any], tokenizer: Any) -> str:
    """One tokenised row as text for a visual check; ⟦ and ⟧ enclose the tokens that the loss counts."""
    parts: list[str] = []
    inside = False
    for token, label in zip(row["input_ids"], row["labels"], strict=True):
        if (label != IGNORED) != inside:
            parts.append("⟧" if inside else "⟦")
            inside = not inside
        parts.append(tokenizer.decode([token]))
    return "".join(parts) + ("⟧" if inside else "")


def overfit_probe(model: Any, batches: Sequence[dict[str, Any]], rate: float, progress: Progress) -> float:
    """Train a copy of the trainable weights on one batch for a few steps; return last loss / first loss.

    A note warns when the loss hardly falls: labels, mask or learning rate are then wrong. Weights and the
    random state are put back as they were. Raises BaseModelError where the untrained model already answers with no
    number. Of long texts only as many rows are taken as pass at once in training; where even they do not fit into memory the
    probe is left out (1.0): training finds a size that does.
    """
    import torch

    from finetune.device import pick_device
    from finetune.training.micro_batches import micro_batch_tokens, split_batch
    from finetune.training.trainer import trained_tensors

    batch = split_batch(batches[0], micro_batch_tokens(model, pick_device()))[0]
    rows = len(batch["labels"])

    weights = {name: tensor.clone() for name, tensor in trained_tensors(model).items()}
    try:
        with torch.random.fork_rng():
            losses = _learn_one_batch(model, batch, rate, progress)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        losses = []
    model.zero_grad(set_to_none=True)
    model.load_state_dict(weights, strict=False)
    model.train()
    if not losses:
        return 1.0
    ratio = losses[-1] / max(losses[0], 1e-9)
    if not ratio < PROBE_SHARE and losses[0] > 0.05:
        course = f"({losses[0]:.2f} to {losses[-1]:.2f} in {PROBE_STEPS} steps)"
        progress.note(
            f"Even one batch of {rows} rows is unlearned, not learned {course}: lower the learning rate of {rate:g}."
            if not ratio < WORSE
            else f"Even one batch of {rows} rows is hardly learned {course}: check the labels and the learning rate."
        )
    return ratio


def _learn_one_batch(model: Any, batch: dict[str, Any], rate: float, progress: Progress) -> list[float]:
    """The loss at each of PROBE_STEPS steps, without dropout."""
    import torch

    from finetune.device import mixed_precision

    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}
    model.eval()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    losses: list[float] = []
    for _ in range(PROBE_STEPS):
        progress.check()
        with mixed_precision(device.type):
            loss = model(**batch)["loss"]
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[0]):
            raise BaseModelError(
                "The base model's loss is no number before any training: its weights are damaged. Download or "
                "save them again, or choose another base model."
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return losses
