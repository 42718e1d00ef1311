"""Replies by a hosted model: its training chats, and its evaluation on held-out tickets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.artifacts import CARD, MODEL
from finetune.data.drawing import draw_rows
from finetune.data.ticket import Tickets
from finetune.hosted import card_of, prompts_folder
from finetune.llm import LONGEST_ANSWER, fence_ticket
from finetune.methods import METHODS, PILOT
from finetune.progress import Progress
from finetune.reports.finetune import FinetuneReport, Latency
from finetune.reports.parts import DatasetPart, Spent
from finetune.tasks.reply.data import Pairs, WrittenAnswers, prepare
from finetune.tasks.reply.prompts import prompted_replies
from finetune.tasks.reply.run import RunOutputs, baselines, judge_pairs, nearest_crossed, write_report
from finetune.training.embedding import FrozenEmbedder
from finetune.training.summary import TrainingSummary

if TYPE_CHECKING:
    from finetune.spec import Spec
    from finetune.tasks import HostedModel


def question(text: str) -> str:
    """The question for one ticket, in the form of the training chats."""
    return f"Write the customer-service agent's next answer to this ticket.\n{fence_ticket(text)}"


def chats(spec: Spec, tickets: Tickets) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The training and validation chats; the split is that of the evaluation."""
    rows = prepare(spec, draw_rows(tickets, spec.seed))
    return _pairs(rows.train), _pairs(rows.dev)


def _pairs(side: Pairs) -> list[tuple[str, str]]:
    return [(question(text), answer) for text, answer in zip(side.tickets, side.answers, strict=True)]


def run(spec: Spec, tickets: Tickets, folder: Path, progress: Progress, model: HostedModel) -> FinetuneReport:
    """The task's part of the report: the hosted model's replies beside the nearest past answer, and pairs to compare blind."""
    rows = prepare(spec, tickets)
    embedder, test = FrozenEmbedder(), rows.test
    scratch = next(one.name for one in METHODS.values() if one.network and not one.pretrained)
    progress.phase("baselines")
    systems, vectors = baselines(
        replace(spec, method=scratch), rows.train, test, embedder, progress
    )  # no base model is at hand to ask
    progress.phase("evaluating")
    questions = [question(text) for text in test.tickets]
    outcome = model.endpoint.answers(questions, LONGEST_ANSWER, model.spend_usd, folder, progress)
    ours = WrittenAnswers(model.title, "tuned", [text or "" for text in outcome.texts], outcome.seconds)
    (folder / MODEL).mkdir(exist_ok=True)
    card = card_of(model.endpoint, model.platform, model.base_model, "reply")
    (folder / MODEL / CARD).write_text(json.dumps(card, indent=1))
    llm, beside = model.llm_after(outcome.usd), prompts_folder(folder)
    prompts = prompted_replies(llm, rows.train, test, vectors, beside, spec.seed, progress)
    outputs = RunOutputs([*systems, *prompts.written, ours], rows, vectors, TrainingSummary(model.history))
    report, opponent = write_report(outputs, embedder, folder, replace(spec, method=PILOT.name))
    nearest, *others = report.systems
    nearest = replace(nearest, cross_validated=nearest_crossed(rows.folds, embedder, spec.seed))
    each = 1000 / len(test)
    report = replace(
        report,
        systems=(nearest, *others),
        notes=(*report.notes, *prompts.notes),
        spent=Spent(api_usd=outcome.usd + prompts.usd),
        dataset=DatasetPart(train=len(rows.train), dev=len(rows.dev), test=len(test), split=rows.how),
        latency=Latency(each * outcome.seconds, usd_per_1000=each * outcome.usd),
    )
    return judge_pairs(report, llm, test, (ours, opponent), beside, spec.seed, progress)
