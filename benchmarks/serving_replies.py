"""Replies served by llama.cpp on a CPU beside the evaluated model: the same words? How much CPU a token, how fast over HTTP?

    python benchmarks/serving_replies.py [--quick] [--json] [--job FOLDER]

Trains the 12M model on the bundled replies (--job takes a finished run's folder on them instead), makes a version, serves it as
`trainwise serve` does and asks over HTTP. Each form's replies are compared with the evaluated model's on held-out tickets. CPU is
that of the engine, or of torch in this process. Quick: made-up tickets and a model of some ten thousand weights.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import psutil

from benchmarks.serving import server
from finetune.data.prepare import prepare
from finetune.data.reading import read_tickets
from finetune.data.store import SAMPLES
from finetune.data.ticket import Tickets
from finetune.pipeline import run
from finetune.serving.backends import backend_for
from finetune.serving.deploy import make_version
from finetune.serving.publish_reply import held_out_tickets
from finetune.serving.versions import SERVED
from finetune.spec import parse_spec
from finetune.tasks.reply.model import load_tuned


def train(folder: Path, is_quick: bool) -> Tickets:
    """A finished run in `folder` and its rows."""
    if is_quick:
        from tests.finetune.tiny import recipe, save_causal, tickets

        rows = tickets(60)
        spec = recipe(base_model=str(save_causal(folder.parent / "llama")), method="lora", learning_rate=2e-2)
    else:
        rows = sample()
        spec = parse_spec(
            {
                "dataset": "sample-replies",
                "task": "reply",
                "method": "scratch",
                "base_model": "tiny-llama",
                "epochs": 12,
                "max_length": 256,
                "max_new_tokens": 60,
            }
        )
    run(spec, rows, folder, lambda _: None, lambda: None)
    return rows


def sample() -> Tickets:
    """The bundled replies."""
    return prepare(read_tickets(SAMPLES / "replies.jsonl"))[0]


def measure(is_quick: bool, job: Path | None) -> dict[str, Any]:
    """The version's own comparison, torch's CPU on the same tickets, and the served one over HTTP."""
    with tempfile.TemporaryDirectory(prefix="replies", ignore_cleanup_errors=True) as name:
        home = Path(name)
        folder = job or home / "job"
        rows = sample() if job else train(folder, is_quick)
        place = home / "artifacts" / "serving"
        versions = make_version(folder, "v1", place, lambda digest: rows, name="bench")
        versions.use("v1", "benchmark")
        card = json.loads((versions.folder_of("v1") / SERVED).read_text())
        report = backend_for(folder)[2]
        texts = held_out_tickets(report, lambda digest: rows)[: 5 if is_quick else 40]
        model = load_tuned(folder)
        began = time.process_time()
        model.answers(texts[:1])
        evaluated = [model.answers([text])[0] for text in texts]
        torch_ms = 1000 * (time.process_time() - began) / (len(texts) + 1)
        with server(home, "bench") as (url, process):
            engines = [
                one for one in process.children(recursive=True) if "llama_child" in " ".join(one.cmdline())
            ]
            answers, tokens, times = [], 0, []
            cpu = _cpu(engines)
            for text in texts:
                start = time.perf_counter()
                body = {"messages": [{"role": "user", "content": text}]}
                data = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=300).json()
                times.append(time.perf_counter() - start)
                answers.append(data["choices"][0]["message"]["content"])
                tokens += data["usage"]["completion_tokens"]
            used = _cpu(engines) - cpu
            memory = sum(one.memory_info().rss for one in engines) / 2**20
        return {
            "form": card["form"],
            "measured": card["measured"],
            "http_same": sum(a == b for a, b in zip(answers, evaluated, strict=True)) / len(texts),
            "tickets": len(texts),
            "torch_ms": torch_ms,
            "served_ms": 1000 * used / len(texts),
            "tokens_per_cpu_s": tokens / max(used, 1e-9),
            "p50_ms": 1000 * sorted(times)[len(times) // 2],
            "engine_mb": memory,
        }


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def main() -> None:
    """Prints the figures, and with --json the same as one object on the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--job", type=Path)
    options = parser.parse_args()
    result = measure(options.quick, options.job)
    facts = result["measured"]
    print("| form | replies word for word as evaluated % | CPU ms a reply |\n|---|---|---|")
    for form, share in facts["same_answer_by_form"].items():
        print(f"| {form} | {100 * share:.1f} | {facts['cpu_ms'][form]:.0f} |")
    print(
        f"\nServed as {result['form']}; over HTTP {100 * result['http_same']:.1f}% of {result['tickets']} replies are word for word the "
        f"evaluated model's. CPU a reply: torch {result['torch_ms']:.0f} ms, llama.cpp {result['served_ms']:.0f} ms "
        f"({result['tokens_per_cpu_s']:.0f} tokens a CPU-s). p50 {result['p50_ms']:.0f} ms, engine {result['engine_mb']:.0f} MB."
    )
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
