"""A tuned network as one ONNX graph, head and softmax included, and the same with int8 weights in its MatMuls."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from finetune.errors import ExportError

PROBE = "My invoice shows the wrong amount, and I was charged twice."
OUTPUTS = ("scores", "vectors")


def write_classifier(model: Any, file: Path) -> None:
    """Write a `TunedTriage` as a graph: (1, length) token ids and mask to (1, classes) probabilities and a unit vector."""
    from finetune.training.embedding import mean_pool, unit

    def scores(ids: Any, mask: Any) -> tuple[Any, Any]:
        rows = mean_pool(model.network.encoder(input_ids=ids, attention_mask=mask)[0], mask)
        return model.network.head(rows).softmax(-1), unit(rows)

    _write(model.network, scores, model.tokenizer, file, OUTPUTS)


def write_embedder(embedder: Any, file: Path) -> None:
    """Write a `FrozenEmbedder` as a graph: (1, length) token ids and mask to a (1, hidden) unit vector."""
    from finetune.training.embedding import mean_pool, unit

    def vectors(ids: Any, mask: Any) -> tuple[Any]:
        return (unit(mean_pool(embedder.encoder(input_ids=ids, attention_mask=mask)[0], mask)),)

    _write(embedder.encoder, vectors, embedder.tokenizer, file, OUTPUTS[1:])


def _write(parts: Any, forward: Any, tokenizer: Any, file: Path, outputs: tuple[str, ...]) -> None:
    """Trace `forward` over `parts` (a torch module) on the CPU with a length that may vary."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = parts

        def forward(self, ids: Any, mask: Any) -> Any:
            return forward(ids, mask)

    graph = Network().cpu().eval()
    ids = torch.tensor(tokenizer(PROBE)["input_ids"])[None]
    axes = {"ids": {1: "length"}, "mask": {1: "length"}}
    verbosity = logging.getLogger("torch.onnx").level
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # on tracing; the graph's answers are compared afterwards
            torch.onnx.export(
                graph,
                (ids, torch.ones_like(ids)),
                str(file),
                input_names=["ids", "mask"],
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=17,
                dynamo=False,  # the newer exporter needs onnxscript
            )
    except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
        raise ExportError(
            "This base model cannot be written as an ONNX graph, so it cannot be served on a CPU: train on another base model "
            "(minilm works), or use `trainwise export` and a server of your own."
        ) from error
    finally:
        logging.getLogger("torch.onnx").setLevel(verbosity)


def quantise(file: Path, target: Path) -> None:
    """Write the graph with int8 weights, per channel, in every MatMul but the head's; the rest stays float32."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(str(file)).graph
    products = [node.name for node in graph.node if node.op_type == "MatMul"]
    logging.getLogger().addFilter(_is_no_advice)
    try:
        quantize_dynamic(
            str(file),
            str(target),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[name for name in products if "head" in name],
            extra_options={"DefaultTensorType": 1},
        )
    finally:
        logging.getLogger().removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    """Whether a log line is more than onnxruntime's advice to preprocess, which changes nothing here."""
    return "pre-processing before quantization" not in record.getMessage()
