"""Scores per class and for replies, and notes on the training curves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from finetune.evaluation.statistics import bootstrap, mean_statistic
from finetune.reports.finetune import ClassScore
from finetune.reports.parts import Confusion, LossPoint, SystemLine

SHOWN_PAIRS = 8
MIN_RISE = 0.02  # relative rise of the validation loss that counts as overfitting


def frequent_confusions(
    truth: np.ndarray, predicted: np.ndarray, names: Sequence[str], texts: Sequence[str]
) -> tuple[Confusion, ...]:
    """The most frequent confusions, each with one example ticket."""
    wrong = [(int(t), int(p)) for t, p in zip(truth, predicted, strict=True) if t != p]
    example = {(int(t), int(p)): text for t, p, text in zip(truth, predicted, texts, strict=True) if t != p}
    return tuple(
        Confusion(names[t], names[p], count, example[t, p][:200])
        for (t, p), count in Counter(wrong).most_common(SHOWN_PAIRS)
    )


def per_class(truth: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class that occurs, lowest F1 first."""
    entries = []
    for number, name in enumerate(names):
        is_true, is_guess = truth == number, predicted == number
        if not is_true.any() and not is_guess.any():
            continue
        hit = int((is_true & is_guess).sum())
        rows, guesses = int(is_true.sum()), int(is_guess.sum())
        entries.append(
            ClassScore(
                name, rows, hit / max(guesses, 1), hit / max(rows, 1), 2 * hit / max(rows + guesses, 1)
            )
        )
    return tuple(sorted(entries, key=lambda entry: entry.f1))


def overfitting(history: Sequence[LossPoint]) -> str | None:
    """A sentence when validation loss rises while training loss still falls, else None."""
    val = [(point.step, point.val_loss) for point in history if point.val_loss is not None]
    train = [point.loss for point in history if point.loss is not None]
    if len(val) < 2 or len(train) < 4:
        return None
    best_step, best = min(val, key=lambda pair: pair[1])
    last_step, last = val[-1]
    falling = np.mean(train[-len(train) // 4 :]) < np.mean(train[: len(train) // 2])
    if best_step == last_step or last < max(1.05 * best, best + MIN_RISE) or not falling:
        return None
    return (
        f"It began to overfit after step {best_step}: validation loss rose from {best:.2f} to {last:.2f} "
        f"while training loss went on falling. The weights of step {best_step} were kept."
    )


def still_falling(history: Sequence[LossPoint]) -> str | None:
    """A sentence when the last epoch still lowered the validation loss by MIN_RISE or more, else None."""
    val = [point.val_loss for point in history if point.val_loss is not None]
    if len(val) < 2 or val[-2] - val[-1] < MIN_RISE:
        return None
    return (
        f"Its error on unseen tickets was still falling when training ended (loss {val[-2]:.2f} to {val[-1]:.2f} in "
        "the last epoch): more epochs may bring it further."
    )


NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
NAME = re.compile(r"(?<![.!?\n:]\s)(?<!^)\b[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)*")
COMMON = frozenset(
    {"I", "I'm", "I'll", "I've", "I’m", "OK", "Ok", "Monday", "Tuesday", "Wednesday", "Thursday"}
)
COMMON |= frozenset({"Friday", "Saturday", "Sunday", "English", "Hi", "Hello", "Dear", "Thanks", "Thank"})


def score_replies(
    name: str,
    role: str,
    replies: Sequence[str],
    real: Sequence[str],
    tickets: Sequence[str],
    embedder: Callable[[Sequence[str]], np.ndarray],
    counts: np.ndarray,
    seconds: float,
) -> tuple[SystemLine, np.ndarray]:
    """One system's line of the report (shares of one with 95% intervals), and its chrF per row."""
    per_row = {
        "chrf": chrf(replies, real),
        "rouge_l": rouge_l(replies, real),
        "similarity": (embedder(replies) * embedder(real)).sum(axis=1),
        "facts_from_ticket": np.array(
            [not unsupported_facts(a, t) for a, t in zip(replies, tickets, strict=True)], float
        ),
    }
    scores = {key: bootstrap(counts, mean_statistic(values)).score for key, values in per_row.items()}
    return SystemLine(name, role, scores, seconds), per_row["chrf"]


def chrf(replies: Sequence[str], real: Sequence[str]) -> np.ndarray:
    """Character n-gram F-score of each answer (sacrebleu), 0 to 1."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    pairs = zip(replies, real, strict=True)
    return np.array([metric.sentence_score(ours, [theirs]).score / 100 for ours, theirs in pairs])


def rouge_l(replies: Sequence[str], real: Sequence[str]) -> np.ndarray:
    """ROUGE-L F-score of each answer, 0 to 1."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(replies, real, strict=True)
    return np.array([scorer.score(theirs, ours)["rougeL"].fmeasure for ours, theirs in pairs])


def unsupported_facts(answer: str, ticket: str) -> list[str]:
    """Numbers and names in the answer that are not in the ticket.

    Covers digits and capitalised words inside sentences. Does not cover facts in lower case, nor names that
    start a sentence.
    """
    low = ticket.lower()
    numbers = [number for number in NUMBER.findall(answer) if number not in ticket]
    names = [name for name in NAME.findall(answer) if name not in COMMON and name.lower() not in low]
    return numbers + names
