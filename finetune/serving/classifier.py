"""Runs a triage version on onnxruntime, without torch, one ticket per run, as its threshold was calibrated.

Tickets are not padded or batched: int8 scales are chosen per run, so an answer would depend on its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import LINEAR_HALF, read_card
from finetune.errors import CorruptModel
from finetune.evaluation.promise import Threshold, loosest_threshold
from finetune.serving.answers import Answer
from finetune.serving.ticket_text import read_ticket
from finetune.serving.versions import SERVED

NETWORK, EMBEDDER = "network.onnx", "embedder.onnx"
NETWORK_WORDS, EMBEDDER_WORDS = "network-tokenizer.json", "embedder-tokenizer.json"
NEAR = "near.npy"
LIKELIEST = 3


@dataclass(frozen=True)
class Graph:
    """A session and its tokenizer; safe to run from several threads."""

    session: Any
    tokenizer: Any

    @classmethod
    def open(cls, file: Path, words: Path, max_length: int) -> Graph:
        """Load both; texts are cut at `max_length` tokens."""
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # the arena keeps the largest ticket's memory for good
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(words))
        tokenizer.enable_truncation(max_length)
        tokenizer.no_padding()
        return cls(session, tokenizer)

    def run(self, text: str) -> tuple[list[np.ndarray], int]:
        """The graph's outputs for one text, a row each, and how many tokens were read."""
        ids = np.asarray([self.tokenizer.encode(text).ids or [0]], dtype=np.int64)
        rows = self.session.run(None, {"ids": ids, "mask": np.ones_like(ids)})
        return [row[0] for row in rows], ids.shape[1]


class OnnxEmbedder:
    """The frozen embedder of a linear half, as `finetune.training.embedding.FrozenEmbedder` gives them."""

    def __init__(self, folder: Path, max_length: int) -> None:
        self.graph = Graph.open(folder / EMBEDDER, folder / EMBEDDER_WORDS, max_length)

    def __call__(self, texts: Sequence[str], check: Any = None) -> np.ndarray:
        """(texts, hidden) float32 unit rows."""
        return np.stack([self.graph.run(text)[0][0] for text in texts])


def served_embedder(folder: Path, max_length: int) -> Any:
    """The frozen encoder of a version: the multilingual one where its weights lie there, else the graph."""
    from finetune.training.multilingual import WEIGHTS, MultilingualEmbedder

    return MultilingualEmbedder(folder) if (folder / WEIGHTS).is_file() else OnnxEmbedder(folder, max_length)


class ServedTriage:
    """A version in `folder` under the promise of `error_rate`; CorruptModel where a file is missing or damaged."""

    def __init__(self, folder: Path, error_rate: float) -> None:
        try:
            self.card = json.loads((folder / SERVED).read_text())
            self._open(folder)
            calibration = self.card["calibration"]
            self.confidences = np.asarray(calibration["confidence"], dtype=float)
            self.right = np.asarray(calibration["right"], dtype=bool)
        except Exception as error:  # each library has its own error for a damaged file
            raise CorruptModel(
                f"The version in {folder} does not load: make it anew with `trainwise serve JOB`."
            ) from error
        self.error_rate = error_rate
        self.threshold: Threshold = loosest_threshold(self.confidences, self.right, error_rate)

    def _open(self, folder: Path) -> None:
        self.classes: tuple[str, ...] = tuple(self.card["classes"])
        self.network = self.linear = None
        if (folder / NETWORK).is_file():
            self.network = Graph.open(folder / NETWORK, folder / NETWORK_WORDS, int(self.card["max_length"]))
        if (folder / LINEAR_HALF).is_dir():
            from finetune.training.linear_model import load_linear

            half = folder / LINEAR_HALF
            embedder = served_embedder(folder, int(self.card["embedder_length"]))
            self.linear = load_linear(half, read_card(half), embedder)
        if self.network is None and self.linear is None:
            raise CorruptModel("neither network nor linear half")
        self.near: np.ndarray | None = None
        if (folder / NEAR).is_file():
            self.near = np.load(folder / NEAR, allow_pickle=False).astype(np.float32)

    def score(self, text: str) -> tuple[np.ndarray, np.ndarray, int]:
        """(classes,) probabilities of a text as it is, its unit vector, and the tokens read."""
        if self.network is None:
            assert self.linear is not None
            vector = self.linear.embedder([text])
            return self.linear.score(self.linear.words([text], vector))[0], vector[0], 0
        (scores, vector), tokens = self.network.run(text)
        if self.linear is not None:
            scores = (scores + self.linear.probabilities([text])[0]) / 2
        return scores, vector, tokens

    def nearness(self, vector: np.ndarray) -> float:
        """The cosine to the nearest training ticket; 1 where none is kept."""
        return 1.0 if self.near is None or not len(self.near) else float((self.near @ vector).max())

    def answer(self, ticket: str) -> Answer:
        """The answer to a raw ticket; abstains below the threshold and on unknown languages or empty texts."""
        reading = read_ticket(ticket, self.card.get("languages") or {})
        scores, vector, tokens = self.score(reading.text)
        order = np.argsort(-scores, kind="stable")[:LIKELIEST]
        likeliest = tuple((self.classes[at], float(scores[at])) for at in order)
        is_near = self.nearness(vector) >= float(self.card.get("far_below", -1.0))
        confidence = likeliest[0][1]
        reason = reading.refusal
        if not reason and self.threshold.value is None:
            reason = f"its error rate cannot be promised to stay under {self.error_rate:.0%}"
        elif not reason and not self.threshold.admits(confidence):
            reason = f"its confidence is below {self.threshold.value:.2f}"
        return Answer(None if reason else likeliest[0][0], confidence, likeliest, reason, is_near, tokens)
