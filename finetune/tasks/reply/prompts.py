"""Prompting among a reply run's baselines: a language model's answers without training, within a cap.

Zero-shot, and with the most similar past tickets and their answers. Kept in the job's folder: a run that
resumes does not pay twice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import PROMPTED, write_whole
from finetune.evaluation.prompting import MIN_TEST, RETRIEVED, ZERO
from finetune.llm import Llm, SpendLimit, UnansweredError, ask_all, fence_ticket
from finetune.pricing import money, tokens_of
from finetune.progress import Progress
from finetune.tasks.reply.data import Pairs, WrittenAnswers

EXAMPLES = {ZERO: 0, RETRIEVED: 4}
MAX_TEST = 60
ANSWER_TOKENS = 200
PROMPTS_SHARE = 0.6  # of the cap; the judge has the rest
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
    file = folder / PROMPTED
    if file.is_file():
        return _read(json.loads(file.read_text()))
    replies = _ask(llm, train, test, vectors, folder, seed, progress)
    write_whole(file, json.dumps(asdict(replies)))
    for note in replies.notes:
        progress.note(note)
    return replies


def _ask(
    llm: Llm,
    train: Pairs,
    test: Pairs,
    vectors: tuple[np.ndarray, np.ndarray],
    folder: Path,
    seed: int,
    progress: Progress,
) -> PromptedReplies:
    try:
        limit = SpendLimit(llm, folder, PROMPTS_SHARE)
    except UnansweredError as error:
        return PromptedReplies(notes=(f"Prompting was not measured: {error}",))
    notes = limit.notes
    rows = np.random.default_rng([seed, 6]).permutation(len(test))[:MAX_TEST]
    prompts = {name: [_prompt(name, train, test, vectors, int(row)) for row in rows] for name in EXAMPLES}
    each = sum(
        max((limit.estimate_usd(tokens_of([text]), ANSWER_TOKENS) for text in texts), default=0.0)
        for texts in prompts.values()
    )
    rows = rows[: limit.affordable(each)]
    if len(rows) < MIN_TEST:
        few = f"Prompting was not measured: {money(limit.cap_usd)} pays for fewer than {MIN_TEST} tickets."
        few = few if len(test) >= MIN_TEST else "Prompting was not measured: too few test tickets."
        return PromptedReplies(notes=(*notes, few))
    systems = []
    for name, texts in prompts.items():
        try:
            answers = ask_all(llm, texts[: len(rows)], ANSWER_TOKENS, limit, progress)
        except UnansweredError as error:
            notes.append(f"{name} was not measured: {error}")
            break
        replies = [text or "" for text in answers.texts]
        systems.append(
            WrittenAnswers(name, "baseline", replies, answers.seconds, tuple(int(row) for row in rows))
        )
    calls = len(systems) * len(rows)
    if calls:
        notes.append(
            f"For the prompts {calls:,} requests with ticket texts went to {llm.model}, {money(limit.spent_usd)}."
        )
    return PromptedReplies(tuple(systems), limit.spent_usd, tuple(notes))


def _prompt(name: str, train: Pairs, test: Pairs, vectors: tuple[np.ndarray, np.ndarray], row: int) -> str:
    past, now = vectors
    near = np.argsort(-(past @ now[row]))[: EXAMPLES[name]][::-1]
    parts = [ORDER]
    parts += [
        f"Ticket:\n{fence_ticket(train.tickets[at])}\nAnswer:\n{fence_ticket(train.answers[at])}"
        for at in near
    ]
    return "\n\n".join([*parts, f"Ticket:\n{fence_ticket(test.tickets[row])}\nAnswer:"])


def _read(data: dict[str, Any]) -> PromptedReplies:
    systems = tuple(replace(WrittenAnswers(**one), rows_asked=tuple(one["asked"])) for one in data["written"])
    return PromptedReplies(systems, data["usd"], tuple(data["notes"]))
