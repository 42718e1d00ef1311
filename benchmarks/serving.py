"""A served triage model beside the same model under plain transformers: CPU a ticket, times for one and 64 clients, losses.

    python benchmarks/serving.py [--quick] [--json] [--job FOLDER]

Trains LoRA on MiniLM (bundled tickets; --job takes a finished run's folder instead, whose dataset is known here), makes a version,
serves it as `trainwise serve` does, and asks over HTTP. CPU is that of the serving process; wall times depend on what
else runs here. Aims: at least 5 times less CPU for one ticket than the unmerged torch model, answers equal to the evaluated
model's on 99% of rows, none of 10,000 requests lost while versions change under load. Quick: fewer requests, a tiny base.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import numpy as np
import psutil

from finetune.artifacts import find_model, read_card
from finetune.data.prepare import prepare
from finetune.data.reading import read_tickets
from finetune.data.store import SAMPLES
from finetune.data.ticket import Tickets
from finetune.pipeline import run
from finetune.serving.classifier import ServedTriage
from finetune.serving.deploy import load_version, make_version
from finetune.serving.held_out import held_out, report_of
from finetune.serving.versions import Versions
from finetune.spec import parse_spec

ROOT = Path(__file__).resolve().parents[1]
START = "import sys; from bot.cli import main; sys.argv = ['trainwise', *sys.argv[1:]]; main()"


def train(folder: Path, is_quick: bool) -> Tickets:
    """A finished run in `folder` and its rows; quick: made-up tickets and an encoder of some ten thousand weights."""
    rows, _ = prepare(read_tickets(SAMPLES / "tickets.csv"))
    form: dict[str, Any] = {"dataset": "sample-tickets", "method": "lora", "epochs": 3}
    if is_quick:
        from tests.finetune.tiny import save_encoder, tickets

        rows = tickets(240)
        form |= {
            "base_model": str(save_encoder(folder.parent / "bert")),
            "learning_rate": 5e-3,
            "max_length": 64,
        }
    run(parse_spec(form), rows, folder, lambda _: None, lambda: None)
    return rows


def unmerged(job: Path) -> Any:
    """The network as plain transformers and peft load it: adapter unmerged, float32."""
    import torch

    from finetune.methods import network_of
    from finetune.tasks.triage.model import Blend, load_tuned

    model = load_tuned(job)
    network = model.network if isinstance(model, Blend) else model
    place = find_model(job)
    card = read_card(place)
    network.network.encoder = network_of(card["method"]).load(place, card["base_model"], "encoder").eval()
    torch.set_num_threads(1)
    return model


def torch_ms(model: Any, texts: Sequence[str]) -> list[float]:
    """CPU milliseconds of each text, one at a time, without bfloat16."""
    from contextlib import nullcontext

    import finetune.tasks.triage.model as triage
    import finetune.training.embedding as embedding

    triage.mixed_precision = embedding.mixed_precision = lambda device: nullcontext()  # type: ignore[assignment]
    return [_cpu_ms(lambda text=text: model.probabilities([text])) for text in texts]


def _cpu_ms(work: Any) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


@contextmanager
def server(home: Path, name: str) -> Iterator[tuple[str, psutil.Process]]:
    """`trainwise serve NAME` on a free port: its address and process."""
    environment = {**os.environ, "TRAINWISE_HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    log = home / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", START, "serve", name, "--port", "0", "--queue", "1024"],
            env=environment, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT,
        )  # fmt: skip
    try:
        while " at http" not in log.read_text():
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield "http" + log.read_text().split(" at http")[1].split()[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def ask(
    url: str, process: psutil.Process, texts: Sequence[str], clients: int, requests: int
) -> dict[str, float]:
    """So many requests by so many clients at a time: wall times, and CPU of the server for each."""
    times: list[float] = []
    cpu = sum(process.cpu_times()[:2])
    began = time.perf_counter()
    with httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=clients)) as client:

        def once(at: int) -> None:
            start = time.perf_counter()
            response = client.post("/v1/triage", json={"text": texts[at % len(texts)]})
            response.raise_for_status()
            times.append(time.perf_counter() - start)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(once, range(requests)))
    wall, used = time.perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    return {
        "clients": clients,
        "requests": requests,
        "p50_ms": 1000 * float(np.quantile(times, 0.5)),
        "p95_ms": 1000 * float(np.quantile(times, 0.95)),
        "cpu_ms": 1000 * used / requests,
        "tickets_per_cpu_s": requests / used,
        "tickets_per_s": requests / wall,
    }


def rolling(url: str, versions: Versions, texts: Sequence[str], requests: int) -> dict[str, Any]:
    """Versions change every second while 16 clients ask: how many requests were lost, and who answered."""
    stop = threading.Event()

    def change() -> None:
        names = versions.list()
        at = 0
        while not stop.wait(1.5):
            at += 1
            versions.use(names[at % len(names)], "benchmark")

    changer = threading.Thread(target=change)
    changer.start()
    losses, answers = 0, set()
    with httpx.Client(base_url=url, timeout=60) as client:

        def once(at: int) -> tuple[bool, str]:
            try:
                response = client.post("/v1/triage", json={"text": texts[at % len(texts)]})
                return response.status_code == 200, response.json().get("version", "")
            except httpx.HTTPError:
                return False, ""

        with ThreadPoolExecutor(16) as pool:
            for is_right, version in pool.map(once, range(requests)):
                losses += not is_right
                answers.add(version)
    stop.set()
    changer.join()
    return {"requests": requests, "lost": losses, "versions": len(answers - {""})}


def measure(is_quick: bool, job: Path | None) -> dict[str, Any]:
    """Everything on one model."""
    with tempfile.TemporaryDirectory(prefix="serving", ignore_cleanup_errors=True) as name:
        home = Path(name)
        folder = job or home / "job"
        if job is None:
            rows = train(folder, is_quick)
        else:
            rows, _ = prepare(read_tickets(SAMPLES / "tickets.csv"))
        place = home / "artifacts" / "serving"
        versions = make_version(folder, "v1", place, lambda digest: rows, name="bench")
        versions.add("v2", lambda to: shutil.copytree(versions.folder_of("v1"), to, dirs_exist_ok=True))
        versions.use("v1", "benchmark", 0.1)
        served = load_version(versions.folder_of("v1"), 0.1)
        assert isinstance(served, ServedTriage)
        texts = list(held_out(report_of(folder)[1], lambda digest: rows).texts)[:200]
        count = 40 if is_quick else 150
        plain = torch_ms(unmerged(folder), texts[:count])
        in_process = [_cpu_ms(lambda text=text: served.answer(text)) for text in texts[:count]]
        scoring = [_cpu_ms(lambda text=text: served.score(text)) for text in texts[:count]]
        with server(home, "bench") as (url, process):
            ask(url, process, texts, 1, 20)
            loads = [ask(url, process, texts, clients, (100 if is_quick else 1_000)) for clients in (1, 64)]
            changes = rolling(url, versions, texts, 300 if is_quick else 10_000)
            memory = process.memory_info().rss / 2**20
        facts = served.card["measured"]
        return {
            "form": served.card["form"],
            "averaged": served.card["averaged"],
            "same_answers": facts["same_answer_as_evaluated"],
            "accuracy": facts["accuracy"],
            "held_out": facts["rows"],
            "plain_ms": [float(np.quantile(plain, q)) for q in (0.5, 0.95)],
            "scoring_ms": [float(np.quantile(scoring, q)) for q in (0.5, 0.95)],
            "answer_ms": [float(np.quantile(in_process, q)) for q in (0.5, 0.95)],
            "loads": loads,
            "rolling": changes,
            "server_mb": memory,
        }


def main() -> None:
    """Prints the tables, and with --json the same as one object on the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--job", type=Path)
    options = parser.parse_args()
    result = measure(options.quick, options.job)
    print(
        f"Served as {result['form']}{', averaged with linear' if result['averaged'] else ''}; {result['same_answers']:.1%} of the"
    )
    print(f"answers on {result['held_out']} held-out tickets are the evaluated model's.\n")
    print("| one ticket, one thread | CPU ms p50 / p95 |\n|---|---|")
    for name, key in (
        ("transformers, adapter unmerged, as scored", "plain_ms"),
        ("exported, scored", "scoring_ms"),
        ("exported, with cleaning and redaction", "answer_ms"),
    ):
        print(f"| {name} | {result[key][0]:.1f} / {result[key][1]:.1f} |")
    print(f"\nScoring takes {result['plain_ms'][0] / result['scoring_ms'][0]:.1f} times less CPU.\n")
    print(
        "| clients | requests | p50 ms | p95 ms | server CPU ms | tickets a CPU-s |\n|---|---|---|---|---|---|"
    )
    for one in result["loads"]:
        print(
            f"| {one['clients']} | {one['requests']} | {one['p50_ms']:.0f} | {one['p95_ms']:.0f} | {one['cpu_ms']:.1f} | "
            f"{one['tickets_per_cpu_s']:.0f} |"
        )
    changes = result["rolling"]
    print(
        f"\nVersions changed under load: {changes['lost']} of {changes['requests']:,} requests lost, {changes['versions']} versions answered."
    )
    print(f"Server memory: {result['server_mb']:.0f} MB.")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
