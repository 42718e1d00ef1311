"""Replies by tuning a causal model: base or shape, adapter, train, save; and answer with what was saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.artifacts import CARD, FIRST_ROW, find_model, read_card
from finetune.device import mixed_precision, pick_device
from finetune.errors import BaseModelError, CorruptModel
from finetune.methods import METHODS, method_of, network_of
from finetune.progress import Progress
from finetune.training.base_models import merged
from finetune.training.checks import NO_LIMIT, check_reply_rows, decode_row, max_input_length, overfit_probe
from finetune.training.embedding import length_batches

if TYPE_CHECKING:
    from finetune.spec import Spec

GENERATED_TOKENS = 8192


@dataclass
class TunedReply:
    """A model that answers tickets, greedily, in at most `max_new_tokens` tokens."""

    model: Any
    tokenizer: Any
    encoder: Any
    max_new_tokens: int

    @property
    def body(self) -> Any:
        """The causal model itself."""
        return self.model

    def answers(self, tickets: Sequence[str], check: Callable[[], None] = lambda: None) -> list[str]:
        """One answer per ticket, in order; `check` is called after every token."""
        import torch
        from transformers import StoppingCriteriaList

        prompts = self.encoder.prompts(tickets, self.max_new_tokens)
        texts = [""] * len(prompts)
        self.model.eval()
        self.tokenizer.padding_side = "left"
        halt = StoppingCriteriaList([_Check(check)])
        with torch.inference_mode(), mixed_precision(self.model.device.type):
            for batch in length_batches([len(p) + self.max_new_tokens for p in prompts], GENERATED_TOKENS):
                inputs = self.tokenizer.pad({"input_ids": [prompts[i] for i in batch]}, return_tensors="pt")
                inputs = {k: inputs[k].to(self.model.device) for k in ("input_ids", "attention_mask")}
                output = self.model.generate(
                    **inputs,
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    stopping_criteria=halt,
                    pad_token_id=self.tokenizer.pad_token_id,
                    eos_token_id=self.tokenizer.eos_token_id,
                )
                for row, tokens in zip(batch, output[:, inputs["input_ids"].shape[1] :], strict=True):
                    texts[row] = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return texts

    def perplexity(self, tickets: Sequence[str], answers: Sequence[str]) -> float:
        """Perplexity of the real answers: exp of the mean loss per answer token."""
        import math

        import torch

        from finetune.tasks.reply.tokens import IGNORED, AnswerLoss, collate_padded

        rows = self.encoder.rows(tickets, answers)
        loss, collate = AnswerLoss(self.model).eval(), collate_padded(self.tokenizer.pad_token_id)
        total = tokens = 0.0
        with torch.inference_mode(), mixed_precision(self.model.device.type):
            for batch in length_batches([len(row["input_ids"]) for row in rows], GENERATED_TOKENS):
                inputs = {k: v.to(self.model.device) for k, v in collate([rows[i] for i in batch]).items()}
                count = int((inputs["labels"] != IGNORED).sum())
                total += float(loss(**inputs)["loss"]) * count
                tokens += count
        return math.exp(min(total / max(tokens, 1), 50))


class _Check:
    """Asks whether to stop after each generated token."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        self.check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def train_reply(
    spec: Spec,
    train: tuple[Sequence[str], Sequence[str]],
    dev: tuple[Sequence[str], Sequence[str]],
    folder: Path,
    progress: Progress,
) -> Any:
    """Train on (tickets, answers) and return `TrainingResult`; the model lies in folder/model."""
    from transformers import set_seed

    from finetune.tasks.reply.tokens import (
        AnswerLoss,
        Encoder,
        Template,
        check_round_trip,
        collate_packed,
        collate_padded,
    )
    from finetune.training.base_models import silence_libraries
    from finetune.training.loop import Examples, fit

    set_seed(spec.seed)
    method = network_of(spec.method)
    causal, tokenizer = method.build(spec, "causal", [*train[0], *train[1]])
    if tokenizer.eos_token_id is None:
        raise BaseModelError(
            f"The tokenizer of `{spec.base_model}` has no end token, so an answer could not end: set its "
            "`eos_token`, or choose another base model."
        )
    limit = max_input_length(causal, tokenizer) if METHODS[spec.method].pretrained else NO_LIMIT
    spec = replace(spec, max_length=min(spec.max_length, limit))
    encoder = Encoder(tokenizer, Template.of(tokenizer), spec.max_length)
    rows, dev_rows = encoder.rows(*train), encoder.rows(*dev)
    for note in check_reply_rows(rows, spec.max_length, limit):
        progress.note(note)
    check_round_trip(rows, train[1], tokenizer)
    # A person's text: it stays in the run's folder and never goes into an event or a log.
    (folder / FIRST_ROW).write_text(decode_row(rows[0], tokenizer))
    causal = method.adapt(causal, spec, "causal")
    model = AnswerLoss(causal).to(pick_device())
    collate = collate_packed if spec.packing else collate_padded(tokenizer.pad_token_id)
    with silence_libraries():
        overfit_probe(model, [collate(rows[:8])], spec.learning_rate, progress)
    result = fit(model, Examples(rows, dev_rows, collate), spec, folder / "checkpoints", progress)
    save_reply(folder / "model", spec, causal, tokenizer)
    return result


def load_untuned(spec: Spec) -> TunedReply:
    """The base model as it is: the "before" of a report."""
    return as_it_was(spec.to_json())


def as_it_was(card: dict[str, Any]) -> TunedReply:
    """The base model that a saved reply model's card names, untuned."""
    from finetune.training.base_models import load_causal

    return _ready(*load_causal(card["base_model"]), card["max_length"], card["max_new_tokens"])


def save_reply(folder: Path, spec: Spec, causal: Any, tokenizer: Any) -> None:
    """Adapter or model, tokenizer, and last the card."""
    folder.mkdir(parents=True, exist_ok=True)
    causal.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card: dict[str, Any] = {"task": "reply", "method": spec.method, "base_model": spec.base_model}
    card |= {"max_length": spec.max_length, "max_new_tokens": spec.max_new_tokens}
    (folder / CARD).write_text(json.dumps(card, indent=1))


def load_tuned(folder: Path) -> TunedReply:
    """The model in a job's folder."""
    place = find_model(folder)
    return load_reply(place, read_card(place))


def load_reply(folder: Path, card: dict[str, Any]) -> TunedReply:
    """What `save_reply` wrote, on this machine's device; CorruptModel when a file is damaged."""
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    method = network_of(method_of(card).name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        causal = merged(method.load(folder, card["base_model"], "causal"))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CorruptModel(
            f"The model in {folder} does not load: run the job again, or export it anew."
        ) from error
    return _ready(causal, tokenizer, card["max_length"], card["max_new_tokens"])


def _ready(causal: Any, tokenizer: Any, max_length: int, max_new_tokens: int) -> TunedReply:
    from finetune.tasks.reply.tokens import Encoder, Template

    max_length = min(max_length, max_input_length(causal, tokenizer))
    encoder = Encoder(tokenizer, Template.of(tokenizer), max_length)
    return TunedReply(causal.to(pick_device()), tokenizer, encoder, min(max_new_tokens, max_length // 2))
