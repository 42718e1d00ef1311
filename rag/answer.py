"""The cited answer: sentences taken from retrieved passages, each held to its source by a gate.

Covers: every claim's quote stands verbatim in its passage, and the claim's numbers and addresses stand in the
quote. Does not cover whether the passage itself is true. Without an LLM the sentences are extracted; with
one they are phrased from the passages and held to the same gate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag.chunk import sentences
from rag.embed import Embedder
from rag.reply import Citation, Claim
from rag.retrieve import Passage

MOST_CLAIMS = 4
NEAR = 0.25  # a best passage below this has nothing to say
FIGURES = re.compile(r"https?://\S+|\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Answer:
    """Claims with their numbered citations; a `note` says why there are none."""

    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    note: str | None = None


def squeezed(text: str) -> str:
    """Text with white space and Markdown emphasis made uniform, for comparing quotes."""
    return " ".join(re.sub(r"[*_`]", "", text).split())


def supported(claim: str, quote: str, passage: str) -> bool:
    """Whether the quote stands in the passage and carries every figure and address of the claim."""
    if squeezed(quote) not in squeezed(passage):
        return False
    return set(FIGURES.findall(claim)) <= set(FIGURES.findall(quote))


def compose(question: str, passages: Sequence[Passage], embed: Embedder, most: int = MOST_CLAIMS) -> Answer:
    """The sentences of the passages nearest to the question, corrections kept with what they correct."""
    usable = [p for p in passages if p.score >= NEAR][:5]
    if not usable:
        near = "; ".join(dict.fromkeys(p.heading for p in passages[:3])) or "nothing"
        return Answer((), (), f"The documents hold no answer to this. Nearest sections: {near}.")
    pool = [(p, s) for p in usable for s in dict.fromkeys(sentences(p.text)) if len(s.split()) >= 4]
    if not pool:
        return Answer((), (), "The documents hold no sentence that answers this.")
    scores = embed([s for _, s in pool]) @ embed([question])[0]
    order = [int(i) for i in np.argsort(-scores)]
    return _cited([pool[i] for i in _with_corrections(order, pool, most)])


def _with_corrections(order: Sequence[int], pool: Sequence[tuple[Passage, str]], most: int) -> list[int]:
    """The best sentences; a dated correction in the same passage comes along with them."""
    chosen = list(order[:most])
    passages = {pool[i][0].chunk_id for i in chosen}
    chosen += [
        i
        for i, (passage, sentence) in enumerate(pool)
        if sentence.startswith("Correction (") and passage.chunk_id in passages and i not in chosen
    ]
    return chosen[: most + 2]


def _cited(picked: Sequence[tuple[Passage, str]]) -> Answer:
    claims: list[Claim] = []
    citations: list[Citation] = []
    for passage, sentence in picked:
        text = squeezed(sentence.lstrip("-*• "))
        if not supported(text, text, passage.text):
            continue
        number = len(citations) + 1
        citations.append(
            Citation(
                number, passage.chunk_id, passage.title, passage.heading, text, passage.text, passage.url
            )
        )
        claims.append(Claim(text, (number,)))
    return Answer(tuple(claims), tuple(citations))
