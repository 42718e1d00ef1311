"""What answering costs in memory: a process of its own in which eight threads ask from its first second on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.homes import home_with_graphs

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
MAX_MB = 500  # 459 on 2026-11-30; 936 when each thread loaded what was not there yet
MAX_GROWTH_MB = 20  # from the first round to the last
THREADS, ROUNDS, PER_ROUND = 8, 4, 32
ASKING = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from rag.adviser import Adviser
from rag.index import Index
from rag.search.embedding import load_embedder

home, (threads, rounds, per_round) = Path(sys.argv[1]), map(int, sys.argv[2:])
questions = (
    "our help center changes every week, should we fine-tune on it?",
    "we have 40,000 labelled tickets in eight queues, is a small classifier enough?",
    "unser Hilfebereich wird jede Woche neu geschrieben, sollen wir darauf feintunen?",
    "What is LoRA?",
)
embed, prices = load_embedder(home / "cache"), yaml.safe_load(Path("bot/prices.yaml").read_text())
with Index.open(home / "index", embed) as index, ThreadPoolExecutor(threads) as pool:
    index.ensure_guide()
    adviser = Adviser(index, embed, prices)
    for _ in range(rounds):
        replies = list(pool.map(lambda n: adviser.ask(questions[n % 4]), range(per_round)))
        status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        memory = [int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")]
        print(json.dumps([*memory, sum(bool(reply.headline) for reply in replies)]), flush=True)
"""


def test_questions_at_once_share_what_answers_them(tmp_path: Path, embed_cache: Path) -> None:
    """Eight who ask at the same time load each model once, and another hundred questions add nothing."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    home = home_with_graphs(tmp_path / "home", embed_cache)
    numbers = map(str, (THREADS, ROUNDS, PER_ROUND))
    command = [sys.executable, "-c", ASKING, str(home), *numbers]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # a pool's buffers would count the cores
    process = subprocess.run(command, cwd=ROOT, env=one_thread, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    assert [answers for _, _, answers in lines] == [PER_ROUND] * ROUNDS
    after_first, last, most = lines[0][0], lines[-1][0], lines[-1][1]
    assert most < MAX_MB, f"{most:.0f} MB at the most"
    assert last < after_first + MAX_GROWTH_MB, f"{after_first:.0f} MB grew to {last:.0f}"
