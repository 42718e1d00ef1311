"""Hugging Face's Trainer with length buckets, sealed checkpoints, a NaN check and a fast stop."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.utils.data import Dataset, Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from finetune.errors import DiskFull, LossNotFinite, Stopped, is_disk_full
from finetune.progress import FINISH, Progress, TrainingCourse, thin_out
from finetune.training.checkpoints import discard, newest_intact, seal
from finetune.training.micro_batches import split_batch

WEIGHTS = "trained.safetensors"
PENDING = "evaluation_pending"
SAVE_EVERY_S = 600.0
TRIM_EVERY_S = 10.0
BUCKET = (
    16  # batches that are sorted together; saves nearly all padding without changing the loss (decisions)
)


class Rows(Dataset):
    """Tokenised rows, each a dict with `input_ids` and `labels`."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return self.rows[at]


class LengthBuckets(Sampler[int]):
    """Row numbers so that each batch has rows of like length; the order depends on seed and epoch only.

    That makes a resumed epoch the same as an uninterrupted one.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        batches = []
        for start in range(0, len(order), BUCKET * self.batch_size):
            bucket = sorted(order[start : start + BUCKET * self.batch_size], key=lambda i: -self.lengths[i])
            batches += [bucket[i : i + self.batch_size] for i in range(0, len(bucket), self.batch_size)]
        full = [batch for batch in batches if len(batch) == self.batch_size]
        rest = [batch for batch in batches if len(batch) < self.batch_size]
        order_of_full = torch.randperm(len(full), generator=generator).tolist()
        if self.epoch == 0 and full:  # the longest batch first, so that an out-of-memory error comes at once
            longest = max(order_of_full, key=lambda at: self.lengths[full[at][0]])
            order_of_full.remove(longest)
            order_of_full.insert(0, longest)
        for at in order_of_full:
            yield from full[at]
        for batch in rest:  # a short batch must be the last one
            yield from batch


class Hooks(TrainerCallback):
    """Reports steps, saves checkpoints at intervals, stops early without improvement, and stops on request."""

    def __init__(self, progress: Progress, patience: int, clock: Callable[[], float]) -> None:
        self.progress, self.patience, self.clock = progress, patience, clock
        self.reason: str | None = None
        self.began = self.saved_at = self.trimmed_at = clock()
        self.first_step: int | None = None
        self.finished_at: int | None = None

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.began = self.saved_at = self.clock()
        self.first_step = state.global_step

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._report(state)
        if self.clock() - self.trimmed_at > TRIM_EVERY_S:
            trim_malloc()
            self.trimmed_at = self.clock()
        reason = self.reason or self.progress.reason_to_stop()
        reason = agree_on_reason(reason or (FINISH if self.progress.finish_early else None))
        self.reason = None if reason == FINISH else reason
        if reason == FINISH:  # the end of the epoch evaluates and saves these weights too; the best are kept
            self.finished_at = state.global_step
            control.should_training_stop = True
        elif self.reason:
            control.should_training_stop = control.should_save = True
        elif self.clock() - self.saved_at > SAVE_EVERY_S:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        per_epoch = state.max_steps // max(int(args.num_train_epochs), 1)
        if self.reason and state.global_step % per_epoch:  # stopped within an epoch, before its end
            control.should_evaluate = False

    def on_prediction_step(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.progress.check()

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.saved_at = self.clock()

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if losses and len(losses) - 1 - losses.index(min(losses)) >= self.patience:
            control.should_training_stop = True

    def _report(self, state: TrainerState) -> None:
        steps = state.global_step - (self.first_step or 0)
        pace = (self.clock() - self.began) / max(steps, 1)
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        evaluations = [entry for entry in state.log_history if "eval_loss" in entry]
        newest = evaluations[-1] if evaluations else {}
        course = TrainingCourse(thin_out(losses), newest.get("eval_loss"), newest.get("eval_accuracy"))
        eta_s = round((state.max_steps - state.global_step) * pace, 1)
        loss = losses[-1] if losses else None
        self.progress.step(state.global_step, state.max_steps, loss, eta_s, course)


def agree_on_reason(reason: str | None) -> str | None:
    """The stop reason of any process: all processes must stop after the same step, or they hang."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return reason
    reasons: list[str | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(reasons, reason)
    return next((one for one in reasons if one), None)


class LeanTrainer(Trainer):
    """A Trainer with length buckets and micro-batches of `room` tokens; saves only trained weights, stops at NaN."""

    hooks: Hooks
    lengths: Sequence[int]
    room: float = math.inf

    @property
    def _folder(self) -> Path:
        return Path(str(self.args.output_dir))

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        batch_size = self.args.train_batch_size * self.args.world_size  # distributed to the processes in turn
        return LengthBuckets(self.lengths, batch_size, self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        rows = [len(eval_dataset[i]["input_ids"]) for i in range(len(eval_dataset))]
        return LengthBuckets(rows, self.args.eval_batch_size, 0)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        parts = [inputs] if num_items_in_batch is None else split_batch(inputs, self.room)
        losses = []
        for part in parts[:-1]:
            with self.accelerator.no_sync(model):  # processes may have different numbers of micro-batches
                losses.append(super().training_step(model, part, num_items_in_batch))
        losses.append(super().training_step(model, parts[-1], num_items_in_batch))
        loss = torch.stack(losses).sum() if len(losses) > 1 else losses[0]
        if not torch.isfinite(loss):
            good, _ = newest_intact(self._folder)
            step_of_last_good = good.name.rpartition("-")[2] if good else None
            raise LossNotFinite(self.state.global_step + 1, self.args.learning_rate, step_of_last_good)
        return loss

    def _evaluate(self, *positional: Any, **keywords: Any) -> dict[str, float]:
        with (
            torch.random.fork_rng()
        ):  # a resumed run draws the same random numbers, with or without this evaluation
            return super()._evaluate(*positional, **keywords)

    def _maybe_log_save_evaluate(self, *positional: Any, **keywords: Any) -> None:
        try:
            super()._maybe_log_save_evaluate(*positional, **keywords)
        except Stopped:  # the stop came during an evaluation: save the step and evaluate it after resuming
            self._save_checkpoint(self.model, None)
            (self._folder / PENDING).write_text(str(self.state.global_step))
            raise

    def _prepare_for_training(self, max_steps: Any, train_dataloader: Any, resume: Any) -> Any:
        preparation = super()._prepare_for_training(max_steps, train_dataloader, resume)
        mark = self._folder / PENDING
        if resume and mark.is_file() and mark.read_text() == str(self.state.global_step):
            self._load_rng_state(resume)  # the checkpoint written below must contain the run's own state
            self._determine_best_metric(self._evaluate(None, None), None)
            self._save_checkpoint(self.model, None)
        mark.unlink(missing_ok=True)
        return preparation

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = self._folder / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                seal(folder)
        except (OSError, RuntimeError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            discard([folder])
            raise DiskFull(str(self._folder)) from error

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trained_tensors(self.model), folder / WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_trained(self.model, Path(resume_from_checkpoint) / WEIGHTS)

    def _load_best_model(self) -> None:
        load_trained(self.model, Path(str(self.state.best_model_checkpoint)) / WEIGHTS)


def trained_tensors(model: Any) -> dict[str, torch.Tensor]:
    """Every tensor that training changes, by name: adapters and head for LoRA, all weights otherwise."""
    names: dict[int, str] = {}
    tensors = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.data_ptr() not in names:
            names[parameter.data_ptr()] = name
            tensors[name] = parameter.detach().cpu().contiguous()
    return tensors


def load_trained(model: Any, file: Path) -> None:
    """Put saved tensors back in place."""
    model.load_state_dict(load_file(file), strict=False)


def trim_malloc() -> None:
    """Return free pages from all of the heap to the system; does nothing where the C library is not glibc.

    Measured: docs/decisions.d/training.md.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
