"""Long texts pass through the network in parts: the same learning, bounded memory, and short texts as they were."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from finetune.methods.lora import add_lora
from finetune.tasks.triage.model import CosineHead, NetworkWithHead
from finetune.training import micro_batches
from finetune.training.base_models import load_causal, load_encoder
from finetune.training.micro_batches import micro_batch_tokens, split_batch, weight
from tests.finetune.tiny import fit_reply, recipe, save_causal, save_encoder

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
MAX_MB = 2_200
STEP = """
import tempfile
from pathlib import Path
import numpy as np
from finetune.evaluation.sample import Part
from finetune.progress import silent
from finetune.spec import parse_spec
from finetune.tasks.triage.model import train_triage

labels = np.arange(32) % 2
texts = [("invoice " if label else "parcel ") * 400 for label in labels]
spec = parse_spec({"dataset": "d", "method": "lora", "epochs": 1, "precision": "fp32"})
nothing = np.zeros((0, 0), np.float32)
with tempfile.TemporaryDirectory() as folder:
    sides = Part(texts, labels, nothing), Part([], labels[:0], nothing)
    result = train_triage(spec, *sides, ("parcel", "invoice"), Path(folder), silent())
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(result.steps, result.batch_size, int(peak.split()[1]) // 1024)
"""


def batch_of(rows: int, length: int) -> dict[str, torch.Tensor]:
    """Rows of so many tokens, each row with a label of its own."""
    ids = torch.arange(1, rows * length + 1).reshape(rows, length) % 90
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.arange(rows)}


def test_short_texts_pass_as_one_batch_and_long_ones_in_parts_that_have_room() -> None:
    """32 tickets of 60 tokens are the batch that they were; 32 e-mails of 256 come in order, each part within its room."""
    short = batch_of(32, 60)
    assert split_batch(short, micro_batches.MICRO_BATCH_TOKENS) == [short]
    parts = split_batch(batch_of(32, 256), micro_batches.MICRO_BATCH_TOKENS)
    assert len(parts) > 3
    assert torch.cat([part["labels"] for part in parts]).tolist() == list(range(32))
    assert all(len(part["labels"]) * weight(256) <= micro_batches.MICRO_BATCH_TOKENS for part in parts)
    assert [
        len(part["labels"]) for part in split_batch(batch_of(3, 5_000), micro_batches.MICRO_BATCH_TOKENS)
    ] == [1, 1, 1]
    assert len(split_batch(batch_of(32, 256), math.inf)) == 1


def test_a_larger_network_has_room_for_fewer_tokens(tmp_path: Path) -> None:
    """Twice as deep and twice as wide keeps four times as much for a token; a GPU is not bounded by tokens."""
    model, _ = load_encoder(str(save_encoder(tmp_path / "bert")))
    network = NetworkWithHead(model, torch.nn.Linear(32, 2))
    assert micro_batch_tokens(network, "cpu") == micro_batches.MICRO_BATCH_TOKENS
    model.config.num_hidden_layers, model.config.hidden_size = 12, 768
    assert micro_batch_tokens(network, "cpu") == micro_batches.MICRO_BATCH_TOKENS / 4
    assert micro_batch_tokens(network, "cuda") == math.inf


def test_the_losses_and_gradients_of_the_parts_add_up_to_the_batch_s_own(tmp_path: Path) -> None:
    """A sorting network with a fresh adapter, without dropout: seven rows whole, and in parts of unlike sizes."""
    folder = str(save_encoder(tmp_path / "bert"))
    encoder, _ = load_encoder(folder)
    torch.manual_seed(0)
    spec = recipe(task="triage", method="lora", base_model=folder, lora_dropout=0)
    adapted = add_lora(encoder, spec, "encoder")
    network = NetworkWithHead(adapted, CosineHead(torch.randn(7, 32))).eval()
    batch = batch_of(7, 40)
    gradients, losses = [], []
    for room in (math.inf, 3 * weight(40)):
        network.zero_grad()
        parts = split_batch(batch, room)
        values = [network(**part, num_items_in_batch=torch.tensor(7))["loss"] for part in parts]
        for value in values:
            value.backward()
        losses.append(sum(float(value.detach()) for value in values))
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(float(network(**batch)["loss"].detach()), rel=1e-5)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_training_in_parts_takes_the_same_steps_to_the_same_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of `fit`, answers of unlike lengths: one row at a time learns what eight at a time learn."""
    folder, results = save_causal(tmp_path / "llama"), []
    for room in (micro_batches.MICRO_BATCH_TOKENS, 1):
        monkeypatch.setattr(micro_batches, "MICRO_BATCH_TOKENS", room)
        spec = recipe(method="full", base_model=str(folder), precision="fp32")
        torch.manual_seed(0)
        model, tokenizer = load_causal(str(folder))
        results.append(fit_reply(model, tokenizer, spec, tmp_path / str(room)))
    whole, parts = results
    assert parts.steps == whole.steps == 10
    assert parts.best_loss == pytest.approx(whole.best_loss, rel=1e-3)
    first, second = ([point.loss for point in result.history if point.loss] for result in results)
    assert second == pytest.approx(first, rel=1e-3)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_step_over_long_e_mails_keeps_its_memory() -> None:
    """32 mails of 256 tokens through the packaged encoder in a process of its own; whole they take over 5,000 MB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", STEP], capture_output=True, text=True, env=environment, check=True
    )
    steps, batch_size, peak_mb = map(int, process.stdout.split())
    assert (steps, batch_size) == (1, 32)
    assert peak_mb < MAX_MB
