"""Linear heads over a sentence's meaning and its cues: one small logistic regression per signal.

Features: 384 numbers of the embedding, one per cue of the lexicon, a few of the message's shape. The
weights (rag/data/heads.npz, float16) are trained by `python -m rag.evaluation.train_signal_classifier` from this repository's own
sentences; loading checks that they fit the lexicon and the embedder. numpy alone, under 1 ms a message.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.signals.lexicon import Cue, Lexicon
from rag.signals.numbers import read_counts

HEADS = Path(__file__).parents[1] / "data" / "heads.npz"
CUE_WEIGHT = 0.8  # the weight of a cue against the embedding, a unit vector; chosen by cross-validation
SHAPE = ("question_mark", "starts_wh", "numbers", "long", "we")
KINDS = ("examples", "examples_raw", "classes", "per_class", "eval_n", "score", "target", "monthly_cost", "budget_usd",
         "latency_ms", "volume_month", "kb_tokens", "pretrain_tokens", "gpus", "epochs", "deadline_days")  # fmt: skip
WH = ("what", "which", "how", "why", "when", "where", "who", "explain", "define", "was ", "wie", "welche", "quel",
      "comment", "combien", "qué", "que ", "cuánto", "cuanto", "cómo", "como")  # fmt: skip
WE = (" we ", " our ", " us ", " i ", " my ", "we'", "i'", " wir ", " unser", " nous ", " nos ", " notre ", " on a ",
      " nuestr", " tenemos")  # fmt: skip


@dataclass(frozen=True)
class Heads:
    """`weights[head]` is (features, labels), `bias[head]` (labels,); softmax heads name one label, others each."""

    labels: Mapping[str, tuple[str, ...]]
    weights: Mapping[str, np.ndarray]
    bias: Mapping[str, np.ndarray]
    exclusive: frozenset[str]

    def __call__(self, features: np.ndarray) -> dict[str, dict[str, float]]:
        """Probabilities by head and label for one feature row."""
        probabilities: dict[str, dict[str, float]] = {}
        for head, labels in self.labels.items():
            logits = features @ self.weights[head] + self.bias[head]
            if head in self.exclusive:
                powers = np.exp(logits - logits.max())
                shares = powers / powers.sum()
            else:
                shares = 1 / (1 + np.exp(-logits))
            probabilities[head] = dict(zip(labels, (float(share) for share in shares), strict=True))
        return probabilities


def features(text: str, vector: np.ndarray, cues: Sequence[Cue], lexicon: Lexicon) -> np.ndarray:
    """One row: meaning, cues, shape, kinds of numbers; float32."""
    place = {name: number for number, name in enumerate(lexicon.names)}
    hits = np.zeros(len(place), dtype=np.float32)
    for cue in cues:
        hits[place[cue.signal, cue.value]] = CUE_WEIGHT
    low = f" {text.lower()} "
    shape = np.array(
        [
            "?" in low,
            low.lstrip().startswith(WH),
            min(sum(part[0].isdigit() for part in low.split()), 4) / 4,
            min(len(low) / 200, 1.0),
            any(word in low for word in WE),
        ],
        dtype=np.float32,
    )
    kinds = {count.kind for count in read_counts(text)}
    kind_hits = np.array([kind in kinds for kind in KINDS], dtype=np.float32)
    return np.concatenate([vector.astype(np.float32), hits, CUE_WEIGHT * shape, CUE_WEIGHT * kind_hits])


def signature(lexicon: Lexicon, embedder: str) -> str:
    """The signature that the weights must have been trained with; it ignores the model's precision."""
    model = embedder.split("-")[0]
    return json.dumps([model, [f"{signal}={value}" for signal, value in lexicon.names], [*SHAPE, *KINDS]])


def save_heads(heads: Heads, path: Path, trained_with: str) -> None:
    """Writes the weights as float16 with what they were trained with."""
    arrays = {f"w:{head}": weight.astype(np.float16) for head, weight in heads.weights.items()}
    arrays |= {f"b:{head}": bias.astype(np.float32) for head, bias in heads.bias.items()}
    about = {"labels": heads.labels, "exclusive": sorted(heads.exclusive), "signature": trained_with}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    path.write_bytes(buffer.getvalue())


def load_heads(expected_signature: str, path: Path = HEADS) -> Heads:
    """The trained heads; RagError if they are missing or were trained for another lexicon or embedder."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(bytes(archive["about"]).decode())
            weights = {head: archive[f"w:{head}"].astype(np.float32) for head in about["labels"]}
            bias = {head: archive[f"b:{head}"] for head in about["labels"]}
    except (OSError, ValueError, KeyError) as error:
        raise RagError(
            f"Cannot read {path}: {error}. Rebuild it with `python -m rag.evaluation.train_signal_classifier`."
        ) from error
    if about["signature"] != expected_signature:
        raise RagError(
            f"{path} was trained for another lexicon or embedder. Rebuild it with `python -m rag.evaluation.train_signal_classifier`."
        )
    labels = {head: tuple(names) for head, names in about["labels"].items()}
    return Heads(labels, weights, bias, frozenset(about["exclusive"]))
