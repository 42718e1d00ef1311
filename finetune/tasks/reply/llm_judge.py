"""An LLM judge of two systems' replies; it reads each pair twice with swapped positions.

A judgement counts only if both readings agree; the share of agreement is part of the result.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from finetune.artifacts import JUDGED, write_whole
from finetune.evaluation.statistics import wilson
from finetune.llm import Llm, SpendLimit, UnansweredError, ask_all, fence_ticket
from finetune.pricing import tokens_of
from finetune.progress import Progress
from finetune.reports.finetune import Judgement
from finetune.reports.parts import Interval, plain
from finetune.tasks.reply.data import Pairs

MAX_PAIRS, MIN_PAIRS = 40, 10
ANSWER_TOKENS = 20
MIN_CONSISTENT_SHARE = 0.6  # below this share of consistent judgements the judge is undecided
ORDER = (
    "Two agents answered the same customer. Which answer serves the customer better: right, complete, to the "
    "point, polite? The answer that was really sent is given for its facts. Reply with the digit 1 or 2, or "
    "with 0 if they are equally good, and with nothing else."
)
DIGIT = re.compile(r"\b[012]\b")


def judge_answers(
    llm: Llm | None,
    test: Pairs,
    names: tuple[str, str],
    answers: tuple[list[str], list[str]],
    folder: Path,
    seed: int,
    progress: Progress,
) -> Judgement | None:
    """What the judge says of (tuned, baseline) `answers` to the same tickets; None without a language model.

    Shares have Wilson's 95% interval; the judgement is kept in `folder`.
    """
    if llm is None:
        return None
    file = folder / JUDGED
    if file.is_file():
        return Judgement.from_json(json.loads(file.read_text()))
    verdict = _judge(llm, test, names, answers, folder, seed, progress)
    write_whole(file, json.dumps(plain(verdict)))
    return verdict


def _judge(
    llm: Llm,
    test: Pairs,
    names: tuple[str, str],
    answers: tuple[list[str], list[str]],
    folder: Path,
    seed: int,
    progress: Progress,
) -> Judgement:
    base = Judgement(str(llm.model), names[1])
    try:
        limit = SpendLimit(llm, folder)
    except UnansweredError as error:
        return replace(base, sentence=f"The replies were not judged: {error}")
    rows = np.random.default_rng([seed, 8]).permutation(len(test))[:MAX_PAIRS]
    pairs = [
        (_prompt(test, answers, int(row), False), _prompt(test, answers, int(row), True)) for row in rows
    ]
    dearest = max(
        (limit.estimate_usd(tokens_of([text]), ANSWER_TOKENS) for pair in pairs for text in pair), default=1.0
    )
    pairs = pairs[: limit.affordable(2 * dearest)]
    if len(pairs) < MIN_PAIRS:
        few = f"The replies were not judged: fewer than {MIN_PAIRS} pairs could be afforded."
        return replace(base, sentence=few)
    try:
        prompts = [text for pair in pairs for text in pair]
        texts = ask_all(llm, prompts, ANSWER_TOKENS, limit, progress).texts
    except UnansweredError as error:
        return replace(base, sentence=f"The replies were not judged: {error}", usd=limit.spent_usd)
    votes = [_vote(texts[place], texts[place + 1]) for place in range(0, len(texts), 2)]
    return replace(count_votes(votes, base.model, base.against), usd=limit.spent_usd)


def _prompt(test: Pairs, answers: tuple[list[str], list[str]], row: int, swap: bool) -> str:
    first, second = (answers[1], answers[0]) if swap else answers
    parts = [
        ORDER,
        f"Ticket:\n{fence_ticket(test.tickets[row])}",
        f"Really sent:\n{fence_ticket(test.answers[row])}",
    ]
    parts += [f"Answer 1:\n{fence_ticket(first[row])}", f"Answer 2:\n{fence_ticket(second[row])}", "Better:"]
    return "\n\n".join(parts)


def _vote(straight: str | None, reverse: str | None) -> str | None:
    """tuned, baseline or equal where both readings agree, "unsteady" where not, None where one is missing."""
    readings = [_read(straight, "12"), _read(reverse, "21")]
    if None in readings:
        return None
    return readings[0] if readings[0] == readings[1] else "unsteady"


def _read(answer: str | None, order: str) -> str | None:
    digit = DIGIT.search(answer or "")
    if digit is None:
        return None
    return {"0": "equal", order[0]: "tuned", order[1]: "baseline"}[digit[0]]


def count_votes(votes: list[str | None], model: str, against: str) -> Judgement:
    """The votes as counts, shares with intervals, and one sentence."""
    read = [vote for vote in votes if vote is not None]
    ours, theirs, equal = (read.count(name) for name in ("tuned", "baseline", "equal"))
    steady = ours + theirs + equal
    consistency, wins = wilson(steady, len(read)), wilson(ours, ours + theirs)
    sentence = (
        f"LLM judge ({model}): of {len(read)} pairs read twice with the answers swapped, {steady} judgements "
        f"held ({_percent(consistency)})"
    )
    if consistency.value < MIN_CONSISTENT_SHARE:
        sentence += "; too few to say which is better."
    elif ours + theirs == 0:
        sentence += "; it found them equally good."
    else:
        sentence += (
            f"; the tuned model won {ours} of {ours + theirs} decided against {against} ({_percent(wins)})."
        )
    return Judgement(
        model,
        against,
        len(read),
        sentence=sentence,
        consistent=steady,
        tuned=ours,
        baseline=theirs,
        equal=equal,
        consistent_share=consistency,
        tuned_share=wins,
    )


def _percent(share: Interval) -> str:
    return f"{share.value:.0%}, {100 * share.low:.0f} to {100 * share.high:.0f}"
