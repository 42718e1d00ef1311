"""Prompting baselines: zero-shot, few-shot and retrieved examples, within a spending cap.

Every variant answers the same random held-out tickets; validation rows select the best one. Tickets stand in the prompt
as data between fences; an answer that is no class name counts as wrong.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.evaluation.predictions import Predictions, score
from finetune.evaluation.sample import Fold, Sample
from finetune.llm import (
    MAX_CALLS_AT_ONCE,
    MAX_TICKET_CHARACTERS,
    Answers,
    Llm,
    SpendLimit,
    UnansweredError,
    ask_all,
    fence_ticket,
)
from finetune.pricing import money, tokens_of
from finetune.progress import Progress, silent

ZERO, DESCRIBED = "Prompt, zero-shot", "Prompt, described classes"
FEW, RETRIEVED = "Prompt, few examples", "Prompt, retrieved examples"
VARIANTS = (ZERO, DESCRIBED, FEW, RETRIEVED)
EXAMPLES = {ZERO: 0, DESCRIBED: 0, FEW: 16, RETRIEVED: 8}
MAX_TEST, MAX_DEV, MIN_TEST = 150, 40, 20
ANSWER_TOKENS = 12
SHARE_OF_TIME = 0.8  # of the prompting time that the plan uses
LONGER_PROMPTS = 1.5  # mean time factor over all variants, as prompts with examples are longer
WORDS_A_CLASS = 8
WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Trial:
    """The shared input of all variants: the rows, the fixed examples, the class descriptions."""

    sample: Sample
    fold: Fold
    dev: np.ndarray
    test: np.ndarray
    metric: str
    examples: np.ndarray
    descriptions: tuple[str, ...]

    def prompt_for(self, name: str, row: int) -> str:
        """The prompt of a variant for one row."""
        if name == RETRIEVED:
            near = nearest_rows(self.sample, self.fold, row, EXAMPLES[RETRIEVED])
            return prompt(self.sample, row, near)
        descriptions = self.descriptions if name == DESCRIBED else ()
        return prompt(self.sample, row, self.examples if name == FEW else [], descriptions)


def prompting_systems(
    sample: Sample,
    llm: Llm,
    limit: SpendLimit,
    metric: str,
    seed: int,
    progress: Progress,
    allowed_s: float = 120.0,
) -> tuple[list[Predictions], str | None, list[str]]:
    """The variants within the budget, the best by validation score, and notes."""
    fold, rng, notes, began = sample.once, np.random.default_rng([seed, 5]), limit.notes, time.monotonic()
    descriptions = describe_classes(sample, fold)
    each = sum(_call_usd(sample, name, descriptions, limit) for name in VARIANTS)
    rows = limit.affordable(each)
    if llm.free and len(fold.test) >= MIN_TEST:
        trials = [prompt(sample, int(row), (), descriptions) for row in fold.train[:MAX_CALLS_AT_ONCE]]
        rows, slow = rows_in_time(llm, trials, limit, allowed_s)
        notes = [*notes, *slow]
    dev_n = min(MAX_DEV, len(fold.dev), rows // 4)
    test_n = min(MAX_TEST, len(fold.test), rows * 3 // 4)
    if test_n < MIN_TEST:
        few = f"Prompting was not measured: {money(limit.cap_usd)} pays for fewer than {MIN_TEST} tickets."
        few = few if len(fold.test) >= MIN_TEST else "Prompting was not measured: too few held-out tickets."
        return [], None, [*notes, few]
    dev, test = rng.permutation(fold.dev)[:dev_n], rng.permutation(fold.test)[:test_n]
    examples = rng.permutation(fold.train)[: EXAMPLES[FEW]]
    trial, systems = Trial(sample, fold, dev, test, metric, examples, descriptions), list[Predictions]()
    for name in VARIANTS:
        prompts = [trial.prompt_for(name, int(row)) for row in (*dev, *test)]
        left_s = allowed_s - (time.monotonic() - began)
        try:
            answers = ask_all(llm, prompts, ANSWER_TOKENS, limit, progress, left_s)
        except UnansweredError as error:
            notes.append(f"{name} was not measured: {error}")
            break
        systems.append(_predictions(trial, name, answers))
    if not systems:
        return [], None, notes
    calls, seconds = sum(system.calls for system in systems), sum(system.seconds for system in systems)
    notes.append(
        f"For the prompts {calls:,} requests with ticket texts went to {llm.model}, {money(limit.spent_usd)}, in "
        f"{seconds:.0f} s, {MAX_CALLS_AT_ONCE} at a time."
    )
    best = max(systems, key=lambda system: system.choosing_score or 0.0).name
    return systems, best if dev_n else None, notes


def rows_in_time(
    llm: Llm, trials: Sequence[str], limit: SpendLimit, allowed_s: float
) -> tuple[int, list[str]]:
    """How many rows a self-hosted server can answer in all variants within the time, measured on a few prompts.

    At least MIN_TEST: if even these do not fit, later variants are skipped. The second value is a note where the server's
    pace limits the rows.
    """
    began = time.monotonic()
    try:
        ask_all(llm, trials, ANSWER_TOKENS, limit, silent(), allowed_s)
    except UnansweredError:
        return MAX_TEST * 4 // 3, []  # the first variant reports the server error
    pace_s = (time.monotonic() - began) / len(trials)
    rows = int(SHARE_OF_TIME * allowed_s / (len(VARIANTS) * LONGER_PROMPTS * pace_s))
    if rows >= MAX_TEST + MAX_DEV:
        return rows, []
    rows = max(rows, -(-MIN_TEST * 4 // 3))
    return rows, [
        f"The server takes {pace_s:.1f} s an answer, so prompts are asked about {rows} tickets only."
    ]


def _predictions(trial: Trial, name: str, answers: Answers) -> Predictions:
    """The held-out predictions, with the validation score."""
    sample, dev = trial.sample, trial.dev
    labels = np.array([read_answer(text or "", sample.names) for text in answers.texts])
    choosing_score = (
        score(
            sample.labels[dev],
            _without_gaps(labels[: len(dev)], sample, dev),
            trial.metric,
            len(sample.names),
        )
        if len(dev)
        else None
    )
    return Predictions(
        name,
        "prompt",
        labels[len(dev) :],
        answers.seconds,
        choosing_score=choosing_score,
        rows=trial.test,
        calls=len(labels),
        usd=answers.usd,
    )


def _without_gaps(labels: np.ndarray, sample: Sample, rows: np.ndarray) -> np.ndarray:
    """The labels; a missing answer becomes a wrong label."""
    return np.where(labels < 0, (sample.labels[rows] + 1) % len(sample.names), labels)


def prompt(
    sample: Sample, row: int, examples: Sequence[int] | np.ndarray, descriptions: Sequence[str] = ()
) -> str:
    """The instruction, the classes with their descriptions, examples if any, and the ticket between fences."""
    lines = ["Sort the ticket into exactly one of these classes and answer with the class name only.", ""]
    for number, name in enumerate(sample.names):
        lines.append(f"- {name}: {descriptions[number]}" if descriptions else f"- {name}")
    for example in examples:
        ticket = sample.rows[example]
        lines += ["", "Ticket:", fence_ticket(ticket.text), f"Class: {ticket.label}"]
    return "\n".join([*lines, "", "Ticket:", fence_ticket(sample.rows[row].text), "Class:"])


def describe_classes(sample: Sample, fold: Fold) -> tuple[str, ...]:
    """The most distinctive words of each class in the training rows, highest weight first.

    A word's weight is its share of the class's rows minus its share of all rows.
    """
    holding: list[Counter[str]] = [Counter() for _ in sample.names]
    for row in fold.train:
        holding[int(sample.labels[row])].update(set(WORD.findall(sample.rows[row].text.casefold())))
    sizes = np.bincount(sample.labels[fold.train], minlength=len(sample.names))
    every = sum(holding, Counter())
    total = max(1, len(fold.train))
    return tuple(
        ", ".join(
            sorted(words, key=lambda word: (every[word] / total - words[word] / max(1, size), word))[
                :WORDS_A_CLASS
            ]
        )
        for words, size in zip(holding, sizes, strict=True)
    )


def nearest_rows(sample: Sample, fold: Fold, row: int, count: int) -> np.ndarray:
    """The training rows most like `row`, the most similar last."""
    similar = sample.features[fold.train] @ sample.features[row]
    return np.asarray(fold.train[np.argsort(-similar)[:count][::-1]])


def read_answer(text: str, names: Sequence[str]) -> int:
    """The class that the answer names: exactly, else the longest name inside its first line, else -1."""
    first = (text.strip().splitlines() or [""])[0].strip().strip("\"'`.*").casefold()
    classes = [name.casefold() for name in names]
    if first in classes:
        return classes.index(first)
    inside = [at for at, name in enumerate(classes) if name in first]
    return max(inside, key=lambda at: len(classes[at])) if inside else -1


def _call_usd(sample: Sample, name: str, descriptions: Sequence[str], limit: SpendLimit) -> float:
    """Dollars to reserve for one call of a variant, on a typical ticket."""
    ticket = min(tokens_of(sample.texts[:500]), MAX_TICKET_CHARACTERS / 4)
    texts = [*sample.names, *descriptions] if name == DESCRIBED else sample.names
    frame = 40 + tokens_of([" ".join(f"{part} -" for part in texts)]) * 2
    return limit.estimate_usd(frame + (1 + EXAMPLES[name]) * (ticket + 12), ANSWER_TOKENS)
