"""The prompting rungs: zero-shot, few-shot and retrieved examples through a callable, within a spending cap.

Every variant answers the same randomly drawn held-out tickets; which one counts is decided on choosing rows.
Tickets go into the prompt as data between fences; an answer that is no class name counts as wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from finetune.cost import CostError, api_request, cheapest_api, tokens_of
from finetune.ladder import Rung, rung, score
from finetune.progress import Progress
from finetune.sample import Fold, Sample

ZERO, FEW, RETRIEVED = "Prompt, zero-shot", "Prompt, few examples", "Prompt, retrieved examples"
VARIANTS = (ZERO, FEW, RETRIEVED)
EXAMPLES = {ZERO: 0, FEW: 16, RETRIEVED: 8}
MOST_TEST, MOST_DEV, LEAST_TEST = 150, 40, 20
ANSWER_TOKENS = 12
LONGEST = 1_500  # characters of a ticket in a prompt

AskLLM = Callable[[str], str]


def prompting_rungs(
    sample: Sample,
    ask: AskLLM,
    model: str | None,
    spend_usd: float,
    prices: Mapping[str, Any],
    metric: str,
    seed: int,
    progress: Progress,
) -> tuple[list[Rung], str | None, list[str]]:
    """The rungs that could be afforded, the name of the best by choosing rows, and warnings.

    Costs are estimated from words, before each call, and the cap is never passed.
    """
    fold, rng = sample.folds[0], np.random.default_rng([seed, 5])
    try:
        per_call = {name: _call_usd(sample, name, model or cheapest_api(prices), prices) for name in VARIANTS}
    except CostError as error:
        return [], None, [f"Prompting was not measured, for its price is unknown: {error}"]
    share = spend_usd / sum(per_call.values())
    dev_n = min(MOST_DEV, len(fold.dev), int(share * 0.25))
    test_n = min(MOST_TEST, len(fold.test), int(share * 0.75))
    if test_n < LEAST_TEST:
        return (
            [],
            None,
            [f"Prompting was not measured: ${spend_usd:.2f} pays for fewer than {LEAST_TEST} tickets."],
        )
    dev, test = rng.permutation(fold.dev)[:dev_n], rng.permutation(fold.test)[:test_n]
    rungs: list[Rung] = []
    for name in VARIANTS:
        try:
            rungs.append(_measure(sample, fold, ask, name, dev, test, per_call[name], metric, rng, progress))
        except UnansweredError as error:
            return rungs, None, [f"Prompting stopped: the model did not answer ({error})."]
    best = max(rungs, key=lambda made: made.dev or 0.0).name if dev_n else RETRIEVED
    return rungs, best, []


class UnansweredError(Exception):
    """Three calls in a row failed."""


def _measure(
    sample: Sample,
    fold: Fold,
    ask: AskLLM,
    name: str,
    dev: np.ndarray,
    test: np.ndarray,
    usd: float,
    metric: str,
    rng: np.random.Generator,
    progress: Progress,
) -> Rung:
    began, failed = time.perf_counter(), 0
    fixed = rng.permutation(fold.train)[: EXAMPLES[FEW]] if name == FEW else np.array([], dtype=int)
    answers = []
    rows = [*dev, *test]
    for number, row in enumerate(rows, 1):
        progress.check()
        examples = nearest_rows(sample, fold, row, EXAMPLES[RETRIEVED]) if name == RETRIEVED else fixed
        try:
            answers.append(read_answer(ask(prompt(sample, row, examples)), sample.names))
            failed = 0
        except Exception as error:  # an edge: the callable may speak to any server
            answers.append(-1)
            failed += 1
            if failed >= 3:
                raise UnansweredError(type(error).__name__) from error
        progress.step(number, len(rows), None, (time.perf_counter() - began) / number * (len(rows) - number))
    found, truth = np.array(answers), sample.labels[test]
    seconds = time.perf_counter() - began
    made = rung(name, "prompt", found[len(dev) :], truth, len(sample.names), seconds)
    known = score(sample.labels[dev], found[: len(dev)], metric, len(sample.names)) if len(dev) else None
    extra = {"rows": len(test), "calls": len(rows)}
    return Rung(**{**vars(made), "dev": known, "usd": usd * len(rows), "extra": extra})


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
