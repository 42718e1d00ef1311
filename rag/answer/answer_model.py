"""The answerability model: MiniLM reads a question together with a piece and says whether the piece answers it.

Trained on pairs of our own (`rag/evaluation/train_answer_model.py`), most of them near misses; its logits are features
of `rag/answer/answerability.py`. No torch, no network; at most MAX_TOKENS wordpieces of a pair are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.one_at_a_time import one_at_a_time
from rag.search.embedding import built_folder, open_session
from rag.search.minilm_onnx import PROBES, load_tokenizer
from rag.signals.tuned_graph import weights_digest

WEIGHTS = Path(__file__).parents[1] / "data" / "answering.npz"
LOGITS = 3  # it answers; it is about the same subject; it tells what is asked of that
MAX_TOKENS, MAX_QUESTION_WORDS = 112, 40
MIN_COSINE_TO_FP32 = 0.97  # of a probe's logits; .991 with VNNI; below it int8 is not used on this machine


class AnswerModel:
    """`model(question, texts)` gives (texts, LOGITS); a text is as `piece_in_context` words it. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._session = open_session(folder)
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._tokenizer.enable_truncation(MAX_TOKENS, strategy="only_second")

    def __call__(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """The logits of each text, read one by one: int8 scales are chosen per run."""
        short = " ".join(question.split()[:MAX_QUESTION_WORDS])
        rows = [self._run(self._tokenizer.encode(short, text).ids) for text in texts]
        return np.asarray(rows, dtype=np.float32).reshape(-1, LOGITS)

    def agreement(self, reference: np.ndarray) -> float:
        """The lowest cosine of the logits on PROBES to the fp32 graph's."""
        rows = np.stack([self._run(self._tokenizer.encode(text).ids) for text in PROBES])
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(reference, axis=1)
        return float(((rows * reference).sum(axis=1) / norms).min())

    def _run(self, ids: Sequence[int]) -> np.ndarray:
        row = np.asarray([ids], dtype=np.int32)
        (labels,) = self._session.run(["labels"], {"ids": row, "mask": np.ones_like(row)})
        return np.asarray(labels[0])


@one_at_a_time
@lru_cache(maxsize=2)
def load_answer_model(cache: Path) -> AnswerModel:
    """The model, its graph taken from `cache` or built there (about 5 s, once); RagError if it cannot be used."""
    for precision in ("int8", "fp32"):
        name = f"answering-{weights_digest(WEIGHTS)}-{precision}"
        folder = built_folder(cache, name, ("rag.signals.tuned_graph", precision, str(WEIGHTS)))
        model = AnswerModel(folder)
        if model.agreement(np.load(folder / "reference.npy", allow_pickle=False)) >= MIN_COSINE_TO_FP32:
            return model
    raise RagError(
        f"The answerability model gives wrong values on this machine. Delete {cache} and try again."
    )
