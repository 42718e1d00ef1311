"""The training loop of both tasks: builds the Trainer, resumes, and halves the batch when memory runs out.

docs/performance.md has measurements of the settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, TrainingArguments

from finetune.device import bf16_is_fast, cpu_seconds, pick_device
from finetune.errors import OutOfMemory, Stopped, is_out_of_memory
from finetune.progress import Progress
from finetune.reports.parts import LossPoint
from finetune.training.base_models import silence_libraries
from finetune.training.checkpoints import discard, newest_intact
from finetune.training.micro_batches import micro_batch_tokens
from finetune.training.trainer import Hooks, LeanTrainer, Rows

if TYPE_CHECKING:
    from finetune.spec import Spec

LOGGED_POINTS = 400


Collate = Callable[[list[dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Examples:
    """Tokenised training and validation rows, and their collate function.

    `accuracy`: the network gives `logits` and the rows one class number each, so right answers are counted.
    """

    train: Sequence[dict[str, Any]]
    dev: Sequence[dict[str, Any]]
    collate: Collate
    accuracy: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """The result of training: loss curve, steps, and the best validation loss (None: no dev rows)."""

    history: tuple[LossPoint, ...]
    steps: int
    best_loss: float | None
    batch_size: int
    seconds: float
    cpu_s: float


def fit(
    model: Any,
    examples: Examples,
    spec: Spec,
    folder: Path,
    progress: Progress,
    trainer_kind: type[LeanTrainer] = LeanTrainer,
) -> TrainingResult:
    """Train `model` in place and leave its best weights (by validation loss) in it.

    Resumes from the newest intact checkpoint in `folder`. Raises Stopped, LossNotFinite, DiskFull or
    OutOfMemory; each leaves the last good checkpoint.
    """
    began, cpu = time.monotonic(), cpu_seconds()
    while True:
        try:
            trainer = _trainer(model, examples, spec, folder, progress, trainer_kind)
            with silence_libraries():
                trainer.train(resume_from_checkpoint=_checkpoint(folder, progress))
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            spec = _smaller(spec, progress, error)
            model.zero_grad(set_to_none=True)
    if trainer.hooks.reason:
        raise Stopped(trainer.hooks.reason)
    if trainer.hooks.finished_at is not None:
        steps = f"step {trainer.hooks.finished_at} of {trainer.state.max_steps}"
        progress.note(f"Training was ended by request at {steps}; the best weights until then are kept.")
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    return TrainingResult(
        history=curve(trainer.state.log_history),
        steps=trainer.state.global_step,
        best_loss=min(losses, default=None),
        batch_size=spec.batch_size,
        seconds=time.monotonic() - began,
        cpu_s=cpu_seconds() - cpu,
    )


def curve(log: Sequence[dict[str, Any]]) -> tuple[LossPoint, ...]:
    """Trainer's log as the report's loss curve, by steps."""
    points: dict[int, LossPoint] = {}
    for entry in log:
        point = points.get(entry["step"], LossPoint(entry["step"]))
        loss, val_loss = entry.get("loss", point.loss), entry.get("eval_loss", point.val_loss)
        points[entry["step"]] = LossPoint(entry["step"], loss, val_loss)
    return tuple(point for _, point in sorted(points.items()) if point.loss is not None or point.val_loss)


def _trainer(
    model: Any,
    examples: Examples,
    spec: Spec,
    folder: Path,
    progress: Progress,
    kind: type[LeanTrainer],
) -> LeanTrainer:
    arguments = _arguments(spec, len(examples.train), bool(examples.dev), folder)
    arguments.prediction_loss_only = not examples.accuracy
    trainer = kind(
        model=model,
        args=arguments,
        train_dataset=Rows(examples.train),
        eval_dataset=Rows(examples.dev) if examples.dev else None,
        data_collator=examples.collate,
        compute_metrics=_share_right if examples.accuracy else None,
        preprocess_logits_for_metrics=_likeliest if examples.accuracy else None,
    )
    trainer.lengths = [len(row["input_ids"]) for row in examples.train]
    trainer.room = micro_batch_tokens(model, pick_device())
    trainer.hooks = Hooks(progress, spec.patience, time.monotonic)
    trainer.add_callback(trainer.hooks)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _likeliest(logits: Any, labels: Any) -> Any:
    """Class numbers instead of logits, to save memory in an evaluation."""
    return logits.argmax(dim=-1)


def _share_right(evaluation: Any) -> dict[str, float]:
    return {"accuracy": float((evaluation.predictions == evaluation.label_ids).mean())}


def _arguments(spec: Spec, rows: int, has_dev: bool, folder: Path) -> TrainingArguments:
    """Hugging Face's form of the recipe; several processes (torchrun) share the rows of a step between them."""
    device = pick_device()
    wants_bf16 = spec.precision == "bf16" or (spec.precision == "auto" and bf16_is_fast(device))
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=spec.batch_size,
        per_device_eval_batch_size=spec.batch_size,
        gradient_accumulation_steps=spec.accumulate,
        learning_rate=spec.learning_rate,
        warmup_steps=spec.warmup_ratio if spec.warmup_ratio < 1 else 0.99,
        weight_decay=spec.weight_decay,
        bf16=wants_bf16,
        use_cpu=device == "cpu",
        seed=spec.seed,
        data_seed=spec.seed,
        logging_steps=max(1, spec.steps(rows) // LOGGED_POINTS),
        logging_nan_inf_filter=False,
        eval_strategy="epoch" if has_dev else "no",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=has_dev,
        metric_for_best_model="eval_loss" if has_dev else None,
        greater_is_better=False if has_dev else None,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=device == "cuda",
        report_to="none",
        disable_tqdm=True,
    )
    arguments.per_device_train_batch_size = max(1, spec.batch_size // arguments.world_size)
    return arguments


def _checkpoint(folder: Path, progress: Progress) -> str | None:
    newest, rest = newest_intact(folder)
    if rest:
        outcome = f"going on from step {newest.name.rsplit('-', 1)[-1]}" if newest else "starting again"
        progress.note(f"{len(rest)} damaged checkpoint(s) set aside; {outcome}.")
        discard(rest)
    return str(newest) if newest else None


def _smaller(spec: Spec, progress: Progress, error: BaseException) -> Spec:
    if spec.batch_size == 1:
        raise OutOfMemory(spec.max_length, "with one row at a time") from error
    size = spec.batch_size // 2
    progress.note(f"Out of memory with {spec.batch_size} rows a step: going on with {size}, twice as often.")
    return replace(spec, batch_size=size, accumulate=spec.accumulate * 2)
