"""The int8 graphs written directly are those of onnxruntime's own quantiser, and the released references are true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, save
from onnxruntime.quantization import QuantType, quantize_dynamic

from rag.answer.answer_model import WEIGHTS as ANSWERING
from rag.search.graph_builder import GraphBuilder, quantise_columns
from rag.search.minilm_onnx import (
    DIM,
    PROBES,
    WEIGHTS_SHA256,
    draw_graph,
    encode_layer,
    packaged_model,
    packaged_weights,
    reference_rows,
    released_reference,
)
from rag.signals.tuned_graph import WEIGHTS as READER
from rag.signals.tuned_graph import weights_digest

LAYER = "encoder.layer.0."


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return packaged_weights()


def one_layer(weights: dict[str, np.ndarray], int8: bool) -> Any:
    builder = GraphBuilder(weights, int8)
    last = encode_layer(builder, "state", LAYER)
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", "length", DIM])
    mask = helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "length"])
    return builder.model(
        "layer", [state, mask], [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)]
    )


def test_a_layer_is_quantised_as_by_onnxruntime(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """The same numbers to the last bit, for states of several lengths."""
    save(one_layer(weights, int8=False), tmp_path / "fp32.onnx")
    quantize_dynamic(
        tmp_path / "fp32.onnx", tmp_path / "int8.onnx", op_types_to_quantize=["MatMul", "Attention"],
        per_channel=True, weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )  # fmt: skip
    theirs = onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"))
    ours = onnxruntime.InferenceSession(one_layer(weights, int8=True).SerializeToString())
    numbers = np.random.default_rng(7)
    for length in (1, 9, 120):
        state = numbers.standard_normal((1, length, DIM)).astype(np.float32)
        feed = {"state": state, "mask": np.ones((1, length), dtype=np.int32)}
        np.testing.assert_array_equal(ours.run(None, feed)[0], theirs.run(None, feed)[0])


def test_a_column_of_zeros_stays_zero() -> None:
    """Its scale is 1, so that nothing is divided by zero."""
    rows, scale = quantise_columns(np.asarray([[0.0, 2.0], [0.0, -1.0]], dtype=np.float32))
    assert rows.tolist() == [[0, 127], [0, -64]]
    assert scale[0] == 1.0


@pytest.mark.parametrize("file", [READER, ANSWERING])
def test_the_released_weights_have_their_reference(file: Path) -> None:
    """Else every first start computes it: run `python -m rag.evaluation.write_references` after training anew."""
    assert released_reference(weights_digest(file)) is not None


def test_the_reference_is_what_the_fp32_graph_gives(weights: dict[str, np.ndarray]) -> None:
    """The encoder's, computed here again."""
    graph = draw_graph(weights, int8=False)
    rows = reference_rows(graph, packaged_model() / "tokenizer.json", "rows")
    reference = released_reference(WEIGHTS_SHA256[:8])
    assert reference is not None
    assert reference.shape == (len(PROBES), DIM)
    assert (rows * reference).sum(axis=1).min() > 0.9999
