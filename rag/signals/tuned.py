"""The second reader: MiniLM tuned on labelled messages, on onnxruntime; and the pair that reads every message.

Covers English best, and the nine other languages of rag/data/reading as measured in docs/quality.md. No torch, no
network; at most 256 wordpieces of a message are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.search.embedding import built_folder, open_session
from rag.search.minilm_onnx import PROBES, load_tokenizer
from rag.signals.confidence import measured_trust
from rag.signals.language import language_of
from rag.signals.learning import LearningHead
from rag.signals.lexicon import words_around
from rag.signals.likeliest import likeliest_reading
from rag.signals.multilingual_heads import MultilingualHeads, mix
from rag.signals.quantities import Quantity, find_quantities
from rag.signals.reading import Reading, merge_readings
from rag.signals.rules import MAX_TEXT, EmbeddedReader
from rag.signals.schema import PER_MESSAGE, Signals
from rag.signals.tuned_graph import load_weights, weights_digest
from rag.signals.tuned_signals import Probabilities, likeliest_kinds, signals_from

MIN_COSINE_TO_FP32 = 0.99  # of the label logits on PROBES; below it int8 is not used on this machine
ASIDES = ("guide", "document", "concierge", "other")  # topics that a short statement about a case resembles
MIN_OWN = 0.4  # least probability of a label whose strongest tokens become its quote
MULTILINGUAL_SHARE = {"en": 0.3, "other": 0.7}  # of the weight: docs/decisions.d/reading-third-round.md
KIND_SHARE = {"en": 0.3, "other": 0.6}  # ... for what a number counts
FIRST = "Should we train a model on our tickets?"


@dataclass(frozen=True)
class TunedReading:
    """The networks' output for one text: probabilities by head and label, the kind of each quantity, and for each label
    its strongest token (`offsets` are the tokens' positions in the text)."""

    text: str
    probabilities: Probabilities
    quantities: Sequence[Quantity]
    kinds: Sequence[str]
    offsets: Sequence[tuple[int, int]]
    strongest_tokens: Mapping[str, int]

    def signals(self, in_case: bool = False) -> Signals:
        """The likeliest label of each head as signals; `in_case`: a statement in a thread about a case."""
        signals = signals_from(self.text, self.probabilities, self.quantities, self.kinds, in_case)
        return _quoted(signals, self.text, self.offsets, self.strongest_tokens)


class TunedReader:
    """`reader(text)` gives Signals of a text without orders in it; safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        self._session = open_session(folder)
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._multilingual = MultilingualHeads()
        weights = load_weights()
        self._heads, self._exclusive, self._kinds = weights.heads, weights.exclusive, weights.kinds

    def __call__(self, text: str) -> Signals:
        """The signals of the text, each value with the words around its strongest token."""
        return self.look(text).signals()

    def look(self, text: str) -> TunedReading:
        """Runs the network once; the result gives the probabilities, and the signals of the text alone or in a thread."""
        encoding = self._tokenizer.encode(text)
        labels, kinds, focus = self._run(encoding.ids)
        quantities = find_quantities(text)
        other = self._multilingual(text, quantities)
        language = "en" if language_of(text) == "en" else "other"
        kind_rows = self._kind_rows(kinds, encoding.offsets, quantities)
        quantity_kinds = likeliest_kinds(kind_rows, other.kinds, KIND_SHARE[language], self._kinds)
        probabilities = {}
        strongest_tokens: dict[str, int] = {}
        start = 0
        for head, names in self._heads.items():
            part = labels[start : start + len(names)]
            probabilities[head] = dict(zip(names, _probabilities(part, head in self._exclusive), strict=True))
            strongest_tokens |= {
                name: int(place) for name, place in zip(names, focus[start : start + len(names)], strict=True)
            }
            start += len(names)
        labels_of_ours = {
            name for shares in probabilities.values() for name, p in shares.items() if p >= MIN_OWN
        }
        probabilities = mix(probabilities, other.probabilities, MULTILINGUAL_SHARE[language])
        strongest_tokens = {name: strongest_tokens[name] for name in labels_of_ours & strongest_tokens.keys()}
        return TunedReading(
            text, probabilities, quantities, quantity_kinds, encoding.offsets, strongest_tokens
        )

    def agreement(self, reference: np.ndarray) -> float:
        """The lowest cosine of the label logits on PROBES to the fp32 graph's."""
        rows = np.stack([self._run(self._tokenizer.encode(text).ids)[0] for text in PROBES])
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(reference, axis=1)
        return float(((rows * reference).sum(axis=1) / norms).min())

    def _run(self, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row = np.asarray([ids], dtype=np.int32)
        labels, kinds, focus = self._session.run(
            ["labels", "kinds", "focus"], {"ids": row, "mask": np.ones_like(row)}
        )
        return labels[0], kinds[0], focus[0]

    def _kind_rows(
        self, logits: np.ndarray, offsets: Sequence[tuple[int, int]], quantities: Sequence[Quantity]
    ) -> np.ndarray:
        """(quantities, kinds): probabilities by kind; all zero for a quantity beyond the tokens that are read."""
        rows = np.zeros((len(quantities), len(self._kinds)), dtype=np.float32)
        for number, quantity in enumerate(quantities):
            inside = [
                n for n, (a, b) in enumerate(offsets) if b > a and a < quantity.end and b > quantity.start
            ]
            if inside:
                rows[number] = _probabilities(logits[inside].mean(axis=0), exclusive=True)
        return rows


def _probabilities(logits: np.ndarray, exclusive: bool) -> list[float]:
    if exclusive:
        powers = np.exp(logits - logits.max())
        return [float(p) for p in powers / powers.sum()]
    return [float(p) for p in 1 / (1 + np.exp(-logits))]


def _quoted(
    signals: Signals, text: str, offsets: Sequence[tuple[int, int]], strongest_tokens: Mapping[str, int]
) -> Signals:
    """The signals with the words around the strongest token of each value that a head read."""
    quotes = dict(signals.quotes)
    for name in ("task", "baseline", "gaps"):
        value = signals.gap if name == "gaps" else getattr(signals, name)
        place = strongest_tokens.get(str(value), len(offsets))
        if place < len(offsets):
            start, end = offsets[place]
            if end > start and (words := words_around(text, start, end)):
                quotes[name] = words
    return signals.model_copy(update={"quotes": quotes})


@cache
def load_tuned_reader(cache: Path) -> TunedReader:
    """The second reader, its graph taken from `cache` or built there (about 5 s, once); RagError if it cannot be used."""
    for precision in ("int8", "fp32"):
        name = f"reader-{weights_digest()}-{precision}"
        folder = built_folder(cache, name, ("rag.signals.tuned_graph", precision))
        reader = TunedReader(folder)
        if reader.agreement(np.load(folder / "reference.npy", allow_pickle=False)) >= MIN_COSINE_TO_FP32:
            return reader
    raise RagError(f"The second reader gives wrong values on this machine. Delete {cache} and try again.")


class ReaderPair:
    """`pair(question)` gives a Reading: both readers' signals merged by measured trust, with their conflicts."""

    def __init__(
        self,
        embedded: EmbeddedReader,
        second: TunedReader,
        verdict_of: Callable[[Signals], str],
        learning: LearningHead,
    ) -> None:
        self._embedded, self._second, self._verdict_of = embedded, second, verdict_of
        self._learning = learning
        self._trust = measured_trust()
        self(FIRST)  # loads lazy data now, so that the first questions neither wait nor load it once each

    def __call__(self, question: str, in_case: bool = False) -> Reading:
        """The merged reading of the question; prompt injections are removed before either reader reads.

        `in_case`: a statement in a thread about a case; it is read as one unless it is small talk that states nothing.
        """
        first = self._embedded(question)
        clean = self._embedded.without_injections(question[:MAX_TEXT])
        if not clean or first.topic == "injection":
            return Reading(first)
        reading = self._pair_reading(first, clean, in_case)
        return replace(reading, signals=self._learning.with_learning(reading.signals, clean))

    def _pair_reading(self, first: Signals, clean: str, in_case: bool) -> Reading:
        second = self._second.look(clean)
        if not in_case or _is_small_talk(self._merge(first, second.signals()).signals):
            return self._merge(first, second.signals(), second.probabilities)
        if first.topic in ASIDES:
            first = first.model_copy(update={"topic": "decision"})
        return self._merge(first, second.signals(first.topic == "decision"))

    def _merge(self, first: Signals, second: Signals, probabilities: Probabilities | None = None) -> Reading:
        """The merged signals; for a message on its own, those of the most probable verdict. A fragment of a thread has no
        verdict of its own."""
        second = second.model_copy(update={"injection": first.injection})

        def choose(signals: Signals) -> tuple[Signals, float | None]:
            return (
                likeliest_reading(signals, probabilities, self._verdict_of)
                if probabilities
                else (signals, None)
            )

        return merge_readings(first, second, self._trust, self._verdict_of, choose)


def _is_small_talk(signals: Signals) -> bool:
    return signals.topic in ("other", "concierge") and not set(signals.known_values()) - set(PER_MESSAGE)
