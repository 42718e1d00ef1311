"""Small models from a config, with a tokenizer trained on the team's own tickets: the method `scratch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.catalog import Architecture
from finetune.methods import Method, Network
from finetune.methods.full import load_weights, train_all

if TYPE_CHECKING:
    from finetune.spec import Spec

PAD, END, UNKNOWN = "<pad>", "<end>", "<unk>"


@dataclass(frozen=True)
class Size:
    """Widths of a small transformer; by default 11 million weights with 8,000 tokens."""

    hidden: int = 320
    layers: int = 6
    heads: int = 8
    inner: int = 1024
    vocabulary: int = 8000


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer learned from `texts`: it can write any text and knows pad, end and unknown."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN, model_input_names=_INPUTS
    )


_INPUTS = ["input_ids", "attention_mask"]


def causal_from_shape(
    shape: str, texts: Sequence[str], max_length: int, size: Size | None = None
) -> tuple[Any, Any]:
    """(randomly initialised causal model, tokenizer trained on `texts`) of the named shape."""
    from transformers import AutoModelForCausalLM

    size = size or Size()
    tokenizer = train_tokenizer(texts, size.vocabulary)
    return AutoModelForCausalLM.from_config(_config(shape, size, tokenizer, max_length)), tokenizer


def encoder_from_shape(
    shape: str, texts: Sequence[str], max_length: int, size: Size | None = None
) -> tuple[Any, Any]:
    """(randomly initialised encoder, tokenizer trained on `texts`) of the named shape."""
    from transformers import AutoModel

    from finetune.training.base_models import without_pooler

    size = size or Size(hidden=256, layers=4, inner=1024)
    tokenizer = train_tokenizer(texts, size.vocabulary)
    encoder = AutoModel.from_config(_config(shape, size, tokenizer, max_length))
    return without_pooler(encoder), tokenizer


def _config(shape: str, size: Size, tokenizer: Any, max_length: int) -> Any:
    import transformers

    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "tie_word_embeddings": True,
    }
    if shape == "tiny-gpt2":
        own: dict[str, Any] = {
            "n_embd": size.hidden,
            "n_layer": size.layers,
            "n_head": size.heads,
            "n_inner": size.inner,
        }
        return transformers.GPT2Config(**common, **own, n_positions=max_length)
    kinds: dict[str, Any] = {
        "tiny-llama": transformers.LlamaConfig,
        "tiny-mistral": transformers.MistralConfig,
        "tiny-qwen": transformers.Qwen2Config,
        "tiny-bert": transformers.BertConfig,
    }
    widths = {
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "intermediate_size": size.inner,
        "max_position_embeddings": max_length,
    }
    if shape != "tiny-bert":
        widths["num_key_value_heads"] = size.heads
    return kinds[shape](**common, **widths)


def build_shape(spec: Spec, architecture: Architecture, texts: Sequence[str]) -> tuple[Any, Any]:
    """(a network with random weights in the recipe's shape, a tokenizer learned from `texts`)."""
    build = causal_from_shape if architecture == "causal" else encoder_from_shape
    return build(spec.base_model, texts, spec.max_length)


METHOD = Method(
    name="scratch",
    label="Small model from scratch",
    title="Trained from scratch",
    library="transformers",
    flops_per_token=6.0,
    bytes_per_parameter=18.0,
    learning_rate=lambda architecture, base_model: 1e-3,  # random weights want more than trained ones
    network=Network(build_shape, train_all, load_weights),
    pretrained=False,
    position=40,
)
