"""What redaction hides and what it leaves: precision and recall by type, over 1,680 spans and 1,600 look-alikes a voice.

`python benchmarks/redaction.py`: both voices; `--quick`: the development voice; `--misses N`: show N misses of each type (development
only: the held-out voice is scored, never read); `--names`: full names in free English and French text, with the extra `names`;
`--presidio`: Presidio's patterns beside it, where installed; `--json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.redaction_cases import KINDS, Case, look_alike_cases, personal_cases
from benchmarks.redaction_names import name_cases
from finetune.data.name_models import NameFinder
from finetune.data.people import People
from finetune.data.personal_numbers import personal_spans
from finetune.data.redact import join_spans
from finetune.data.secrets import Span, secret_spans
from finetune.data.ticket import Ticket

Find = Callable[[str, tuple[str, ...]], list[Span]]


def ours(cases: Sequence[Case], together: bool = True) -> Find:
    """Everything that the product looks for, with the cases' people as the file's name columns."""
    rows = [Ticket(str(at), case.text, names=case.names) for at, case in enumerate(cases)]
    people, finder = People(rows), NameFinder(rows if together else ())
    return lambda text, names: [
        *secret_spans(text),
        *personal_spans(text),
        *people.spans(text, names),
        *finder.spans(text),
    ]


def presidio(_cases: Sequence[Case]) -> Find:
    """Presidio's pattern recognisers without a model, as the product used them until 2026-11-29."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):  # type: ignore[misc]
        """Tokens only."""

        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp: Any = {"en": spacy.blank("en")}

    kinds = {"CREDIT_CARD": "CARD", "IBAN_CODE": "IBAN", "IP_ADDRESS": "IP", "PHONE_NUMBER": "PHONE"}
    recognisers = [
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
        known.IpRecognizer(),
        known.PhoneRecognizer(),
    ]
    registry = RecognizerRegistry(recognizers=recognisers, supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda text, _: [
        Span(one.start, one.end, kinds[one.entity_type])
        for one in engine.analyze(text, "en", entities=list(kinds), score_threshold=0.4)
    ]


def score(cases: Sequence[Case], find: Find, misses: int = 0) -> dict[str, Any]:
    """By type: recall (the whole value is hidden, as its kind) and precision (what is hidden as the kind was one)."""
    hits: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    right: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    start = time.process_time()
    for case in cases:
        spans = join_spans(find(case.text, case.names))
        place = case.text.find(case.value) if case.value else -1
        end = place + len(case.value)
        if case.kind:
            gold[case.kind] += 1
            hit = any(span.kind == case.kind and span.start <= place and span.end >= end for span in spans)
            hits[case.kind] += hit
            if not hit:
                wrong.setdefault(f"missed {case.kind}", []).append(case.text)
        for span in spans:
            marks[span.kind] += 1
            is_right = bool(case.kind) and span.kind == case.kind and span.start < end and span.end > place
            right[span.kind] += is_right
            if not is_right:
                wrong.setdefault(f"false {span.kind}", []).append(
                    f"{case.family}: {case.text} [{case.text[span.start : span.end]}]"
                )
    for name, texts in sorted(wrong.items()):
        for text in texts[:misses]:
            print(f"  {name} ({len(texts)}): {text}", file=sys.stderr)
    by_kind = {
        kind: {
            "spans": gold[kind],
            "recall": round(hits[kind] / max(1, gold[kind]), 4),
            "precision": round(right[kind] / max(1, marks[kind]), 4),
        }
        for kind in KINDS
    }
    plain = [case for case in cases if not case.kind]
    touched = sum(bool(find(case.text, case.names)) for case in plain)
    return {
        "types": by_kind,
        "look_alikes": len(plain),
        "look_alikes_touched": touched,
        "ms_per_text": round(1000 * (time.process_time() - start) / len(cases), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for flag in ("--quick", "--names", "--presidio", "--json"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--misses", type=int, default=0)
    options = parser.parse_args()
    results = {}
    for voice in ("development",) if options.quick or options.misses else ("development", "held out"):
        cases = name_cases(voice) if options.names else [*personal_cases(voice), *look_alike_cases(voice)]
        results[voice] = {"ours": score(cases, ours(cases), options.misses)}
        if options.names:
            results[voice]["each text alone"] = score(cases, ours(cases, together=False))
        if options.presidio:
            results[voice]["presidio"] = score(cases, presidio(cases))
        for system, result in results[voice].items():
            print(
                f"{voice}, {system}: {result['look_alikes_touched']} of {result['look_alikes']} look-alikes touched, {result['ms_per_text']} ms a text"
            )
            for kind, line in result["types"].items():
                if options.names and kind != "NAME":
                    continue
                print(
                    f"  {kind:9} {line['spans']:4} spans  recall {line['recall']:.3f}  precision {line['precision']:.3f}"
                )
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
