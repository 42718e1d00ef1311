"""Nodes and constants of an ONNX graph under construction; with `int8` large products are written quantised at once.

The quantised nodes are those that `onnxruntime.quantization.quantize_dynamic(per_channel=True)` writes, number for
number (a test compares the two); it takes 2 CPU-seconds a graph because it goes through the weights column by column.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MICROSOFT = "com.microsoft"
OPSETS = (("", 17), (MICROSOFT, 1))
INT8_MAX = 127


class GraphBuilder:
    """A graph of MiniLM's kind: `weights` by their BERT name; matrices are given as (inputs, outputs)."""

    def __init__(self, weights: dict[str, np.ndarray], int8: bool = False) -> None:
        self.weights, self.int8 = weights, int8
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._quantised: set[str] = set()  # states that a node has quantised

    def constant(self, name: str, value: np.ndarray) -> str:
        """Keeps an array under a name; the name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str, transpose: bool = False) -> str:
        """Keeps one of the weights; its name."""
        value = self.weights[name]
        return self.constant(name, value.T if transpose else value)

    def add(
        self, op: str, inputs: list[str], output: str | list[str], domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node; the name of its (first) output."""
        from onnx import helper

        outputs = [output] if isinstance(output, str) else output
        node = helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0]

    def product(self, state: str, name: str, output: str) -> str:
        """`state` times the transposed weight `name`."""
        if not self.int8:
            return self.add("MatMul", [state, self.weight(name, transpose=True)], output)
        rows, scale, zero = self._quantise_state(state)
        matrix, scales, zeros = self._quantise_matrix(name, self.weights[name].T)
        total = self.add("MatMulInteger", [rows, matrix, zero, zeros], f"{output}_int32")
        as_float = self.add("Cast", [total], f"{output}_float", to=1)
        return self.add("Mul", [as_float, self.add("Mul", [scale, scales], f"{output}_scale")], output)

    def attention(self, state: str, at: str, heads: int) -> str:
        """The attention whose weights begin with `at`, over the tokens that the input `mask` leaves."""
        parts = [f"{at}attention.self.{part}" for part in ("query", "key", "value")]
        matrix = np.concatenate([self.weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = self.constant(
            f"{at}qkv_bias", np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        )
        output = f"{at}mixed"
        if not self.int8:
            inputs = [state, self.constant(f"{at}qkv", matrix), bias, "mask"]
            return self.add("Attention", inputs, output, MICROSOFT, num_heads=heads)
        rows, scale, zero = self._quantise_state(state)
        weights, scales, zeros = self._quantise_matrix(f"{at}qkv", matrix)
        inputs = [rows, weights, bias, scale, scales, "mask", zero, zeros, ""]
        return self.add("QAttention", inputs, output, MICROSOFT, num_heads=heads)

    def model(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """The finished graph."""
        from onnx import helper

        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def _quantise_state(self, state: str) -> tuple[str, str, str]:
        """Names of the state as uint8, its scale and its zero point, chosen when the graph runs."""
        names = (f"{state}_quantized", f"{state}_scale", f"{state}_zero_point")
        if state not in self._quantised:
            self.add("DynamicQuantizeLinear", [state], list(names))
            self._quantised.add(state)
        return names

    def _quantise_matrix(self, name: str, matrix: np.ndarray) -> tuple[str, str, str]:
        """Names of the matrix as int8, of the scale of each column, and of their zero points."""
        rows, scale = quantise_columns(matrix)
        zeros = np.zeros(scale.shape, dtype=np.int8)
        return (
            self.constant(f"{name}_quantized", rows),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero_point", zeros),
        )


def quantise_columns(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(inputs, outputs) float32 as int8, symmetric, and a float32 scale for each column."""
    largest = np.abs(matrix).max(axis=0).astype(np.float64)
    scale = (2 * largest / (2 * INT8_MAX)).astype(np.float32)
    scale[scale < np.finfo(np.float32).tiny] = 1.0
    return np.round(matrix / scale).astype(np.int8), scale
