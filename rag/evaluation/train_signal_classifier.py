"""Trains the reader's heads from rag/data/{prototypes,scenarios}.yaml: python -m rag.evaluation.train_signal_classifier

Each group of the files is a set of labels and sentences that carry exactly those labels. Prints, for each
head, the cross-validated accuracy (exclusive heads) or F1 (others); `--check` trains without writing, `--families` scores
the verdicts on the scenarios with each family left out in turn.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from rag.advice.decide import advise
from rag.advice.decision_table import load_table
from rag.errors import RagError
from rag.search.embedding import Embedder, load_embedder
from rag.signals.classifier import HEADS, Heads, features, save_heads, signature
from rag.signals.lexicon import Lexicon, load_glossary, load_lexicon

DATA = Path(__file__).parents[1] / "data"
PROTOTYPES, SCENARIOS = DATA / "prototypes.yaml", DATA / "scenarios.yaml"
EXCLUSIVE = {
    "topic": ("decision", "guide", "other", "people", "injection"),
    "task": (
        "none",
        "classify",
        "extract",
        "reply",
        "summarise",
        "qa",
        "search",
        "translate",
        "code",
        "foundation",
    ),
    "baseline": ("none", "not_tried", "tried_ok", "tried_fail"),
}
EACH = {
    "gaps": (
        "knowledge",
        "style",
        "format",
        "accuracy",
        "cost",
        "latency",
        "offline",
        "ambition",
        "capability",
        "vague",
    ),
    "flags": ("citations", "acl", "stable", "pii", "no_consent", "in_training", "vendor_claim", "changing"),
}
RIDGE = 5e-5  # one penalty for every head; chosen by cross-validation over our own sentences


@dataclass(frozen=True)
class Sentence:
    """A training sentence and its labels by head (a tuple for heads that may hold several).

    Sentences of a scenario carry its family and the verdict that the table must reach on them.
    """

    text: str
    labels: Mapping[str, tuple[str, ...]]
    family: str | None = None
    verdict: str | None = None


def read_sentences() -> list[Sentence]:
    """All sentences with their labels; RagError names the group with an unknown label."""
    return [sentence for path in (PROTOTYPES, SCENARIOS) for sentence in _read_file(path)]


def _read_file(path: Path) -> list[Sentence]:
    known = {**EXCLUSIVE, **EACH}
    sentences = []
    for number, group in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), 1):
        labels = dict.fromkeys(EXCLUSIVE, ("none",)) | dict.fromkeys(EACH, ()) | {"topic": ("decision",)}
        for head, value in group["labels"].items():
            values = tuple(value) if isinstance(value, list) else (value,)
            if head not in known or not set(values) <= set(known[head]):
                raise RagError(f"{path}, group {number}: {head}={value!r} is not a label.")
            labels[head] = values
        sentences += [
            Sentence(text, labels, group.get("family"), group.get("verdict")) for text in group["say"]
        ]
    return sentences


def rows_of(sentences: Sequence[Sentence], embed: Embedder, lexicon: Lexicon) -> np.ndarray:
    """The feature rows of the sentences."""
    gloss = load_glossary()
    vectors = embed([gloss(sentence.text) for sentence in sentences])
    return np.stack(
        [features(s.text, v, lexicon.find(s.text), lexicon) for s, v in zip(sentences, vectors, strict=True)]
    )


def fit(rows: np.ndarray, sentences: Sequence[Sentence]) -> Heads:
    """Ridge-penalised logistic regressions, one softmax per exclusive head, one sigmoid per other label."""
    from scipy.optimize import minimize

    weights, bias, labels_of = {}, {}, {}
    for head, labels in {**EXCLUSIVE, **EACH}.items():
        if head == "topic":
            use = list(range(len(sentences)))
        else:  # the others are read from questions about decisions only
            use = [n for n, s in enumerate(sentences) if s.labels["topic"] == ("decision",)]
        part = rows[use]
        wanted = np.array(
            [[label in sentences[n].labels[head] for label in labels] for n in use], dtype=np.float64
        )
        size = (part.shape[1] + 1, len(labels))
        done = minimize(
            _loss,
            np.zeros(size[0] * size[1]),
            args=(part.astype(np.float64), wanted, RIDGE, head in EXCLUSIVE),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 300},
        )
        solution = done.x.reshape(size)
        weights[head], bias[head], labels_of[head] = solution[:-1], solution[-1], labels
    return Heads(labels_of, weights, bias, frozenset(EXCLUSIVE))


def _loss(
    flat: np.ndarray, rows: np.ndarray, wanted: np.ndarray, ridge: float, softmax: bool
) -> tuple[float, np.ndarray]:
    n = len(rows)
    solution = flat.reshape(rows.shape[1] + 1, wanted.shape[1])
    logits = rows @ solution[:-1] + solution[-1]
    if softmax:
        logits = logits - logits.max(axis=1, keepdims=True)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        value = -np.log(np.maximum((shares * wanted).sum(axis=1), 1e-12)).sum() / n
    else:
        shares = 1 / (1 + np.exp(-logits))
        value = (np.logaddexp(0, logits) - wanted * logits).sum() / n
    error = (shares - wanted) / n
    slope = np.vstack([rows.T @ error + ridge * solution[:-1], error.sum(axis=0, keepdims=True)])
    return value + 0.5 * ridge * float((solution[:-1] ** 2).sum()), slope.ravel()


def by_family(
    rows: np.ndarray, sentences: Sequence[Sentence], embed: Embedder
) -> dict[str, tuple[int, int, list[str]]]:
    """Leave-family-out: {family: (right, questions, wrong ones)} with the family's own sentences never trained on."""
    from rag.signals.rules import EmbeddedReader

    table, told = load_table(), {}
    for family in dict.fromkeys(s.family for s in sentences if s.family):
        inside = [n for n, s in enumerate(sentences) if s.family != family]
        reader = EmbeddedReader(embed, fit(rows[inside], [sentences[n] for n in inside]))
        asked = [s for s in sentences if s.family == family]
        wrong = [
            f"{got}: {s.text}" for s in asked if (got := advise(reader(s.text), table).verdict) != s.verdict
        ]
        told[family] = (len(asked) - len(wrong), len(asked), wrong)
    return told


def cross_validate(rows: np.ndarray, sentences: Sequence[Sentence], folds: int = 5) -> dict[str, float]:
    """Accuracy of each exclusive head and F1 (micro, at .5) of the others on sentences left out."""
    order = np.random.default_rng(7).permutation(len(sentences))
    hits: dict[str, list[float]] = {head: [] for head in EXCLUSIVE}
    counts = {head: np.zeros(3) for head in EACH}
    for fold in range(folds):
        out = set(order[fold::folds].tolist())
        inside = [n for n in range(len(sentences)) if n not in out]
        heads = fit(rows[inside], [sentences[n] for n in inside])
        for n in sorted(out):
            told, truth = heads(rows[n]), sentences[n].labels
            for head in EXCLUSIVE:
                if head == "topic" or truth["topic"] == ("decision",):
                    hits[head].append(max(told[head], key=told[head].__getitem__) == truth[head][0])
            for head in EACH:
                if truth["topic"] == ("decision",):
                    said = {label for label, share in told[head].items() if share > 0.5}
                    real = set(truth[head])
                    counts[head] += (len(said & real), len(said - real), len(real - said))
    scores = {head: float(np.mean(values)) for head, values in hits.items()}
    return scores | {head: float(2 * c[0] / max(2 * c[0] + c[1] + c[2], 1)) for head, c in counts.items()}


def _print_families(told: Mapping[str, tuple[int, int, list[str]]]) -> None:
    for family, (right, asked, wrong) in told.items():
        sys.stdout.write(f"{family:28} {right:3} of {asked}\n" + "".join(f"    {line}\n" for line in wrong))
    right, asked = sum(t[0] for t in told.values()), sum(t[1] for t in told.values())
    sys.stdout.write(f"leave-family-out: {right} of {asked} verdicts right ({right / asked:.1%})\n")


def main() -> int:
    """Train, cross-validate, write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="cross-validate only, write nothing")
    parser.add_argument(
        "--families", action="store_true", help="score verdicts, each family left out in turn"
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".trainwise" / "models")
    options = parser.parse_args()
    lexicon, sentences = load_lexicon(), read_sentences()
    embed = load_embedder(options.cache)
    rows = rows_of(sentences, embed, lexicon)
    if options.families:
        _print_families(by_family(rows, sentences, embed))
        return 0
    for head, score in cross_validate(rows, sentences).items():
        sys.stdout.write(f"{head:10} {score:.3f}\n")
    if not options.check:
        aside = HEADS.with_suffix(".tmp")
        save_heads(fit(rows, sentences), aside, signature(lexicon, embed.name))
        os.replace(aside, HEADS)
        sys.stdout.write(f"{len(sentences)} sentences -> {HEADS} ({HEADS.stat().st_size:,} bytes)\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
