"""QLoRA: a LoRA adapter on a base model that is held in 4 bits; needs an NVIDIA GPU and bitsandbytes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from finetune.catalog import Architecture
from finetune.errors import BaseModelError
from finetune.methods import Method, Network
from finetune.methods.lora import adapter_rate, add_lora, load_adapter

if TYPE_CHECKING:
    from finetune.spec import Spec


def check_machine() -> None:
    """BaseModelError says what this machine lacks."""
    import torch

    if not torch.cuda.is_available():
        raise BaseModelError(
            "QLoRA needs an NVIDIA GPU on the training machine and there is none. Choose the method `lora`, "
            "or start a worker on a GPU machine."
        )
    if find_spec("bitsandbytes") is None:
        raise BaseModelError(
            "QLoRA needs bitsandbytes: run `pip install bitsandbytes` where the worker runs."
        )


def four_bit() -> dict[str, Any]:
    """Options for `from_pretrained` that load the base in 4-bit NF4; says what is missing where it cannot."""
    check_machine()
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "dtype": torch.bfloat16}


def build_four_bit(spec: Spec, architecture: Architecture, texts: Sequence[str]) -> tuple[Any, Any]:
    """The base in 4 bits with its norms in float32 and gradients flowing into the adapters, and its tokenizer."""
    from finetune.training.base_models import load_base

    options = four_bit()
    from peft import prepare_model_for_kbit_training

    model, tokenizer = load_base(architecture, spec.base_model, **options)
    return prepare_model_for_kbit_training(model), tokenizer


METHOD = Method(
    name="qlora",
    label="QLoRA, 4-bit (needs an NVIDIA GPU)",
    title="Tuned with QLoRA",
    library="peft",
    flops_per_token=6.0,  # LoRA's four, and two more as activations are computed twice (gradient checkpointing)
    bytes_per_parameter=0.75,  # half a byte a weight, the embeddings in bfloat16
    mfu="lora",
    learning_rate=adapter_rate,
    network=Network(build_four_bit, add_lora, load_adapter),
    adapter=True,
    needs_gpu=True,
    position=50,
    check_machine=check_machine,
)
