"""The embedded embedder: right vectors, stable vectors, a cache that survives crashes and races."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rag.search import embedding
from rag.search.embedding import load_embedder
from rag.search.minilm_onnx import packaged_model


@pytest.fixture
def cache(embed_cache: Path) -> Path:
    """The folder that all tests share; what damages a cache takes a folder of its own."""
    return embed_cache


def test_rows_are_unit_length_float32_in_the_order_given(cache: Path) -> None:
    """n texts give n unit rows, each the same as the text alone gives, whatever stands beside it."""
    embed = load_embedder(cache, threads=2)
    texts = ["refund", "", "a much longer sentence about refunds " * 60, "Größe 🚀", "refund"]
    rows = embed(texts)
    assert rows.shape == (5, embed.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows[0], rows[4])
    np.testing.assert_array_equal(rows[2], embed([texts[2]])[0])
    assert embed([]).shape == (0, embed.dim)


def embedding_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("embed")}


def test_many_texts_take_the_same_threads_each_time(cache: Path) -> None:
    """Batch after batch, and of three who embed at once, two threads do the work."""
    before = embedding_threads()
    embed, texts = load_embedder(cache, threads=2), [f"ticket {n}" for n in range(8)]
    rows = embed(texts)
    with ThreadPoolExecutor(3) as people:
        for again in people.map(embed, [texts] * 6):
            np.testing.assert_array_equal(again, rows)
    assert 1 <= len(embedding_threads() - before) <= 2


def test_meaning_is_near_and_other_things_are_far(cache: Path) -> None:
    """A paraphrase without a shared rare word is nearer than an unrelated sentence."""
    question, same, other = load_embedder(cache)(
        ["how do I get my money back", "requesting a refund for a purchase", "the GPU ran out of memory"]
    )
    assert question @ same > 0.4 > question @ other + 0.2


@pytest.mark.integration
def test_agrees_with_the_original_model_in_torch(cache: Path, tmp_path: Path) -> None:
    """int8 rows have a cosine of at least .98 to transformers' own output, mean-pooled, for texts we did
    not build with."""
    script = """
import sys, numpy as np, torch
from transformers import AutoModel, AutoTokenizer
torch.set_num_threads(1)
tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModel.from_pretrained(sys.argv[1]).eval()
rows = []
for text in sys.argv[3:]:
    batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
    with torch.no_grad():
        mean = model(**batch).last_hidden_state[0].mean(0)
    rows.append((mean / mean.norm()).numpy())
np.save(sys.argv[2], np.asarray(rows))
"""
    texts = ["Invoices are sent on the 1st of each month.", "How many epochs for LoRA?", "why? " * 300]
    target = tmp_path / "torch.npy"
    subprocess.run([sys.executable, "-c", script, str(packaged_model()), str(target), *texts], check=True)
    cosines = (load_embedder(cache)(texts) * np.load(target)).sum(axis=1)
    assert cosines.min() > 0.98


@pytest.mark.integration
def test_a_damaged_cache_is_rebuilt(tmp_path: Path) -> None:
    """A truncated graph file is noticed by its hash and built again, and two threads racing for it agree."""
    embed = load_embedder(tmp_path)
    model = next(tmp_path.glob("minilm-*/model.onnx"))
    model.write_bytes(model.read_bytes()[:1000])
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load_embedder, [tmp_path, tmp_path])
    np.testing.assert_array_equal(first(["refund"]), embed(["refund"]))
    np.testing.assert_array_equal(second(["refund"]), embed(["refund"]))
    assert not list(tmp_path.glob("building-*"))
    assert first.name == embed.name


@pytest.mark.integration
def test_an_int8_kernel_that_is_wrong_here_falls_back_to_fp32(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where int8 disagrees with the stored fp32 rows, the fp32 graph is used and named as such."""
    honest = embedding._agreement
    monkeypatch.setattr(
        embedding, "_agreement", lambda e, folder: 0.5 if "int8" in e.name else honest(e, folder)
    )
    assert "fp32" in load_embedder(cache).name


@pytest.mark.integration
def test_loading_needs_no_torch_and_stays_small(cache: Path) -> None:
    """A fresh process embeds a query without torch and under 250 MB."""
    script = (
        "import sys; from pathlib import Path; from rag.search.embedding import load_embedder;"
        "load_embedder(Path(sys.argv[1]))(['refund', 'x ' * 400]);"
        "assert not {'torch', 'transformers', 'onnx'} & set(sys.modules);"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, str(cache)], capture_output=True, text=True, check=True
    )
    assert int(process.stdout) / 1024 < 250
