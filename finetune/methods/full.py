"""Full fine-tuning: every weight of the base model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.catalog import Architecture
from finetune.methods import Method, Network

if TYPE_CHECKING:
    from finetune.spec import Spec

GUIDE_RATE = 2e-5  # the guide's for full tuning; LoRA wants about ten times as much
MINILM_RATE = 1e-4  # so small an encoder wants more (docs/decisions.d/training.md)


def build_pretrained(spec: Spec, architecture: Architecture, texts: Sequence[str]) -> tuple[Any, Any]:
    """The recipe's base model and its tokenizer, in float32; `texts` are not needed."""
    from finetune.training.base_models import load_base

    return load_base(architecture, spec.base_model)


def train_all(model: Any, spec: Spec, architecture: Architecture) -> Any:
    """The model as it is: all of its weights are trained."""
    return model


def load_weights(folder: Path, base_model: str, architecture: Architecture) -> Any:
    """The model whose weights all lie in `folder`."""
    from finetune.training.base_models import load_saved

    return load_saved(architecture, folder)


def _rate(architecture: Architecture, base_model: str) -> float:
    return MINILM_RATE if base_model == "minilm" else GUIDE_RATE


METHOD = Method(
    name="full",
    label="Full fine-tuning",
    title="Fully tuned",
    library="transformers",
    flops_per_token=6.0,
    bytes_per_parameter=18.0,  # float32 weights and gradients, two moments of Adam, an eighth of head room
    learning_rate=_rate,
    network=Network(build_pretrained, train_all, load_weights),
    position=30,
)
