"""How good written answers are: likeness to the real ones, and whether their facts come from the ticket."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from finetune.evaluation.statistics import bootstrap, mean_statistic

NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
NAME = re.compile(r"(?<![.!?\n:]\s)(?<!^)\b[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)*")
COMMON = frozenset(
    {"I", "I'm", "I'll", "I've", "I’m", "OK", "Ok", "Monday", "Tuesday", "Wednesday", "Thursday"}
)
COMMON |= frozenset({"Friday", "Saturday", "Sunday", "English", "Hi", "Hello", "Dear", "Thanks", "Thank"})


def score_replies(
    name: str,
    role: str,
    written: Sequence[str],
    real: Sequence[str],
    tickets: Sequence[str],
    embedder: Callable[[Sequence[str]], np.ndarray],
    counts: np.ndarray,
    seconds: float,
) -> tuple[dict[str, Any], np.ndarray]:
    """The report's entry for one system, all shares of one with 95% intervals, and its chrF per row."""
    per_row = {
        "chrf": chrf(written, real),
        "rouge_l": rouge_l(written, real),
        "similarity": (embedder(written) * embedder(real)).sum(axis=1),
        "facts_from_ticket": np.array(
            [not invented(a, t) for a, t in zip(written, tickets, strict=True)], float
        ),
    }
    entry: dict[str, Any] = {"name": name, "role": role, "seconds": round(seconds, 3)}
    entry |= {key: bootstrap(counts, mean_statistic(values)).to_json() for key, values in per_row.items()}
    return entry, per_row["chrf"]


def chrf(written: Sequence[str], real: Sequence[str]) -> np.ndarray:
    """Character n-gram F-score of each answer (sacrebleu), 0 to 1."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    pairs = zip(written, real, strict=True)
    return np.array([metric.sentence_score(ours, [theirs]).score / 100 for ours, theirs in pairs])


def rouge_l(written: Sequence[str], real: Sequence[str]) -> np.ndarray:
    """ROUGE-L F-score of each answer, 0 to 1."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(written, real, strict=True)
    return np.array([scorer.score(theirs, ours)["rougeL"].fmeasure for ours, theirs in pairs])


def invented(answer: str, ticket: str) -> list[str]:
    """Numbers and names in the answer that the ticket does not hold.

    Covers digits and capitalised words inside sentences. Does not cover facts in lower case, nor names that
    start a sentence.
    """
    low = ticket.lower()
    numbers = [number for number in NUMBER.findall(answer) if number not in ticket]
    names = [name for name in NAME.findall(answer) if name not in COMMON and name.lower() not in low]
    return numbers + names
