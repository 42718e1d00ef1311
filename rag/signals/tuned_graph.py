"""Builds the ONNX graph of a tuned MiniLM from the packaged one and trained upper layers (default: the second reader's).

Run as `python -m rag.signals.tuned_graph FOLDER int8|fp32 [WEIGHTS.npz]`, in a process of its own (it needs some 500 MB):

    model.onnx      ids, mask (int32, (1, length)) -> labels (1, labels), kinds (1, length, kinds), focus (1, labels):
                    logits, and for each label the token that speaks loudest for it
    reference.npy   the fp32 graph's label logits for PROBES, to check int8 on the machine that runs it
    tokenizer.json  copied beside it
    SHA256          of model.onnx; written last
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import RagError
from rag.search.graph_builder import GraphBuilder
from rag.search.minilm_onnx import (
    LAYERS,
    WEIGHTS_SHA256,
    embed_tokens,
    encode_layer,
    packaged_weights,
    write_graph,
)

WEIGHTS = Path(__file__).parents[1] / "data" / "reader.npz"


@dataclass(frozen=True)
class ReaderWeights:
    """The trained part: arrays by their BERT name, the heads' labels in order, and the kinds of numbers."""

    arrays: Mapping[str, np.ndarray]
    heads: Mapping[str, tuple[str, ...]]
    exclusive: frozenset[str]
    kinds: tuple[str, ...]


def save_weights(weights: ReaderWeights, path: Path = WEIGHTS) -> None:
    """Writes matrices of the layers as int8 with a scale a row, everything else as float16; no pickle."""
    archive: dict[str, np.ndarray] = {}
    for name, array in weights.arrays.items():
        if array.ndim == 2 and name.startswith("encoder."):
            scale = np.maximum(np.abs(array).max(axis=1, keepdims=True) / 127, 1e-12)
            archive[f"q:{name}"] = np.round(array / scale).astype(np.int8)
            archive[f"s:{name}"] = scale.astype(np.float32)
        else:
            archive[f"f:{name}"] = array.astype(np.float16)
    about = {
        "heads": weights.heads,
        "exclusive": sorted(weights.exclusive),
        "kinds": weights.kinds,
        "base": WEIGHTS_SHA256,
    }
    archive["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    aside = path.with_suffix(".tmp.npz")
    np.savez_compressed(aside, allow_pickle=False, **archive)
    aside.replace(path)


def load_weights(path: Path = WEIGHTS) -> ReaderWeights:
    """What `save_weights` wrote; RagError if it is missing, broken or was trained on another MiniLM."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(bytes(archive["about"]).decode())
            arrays = {
                name[2:]: archive[name].astype(np.float32) for name in archive.files if name.startswith("f:")
            } | {
                name[2:]: archive[name].astype(np.float32) * archive[f"s:{name[2:]}"]
                for name in archive.files
                if name.startswith("q:")
            }
    except (OSError, ValueError, KeyError) as error:
        raise RagError(f"Cannot read {path}: {error}. Restore it with git, or retrain it.") from error
    if about["base"] != WEIGHTS_SHA256:
        raise RagError(
            f"{path} was trained on another MiniLM. Retrain it: python -m rag.evaluation.train_reader"
        )
    heads = {head: tuple(labels) for head, labels in about["heads"].items()}
    return ReaderWeights(arrays, heads, frozenset(about["exclusive"]), tuple(about["kinds"]))


def weights_digest(path: Path = WEIGHTS) -> str:
    """Eight hex digits of the trained part, for the name of the built graph."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    except OSError as error:
        raise RagError(f"Cannot read {path}: {error}. Restore it with git, or retrain it.") from error


def build(folder: Path, precision: str, trained: Path = WEIGHTS) -> None:
    """Write the graph of these trained layers and its companions into `folder` (created)."""
    weights = {**packaged_weights(), **load_weights(trained).arrays}
    write_graph(folder, precision, lambda int8: draw_graph(weights, int8), "labels", weights_digest(trained))


def draw_graph(weights: Mapping[str, np.ndarray], int8: bool) -> Any:
    """The encoder, then for each label its own attention over the tokens; the kinds of numbers for each token.

    The products after the encoder are small and stay in float.
    """
    from onnx import TensorProto, helper

    builder = GraphBuilder(dict(weights), int8)
    state = embed_tokens(builder)
    for number in range(LAYERS):
        state = encode_layer(builder, state, f"encoder.layer.{number}.")
    scores = builder.add(
        "MatMul", [state, builder.weight("attention.weight", transpose=True)], "attention_scores"
    )
    evidence = builder.add(
        "MatMul", [state, builder.weight("evidence.weight", transpose=True)], "evidence_scores"
    )
    shares = builder.add("Softmax", [scores], "attention_shares", axis=1)
    voices = builder.add("Mul", [shares, evidence], "voices")
    tokens = builder.constant("token_axis", np.asarray([1], dtype=np.int64))
    totals = builder.add("ReduceSum", [voices, tokens], "label_sums", keepdims=0)
    builder.add("Add", [totals, builder.weight("evidence.bias")], "labels")
    builder.add("ArgMax", [voices], "focus", axis=1, keepdims=0)
    kinds = builder.add("MatMul", [state, builder.weight("kind.weight", transpose=True)], "kinds_raw")
    builder.add("Add", [kinds, builder.weight("kind.bias")], "kinds")
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.INT32, ["batch", "length"]) for n in ("ids", "mask")
    ]
    outputs = [
        helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["batch", "label_count"]),
        helper.make_tensor_value_info("kinds", TensorProto.FLOAT, ["batch", "length", "kind_count"]),
        helper.make_tensor_value_info("focus", TensorProto.INT64, ["batch", "label_count"]),
    ]
    return builder.model("reader", inputs, outputs)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2], *map(Path, sys.argv[3:]))
