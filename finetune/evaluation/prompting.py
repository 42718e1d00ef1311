"""Prompts as systems to compare with: zero-shot, few-shot and retrieved examples through a callable, within a spending cap.

Every variant answers the same randomly drawn held-out tickets; which one counts is decided on choosing rows.
Tickets go into the prompt as data between fences; an answer that is no class name counts as wrong.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.evaluation.predictions import Predictions, score
from finetune.evaluation.sample import Fold, Sample
from finetune.llm import AT_ONCE, LONGEST, SPARE, AskLLM, Purse, UnansweredError, priced_as
from finetune.pricing import api_request, tokens_of
from finetune.progress import Progress

ZERO, FEW, RETRIEVED = "Prompt, zero-shot", "Prompt, few examples", "Prompt, retrieved examples"
VARIANTS = (ZERO, FEW, RETRIEVED)
EXAMPLES = {ZERO: 0, FEW: 16, RETRIEVED: 8}
MOST_TEST, MOST_DEV, LEAST_TEST = 150, 40, 20
ANSWER_TOKENS = 12


@dataclass(frozen=True)
class Asked:
    """What all variants share: the rows to ask about, and with what."""

    sample: Sample
    fold: Fold
    ask: AskLLM
    dev: np.ndarray
    test: np.ndarray
    metric: str
    progress: Progress
    until: float  # time.monotonic() after which no call is begun


def prompting_systems(
    sample: Sample,
    ask: AskLLM,
    model: str | None,
    spend_usd: float,
    prices: Mapping[str, Any],
    metric: str,
    seed: int,
    progress: Progress,
    allowed_s: float = 120.0,
) -> tuple[list[Predictions], str | None, list[str]]:
    """The prompts that could be afforded, the best by choosing rows, and notes; the cap is never passed by more
    than what the calls under way were estimated too low."""
    fold, rng = sample.once, np.random.default_rng([seed, 5])
    priced, notes = priced_as(model, prices)
    if not priced:
        return [], None, notes
    per_call = {name: SPARE * _call_usd(sample, name, priced, prices) for name in VARIANTS}
    share = spend_usd / sum(per_call.values())
    dev_n = min(MOST_DEV, len(fold.dev), int(share * 0.25))
    test_n = min(MOST_TEST, len(fold.test), int(share * 0.75))
    if test_n < LEAST_TEST:
        few = f"Prompting was not measured: ${spend_usd:.2f} pays for fewer than {LEAST_TEST} tickets."
        return [], None, [*notes, few]
    dev, test = rng.permutation(fold.dev)[:dev_n], rng.permutation(fold.test)[:test_n]
    asked = Asked(sample, fold, ask, dev, test, metric, progress, time.monotonic() + allowed_s)
    fixed = rng.permutation(fold.train)[: EXAMPLES[FEW]]
    purse, systems = Purse(spend_usd, prices, priced), []
    for name in VARIANTS:
        try:
            systems.append(_measure(asked, name, fixed if name == FEW else fixed[:0], per_call[name], purse))
        except UnansweredError as error:
            notes.append(f"{name} was not measured: {error}")
            break
    if not systems:
        return [], None, notes
    calls = sum(system.calls for system in systems)
    notes.append(f"For the prompts {calls:,} requests with ticket texts went to {model}, ${purse.spent:.2f}.")
    best = max(systems, key=lambda system: system.choosing_score or 0.0).name
    return systems, best if dev_n else None, notes


def _measure(asked: Asked, name: str, fixed: np.ndarray, usd: float, purse: Purse) -> Predictions:
    """One variant's answers, AT_ONCE calls at a time; UnansweredError where time, money or the server ends."""
    began, sample, rows = time.perf_counter(), asked.sample, [*asked.dev, *asked.test]
    answers: list[int] = []
    paid = 0.0

    def one(row: int) -> tuple[int, float, str]:
        examples = nearest_rows(sample, asked.fold, row, EXAMPLES[RETRIEVED]) if name == RETRIEVED else fixed
        if not purse.set_aside(usd):
            return -1, 0.0, "the spending cap was reached."
        try:
            said = asked.ask(prompt(sample, row, examples))
        except Exception as error:  # the edge to a foreign server: whatever it does is a missing answer
            return -1, usd, f"the model did not answer ({type(error).__name__})."
        return read_answer(said.text, sample.names), purse.settle(usd, said), ""

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prompt") as pool:
        for at in range(0, len(rows), AT_ONCE):
            asked.progress.check()
            if time.monotonic() > asked.until:
                raise UnansweredError(f"{len(answers)} of {len(rows)} answers came in the time there was.")
            made = list(pool.map(one, rows[at : at + AT_ONCE]))
            if why := next((found for _, _, found in made if "cap" in found), ""):
                raise UnansweredError(why)
            if all(found for _, _, found in made):
                raise UnansweredError(made[0][2])
            answers += [answer for answer, _, _ in made]
            paid += sum(cost for _, cost, _ in made)
            left = (time.perf_counter() - began) / len(answers) * (len(rows) - len(answers))
            asked.progress.step(len(answers), len(rows), None, round(left, 1))
    return _predictions(asked, name, np.array(answers), time.perf_counter() - began, paid)


def _predictions(asked: Asked, name: str, labels: np.ndarray, seconds: float, paid: float) -> Predictions:
    """The held-out answers, with the score on the choosing rows."""
    sample, dev = asked.sample, asked.dev
    known = (
        score(sample.labels[dev], _answered(labels[: len(dev)], sample, dev), asked.metric, len(sample.names))
        if len(dev)
        else None
    )
    return Predictions(
        name,
        "prompt",
        labels[len(dev) :],
        seconds,
        choosing_score=known,
        rows=asked.test,
        calls=len(dev) + len(asked.test),
        usd=paid,
    )


def _answered(labels: np.ndarray, sample: Sample, rows: np.ndarray) -> np.ndarray:
    """The labels, with a wrong one where there is no answer."""
    return np.where(labels < 0, (sample.labels[rows] + 1) % len(sample.names), labels)


def prompt(sample: Sample, row: int, examples: Sequence[int] | np.ndarray) -> str:
    """The instruction, the classes, examples if any, and the ticket between fences."""
    lines = ["Sort the ticket into exactly one of these classes and answer with the class name only.", ""]
    lines += [f"- {name}" for name in sample.names]
    for example in examples:
        lines += ["", "Ticket:", _fenced(sample.rows[example].text), f"Class: {sample.rows[example].label}"]
    return "\n".join([*lines, "", "Ticket:", _fenced(sample.rows[row].text), "Class:"])


def _fenced(text: str) -> str:
    return '"""\n' + text[:LONGEST].replace('"""', "'''") + '\n"""'


def nearest_rows(sample: Sample, fold: Fold, row: int, count: int) -> np.ndarray:
    """The training rows most like `row`, the most similar last."""
    similar = sample.features[fold.train] @ sample.features[row]
    return np.asarray(fold.train[np.argsort(-similar)[:count][::-1]])


def read_answer(text: str, names: Sequence[str]) -> int:
    """The class that the answer names: exactly, else the longest name inside its first line, else -1."""
    first = (text.strip().splitlines() or [""])[0].strip().strip("\"'`.*").casefold()
    folded = [name.casefold() for name in names]
    if first in folded:
        return folded.index(first)
    inside = [at for at, name in enumerate(folded) if name in first]
    return max(inside, key=lambda at: len(folded[at])) if inside else -1


def _call_usd(sample: Sample, name: str, model: str, prices: Mapping[str, Any]) -> float:
    ticket = min(tokens_of(sample.texts[:500]), LONGEST / 4)
    frame = 40 + tokens_of([" ".join(f"{part} -" for part in sample.names)]) * 2
    return api_request(prices, model, frame + (1 + EXAMPLES[name]) * (ticket + 12), ANSWER_TOKENS)
