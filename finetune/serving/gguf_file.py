"""A causal model as one GGUF file for llama.cpp: weights, sizes and byte-level vocabulary.

Covers Llama, Mistral, Qwen2, Qwen3 and GPT-2 with a byte-level BPE tokenizer, without scaled rotary embeddings. Everything
else is refused with a sentence. Names and layout: llama.cpp's own writer, the package `gguf`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from finetune.errors import ExportError

FORMS = ("q8_0", "f16", "f32")  # of the matrices, the smallest first; vectors stay float32
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gpt2": "gpt2"}
BLOCK = 32  # weights that share a scale in q8_0: a row is a multiple of it
SPLITS = {  # how llama.cpp names the ways in which byte-level tokenizers cut text before merging
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
}
TRANSPOSED = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")  # GPT-2 keeps them the other way round


def write_gguf(
    causal: Any, tokenizer_json: str, ids: Mapping[str, int | None], file: Path, form: str
) -> None:
    """Write a plain (merged) causal model and its tokenizer into `file`; `form` is one of FORMS.

    `tokenizer_json` is the tokenizer as the library `tokenizers` writes it; `ids` has eos, bos and pad, None where there is
    none. Raises ExportError where llama.cpp could not run it as it was evaluated.
    """
    import gguf

    config = causal.config
    architecture = ARCHITECTURES.get(config.model_type)
    if architecture is None:
        raise ExportError(
            f"Models of the kind `{config.model_type}` cannot be written for llama.cpp here; what can be: "
            f"{', '.join(ARCHITECTURES)}. Serve it on a GPU: --backend vllm."
        )
    words = json.loads(tokenizer_json)
    _check(config, words)
    writer = gguf.GGUFWriter(file, architecture)
    _write_sizes(writer, config, architecture)
    _write_words(writer, words, int(config.vocab_size), ids)
    kind = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16}.get(
        form, gguf.GGMLQuantizationType.Q8_0
    )
    writer.add_file_type({"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16}.get(
        form, gguf.LlamaFileType.MOSTLY_Q8_0
    ))  # fmt: skip
    names = gguf.get_tensor_name_map(writer_kind(gguf, architecture), int(config.num_hidden_layers))
    for name, rows in _weights(causal, architecture):
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise ExportError(
                f"llama.cpp has no place for the weight `{name}` of this model. Use --backend vllm."
            )
        is_small = rows.ndim < 2 or target.startswith("position_embd")
        use = gguf.GGMLQuantizationType.F32 if is_small else kind
        if use == gguf.GGMLQuantizationType.Q8_0 and rows.shape[-1] % BLOCK:
            use = gguf.GGMLQuantizationType.F16
        writer.add_tensor(target, gguf.quants.quantize(rows, use), raw_dtype=use)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def writer_kind(gguf: Any, architecture: str) -> Any:
    """The package's own number of an architecture."""
    return next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)


def _check(config: Any, words: Mapping[str, Any]) -> None:
    """ExportError where llama.cpp would run another model than this one."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") != "default":
        raise ExportError(
            f"This model stretches its positions (`{rope['rope_type']}`), which is not written for llama.cpp here. "
            "Serve it on a GPU: --backend vllm."
        )
    decoder = words.get("decoder") or {}
    if words["model"].get("type") != "BPE" or decoder.get("type") != "ByteLevel":
        raise ExportError(
            "This model's tokenizer is no byte-level BPE, which is the only kind that is written for llama.cpp here. "
            "Serve it on a GPU: --backend vllm."
        )


def _write_sizes(writer: Any, config: Any, architecture: str) -> None:
    heads = int(config.num_attention_heads)
    writer.add_block_count(int(config.num_hidden_layers))
    writer.add_context_length(int(config.max_position_embeddings))
    writer.add_embedding_length(int(config.hidden_size))
    writer.add_head_count(heads)
    writer.add_vocab_size(int(config.vocab_size))
    if architecture == "gpt2":
        writer.add_feed_forward_length(int(config.n_inner or 4 * config.hidden_size))
        writer.add_layer_norm_eps(float(config.layer_norm_epsilon))
        return
    writer.add_feed_forward_length(int(config.intermediate_size))
    writer.add_head_count_kv(int(config.num_key_value_heads))
    writer.add_layer_norm_rms_eps(float(config.rms_norm_eps))
    size = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
    rope = getattr(config, "rope_parameters", None) or {}
    theta: Any = rope.get("rope_theta") or getattr(config, "rope_theta", 10_000.0)
    writer.add_rope_freq_base(float(theta))


def _write_words(writer: Any, words: Mapping[str, Any], size: int, ids: Mapping[str, int | None]) -> None:
    """The vocabulary; ids that the tokenizer does not use are filled up, as the weights have a row for each."""
    import gguf

    tokens = [f"[PAD{at}]" for at in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    for token, at in words["model"]["vocab"].items():
        tokens[at], kinds[at] = token, int(gguf.TokenType.NORMAL)
    for one in words.get("added_tokens") or ():
        kind = gguf.TokenType.CONTROL if one.get("special") else gguf.TokenType.USER_DEFINED
        tokens[one["id"]], kinds[one["id"]] = one["content"], int(kind)
    merges = [one if isinstance(one, str) else " ".join(one) for one in words["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name_split(words.get("pre_tokenizer") or {}))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    for name, add in (
        ("eos", writer.add_eos_token_id),
        ("bos", writer.add_bos_token_id),
        ("pad", writer.add_pad_token_id),
    ):
        if ids.get(name) is not None:
            add(ids[name])


def name_split(pre: Mapping[str, Any]) -> str:
    """How llama.cpp names the way in which this tokenizer cuts text; GPT-2's where it is none that we know.

    What is served does not depend on it, as prompts are sent as token ids; another program that opens the file does.
    """
    steps = pre.get("pretokenizers") or [pre]
    for step in steps:
        if step.get("type") == "Digits" and step.get("individual_digits"):
            return "smollm"
        pattern = (step.get("pattern") or {}).get("Regex", "")
        if pattern in SPLITS:
            return SPLITS[pattern]
    return "gpt-2"


def _weights(causal: Any, architecture: str) -> Iterator[tuple[str, np.ndarray]]:
    """The weights by their name, in float32 and in llama.cpp's order; a tied output matrix is left out."""
    config = causal.config
    is_tied = bool(config.tie_word_embeddings)
    for name, tensor in causal.state_dict().items():
        if name.endswith((".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq")):
            continue
        if name == "lm_head.weight" and is_tied:
            continue
        rows = tensor.detach().float().cpu().numpy()
        if architecture == "gpt2" and name.endswith(TRANSPOSED):
            rows = rows.T
        if architecture == "llama" and name.rpartition(".")[0].endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
            rows = _interleave(rows, int(heads))
        yield name, np.ascontiguousarray(rows)


def _interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """Queries or keys in the order in which llama.cpp turns them: pairs beside each other, not in halves."""
    return (
        rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
        .swapaxes(1, 2)
        .reshape(rows.shape)
    )
