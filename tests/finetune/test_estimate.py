"""What a fine-tune is told to take before it is queued: weights, memory, time, money, and who can run it at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune.data.card import Card
from finetune.estimate import Machine, estimate_run, refusal
from finetune.model_size import ModelSize, size_of
from finetune.spec import parse_spec
from tests.hub_server import Hub

ROOT = Path(__file__).parents[2]
PRICES: dict[str, Any] = yaml.safe_load((ROOT / "bot/prices.yaml").read_text())
LAPTOP = Machine("laptop", 16.0)
L4 = Machine("l4", 64.0, 24.0)


def card(kind: str = "reply", rows: int = 3_000, characters: int = 400) -> Card:
    """The card of a dataset with texts of so many characters."""
    lengths = {"median": characters, "longest": 2_000}
    facts = {"scopes": ("workspace",), "licence": "", "added_by": "U1", "added_at": "", "classes": ()}
    return Card("d", 1, "a" * 64, kind, rows, lengths=lengths, **facts)


def look_up(parameters: float | None) -> Any:
    """A look-up that gives every base model so many weights."""
    return lambda base_model: ModelSize(parameters, "hub" if parameters else "unknown")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen3-0.6B", 0.6e9),
        ("meta-llama/Llama-3.1-8B-Instruct", 8e9),
        ("org/llama-2-70b-chat", 70e9),
        ("HuggingFaceTB/SmolLM2-135M", 135e6),
        ("org/TinyLlama-1.5B", 1.5e9),
        ("mistralai/Mixtral-8x7B-v0.1", 56e9),
        ("Qwen/Qwen3-30B-A3B", 30e9),
        ("org/model-4bit", None),
        ("microsoft/phi-3-mini-4k", None),
    ],
)
def test_the_size_is_read_from_the_name_where_nothing_better_is_there(name: str, parameters: float) -> None:
    """Offline the hub's files cannot be had; a number of bits or of context tokens is no number of weights."""
    assert size_of(name).parameters == parameters


@pytest.mark.integration
def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    """Bytes of weights by the bytes of one; a folder without weights tells nothing."""
    from tests.finetune.tiny import save_causal

    folder = save_causal(tmp_path / "llama")
    from safetensors.torch import load_file

    count = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert size_of(str(folder)).parameters == pytest.approx(count, rel=0.1)
    assert size_of(str(tmp_path / "empty")).parameters is None


def ask(hub: Hub, home: Path, *base_models: str) -> list[list[Any]]:
    """[weights, source] of each base model as a process tells them that uses this hub."""
    code = (
        "import json, sys; from finetune.model_size import size_of; sizes = [size_of(name, 30) for name in sys.argv[1:]]; "
        "print(json.dumps([[size.parameters, size.source] for size in sizes]))"
    )
    environment = {**os.environ, **hub.env(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code, *base_models],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    sizes: list[list[Any]] = json.loads(process.stdout)
    return sizes


@pytest.mark.integration
def test_the_size_of_a_hub_s_model_comes_from_its_small_files(tmp_path: Path) -> None:
    """config.json with the size of the one weights file, or the index of several; the weights are not fetched."""
    from tests.finetune.tiny import save_causal

    folder = save_causal(tmp_path / "llama")
    hub = Hub()
    hub.put("org/tiny", folder)
    shards = tmp_path / "sharded"
    shards.mkdir()
    (shards / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    index = {"metadata": {"total_size": 16e9}, "weight_map": {}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    hub.put("org/large", shards)
    bytes_of_weights = (folder / "model.safetensors").stat().st_size
    sizes = ask(hub, tmp_path / "a", "org/tiny", "org/large")
    assert sizes == [[bytes_of_weights / 4, "hub"], [8e9, "hub"]]
    assert not any(method == "GET" and path.endswith(".safetensors") for method, path, _ in hub.calls)
    hub.stop()
    assert ask(hub, tmp_path / "b", "org/away-7B", "org/away") == [[7e9, "name"], [None, "unknown"]]


def test_a_slow_hub_is_not_waited_for() -> None:
    """The name serves until the hub has answered: a form must open within three seconds."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        code = (
            "import time; from finetune.model_size import size_of; began = time.monotonic(); "
            "print(size_of('org/slow-3B', 0.2).parameters, time.monotonic() - began)"
        )
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "PYTHONPATH": str(ROOT)}
        began = time.monotonic()
        process = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
        )
    parameters, seconds = map(float, process.stdout.split())
    assert parameters == 3e9
    assert seconds < 3
    assert time.monotonic() - began < 60


def test_lora_on_eight_billion_weights_is_not_a_matter_of_cents() -> None:
    """The case that was told as "about 30 min, at most $0.24": days on a CPU, dollars on a GPU."""
    spec = parse_spec({"dataset": "d", "task": "reply", "base_model": "meta-llama/Llama-3.1-8B"})
    estimate = estimate_run(spec, card(), PRICES, look_up(8e9))
    assert estimate.seconds[0] > 24 * 3600
    assert estimate.usd > 5
    assert 30 < estimate.memory_gib < 45
    assert 0.1 < estimate.gpu_usd < 20


def test_linear_and_lora_are_priced_by_the_same_registry() -> None:
    """One pass forward against three passes with gradients: the packaged model takes minutes, linear seconds."""
    times = {}
    for method in ("linear", "lora", "full"):
        spec = parse_spec({"dataset": "d", "method": method})
        times[method] = estimate_run(spec, card("triage", 1_000), PRICES).seconds[1]
    assert times["linear"] < times["lora"] < times["full"]
    assert times["linear"] < times["lora"] / 4


@pytest.mark.parametrize(
    ("rows", "epochs", "characters", "cpu_s", "peak_mb"),
    [(658, 5, 93, 39.9, 2_081), (1_500, 3, 47, 52.5, 2_271), (400, 3, 1_946, 204.8, 2_013)],
)
def test_measured_jobs_are_within_a_factor_of_the_estimate(
    rows: int, epochs: int, characters: int, cpu_s: float, peak_mb: float
) -> None:
    """Bundled tickets, banking77 and e-mails of 300 words by benchmarks/estimates.py (docs/performance.md): time and memory."""
    spec = parse_spec({"dataset": "d", "method": "lora", "epochs": epochs})
    estimate = estimate_run(spec, card("triage", rows, characters), PRICES)
    low, high = estimate.seconds
    assert high < 2.25 * low
    assert 1 / 1.5 < cpu_s / (low * high) ** 0.5 < 1.5
    assert estimate.memory_gib * 1_024 == pytest.approx(peak_mb, rel=0.1)


def test_a_size_that_nothing_tells_is_not_guessed() -> None:
    """No seconds and no dollars are claimed for it."""
    spec = parse_spec({"dataset": "d", "task": "reply", "base_model": "org/model", "budget_usd": 3})
    estimate = estimate_run(spec, card(), PRICES, look_up(None))
    assert (estimate.size.parameters, estimate.usd, estimate.seconds) == (None, 0.0, (0.0, 0.0))


@pytest.mark.parametrize(
    ("form", "parameters", "machines", "words"),
    [
        ({"method": "full"}, 8e9, [LAPTOP], ["136 GiB", "laptop, has 16 GiB", "`lora`", "3.3 billion"]),
        ({"method": "lora"}, 8e9, [LAPTOP], ["36 GiB", "up to 3.3 billion weights"]),
        ({"method": "full"}, 8e9, [LAPTOP, L4], ["`full`", "`qlora` with the same base model"]),
        ({"method": "qlora"}, 1e9, [LAPTOP], ["needs an NVIDIA GPU", "`lora` with the same base model"]),
        ({"method": "qlora"}, 70e9, [L4], ["24 GiB", "`qlora` with a base model of up to"]),
    ],
)
def test_what_no_worker_can_do_is_refused_with_the_nearest_that_can(
    form: dict[str, str], parameters: float, machines: list[Machine], words: list[str]
) -> None:
    """Before it is queued, in figures: what it needs, what there is, and what would fit."""
    spec = parse_spec({"dataset": "d", "task": "reply", "base_model": "org/model", **form})
    problems = refusal(spec, estimate_run(spec, card(), PRICES, look_up(parameters)), machines)
    assert list(problems) == ["method"]
    for word in words:
        assert word in problems["method"]


def test_what_fits_or_cannot_be_known_is_let_through() -> None:
    """One able worker is enough; without any sign of a worker the job waits for one."""
    spec = parse_spec({"dataset": "d", "task": "reply", "base_model": "org/model", "method": "qlora"})
    estimate = estimate_run(spec, card(), PRICES, look_up(8e9))
    assert refusal(spec, estimate, [LAPTOP, L4]) == {}
    assert refusal(spec, estimate, []) == {}
    assert Machine.from_health({"name": "old"}) is None
    health = {"name": "new", "memory_gib": 8, "gpu_gib": 0.0}
    assert Machine.from_health(health) == Machine("new", 8.0, 0.0)
