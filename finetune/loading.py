"""Base models by short name, hub id or local folder: safetensors only, remote code never."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune.embed import minilm_folder
from finetune.failures import BaseModelError


def locate(base_model: str) -> str:
    """What `from_pretrained` is given: the packaged MiniLM, an existing folder, or the hub id itself."""
    if base_model == "minilm":
        return str(minilm_folder())
    if base_model.startswith(("/", "./", "../", "~/")):
        folder = Path(base_model).expanduser()
        if not (folder / "config.json").is_file():
            raise BaseModelError(
                f"{base_model} holds no config.json on the machine that trains: give the full path of a saved "
                "model's folder there."
            )
        if not list(folder.glob("*.safetensors")):
            raise BaseModelError(
                f"{base_model} holds no .safetensors weights. Pickled weights can run code and are "
                "refused: convert them with `model.save_pretrained(folder)` first."
            )
        return str(folder)
    return base_model


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the libraries' progress bars, load reports and notes to each other out of the terminal."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
            yield
    finally:
        logging.set_verbosity(before)


def probe(base_model: str) -> None:
    """Read the model's config and tokenizer only; BaseModelError where a run with it could not start."""
    from transformers import AutoConfig, AutoTokenizer

    place = locate(base_model)
    try:
        AutoConfig.from_pretrained(place, trust_remote_code=False)
        AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise BaseModelError(_explain(base_model, error)) from error


def load_encoder(base_model: str, **options: Any) -> tuple[Any, Any]:
    """(encoder, tokenizer) of any AutoModel, in float32 unless `dtype` says otherwise."""
    from transformers import AutoModel

    return _load(AutoModel, base_model, options)


def load_causal(base_model: str, **options: Any) -> tuple[Any, Any]:
    """(causal language model, tokenizer), in float32 unless `dtype` says otherwise."""
    from transformers import AutoModelForCausalLM

    return _load(AutoModelForCausalLM, base_model, options)


def _load(kind: Any, base_model: str, options: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    place = locate(base_model)
    options = {"dtype": torch.float32, **options}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        with quiet():
            model = kind.from_pretrained(place, use_safetensors=True, trust_remote_code=False, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise BaseModelError(_explain(base_model, error)) from error
    return model, with_padding(tokenizer, model)


def with_padding(tokenizer: Any, model: Any) -> Any:
    """A tokenizer that pads: with its own token, else its end-of-text token, else its unknown token."""
    if tokenizer.pad_token_id is None:
        stand_in = tokenizer.eos_token or tokenizer.unk_token
        if stand_in is None:
            raise BaseModelError("The tokenizer has neither a pad nor an end token: set `pad_token` in it.")
        tokenizer.pad_token = stand_in
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def _explain(base_model: str, error: Exception) -> str:
    """One sentence on why the model did not load; the libraries' own text goes to the log by `from`."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    text = f"{type(error).__name__} {error} {error.__cause__ or ''}".lower()
    if _caused_by(error, GatedRepoError) or "403" in text:
        return (
            f"`{base_model}` is gated: accept its licence on the hub, then set HF_TOKEN on the training "
            "machine, or choose another base model."
        )
    if "safetensors" in text and ("not appear to have" in text or "no file" in text):
        return f"`{base_model}` has no safetensors weights, and pickled ones are refused: choose another."
    if "trust_remote_code" in text or "custom code" in text:
        return f"`{base_model}` needs code from its own repository, which is never run. Choose another model."
    if "header" in text or "safetensor" in type(error).__name__.lower():
        return f"The weights of `{base_model}` are damaged: download or save them again."
    if _caused_by(error, RepositoryNotFoundError):
        return (
            f"The hub has no base model `{base_model}`, or it is private: check the name, or set HF_TOKEN on "
            "the training machine."
        )
    if any(sign in text for sign in ("offline", "couldn't connect", "connection", "max retries", "cached")):
        return (
            f"`{base_model}` is not on this machine and the model hub cannot be reached. Check the name and "
            "the network, or give the path of a local folder."
        )
    return (
        f"There is no base model `{base_model}` that we can load. Check the name on the hub, or give the "
        "path of a folder with config.json, model.safetensors and a tokenizer."
    )


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether the error, or one that it came from, is of this kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
