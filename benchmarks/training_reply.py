"""Reply training: tokens per CPU-second, peak memory and held-out loss of ours beside TRL's SFTTrainer.

    python benchmarks/training_reply.py [--quick] [--json] [--rows N] [--variants ours,trl,...]

An 11.7M-parameter Llama-style model with random weights learns sgd_replies; every variant runs in a process of
its own on the same rows, tokenizer, first weights, batch of 8 and learning rate, for one epoch. Tokens are real
ones (no padding). Held-out loss is per answer token on the same 100 rows, measured the same way for all.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data" / "sgd_replies"
VARIANTS = {
    "ours": "Trainwise: Trainer with length buckets, bf16 where fast, logits for answer tokens only",
    "ours_packed": "Trainwise, packing",
    "trl": "TRL SFTTrainer, defaults",
    "trl_packed": "TRL SFTTrainer, packing",
    "trl_no_checkpointing": "TRL SFTTrainer, gradient checkpointing off",
}
RATE, BATCH, MAX_LENGTH, HELD_OUT, TOKENIZER_ROWS = 1e-3, 8, 1024, 100, 2000


def pairs(name: str, rows: int) -> tuple[list[str], list[str]]:
    """Tickets and answers of the first `rows` rows of one side."""
    with (DATA / f"{name}.jsonl").open() as file:
        read = [json.loads(line) for _, line in zip(range(rows), file, strict=False)]
    return [row["ticket"] for row in read], [row["answer"] for row in read]


def start() -> tuple[Any, Any]:
    """The same random model and tokenizer for every variant."""
    from transformers import set_seed

    from finetune.methods.scratch import causal_from_shape

    tickets, answers = pairs("train", TOKENIZER_ROWS)
    set_seed(1)
    return causal_from_shape("tiny-llama", [*tickets, *answers], MAX_LENGTH)


def run_variant(name: str, rows: int, seed: int) -> dict[str, Any]:
    """Train one epoch and measure; meant for a process of its own, for memory is read as its peak."""
    import torch

    from finetune.provenance import peak_memory_mb

    model, tokenizer = start()
    tickets, answers = pairs("train", rows)
    with tempfile.TemporaryDirectory() as folder:
        if name.startswith("ours"):
            cpu = train_ours(model, tokenizer, tickets, answers, Path(folder), seed, name == "ours_packed")
        else:
            cpu = train_trl(model, tokenizer, tickets, answers, folder, seed, name)
    peak = peak_memory_mb()
    tokens = sum(len(row["input_ids"]) for row in encoder(tokenizer).rows(tickets, answers))
    return {
        "variant": name,
        "tokens": tokens,
        "cpu_s": cpu,
        "tokens_per_cpu_s": tokens / cpu,
        "peak_mb": peak,
        "held_out_loss": held_out(model, tokenizer),
        "weights": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
    }


def encoder(tokenizer: Any) -> Any:
    """Ticket and answer to tokens, as the product does it."""
    from finetune.tasks.reply.tokens import Encoder, Template

    return Encoder(tokenizer, Template.of(tokenizer), MAX_LENGTH)


def train_ours(
    model: Any, tokenizer: Any, tickets: list[str], answers: list[str], folder: Path, seed: int, packing: bool
) -> float:
    """CPU-seconds of our `fit`."""
    from finetune.progress import silent
    from finetune.spec import parse_spec
    from finetune.tasks.reply.tokens import AnswerLoss, collate_packed, collate_padded
    from finetune.training.loop import Examples, fit

    form = {"dataset": "sgd", "task": "reply", "epochs": 1, "batch_size": BATCH, "learning_rate": RATE}
    form |= {"seed": seed, "warmup_ratio": 0, "weight_decay": 0}  # as TRL's defaults have it
    spec = parse_spec(form)
    rows = encoder(tokenizer).rows(tickets, answers)
    collate = collate_packed if packing else collate_padded(tokenizer.pad_token_id)
    return fit(AnswerLoss(model), Examples(rows, [], collate), spec, folder, silent()).cpu_s


def train_trl(
    model: Any, tokenizer: Any, tickets: list[str], answers: list[str], folder: str, seed: int, name: str
) -> float:
    """CPU-seconds of SFTTrainer.train() on prompt and completion texts; only what `name` says is changed."""
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    from finetune.device import cpu_seconds
    from finetune.tasks.reply.tokens import PLAIN

    disable_progress_bars()
    prompts = [PLAIN[0] + ticket + PLAIN[1] for ticket in tickets]
    options: dict[str, Any] = {"packing": True} if name == "trl_packed" else {}
    if name == "trl_no_checkpointing":
        options["gradient_checkpointing"] = False
    config = SFTConfig(
        folder,
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        max_length=MAX_LENGTH,
        seed=seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **options,
    )
    data = Dataset.from_dict({"prompt": prompts, "completion": answers})
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    began = cpu_seconds()
    trainer.train()
    return cpu_seconds() - began


def held_out(model: Any, tokenizer: Any) -> float:
    """Mean loss per answer token on test rows, in float32, by the same code for every variant."""
    import math

    from finetune.tasks.reply.model import TunedReply

    tickets, answers = pairs("test", HELD_OUT)
    return math.log(TunedReply(model, tokenizer, encoder(tokenizer), 64).perplexity(tickets, answers))


def measure(name: str, rows: int, seed: int) -> dict[str, Any]:
    """One variant in a fresh process."""
    command = [sys.executable, __file__, "--child", name, "--rows", str(rows), "--seed", str(seed)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{process.stderr[-3000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratios of ours to each of TRL's, and whether ours meets the issue's figures."""
    by_name = {entry["variant"]: entry for entry in runs}
    if "ours" not in by_name:
        return {}
    ours = by_name["ours"]
    ratios = {
        name: round(ours["tokens_per_cpu_s"] / entry["tokens_per_cpu_s"], 2)
        for name, entry in by_name.items()
        if name != "ours"
    }
    lowest = min(
        (entry["peak_mb"] for name, entry in by_name.items() if name.startswith("trl")), default=None
    )
    return {"speed_of_ours_over": ratios, "peak_mb_ours": ours["peak_mb"], "peak_mb_lowest_trl": lowest}


def main() -> None:
    """Run the variants one after the other; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rows, ours beside TRL's defaults only")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--variants", default="")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run_variant(args.child, args.rows, args.seed)))
        return
    if not DATA.is_dir():
        sys.exit(f"{DATA} is absent: this benchmark needs it.")
    variants = (
        args.variants.split(",") if args.variants else ["ours", "trl"] if args.quick else list(VARIANTS)
    )
    runs = []
    for name in variants:
        runs.append(measure(name, args.rows or (24 if args.quick else 400), args.seed))
        print(VARIANTS[name], json.dumps(runs[-1]), flush=True)
    result = {"machine": platform.machine(), "systems": runs, **summary(runs)}
    print(json.dumps(result if args.json else summary(runs)))


if __name__ == "__main__":
    main()
