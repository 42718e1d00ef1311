"""The second reader: MiniLM tuned on labelled messages, on onnxruntime; and the pair that reads every message.

Covers English best, and the nine other languages of rag/data/reading as measured in docs/quality.md. No torch, no
network; at most 256 wordpieces of a message are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.search.embedding import built_folder, open_session
from rag.search.minilm_onnx import PROBES, load_tokenizer
from rag.signals.confidence import measured_trust
from rag.signals.language import language_of
from rag.signals.lexicon import words_around
from rag.signals.multilingual_heads import MultilingualHeads, mix
from rag.signals.quantities import Quantity, find_quantities
from rag.signals.reading import Reading, merge_readings
from rag.signals.rules import MAX_TEXT, EmbeddedReader
from rag.signals.schema import PER_MESSAGE, Signals
from rag.signals.tuned_graph import load_weights, weights_digest
from rag.signals.tuned_signals import signals_from

MIN_COSINE_TO_FP32 = 0.99  # of the label logits on PROBES; below it int8 is not used on this machine
NO_KIND = "other"
ASIDES = ("guide", "document", "concierge", "other")  # topics that a terse statement about a case looks like
MIN_OWN = 0.4  # of a label's probability from which its loudest words stand behind it
MULTILINGUAL_SHARE = {"en": 0.3, "other": 0.7}  # of the weight: docs/decisions.d/reading-first-sight.md


class TunedReader:
    """`reader(text)` gives Signals of a text without orders in it; safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        self._session = open_session(folder)
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._multilingual = MultilingualHeads()
        weights = load_weights()
        self._heads, self._exclusive, self._kinds = weights.heads, weights.exclusive, weights.kinds

    def __call__(self, text: str) -> Signals:
        """What the text says, each value with the words that spoke loudest for it."""
        return self.look(text)(False)

    def look(self, text: str) -> Callable[[bool], Signals]:
        """Runs the network once; the result gives what the text says alone (False), or in a thread about a case (True)."""
        encoding = self._tokenizer.encode(text)
        labels, kinds, focus = self._run(encoding.ids)
        quantities = find_quantities(text)
        quantity_kinds = [self._kind(kinds, encoding.offsets, quantity) for quantity in quantities]
        probabilities = {}
        loudest: dict[str, int] = {}
        start = 0
        for head, names in self._heads.items():
            part = labels[start : start + len(names)]
            probabilities[head] = dict(zip(names, _probabilities(part, head in self._exclusive), strict=True))
            loudest |= {
                name: int(place) for name, place in zip(names, focus[start : start + len(names)], strict=True)
            }
            start += len(names)
        labels_of_ours = {
            name for shares in probabilities.values() for name, p in shares.items() if p >= MIN_OWN
        }
        share = MULTILINGUAL_SHARE["en" if language_of(text) == "en" else "other"]
        probabilities = mix(probabilities, self._multilingual(text), share)
        loudest = {name: loudest[name] for name in labels_of_ours & loudest.keys()}

        def signals_of(in_case: bool) -> Signals:
            signals = signals_from(text, probabilities, quantities, quantity_kinds, in_case)
            return _quoted(signals, text, encoding.offsets, loudest)

        return signals_of

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

    def _kind(self, logits: np.ndarray, offsets: Sequence[tuple[int, int]], quantity: Quantity) -> str:
        inside = [n for n, (a, b) in enumerate(offsets) if b > a and a < quantity.end and b > quantity.start]
        return self._kinds[int(logits[inside].mean(axis=0).argmax())] if inside else NO_KIND


def _probabilities(logits: np.ndarray, exclusive: bool) -> list[float]:
    if exclusive:
        powers = np.exp(logits - logits.max())
        return [float(p) for p in powers / powers.sum()]
    return [float(p) for p in 1 / (1 + np.exp(-logits))]


def _quoted(
    signals: Signals, text: str, offsets: Sequence[tuple[int, int]], loudest: dict[str, int]
) -> Signals:
    """The signals with the words around the token that spoke loudest for each value, where a head read it."""
    quotes = dict(signals.quotes)
    for name in ("task", "baseline", "gaps"):
        value = signals.gap if name == "gaps" else getattr(signals, name)
        if value in loudest and loudest[value] < len(offsets):
            start, end = offsets[loudest[value]]
            if end > start and (words := words_around(text, start, end)):
                quotes[name] = words
    return signals.model_copy(update={"quotes": quotes})


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
    """`pair(question)` gives a Reading: both readers' signals merged by measured trust, with their doubts."""

    def __init__(
        self, embedded: EmbeddedReader, second: TunedReader, verdict_of: Callable[[Signals], str]
    ) -> None:
        self._embedded, self._second, self._verdict_of = embedded, second, verdict_of
        self._trust = measured_trust()

    def __call__(self, question: str, in_case: bool = False) -> Reading:
        """What the question says; orders to the adviser are cut before either reader reads.

        `in_case`: a statement in a thread about a case, read as one unless it is small talk: alone no message about a
        case, and stating nothing.
        """
        first = self._embedded(question)
        clean = self._embedded.without_orders(question[:MAX_TEXT])
        if not clean or first.topic == "injection":
            return Reading(first)
        second_of = self._second.look(clean)
        reading = self._merge(first, second_of(False))
        if not in_case or _is_small_talk(reading.signals):
            return reading
        if first.topic in ASIDES:
            first = first.model_copy(update={"topic": "decision"})
        return self._merge(first, second_of(first.topic == "decision"))

    def _merge(self, first: Signals, second: Signals) -> Reading:
        second = second.model_copy(update={"injection": first.injection})
        return merge_readings(first, second, self._trust, self._verdict_of)


def _is_small_talk(signals: Signals) -> bool:
    return signals.topic in ("other", "concierge") and not set(signals.known_values()) - set(PER_MESSAGE)
