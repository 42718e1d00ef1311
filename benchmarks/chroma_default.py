"""The baseline of benchmarks/retrieval.py: langchain-chroma as its documentation sets it up, Chroma's own embedder.

Chroma downloads its embedder's graph at first use; here the same weights are exported from our packaged copy by
torch, operator by operator, and laid where Chroma looks, so that its own code runs unchanged without a network.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

COMPANIONS = (
    "config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.txt",
)


def default_embedder(scratch: Path) -> Any:
    """Chroma's `ONNXMiniLM_L6_V2`, reading its graph from `scratch`."""
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    from rag.search.minilm_onnx import packaged_model

    folder = scratch / ONNXMiniLM_L6_V2.EXTRACTED_FOLDER_NAME
    if not (folder / "model.onnx").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in COMPANIONS:
            source = packaged_model() / name
            if source.is_file():
                shutil.copyfile(source, folder / name)
            else:
                (folder / name).touch()  # looked for, never read
        _export(packaged_model(), folder / "model.onnx")
    ONNXMiniLM_L6_V2.DOWNLOAD_PATH = scratch
    return ONNXMiniLM_L6_V2()


def _export(weights: Path, target: Path) -> None:
    import torch
    from transformers import AutoModel

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = AutoModel.from_pretrained(weights, attn_implementation="eager").eval()

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            inputs = {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "token_type_ids": token_type_ids,
            }
            return self.inner(**inputs).last_hidden_state

    names, shape = ["input_ids", "attention_mask", "token_type_ids"], {0: "batch", 1: "length"}
    ones = torch.ones(2, 16, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Encoder(), (ones, ones, 0 * ones), str(target), input_names=names, output_names=["last_hidden_state"],
            dynamic_axes=dict.fromkeys([*names, "last_hidden_state"], shape), opset_version=14, dynamo=False,
        )  # fmt: skip


class Embeddings:
    """langchain's interface over Chroma's embedder; texts in `vectors` are looked up instead of embedded."""

    def __init__(self, inner: Any, vectors: dict[str, np.ndarray] | None = None) -> None:
        self.inner, self.vectors, self.embedded = inner, vectors, 0

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        if self.vectors is not None:
            self.embedded += len(texts)
            return [self.vectors[text].tolist() for text in texts]
        return [row.tolist() for row in self.inner(list(texts))]

    def embed_query(self, text: str) -> list[float]:
        return list(map(float, self.inner([text])[0]))


def open_store(folder: Path, embeddings: Embeddings) -> Any:
    """`langchain_chroma.Chroma` persisted in a folder, everything else at its default."""
    from langchain_chroma import Chroma

    return Chroma(collection_name="docs", embedding_function=embeddings, persist_directory=str(folder))  # type: ignore[arg-type]
