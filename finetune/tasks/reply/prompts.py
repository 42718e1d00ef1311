"""Prompting among a reply run's baselines: a language model's answers without training, within a cap.

Zero-shot, and with the most similar past tickets and their answers. Kept in the job's folder: a run that
resumes does not pay twice.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import PROMPTED
from finetune.evaluation.prompting import LEAST_TEST, RETRIEVED, ZERO
from finetune.llm import Llm, Purse, UnansweredError, ask_all, fenced, price_of, priced_as
from finetune.progress import Progress
from finetune.tasks.reply.data import Pairs, WrittenAnswers

EXAMPLES = {ZERO: 0, RETRIEVED: 4}
MOST_TEST = 60
ANSWER_TOKENS = 200
SHARE = 0.6  # of the cap; the judge has the rest
ORDER = (
    "You are a customer-service agent. Write the agent's next answer to the last ticket below: as short as the "
    "examples if there are any, with no fact that is not in the ticket. Answer with its text only."
)


@dataclass(frozen=True)
class PromptedReplies:
    """What was written, what it came to, and what a reader must know."""

    written: tuple[WrittenAnswers, ...] = ()
    usd: float = 0.0
    notes: tuple[str, ...] = ()


def prompted_replies(
    llm: Llm | None,
    train: Pairs,
    test: Pairs,
    vectors: tuple[np.ndarray, np.ndarray],
    folder: Path,
    seed: int,
    progress: Progress,
) -> PromptedReplies:
    """The prompts' answers to some test tickets; `vectors` are the embeddings of train's and test's tickets."""
    if llm is None:
        return PromptedReplies()
    kept = folder / PROMPTED
    if kept.is_file():
        return _read(json.loads(kept.read_text()))
    made = _ask(llm, train, test, vectors, seed, progress)
    draft = kept.with_suffix(".part")
    draft.write_text(json.dumps(asdict(made)))
    draft.replace(kept)
    for note in made.notes:
        progress.note(note)
    return made


def _ask(
    llm: Llm,
    train: Pairs,
    test: Pairs,
    vectors: tuple[np.ndarray, np.ndarray],
    seed: int,
    progress: Progress,
) -> PromptedReplies:
    priced, notes = priced_as(llm.model, llm.prices)
    if not priced:
        return PromptedReplies(notes=tuple(notes))
    rows = np.random.default_rng([seed, 6]).permutation(len(test))[:MOST_TEST]
    prompts = {name: [_prompt(name, train, test, vectors, int(row)) for row in rows] for name in EXAMPLES}
    purse = Purse(SHARE * llm.spend_usd, llm.prices, priced)
    each = sum(max(price_of(p, ANSWER_TOKENS, priced, llm) for p in some) for some in prompts.values())
    rows = rows[: int(purse.cap / each)]
    if len(rows) < LEAST_TEST:
        few = f"Prompting was not measured: ${purse.cap:.2f} pays for fewer than {LEAST_TEST} tickets."
        few = few if len(test) >= LEAST_TEST else "Prompting was not measured: too few test tickets."
        return PromptedReplies(notes=(*notes, few))
    written = []
    for name, some in prompts.items():
        began = time.perf_counter()
        try:
            said = ask_all(llm, some[: len(rows)], ANSWER_TOKENS, purse, priced, progress)
        except UnansweredError as error:
            notes.append(f"{name} was not measured: {error}")
            break
        asked = tuple(int(row) for row in rows)
        answers = [text or "" for text in said]
        written.append(WrittenAnswers(name, "baseline", answers, time.perf_counter() - began, asked))
    calls = len(written) * len(rows)
    if calls:
        notes.append(
            f"For the prompts {calls:,} requests with ticket texts went to {llm.model}, ${purse.spent:.2f}."
        )
    return PromptedReplies(tuple(written), purse.spent, tuple(notes))


def _prompt(name: str, train: Pairs, test: Pairs, vectors: tuple[np.ndarray, np.ndarray], row: int) -> str:
    past, now = vectors
    near = np.argsort(-(past @ now[row]))[: EXAMPLES[name]][::-1]
    parts = [ORDER]
    parts += [f"Ticket:\n{fenced(train.tickets[at])}\nAnswer:\n{fenced(train.answers[at])}" for at in near]
    return "\n\n".join([*parts, f"Ticket:\n{fenced(test.tickets[row])}\nAnswer:"])


def _read(kept: dict[str, Any]) -> PromptedReplies:
    written = tuple(replace(WrittenAnswers(**one), asked=tuple(one["asked"])) for one in kept["written"])
    return PromptedReplies(written, kept["usd"], tuple(kept["notes"]))
