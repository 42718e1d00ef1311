"""Both readers on authors whom they never read: python -m rag.evaluation.compare_readers FOLD3.jsonl --multilingual FOLD3_M.jsonl

The files are what `rag.evaluation.train_reader --fold N` and `rag.evaluation.train_multilingual_heads --fold N` wrote. Prints
accuracy by head and verdict for each reader and for the merged reading, and how often the verdict is right by confidence;
`--write` keeps the measured trust and confidence in rag/data/reading_trust.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag.advice.decide import decide
from rag.advice.decision_table import load_table
from rag.advice.facts import facts_of
from rag.evaluation.gold import gold_signals
from rag.evaluation.messages import FOLDS, KINDS, LabelledMessage, fold_of, read_messages
from rag.evaluation.train_signal_classifier import fit, rows_of
from rag.search.embedding import CachedEmbedder, Embedder, load_embedder
from rag.signals.confidence import TRUST_FILE, Outcome, calibration_json
from rag.signals.language import language_of
from rag.signals.lexicon import load_lexicon
from rag.signals.likeliest import likeliest_reading
from rag.signals.multilingual_heads import mix
from rag.signals.quantities import find_quantities
from rag.signals.reading import ReaderChoice, Reading, Trust, merge_readings, same_value
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import Signals
from rag.signals.tuned import KIND_SHARE, MULTILINGUAL_SHARE
from rag.signals.tuned_signals import READS, Probabilities, likeliest_kinds, signals_from

MIN_GAIN = 3  # messages more that a trust must read right before it replaces "either"
SHOWN = ("topic", "task", "baseline", "gaps", "examples", "classes", "eval_n", "score", "target", "volume_month",
         "monthly_cost", "latency_ms", "citations", "acl", "stable", "pii", "consent", "volatility")  # fmt: skip


@dataclass(frozen=True)
class Read:
    """One message of an author left out: what the two readers and a perfect one read, and the second's probabilities."""

    message: LabelledMessage
    first: Signals
    second: Signals
    gold: Signals
    probabilities: Probabilities


def first_readers(embed: Embedder) -> Callable[[int], EmbeddedReader]:
    """The first reader trained without the authors of a fold, by fold."""
    messages = read_messages()
    cached_embed = CachedEmbedder(embed, most=len(messages) + 1)
    rows = rows_of(messages, cached_embed, load_lexicon())

    def reader_of(fold: int) -> EmbeddedReader:
        inside = [n for n, message in enumerate(messages) if fold_of(message) != fold]
        return EmbeddedReader(cached_embed, fit(rows[inside], [messages[n] for n in inside]))

    return reader_of


def read_left_out(
    predictions: Sequence[Path], multilingual: Sequence[Path], first_of: Callable[[int], EmbeddedReader]
) -> list[Read]:
    """Every message of the folds, read by readers that never read its author."""
    messages = read_messages()
    ours, theirs = _rows_by_text(predictions), _rows_by_text(multilingual)
    reads = []
    for fold in FOLDS:
        out = [m for m in messages if fold_of(m) == fold and m.text in ours.keys() & theirs.keys()]
        if not out:
            continue
        first = first_of(fold)
        for one in out:
            language = "en" if language_of(one.text) == "en" else "other"
            ours_row, theirs_row = ours[one.text], theirs[one.text]
            shares = mix(ours_row["heads"], theirs_row["heads"], MULTILINGUAL_SHARE[language])
            kind_rows = [np.asarray(row["kinds"]).reshape(-1, len(KINDS)) for row in (ours_row, theirs_row)]
            kinds = likeliest_kinds(kind_rows[0], kind_rows[1], KIND_SHARE[language], KINDS)
            second = signals_from(one.text, shares, find_quantities(one.text), kinds)
            reads.append(Read(one, first(one.text), second, gold_signals(one), shares))
    return reads


def _rows_by_text(paths: Sequence[Path]) -> dict[str, Any]:
    rows = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["text"]: row for row in rows}


def measured_trust(reads: Sequence[Read]) -> Trust:
    """Whom to believe by signal: whoever reads more messages right where the two differ."""
    trust: dict[str, ReaderChoice] = {}
    for name in READS:
        right: dict[ReaderChoice, int] = {"first": 0, "second": 0, "either": 0}
        for read in reads:
            if name != "topic" and not read.message.is_decision:
                continue
            one, other, truth = (getattr(s, name) for s in (read.first, read.second, read.gold))
            if same_value(one, other):
                continue
            right["first"] += same_value(one, truth)
            right["second"] += same_value(other, truth)
            right["either"] += same_value(one if one not in (None, ()) else other, truth)
        best = max(right, key=lambda who: right[who])
        trust[name] = best if right[best] >= right["either"] + MIN_GAIN else "either"
    return Trust(dict(sorted(trust.items())), "first", READS)


def verdicts() -> Callable[[Signals], str]:
    """What the decision table says on signals."""
    table = load_table()
    return lambda signals: str(decide(facts_of(signals), table)[0])


def merged_reading(read: Read, trust: Trust, verdict_of: Callable[[Signals], str]) -> Reading:
    """Both readers merged as ReaderPair does it."""

    def choose(signals: Signals) -> tuple[Signals, float]:
        return likeliest_reading(signals, read.probabilities, verdict_of)

    return merge_readings(read.first, read.second, trust, verdict_of, choose)


def report(reads: Sequence[Read], trust: Trust) -> dict[str, Any]:
    """Shares right by reader and signal, of verdicts, and by agreement; all over the messages left out."""
    verdict_of = verdicts()
    merged_readings = [merged_reading(read, trust, verdict_of) for read in reads]
    gold_verdicts = [verdict_of(read.gold) for read in reads]
    verdicts_by_reader = {
        "first": [verdict_of(read.first) for read in reads],
        "second": [verdict_of(read.second) for read in reads],
        "merged": [verdict_of(reading.signals) for reading in merged_readings],
    }
    result: dict[str, Any] = {"n": len(reads), "verdicts": {}, "signals": {}}
    for reader, verdict in verdicts_by_reader.items():
        result["verdicts"][reader] = {
            key: _share(
                [v == w for v, w, r in zip(verdict, gold_verdicts, reads, strict=True) if _in(r, key)]
            )
            for key in (
                "all",
                "decision",
                "en",
                "other languages",
                *sorted({r.message.author for r in reads}),
            )
        }
    for name in SHOWN:
        use = [n for n, r in enumerate(reads) if name == "topic" or r.message.is_decision]
        values = {
            "first": [getattr(reads[n].first, name) for n in use],
            "second": [getattr(reads[n].second, name) for n in use],
            "merged": [getattr(merged_readings[n].signals, name) for n in use],
        }
        truth = [getattr(reads[n].gold, name) for n in use]
        result["signals"][name] = {
            reader: _share([same_value(v, t) for v, t in zip(row, truth, strict=True)])
            for reader, row in values.items()
        }
    result["outcomes"] = [
        Outcome(bool(one.agree), sum(d.decisive for d in one.conflicts), one.share or 0.0, v == w)
        for one, v, w in zip(merged_readings, verdicts_by_reader["merged"], gold_verdicts, strict=True)
    ]
    return result


def _in(read: Read, key: str) -> bool:
    message = read.message
    return {
        "all": True,
        "decision": message.is_decision,
        "en": message.lang == "en",
        "other languages": message.lang != "en",
    }.get(key, message.author == key)


def _share(hits: Sequence[bool]) -> float:
    return round(float(np.mean(hits)), 4) if hits else 0.0


def main() -> int:
    """Print the comparison; keep trust and confidence with --write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("predictions", type=Path, nargs="+")
    parser.add_argument("--multilingual", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--packaged", action="store_true", help="the first reader as packaged: it never read these authors"
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".trainwise" / "models")
    options = parser.parse_args()
    embed = load_embedder(options.cache)
    first_of = (lambda fold: EmbeddedReader(embed)) if options.packaged else first_readers(embed)
    reads = read_left_out(options.predictions, options.multilingual, first_of)
    trust = measured_trust(reads)
    result = report(reads, trust)
    outcomes = result.pop("outcomes")
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    record = {"trust": dict(trust.by_signal), **calibration_json(outcomes)}
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
    if options.write:
        TRUST_FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
