"""Classifies short messages: questions about the verdict ("why?", "ok, do it") by trained heads, questions about the bot ("help") by
the nearest known sentence."""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import yaml

from rag.advice.move_heads import MoveHeads
from rag.errors import RagError
from rag.search.embedding import Embedder
from rag.signals.language import language_of
from rag.signals.lexicon import load_glossary
from rag.signals.multilingual import load_encoder
from rag.signals.two_encoders import two_encodings

MOVES = Path(__file__).parents[1] / "data" / "moves.yaml"
MIN_COSINE_TO_BE_A_MOVE = 0.5  # `none` lines hold the look-alikes
MIN_COSINE_TO_BE_A_SERVICE = (
    0.75  # it comes before any search of the documents, so it has to be said nearly so
)
MORE_IN_OTHER_LANGUAGES = 0.1  # of the cosine: there everything lies a little nearer
MAX_WORDS = 12
Move = Literal["why", "change", "cost", "next", "sources", "thanks", "go", "advice", "saving", "wrong"]
Service = Literal[
    "help", "status", "hello", "add_tickets", "add_documents", "privacy", "readers", "stop_job",
    "measure", "train", "running_cost", "welcome", "complaint", "remove",
]  # fmt: skip
POLITE = ("hello", "welcome")
SENTENCE_END = re.compile(r"(?<=[.!?:;。！？])\s*(?=\S)")
FILLING = re.compile(
    r"\b(?:ok|okay|so|and|but|well|hmm?|oh|ah|exactly|then|please|really|actually|just|now|alors|donc|denn|also|bitte|y|"
    r"pues|et|und|guys|bot|a|lot|much|very|all|haha|lol|hey|right)\b"
)


PATTERNS: tuple[tuple[Move, re.Pattern[str]], ...] = (
    ("change", re.compile(r"\b(?:what|which \w+) (?:would|could|might) (?:flip|change|make you|tip|turn|alter)\b|\bwhen (?:should|do|can|would) (?:i|we) (?:revisit|ask again|come back|look (?:at it )?again|reconsider|check again)\b")),
    ("saving", re.compile(r"\b(?:what(?:'s| is| are)|how (?:big|much|large)(?: is| are)?) (?:the |our )?(?:savings?|payback|payoff)\b|\b(?:how much|what) (?:do|would|did|will|could) (?:that |it |this |we |you )?(?:just )?(?:save|gain)\b")),
    ("cost", re.compile(r"\b(?:what|how much) (?:would|will|does|do|did|might|could|is)\b(?!.*\bsav(?:e|ing))(?:\W+\w+){0,4}\W+costs?\b|\bcost-?wise\b|\bprice tag\b|\b(?:gpu|compute|hosting|training) (?:bill|price|cost)s?\b(?=.*\?|$)|\border of magnitude\b")),
    ("why", re.compile(r"^\W*(?:[\w',:-]+\s+){0,4}why (?:not|did you|do you|would you|can'?t|couldn'?t|wouldn'?t|shouldn'?t|is that|was that)\b|\bgive me (?:the|an|your) (?:argument|reason)s?\b|\bthe reason for (?:the|that|this)\b")),
)  # fmt: skip
MAX_PATTERN_WORDS, MAX_END_WORDS = 16, 5


class MoveReader:
    """`moves(text)` tells what a short message asks about the verdict itself, `moves.service(text)` about the bot."""

    def __init__(self, embed: Embedder, path: Path = MOVES) -> None:
        lines = read_lines(path)
        self._embed, self._gloss = embed, load_glossary()
        self._names: list[str] = [name for name, _ in lines]
        self._exact: dict[str, str] = {bare(text): name for name, text in lines}
        self._core: dict[str, str] = {core(bare(text)): name for name, text in lines if core(bare(text))}
        self._lines, self._encode = lines, load_encoder()
        self._rows = embed([text for _, text in lines])

    def __call__(self, text: str) -> Move | None:
        """A message without figures of at most twelve words; a longer one by its pattern, or by a last short sentence."""
        name = self._exact.get(bare(text)) or _by_pattern(text) or self._likeliest(text)
        ends = re.split(r"(?<=[.!?:;])\s+", text.strip())
        if name == "none" and len(ends) > 1 and len(ends[-1].split()) <= MAX_END_WORDS:
            end = self._known(bare(ends[-1])) or "none"
            name = "none" if end in ("wrong", "hello", "help") else end
        return cast(Move, name) if name in get_args(Move) else None

    def service(self, text: str) -> Service | None:
        """What a short message wants from the bot itself; None for a question or a case.

        Of several sentences each must want something; a greeting or thanks beside something else is no wish.
        """
        sentences = [one for one in SENTENCE_END.split(text.strip()) if bare(one)]
        names = [self._service(one) for one in (text, *sentences[: len(sentences) * (len(sentences) > 1)])]
        if names[0] or None in names[1:]:
            return names[0]
        wishes = [name for name in names[1:] if name not in POLITE] or names[1:]
        return wishes[0] if wishes else None

    def _service(self, text: str) -> Service | None:
        name = self.nearest(text, MIN_COSINE_TO_BE_A_SERVICE)
        name = "welcome" if name == "thanks" else name
        return cast(Service, name) if name in get_args(Service) else None

    def nearest(self, text: str, least: float = MIN_COSINE_TO_BE_A_MOVE) -> str:
        """What the nearest known sentence is, from `least` of the cosine on; "none" for a long message and one with figures."""
        words = bare(text)
        if name := self._known(words):
            return name
        if not _is_short(words):
            return "none"
        if language_of(words) == "en":
            cosines = self._rows @ self._embed([text])[0]
        else:
            cosines = self._multilingual_rows @ self._encode([text])[0]
            least += MORE_IN_OTHER_LANGUAGES
        best = int(np.argmax(cosines))
        return self._names[best] if cosines[best] >= least else "none"

    def _likeliest(self, text: str) -> str:
        """The move of a short message without figures by the trained heads, "none" for something else."""
        words = bare(text)
        if name := self._known(words):
            return name
        if not _is_short(words):
            return "none"
        return self._heads.likeliest(two_encodings(text, language_of(words), self._embed, self._encode))

    def _known(self, words: str) -> str | None:
        """The name of a known sentence that has these words, fillings aside."""
        return self._exact.get(words) or self._core.get(core(words))

    @cached_property
    def _heads(self) -> MoveHeads:
        return MoveHeads.load(self._embed.name, self._encode.name)

    @cached_property
    def _multilingual_rows(self) -> np.ndarray:
        return self._encode([text for _, text in self._lines])


@cache
def read_lines(path: Path = MOVES) -> list[tuple[str, str]]:
    """(name, sentence) of every line of the file; RagError where it cannot be used."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [(str(name), str(text)) for name, texts in raw.items() for text in texts]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise RagError(f"The moves {path} cannot be used: {error}. Restore it with git.") from error


def _is_short(words: str) -> bool:
    """Whether there are words at all, at most MAX_WORDS, and no figure among them."""
    return bool(words) and len(words.split()) <= MAX_WORDS and not re.search(r"\d", words)


def _by_pattern(text: str) -> Move | None:
    low = text.lower()
    if len(low.split()) > MAX_PATTERN_WORDS or re.search(r"\d", low):
        return None
    return next((move for move, pattern in PATTERNS if pattern.search(low)), None)


def bare(text: str) -> str:
    """The words in lower case without punctuation."""
    return " ".join(re.sub(r"[^\w\s'’]", " ", text.lower()).split())


def core(words: str) -> str:
    """The words without fillers ("ok", "so")."""
    return " ".join(FILLING.sub(" ", words).split())
