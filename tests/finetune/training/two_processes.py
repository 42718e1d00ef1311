"""What each of two processes runs under torchrun: train a tiny model together and tell how it went."""

import json
import os
import sys
from pathlib import Path

import torch
from transformers import set_seed

from finetune.errors import Stopped
from finetune.methods.lora import add_lora
from finetune.training.base_models import load_causal
from finetune.training.trainer import trained_tensors
from tests.finetune.tiny import fit_reply, quietly, recipe

base, folder, stop_at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
rank = int(os.environ.get("RANK", "0"))
world = int(os.environ.get("WORLD_SIZE", "1"))
spec = recipe(
    method="lora",
    base_model=base,
    batch_size=4,
    accumulate=2,
    lora_dropout=0,
    precision="fp32",
)
steps: list[int] = []
progress = quietly(
    lambda event: steps.append(event.get("step", 0)),
    lambda: "cancel" if rank == world - 1 and stop_at in steps else None,
)
set_seed(spec.seed)
model, tokenizer = load_causal(base)
model = add_lora(model, spec, "causal")
report = {"rank": rank, "stopped": None, "loss": []}
try:
    report["loss"] = [point.loss for point in fit_reply(model, tokenizer, spec, folder, progress).history]
except Stopped as stopped:
    report["stopped"] = stopped.reason
report["steps"] = max(steps)
report["weights"] = sum(float(value.double().abs().sum()) for value in trained_tensors(model).values())
(folder / f"told-{rank}.json").write_text(json.dumps(report))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
