"""Writes rag/data/references.npz, what the fp32 graphs of the released weights give: python -m rag.evaluation.write_references

To be run after reader.npz or answering.npz were trained anew; a test says so. Each bot then builds its graphs without fp32.
"""

from __future__ import annotations

import sys

import numpy as np

from rag.answer.answer_model import WEIGHTS as ANSWERING
from rag.search.minilm_onnx import (
    REFERENCES,
    WEIGHTS_SHA256,
    draw_graph,
    packaged_model,
    packaged_weights,
    reference_rows,
)
from rag.signals import tuned_graph
from rag.signals.tuned_graph import WEIGHTS as READER
from rag.signals.tuned_graph import load_weights, weights_digest


def released_rows() -> dict[str, np.ndarray]:
    """The rows for the probes by the digest of the weights that gave them."""
    tokenizer = packaged_model() / "tokenizer.json"
    weights = packaged_weights()
    rows = {WEIGHTS_SHA256[:8]: reference_rows(draw_graph(weights, int8=False), tokenizer, "rows")}
    for trained in (READER, ANSWERING):
        graph = tuned_graph.draw_graph({**weights, **load_weights(trained).arrays}, int8=False)
        rows[weights_digest(trained)] = reference_rows(graph, tokenizer, "labels")
    return rows


def main() -> int:
    """Computes the rows and writes them."""
    np.savez(REFERENCES, allow_pickle=False, **released_rows())
    return 0


if __name__ == "__main__":
    sys.exit(main())
