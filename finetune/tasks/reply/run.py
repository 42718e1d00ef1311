"""The steps of a reply run, in order: rows, nearest past answer, training, writing, evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import most_similar
from finetune.evaluation.statistics import resample_counts
from finetune.evaluation.verdict import NEAREST_ANSWER
from finetune.llm import Llm
from finetune.progress import Progress
from finetune.reply_report import Found, conclude
from finetune.reply_scores import score_replies
from finetune.spec import Spec
from finetune.tasks.reply.data import Pairs, Written, prepare
from finetune.tasks.reply.llm_judge import judged
from finetune.tasks.reply.prompts import prompted_replies
from finetune.tasks.triage.run import TUNED_NAMES
from finetune.training.embedding import FrozenEmbedder

TRAINED = "trained.json"
PAIRS_KEPT, PAIR_TEXT = 20, 1200  # for the blind comparison by people, and characters of each text


def run_reply(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> dict[str, Any]:
    """The task's part of the report: systems, difference, examples, curve, plots and verdict."""
    rows = prepare(spec, tickets)
    embedder, test = FrozenEmbedder(), rows.test
    progress.phase("baselines")
    systems, vectors = baselines(spec, rows.train, test, embedder, progress)
    prompts = prompted_replies(llm, rows.train, test, vectors, folder, spec.seed, progress)
    progress.phase("training")
    trained = train_once(spec, rows.train, rows.dev, folder, progress)
    progress.phase("evaluating")
    tuned, facts = write_tuned(spec, test, folder, trained, progress)
    found = Found([*systems, *prompts.written, tuned], rows, vectors, trained)
    body = conclude(found, embedder, folder, spec)
    body["systems"][0] |= nearest_crossed(rows.folds, embedder, spec.seed)
    counts = {"train": len(rows.train), "dev": len(rows.dev), "test": len(test)}
    facts["dataset"] = {**counts, "classes": None, "split": rows.how}
    body["notes"] += prompts.notes
    body["api_usd"] = prompts.usd
    return judge_pairs(body, llm, prompts.usd, test, tuned, folder, spec.seed, progress) | facts


def write_tuned(
    spec: Spec, test: Pairs, folder: Path, trained: dict[str, Any], progress: Progress
) -> tuple[Written, dict[str, Any]]:
    """What the saved model writes, as a user would load it; perplexity and latency."""
    from finetune.serving.predict import load

    model = load(folder)
    began = time.perf_counter()
    answers = model.answers(test.tickets, progress.check)
    latency = {"batch_ms": 1000 * (time.perf_counter() - began) / len(test)}
    perplexity = model.perplexity(test.tickets, test.answers)
    tuned = Written(TUNED_NAMES[spec.method], "tuned", answers, trained["seconds"])
    return tuned, {"perplexity": perplexity, "latency": latency}


def judge_pairs(
    body: dict[str, Any],
    llm: Llm | None,
    spent: float,
    test: Pairs,
    tuned: Written,
    folder: Path,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """The report with the language model's judgement of the tuned answers against the best baseline's."""
    opponent: Written = body.pop("opponent")
    asked = list(opponent.asked) if opponent.asked is not None else list(range(len(test)))
    sides = [tuned.answers[i] for i in asked], opponent.answers
    left = replace(llm, spend_usd=max(llm.spend_usd - spent, 0.0)) if llm is not None else None
    names = (tuned.name, opponent.name)
    if found := judged(left, test.at(asked), names, sides, folder, seed, progress):
        body["judge"] = found
        body["notes"] = [found["sentence"], *body["notes"]]
        body["api_usd"] += found["usd"]
    body["pairs"] = kept_pairs(test.at(asked), names, sides, seed)
    return body


def kept_pairs(
    test: Pairs, names: tuple[str, str], sides: tuple[list[str], list[str]], seed: int
) -> dict[str, Any]:
    """Some tickets with both systems' answers, where these differ: what people compare blind in the channel."""
    differ = [i for i in range(len(test)) if sides[0][i].strip() != sides[1][i].strip()]
    chosen = np.random.default_rng([seed, 9]).permutation(differ)[:PAIRS_KEPT]
    rows = [
        {
            "ticket": test.tickets[i][-PAIR_TEXT:],
            "tuned": sides[0][i][:PAIR_TEXT],
            "baseline": sides[1][i][:PAIR_TEXT],
        }
        for i in map(int, chosen)
    ]
    return {"tuned": names[0], "baseline": names[1], "rows": rows}


def nearest_crossed(folds: Sequence[Pairs], embedder: FrozenEmbedder, seed: int) -> dict[str, Any]:
    """For few rows, the nearest past answer over all folds, each ticket answered from the others."""
    if not folds:
        return {}
    vectors = [embedder(fold.tickets) for fold in folds]
    written: list[str] = []
    for at, mine in enumerate(vectors):
        others = [number for number in range(len(folds)) if number != at]
        past = [answer for number in others for answer in folds[number].answers]
        near = most_similar(np.concatenate([vectors[number] for number in others]), mine)
        written += [past[i] for i in near]
    tickets = [text for fold in folds for text in fold.tickets]
    real = [text for fold in folds for text in fold.answers]
    counts = resample_counts(len(real), seed)
    entry, _ = score_replies(NEAREST_ANSWER, "baseline", written, real, tickets, embedder, counts, 0.0)
    scores = {"chrf": entry["chrf"], "rouge_l": entry["rouge_l"]}
    return {"cross_validated": {**scores, "rows": len(real), "folds": len(folds)}}


def baselines(
    spec: Spec, train: Pairs, test: Pairs, embedder: FrozenEmbedder, progress: Progress
) -> tuple[list[Written], tuple[np.ndarray, np.ndarray]]:
    """The embeddings of both sides' tickets with the nearest past answer, and the base model before tuning where it has trained weights."""
    began = time.perf_counter()
    past, now = embedder(train.tickets, progress.check), embedder(test.tickets, progress.check)
    answers = [train.answers[i] for i in most_similar(past, now)]
    found = [Written(NEAREST_ANSWER, "baseline", answers, time.perf_counter() - began)]
    if spec.method != "scratch":
        from finetune.tasks.reply.model import untuned

        began = time.perf_counter()
        answers = untuned(spec).answers(test.tickets, progress.check)
        found.append(Written("Base model, untuned", "baseline", answers, time.perf_counter() - began))
    return found, (past, now)


def train_once(spec: Spec, train: Pairs, dev: Pairs, folder: Path, progress: Progress) -> dict[str, Any]:
    """Train unless this folder already did; returns steps, seconds and curve."""
    done = folder / TRAINED
    if done.is_file():
        progress.note(
            "Training was already finished in this folder: going on with its evaluation.", keep=False
        )
        return json.loads(done.read_text())
    from finetune.tasks.reply.model import train_reply

    sides = (train.tickets, train.answers), (dev.tickets, dev.answers)
    fitted = train_reply(spec, *sides, folder, progress)
    result = {"history": fitted.history, "steps": fitted.steps, "seconds": fitted.seconds}
    done.write_text(json.dumps(result))
    return result
