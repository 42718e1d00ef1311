"""LoRA on an 8B Llama shape on one GPU: tokens/s, model FLOPs utilisation and peak memory, beside TRL.

    python benchmarks/training_gpu.py [--smoke] [--quick] [--json]

Weights are random (speed does not depend on them). The physical limit stands beside the figures: what this chip
multiplies in bf16, measured in the same run. LoRA needs 4 FLOPs a weight and token (forward 2, gradients of
activations 2; frozen weights have none of their own). Without a GPU it says so and measures nothing; --smoke
runs the same code with a tiny shape on the CPU, to show that it works, and its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BIG = {"hidden": 4096, "layers": 32, "heads": 32, "groups": 8, "inner": 14336, "vocabulary": 128256}
TINY = {"hidden": 64, "layers": 2, "heads": 4, "groups": 2, "inner": 128, "vocabulary": 500}


def model_of(shape: dict[str, int], device: str) -> Any:
    """A random Llama in bf16 with a LoRA adapter on every linear layer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from finetune.methods.lora import add_lora
    from finetune.spec import parse_spec

    config = LlamaConfig(
        hidden_size=shape["hidden"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["groups"],
        intermediate_size=shape["inner"],
        vocab_size=shape["vocabulary"],
        max_position_embeddings=4096,
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    spec = parse_spec({"dataset": "x", "task": "reply", "method": "lora", "base_model": "a/b"})
    return add_lora(model, spec, "causal")


def rows_of(count: int, vocabulary: int, longest: int) -> list[dict[str, list[int]]]:
    """Random rows of dialogue-like lengths: a long ticket and a short answer."""
    import random

    draw = random.Random(0)
    rows = []
    for _ in range(count):
        ids = [draw.randrange(3, vocabulary) for _ in range(draw.randint(longest // 4, longest))]
        cut = max(len(ids) * 4 // 5, 1)
        rows.append({"input_ids": ids, "labels": [-100] * cut + ids[cut:]})
    return rows


def ours(model: Any, rows: list[dict[str, list[int]]], batch: int, packing: bool) -> float:
    """Seconds of one epoch of our `fit`."""
    from finetune.progress import silent
    from finetune.spec import parse_spec
    from finetune.tasks.reply.tokens import AnswerLoss, collate_packed, collate_padded
    from finetune.training.loop import Examples, fit

    form = {"dataset": "x", "task": "reply", "method": "lora", "base_model": "a/b"}
    spec = parse_spec({**form, "epochs": 1, "batch_size": batch})
    with tempfile.TemporaryDirectory() as folder:
        collate = collate_packed if packing else collate_padded(0)
        return fit(AnswerLoss(model), Examples(rows, [], collate), spec, Path(folder), silent()).seconds


def trl(model: Any, rows: list[dict[str, list[int]]], batch: int, in_packs: bool) -> float:
    """Seconds of SFTTrainer.train() on the same token ids."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from finetune.methods.scratch import train_tokenizer

    data = Dataset.from_dict(
        {
            "input_ids": [row["input_ids"] for row in rows],
            "completion_mask": [[int(label != -100) for label in row["labels"]] for row in rows],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=batch,
            packing=in_packs,
            max_length=4096,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )
        trainer = SFTTrainer(
            model=model, args=config, train_dataset=data, processing_class=train_tokenizer(["a b c"], 300)
        )
        began = time.monotonic()
        trainer.train()
        return time.monotonic() - began


def ceiling(device: str) -> float:
    """TFLOP/s of a large bf16 matrix product of random numbers: what this chip really gives."""
    import torch

    size, times = (8192, 20) if device == "cuda" else (256, 2)
    left = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    (left @ left).sum().item()
    began = time.monotonic()
    for _ in range(times):
        right = left @ left
    right.sum().item()
    return times * 2 * size**3 / (time.monotonic() - began) / 1e12


def measure(
    name: str, args: argparse.Namespace, shape: dict[str, int], device: str, top: float
) -> dict[str, Any]:
    """One variant on a fresh model."""
    import torch

    model = model_of(shape, device)
    weights = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    rows = rows_of(16 if args.quick or args.smoke else 128, shape["vocabulary"], 64 if args.smoke else 2048)
    tokens = sum(len(row["input_ids"]) for row in rows)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = (ours if name.startswith("ours") else trl)(model, rows, args.batch, name.endswith("packed"))
    rate = tokens / seconds
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
    del model
    if device == "cuda":
        torch.cuda.empty_cache()
    mfu = 4 * weights * rate / (top * 1e12)
    return {"variant": name, "tokens_per_s": rate, "mfu_of_measured_ceiling": mfu, "peak_gib": peak}


def main() -> None:
    """Run the variants; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag in ("--quick", "--json", "--smoke"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    import torch

    if not torch.cuda.is_available() and not args.smoke:
        print(json.dumps({"measured": False, "why": "no GPU on this machine"}))
        return
    device, shape = ("cpu", TINY) if args.smoke else ("cuda", BIG)
    top = ceiling(device)
    systems = [
        measure(name, args, shape, device, top) for name in ("ours", "ours_packed", "trl", "trl_packed")
    ]
    for entry in systems:
        print(json.dumps(entry), flush=True)
    name = "smoke test on the CPU: no figures" if args.smoke else torch.cuda.get_device_name(0)
    print(
        json.dumps({"measured": not args.smoke, "machine": name, "ceiling_tflops": top, "systems": systems})
    )


if __name__ == "__main__":
    main()
