"""The linear classifier: TF-IDF beside frozen embeddings under a linear SVM; fitted, scored, saved and loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import CARD
from finetune.catalog import MINILM
from finetune.errors import CorruptModel
from finetune.training.embedding import open_embedder

EMBEDDING_WEIGHT = 2.0  # against 3: 0.1 to 0.3 points better on BANKING77 (decisions)
WEIGHTS = "linear.safetensors"


@dataclass
class Words:
    """TF-IDF over words (1-2) and characters (2-5, within words), sublinear counts."""

    parts: tuple[Any, ...]

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Words:
        """The vocabulary and weights of `texts`."""
        parts = _vectorizers()
        for part in parts:
            part.fit(texts)
        return cls(parts)

    def __call__(self, texts: Sequence[str], embeddings: np.ndarray) -> Any:
        """A sparse row per text: the TF-IDF parts, then the weighted embedding."""
        from scipy.sparse import csr_matrix, hstack

        blocks = [part.transform(texts) for part in self.parts]
        return hstack([*blocks, csr_matrix(EMBEDDING_WEIGHT * embeddings)]).tocsr().astype(np.float32)

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {"vocabulary": sorted(part.vocabulary_, key=part.vocabulary_.get), "idf": part.idf_.tolist()}
            for part in self.parts
        ]

    @classmethod
    def from_json(cls, data: Sequence[dict[str, Any]]) -> Words:
        parts = _vectorizers() if data else ()
        for part, state in zip(parts, data, strict=True):
            part.vocabulary = {word: at for at, word in enumerate(state["vocabulary"])}
            part.idf_ = np.asarray(state["idf"])
        return cls(parts)


def _vectorizers() -> tuple[Any, ...]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return (
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    )


@dataclass
class TunedLinear:
    """A linear model that sorts tickets; `temperature` turns its margins into probabilities."""

    classes: tuple[str, ...]
    words: Words
    weights: np.ndarray
    bias: np.ndarray
    temperature: float
    embedder: Callable[..., np.ndarray]

    def probabilities(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """(texts, classes) float32, each row sums to one."""
        return self.score(self.words(texts, self.embedder(texts, check)))

    def score(self, features: Any) -> np.ndarray:
        margins = np.asarray(features @ self.weights.T) + self.bias
        return softmax(margins / self.temperature)

    def save(self, folder: Path, method: str, title: str) -> None:
        """Write it into `folder`, for `load_linear`."""
        save_linear(folder, self, method, title)


def fit_svm(
    features: Any, labels: np.ndarray, classes: int, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """One-versus-rest linear SVM: (classes, features) weights and (classes,) biases."""
    from sklearn.svm import LinearSVC

    svm = LinearSVC(C=strength, random_state=0).fit(features, labels)
    weights = np.zeros((classes, features.shape[1]), dtype=np.float32)
    bias = np.full(classes, -10.0, dtype=np.float32)
    if len(svm.classes_) == 2:  # scikit-learn keeps one row for two classes
        weights[svm.classes_] = np.vstack([-svm.coef_, svm.coef_])
        bias[svm.classes_] = np.concatenate([-svm.intercept_, svm.intercept_])
    else:
        weights[svm.classes_], bias[svm.classes_] = svm.coef_, svm.intercept_
    return weights, bias


def fit_temperature(model: TunedLinear, features: Any, labels: np.ndarray) -> float:
    """The temperature under which dev's labels are likeliest; accuracy does not depend on it."""
    margins = np.asarray(features @ model.weights.T) + model.bias
    grid = np.geomspace(0.02, 2, 40)
    at = np.arange(len(labels))
    losses = [-np.log(softmax(margins / t)[at, labels] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def softmax(scores: np.ndarray) -> np.ndarray:
    """Rows that sum to one, float32."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def logistic_model(
    classes: tuple[str, ...], coefficients: np.ndarray, intercepts: np.ndarray, embedder: Any
) -> TunedLinear:
    """A logistic regression on frozen embeddings alone, in the same form."""
    return TunedLinear(
        classes,
        Words(()),
        (coefficients / EMBEDDING_WEIGHT).astype(np.float32),
        intercepts.astype(np.float32),
        1.0,
        embedder,
    )


def save_linear(folder: Path, model: TunedLinear, method: str, title: str = "") -> None:
    """Weights as safetensors, vocabulary as JSON, the card last: nothing that runs code on loading."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weights": model.weights, "bias": model.bias}, folder / WEIGHTS)
    (folder / "words.json").write_text(json.dumps(model.words.to_json()))
    card: dict[str, Any] = {
        "task": "triage",
        "method": method,
        "base_model": getattr(model.embedder, "key", MINILM),
        "classes": list(model.classes),
    }
    card |= {"temperature": model.temperature, "name": title}
    (folder / CARD).write_text(json.dumps(card, indent=1))


def load_linear(
    folder: Path, card: dict[str, Any], embedder: Callable[..., np.ndarray] | None = None
) -> TunedLinear:
    """What `save_linear` wrote; CorruptModel when a file is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(folder / WEIGHTS)
        words = Words.from_json(json.loads((folder / "words.json").read_text()))
        return TunedLinear(
            tuple(card["classes"]),
            words,
            tensors["weights"],
            tensors["bias"],
            card["temperature"],
            embedder or open_embedder(str(card.get("base_model", MINILM))),
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CorruptModel(f"The model in {folder} does not load: run the job again.") from error
