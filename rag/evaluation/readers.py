"""The readers as the adviser uses them, for the evaluations."""

from __future__ import annotations

from pathlib import Path

from rag.advice.decide import decide
from rag.advice.decision_table import load_table
from rag.advice.facts import facts_of
from rag.evaluation.advice import Reader
from rag.search.embedding import Embedder
from rag.signals.learning import LearningHead
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import Signals
from rag.signals.tuned import ReaderPair, load_tuned_reader


def load_reader_pair(embed: Embedder, cache: Path) -> ReaderPair:
    """Both embedded readers with the packaged decision table."""
    table = load_table()

    def verdict_of(signals: Signals) -> str:
        return str(decide(facts_of(signals), table)[0])

    return ReaderPair(EmbeddedReader(embed), load_tuned_reader(cache), verdict_of, LearningHead(embed))


def load_reader(embed: Embedder, cache: Path) -> Reader:
    """The merged signals of both embedded readers."""
    pair = load_reader_pair(embed, cache)
    return lambda question, in_case=False: pair(question, in_case).signals
