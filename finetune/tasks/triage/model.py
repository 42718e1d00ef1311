"""Triage by tuning a network: tokenise, build encoder and head, train, save; and use what was saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from finetune.artifacts import CARD, LINEAR_HALF, find_model, read_card
from finetune.device import mixed_precision, pick_device
from finetune.errors import CorruptModel
from finetune.methods import METHODS, Classifier, LabelledTexts, method_of, network_of
from finetune.progress import Progress
from finetune.training.base_models import merged
from finetune.training.checks import NO_LIMIT, check_triage_rows, max_input_length, overfit_probe
from finetune.training.embedding import embed, length_batches, mean_pool, unit

if TYPE_CHECKING:
    from finetune.spec import Spec
    from finetune.training.loop import TrainingResult

HEAD = "head.safetensors"
TOKENS_PER_BATCH = 4096


@dataclass
class TunedTriage:
    """A network that sorts tickets; `classes` names the columns of `probabilities`."""

    classes: tuple[str, ...]
    network: Any
    tokenizer: Any
    max_length: int

    @property
    def body(self) -> Any:
        """The network without its head."""
        return self.network.encoder

    def probabilities(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """(texts, classes) float32, each row sums to one; `check` is called between batches."""
        import torch

        ids = encode(self.tokenizer, texts, self.max_length)
        scores = np.zeros((len(ids), len(self.classes)), dtype=np.float32)
        device = next(self.network.parameters()).device
        self.network.eval()
        with torch.inference_mode(), mixed_precision(device.type):
            for batch in length_batches([len(row) for row in ids], TOKENS_PER_BATCH):
                check()
                inputs = pad(self.tokenizer, [ids[i] for i in batch])
                logits = self.network(**{name: value.to(device) for name, value in inputs.items()})["logits"]
                scores[batch] = logits.float().softmax(-1).cpu().numpy()
        return scores


def train_triage(
    spec: Spec,
    train: LabelledTexts,
    dev: LabelledTexts,
    classes: tuple[str, ...],
    folder: Path,
    progress: Progress,
) -> TrainingResult:
    """Train as the recipe says; the model lies in folder/model, ready for `load_triage`.

    Labels index `classes`; `dev` may be empty. Checkpoints lie in folder/checkpoints.
    """
    import torch
    from transformers import set_seed

    from finetune.training.loop import Examples, fit

    set_seed(spec.seed)
    method = network_of(spec.method)
    encoder, tokenizer = method.build(spec, "encoder", train.texts)
    limit = max_input_length(encoder, tokenizer) if METHODS[spec.method].pretrained else NO_LIMIT
    spec = replace(spec, max_length=min(spec.max_length, limit))
    rows = tokenise(tokenizer, train.texts, train.labels, spec.max_length)
    for note in check_triage_rows(rows, train.texts, tokenizer, spec.max_length, limit):
        progress.note(note)
    encoder.to(pick_device()).eval()
    start = embed(encoder, tokenizer, train.texts, spec.max_length, progress.check)
    head = make_head(spec.head, start, train.labels, len(classes))
    network = NetworkWithHead(method.adapt(encoder, spec, "encoder"), head).to(pick_device())

    def collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
        inputs = pad(tokenizer, [row["input_ids"] for row in batch])
        return {**inputs, "labels": torch.tensor([row["labels"] for row in batch])}

    overfit_probe(network, [collate(rows[:8])], spec.learning_rate, progress)
    dev_rows = tokenise(tokenizer, dev.texts, dev.labels, spec.max_length)
    examples = Examples(rows, dev_rows, collate, accuracy=True)
    training = fit(network, examples, spec, folder / "checkpoints", progress)
    save_triage(folder / "model", spec, classes, network, tokenizer)
    return training


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text, cut at `max_length`."""
    return tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"] if texts else []


def tokenise(
    tokenizer: Any, texts: Sequence[str], labels: np.ndarray, max_length: int
) -> list[dict[str, Any]]:
    """The rows that training reads."""
    return [
        {"input_ids": ids, "labels": int(label)}
        for ids, label in zip(encode(tokenizer, texts, max_length), labels, strict=True)
    ]


def pad(tokenizer: Any, ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    """One batch as tensors, as long as its longest row."""
    batch = tokenizer.pad({"input_ids": [list(row) for row in ids]}, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}


def save_triage(folder: Path, spec: Spec, classes: tuple[str, ...], network: Any, tokenizer: Any) -> None:
    """Adapter or encoder, head, tokenizer, and last the card that says how they fit together."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    network.encoder.save_pretrained(folder)
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in network.head.state_dict().items()},
        folder / HEAD,
    )
    tokenizer.save_pretrained(folder)
    card = {"task": "triage", "method": spec.method, "base_model": spec.base_model, "classes": list(classes)}
    (folder / CARD).write_text(json.dumps(card | {"max_length": spec.max_length}, indent=1))


def load_tuned(folder: Path) -> Classifier | TunedTriage | Blend:
    """The model in a job's folder, blended with its linear half where one was kept."""
    place = find_model(folder)
    card = read_card(place)
    solver = method_of(card).solver
    if solver:
        return solver.load(place, card)
    network, half = load_triage(place, card), place / LINEAR_HALF
    return Blend(network, load_tuned(half)) if half.is_dir() else network


def load_triage(folder: Path, card: dict[str, Any]) -> TunedTriage:
    """The saved network on this machine's device; CorruptModel when a file is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    method = network_of(method_of(card).name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder = merged(method.load(folder, card["base_model"], "encoder"))
        head = load_head(load_file(folder / HEAD))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CorruptModel(
            f"The model in {folder} does not load: run the job again, or export it anew."
        ) from error
    network = NetworkWithHead(encoder, head).to(pick_device())
    return TunedTriage(tuple(card["classes"]), network, tokenizer, card["max_length"])


SCALE = 20.0  # cosine in [-1, 1] to logits: a tempered start, neither flat nor saturated


class CosineHead(nn.Module):
    """Logits = scale x cosine(row, class vector); the class vectors start at the centroids of their rows."""

    def __init__(self, centroids: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(centroids.clone().float())

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return SCALE * unit(vectors.float()) @ unit(self.weight).T


class LinearHead(nn.Module):
    """The usual head: dropout and one linear layer, from small random weights."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(width, classes)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.linear(self.dropout(vectors.float()))


class NetworkWithHead(nn.Module):
    """Token ids to class logits; with `labels` also the mean cross entropy.

    `num_items_in_batch` rows make a step of which these may be a part: their losses then add up to the step's mean.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | None = None,
        **_: Any,
    ) -> dict[str, torch.Tensor]:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        logits = self.head(mean_pool(states, attention_mask))
        if labels is None:
            return {"logits": logits}
        if num_items_in_batch is None:
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
        total = nn.functional.cross_entropy(logits, labels, reduction="sum")
        return {"loss": total / num_items_in_batch, "logits": logits}


def make_head(kind: str, embeddings: np.ndarray, labels: np.ndarray, classes: int) -> nn.Module:
    """The head named by the recipe; `embeddings` are the untuned encoder's, one unit row per label."""
    if kind == "linear":
        return LinearHead(embeddings.shape[1], classes)
    return CosineHead(torch.from_numpy(centroids(embeddings, labels, classes)))


def centroids(embeddings: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The unit mean of each class's unit rows, (classes, hidden); every class must have a row."""
    means = np.stack([embeddings[labels == label].mean(axis=0) for label in range(classes)])
    return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def load_head(state: dict[str, Any]) -> nn.Module:
    """The head whose saved tensors these are."""
    if "weight" in state:
        return CosineHead(state["weight"])
    head = LinearHead(state["linear.weight"].shape[1], state["linear.weight"].shape[0])
    head.load_state_dict(state)
    return head


@dataclass(frozen=True)
class Blend:
    """Sorts tickets by the mean of two models' probabilities; both know the same classes in the same order."""

    network: Any
    linear: Any

    @property
    def classes(self) -> tuple[str, ...]:
        return self.network.classes

    @property
    def body(self) -> Any:
        """The network without its head."""
        return self.network.body

    def probabilities(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """(texts, classes) float32, each row sums to one."""
        return (self.network.probabilities(texts, check) + self.linear.probabilities(texts, check)) / 2


def is_blend_better(network: np.ndarray, linear: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the mean has a better likelihood on the dev rows than the network alone.

    Likelihood, not accuracy: on 100 dev rows one row could decide by chance.
    """
    return log_loss((network + linear) / 2, labels) < log_loss(network, labels)


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of `labels`."""
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-9).mean())
