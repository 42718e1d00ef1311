"""LoRA by peft: a small adapter on every linear layer is trained, the base model stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.catalog import Architecture
from finetune.methods import Method, Network
from finetune.methods.full import GUIDE_RATE, build_pretrained

if TYPE_CHECKING:
    from finetune.spec import Spec

COSINE_HEAD_RATE = 1e-3  # measured on BANKING77: docs/performance.md


def add_lora(model: Any, spec: Spec, architecture: Architecture) -> Any:
    """The model with a fresh adapter on every linear layer (against query and value only: decisions)."""
    from peft import LoraConfig, get_peft_model

    from finetune.training.base_models import silence_libraries

    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules="all-linear",
        fan_in_fan_out=getattr(model.config, "model_type", "") == "gpt2",
        task_type="CAUSAL_LM" if architecture == "causal" else "FEATURE_EXTRACTION",
    )
    with silence_libraries():
        return get_peft_model(model, config)


def load_adapter(folder: Path, base_model: str, architecture: Architecture) -> Any:
    """The base model with the adapter that is saved in `folder`."""
    from peft import PeftModel

    from finetune.training.base_models import load_base, silence_libraries

    base, _ = load_base(architecture, base_model)
    with silence_libraries():
        return PeftModel.from_pretrained(base, str(folder))


def adapter_rate(architecture: Architecture, base_model: str) -> float:
    """Ten times the guide's rate for full tuning; an encoder under a cosine head wants more."""
    return COSINE_HEAD_RATE if architecture == "encoder" else 10 * GUIDE_RATE


METHOD = Method(
    name="lora",
    label="LoRA adapter (recommended)",
    title="Tuned with LoRA",
    library="peft",
    flops_per_token=4.0,  # the frozen weights need no gradient of their own
    bytes_per_parameter=4.5,  # the base is held in float32; the adapter is an eighth of a byte on top
    mfu="lora",
    learning_rate=adapter_rate,
    network=Network(build_pretrained, add_lora, load_adapter),
    adapter=True,
    is_pilot=True,
    short_name="LoRA",
    hosted_rates="hosted_lora_per_million_tokens",
    position=10,
)
