"""Training benchmarks: accuracy and cost of triage on BANKING77 beside the baselines.

    python benchmarks/training.py [triage|cost|all] [--quick] [--json] [--rows N] [--epochs N]

triage: official BANKING77 split; the method is chosen on 1,000 dev rows cut from train, test is read once.
cost:   CPU-seconds per 1,000 rows of our LoRA and of Hugging Face's Trainer padded to max length.
Replies stand in benchmarks/training_reply.py, a GPU in benchmarks/training_gpu.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from finetune.evaluation.sample import Part  # noqa: E402 - the repository is on the path only now

DATA = ROOT.parent / "shared" / "data"
NONE = np.zeros((0, 0), dtype=np.float32)
PUBLISHED = [("BERT-tuned (Casanueva 2020)", 93.66), ("USE+ConveRT (Casanueva 2020)", 93.36)]


def read_banking(name: str) -> tuple[list[str], list[str]]:
    """Texts and intents of one official side."""
    with (DATA / "banking77" / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["category"] for row in rows]


def banking(rows: int | None, seed: int = 7, test_rows: int | None = None) -> dict[str, Any]:
    """Train, dev (a tenth of train, at most 1,000 rows) and test (all, or a sample) as texts and class numbers."""
    texts, labels = read_banking("train")
    test_texts, test_labels = read_banking("test")
    names = tuple(sorted(set(labels)))
    number = {name: at for at, name in enumerate(names)}
    order = np.random.default_rng(seed).permutation(len(texts))[:rows]
    cut = min(1000, len(order) // 10)
    dev, train = order[:cut], order[cut:]

    def side(at: np.ndarray) -> tuple[list[str], np.ndarray]:
        return [texts[i] for i in at], np.array([number[labels[i]] for i in at])

    test_places = np.sort(np.random.default_rng(seed).permutation(len(test_texts))[:test_rows])
    test = [test_texts[i] for i in test_places], np.array([number[test_labels[i]] for i in test_places])
    return {"names": names, "train": side(train), "dev": side(dev), "test": test}


def bench_triage(args: argparse.Namespace) -> dict[str, Any]:
    """The ladder, `linear` and LoRA; the best on dev is the answer, test scores beside it."""
    from finetune.device import cpu_seconds
    from finetune.evaluation.baselines import LOGISTIC, NEAREST, logistic, nearest
    from finetune.methods.linear import train_linear
    from finetune.progress import silent
    from finetune.training.embedding import FrozenEmbedder

    data = banking(args.rows, test_rows=1000 if args.quick else None)
    (texts, labels), (dev_texts, dev_labels), (test_texts, test_labels) = (
        data["train"],
        data["dev"],
        data["test"],
    )
    wall, cpu = time.monotonic(), cpu_seconds()
    embedder = FrozenEmbedder()
    vectors, dev_vectors = embedder(texts), embedder(dev_texts)
    train, dev = Part(list(texts), labels, vectors), Part(list(dev_texts), dev_labels, dev_vectors)
    linear = train_linear(train, dev, data["names"], embedder, silent())
    model = linear.model
    linear_s, linear_cpu = time.monotonic() - wall, cpu_seconds() - cpu
    test_vectors = embedder(test_texts)
    outcome = logistic(vectors, labels, test_vectors, len(data["names"]))
    answers = {
        NEAREST: nearest(vectors, labels, test_vectors),
        LOGISTIC: outcome.probabilities.argmax(axis=1),
    }
    systems = [
        {"system": name, "test": 100 * float((predicted == test_labels).mean())}
        for name, predicted in answers.items()
    ]
    linear_test = model.score(model.words(test_texts, test_vectors))
    linear_dev = linear.dev_probabilities  # of the model that had not yet learned from dev
    entry = score("linear", linear_dev, linear_test, dev_labels, test_labels)
    systems.append(entry | {"wall_s": linear_s, "cpu_s": linear_cpu, "C": linear.settings["C"]})
    print(json.dumps(systems), flush=True)
    if not args.quick:
        systems += bench_lora(args, data, (linear_dev, linear_test))
    best = max((entry for entry in systems if "dev" in entry), key=lambda entry: entry["dev"])
    return {"systems": systems, "chosen_on_dev": best["system"], "test": best["test"], "published": PUBLISHED}


def bench_lora(
    args: argparse.Namespace, data: dict[str, Any], linear: tuple[np.ndarray, np.ndarray]
) -> list[dict[str, Any]]:
    """One LoRA run, alone and averaged with the linear model."""
    from finetune.progress import Progress
    from finetune.serving.predict import load
    from finetune.spec import parse_spec
    from finetune.tasks.triage.model import train_triage

    spec = parse_spec({"dataset": "banking77", "epochs": args.epochs, "patience": 5, "max_length": 128})
    with tempfile.TemporaryDirectory() as folder:
        progress = Progress(lambda event: print(event, flush=True), lambda: None, every_s=15)
        sides = (Part(list(texts), labels, NONE) for texts, labels in (data["train"], data["dev"]))
        outcome = train_triage(spec, *sides, data["names"], Path(folder), progress)
        classifier = load(Path(folder))
        dev, test = (classifier.probabilities(data[side][0]) for side in ("dev", "test"))
    if args.keep:
        np.savez(args.keep, dev=dev, test=test, linear_dev=linear[0], linear_test=linear[1])
    truth = data["dev"][1], data["test"][1]
    alone = score("lora alone", dev, test, *truth) | {"wall_s": outcome.seconds, "cpu_s": outcome.cpu_s}
    both = score(
        "lora as shipped: averaged with linear", (dev + linear[0]) / 2, (test + linear[1]) / 2, *truth
    )
    return [alone, both]


def score(name: str, dev: Any, test: Any, dev_truth: Any, test_truth: Any) -> dict[str, Any]:
    """Accuracy on dev and test in percent."""
    right = [100 * float((p.argmax(1) == t).mean()) for p, t in ((dev, dev_truth), (test, test_truth))]
    return {"system": name, "dev": right[0], "test": right[1]}


def bench_cost(args: argparse.Namespace) -> dict[str, Any]:
    """CPU-seconds per 1,000 rows: our LoRA, and Trainer on rows padded to 128 (LoRA and full)."""
    from finetune.progress import silent
    from finetune.spec import parse_spec
    from finetune.tasks.triage.model import train_triage

    data = banking(2000)
    most = 500 if args.quick else 1000
    texts, labels = data["train"][0][:most], data["train"][1][:most]
    classes = sorted(set(labels.tolist()))
    labels = np.array([classes.index(label) for label in labels])
    names = tuple(data["names"][label] for label in classes)
    spec = parse_spec({"dataset": "banking77", "epochs": 1, "max_length": 128})
    with tempfile.TemporaryDirectory() as folder:
        rows, nothing = Part(list(texts), labels, NONE), Part([], np.array([]), NONE)
        outcome = train_triage(spec, rows, nothing, names, Path(folder), silent())
    ours = outcome.cpu_s / len(texts) * 1000
    few = 32 if args.quick else 192
    padded = {
        name: trainer_padded(texts[:few], labels[:few], len(names), name == "lora")
        for name in ("lora", "full")
    }
    return {
        "ours_lora_cpu_s_per_1000": ours,
        "trainer_padded_lora_cpu_s_per_1000": padded["lora"],
        "trainer_padded_full_cpu_s_per_1000": padded["full"],
        "ratio_lora": padded["lora"] / ours,
        "ratio_full": padded["full"] / ours,
    }


def trainer_padded(texts: list[str], labels: np.ndarray, classes: int, lora: bool) -> float:
    """Trainer's own loop, its defaults, every row padded to max length 128: CPU-seconds per 1,000 rows."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    from finetune.device import cpu_seconds
    from finetune.training.base_models import minilm_folder

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    model = AutoModelForSequenceClassification.from_pretrained(minilm_folder(), num_labels=classes)
    if lora:
        model = get_peft_model(
            model, LoraConfig(task_type="SEQ_CLS", r=16, lora_alpha=32, target_modules="all-linear")
        )
    rows = tokenizer(texts, padding="max_length", truncation=True, max_length=128)
    rows = [{"labels": int(label)} | {k: rows[k][i] for k in rows} for i, label in enumerate(labels)]
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=32,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(model=model, args=args, train_dataset=rows)
        began = cpu_seconds()
        trainer.train()
    return (cpu_seconds() - began) / len(texts) * 1000


def machine() -> str:
    """What the figures were measured on."""
    import torch

    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> None:
    """Run the named parts; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="all", choices=["triage", "cost", "all"])
    parser.add_argument("--quick", action="store_true", help="under 60 s: no LoRA run, fewer rows")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, help="use so many BANKING77 training rows")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--keep", help="write LoRA's and linear's probabilities to this .npz")
    args = parser.parse_args()
    if args.quick and args.rows is None:
        args.rows = 1500
    if not DATA.is_dir():
        sys.exit(f"{DATA} is absent: these benchmarks need it.")
    print(f"machine: {machine()}", flush=True)
    parts = {"triage": bench_triage, "cost": bench_cost}
    results = {name: bench(args) for name, bench in parts.items() if args.part in (name, "all")}
    for name, result in results.items():
        print(name, json.dumps(result, indent=1))
    if args.json:
        print(json.dumps({"machine": machine(), **results}))


if __name__ == "__main__":
    main()
