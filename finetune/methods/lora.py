"""LoRA and QLoRA by peft: which layers get an adapter, and what a 4-bit base needs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.errors import BaseModelError
from finetune.spec import Spec
from finetune.training.base_models import quiet


def add_lora(model: Any, spec: Spec) -> Any:
    """The model with a fresh adapter on every linear layer (against query and value only: decisions)."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules="all-linear",
        fan_in_fan_out=getattr(model.config, "model_type", "") == "gpt2",
        task_type="CAUSAL_LM" if spec.task == "reply" else "FEATURE_EXTRACTION",
    )
    with quiet():
        return get_peft_model(model, config)


def load_adapter(model: Any, folder: Path) -> Any:
    """The model with the adapter saved in `folder`."""
    from peft import PeftModel

    with quiet():
        return PeftModel.from_pretrained(model, str(folder))


def four_bit() -> dict[str, Any]:
    """Options for `from_pretrained` that load the base in 4-bit NF4; says what is missing where it cannot."""
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
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "dtype": torch.bfloat16}


def ready_for_training(model: Any) -> Any:
    """A 4-bit base with its norms in float32 and gradients flowing into the adapters."""
    from peft import prepare_model_for_kbit_training

    return prepare_model_for_kbit_training(model)
