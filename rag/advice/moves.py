"""What a short message asks about the verdict itself ("why?", "ok, do it") or about the bot ("help"): by the nearest known sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import yaml

from rag.errors import RagError
from rag.search.embedding import Embedder
from rag.signals.lexicon import load_glossary

MOVES = Path(__file__).parents[1] / "data" / "moves.yaml"
MIN_COSINE_TO_BE_A_MOVE = 0.5  # `none` lines hold the look-alikes
MIN_COSINE_TO_BE_A_SERVICE = (
    0.75  # it comes before any search of the documents, so it has to be said nearly so
)
MOST_WORDS = 12
Move = Literal["why", "change", "cost", "next", "sources", "thanks", "go", "advice", "saving", "wrong"]
Service = Literal[
    "help", "status", "hello", "add_tickets", "add_documents", "privacy", "readers", "stop_job",
    "measure", "train", "running_cost",
]  # fmt: skip
FILLING = re.compile(
    r"\b(?:ok|okay|so|and|but|well|hmm?|oh|ah|exactly|then|please|really|actually|just|now|alors|donc|denn|also|bitte|y|"
    r"pues|et|und|guys|bot|a|lot|much|very|all)\b"
)


class MoveReader:
    """`moves(text)` tells what a short message asks about the verdict itself, `moves.service(text)` about the bot."""

    def __init__(self, embed: Embedder, path: Path = MOVES) -> None:
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            lines = [(name, text) for name, texts in raw.items() for text in texts]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
            raise RagError(f"The moves {path} cannot be used: {error}. Restore it with git.") from error
        self._embed, self._gloss = embed, load_glossary()
        self._names: list[str] = [name for name, _ in lines]
        self._exact: dict[str, str] = {bare(text): name for name, text in lines}
        self._core: dict[str, str] = {core(bare(text)): name for name, text in lines if core(bare(text))}
        self._rows = embed([text for _, text in lines])

    def __call__(self, text: str) -> Move | None:
        """Only for a message without figures of at most twelve words."""
        name = self._nearest(text)
        return cast(Move, name) if name in get_args(Move) else None

    def service(self, text: str) -> Service | None:
        """What a short message wants from the bot itself; None for a question or a case."""
        name = self._nearest(text, MIN_COSINE_TO_BE_A_SERVICE)
        return cast(Service, name) if name in get_args(Service) else None

    def _nearest(self, text: str, least: float = MIN_COSINE_TO_BE_A_MOVE) -> str:
        words = bare(text)
        name = self._exact.get(words) or self._core.get(core(words))
        if name is not None:
            return name
        if not words or len(words.split()) > MOST_WORDS or re.search(r"\d", words):
            return "none"
        cosines = self._rows @ self._embed([text])[0]
        best = int(np.argmax(cosines))
        return self._names[best] if cosines[best] >= least else "none"


def bare(text: str) -> str:
    """The words in lower case without punctuation."""
    return " ".join(re.sub(r"[^\w\s'’]", " ", text.lower()).split())


def core(words: str) -> str:
    """The words without what only fills a sentence ("ok", "so")."""
    return " ".join(FILLING.sub(" ", words).split())
