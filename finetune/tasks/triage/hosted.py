"""Triage by a hosted model: its training chats, and its evaluation on held-out tickets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.artifacts import CARD, MODEL
from finetune.data.drawing import draw_rows
from finetune.data.split import split
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import CheapMethods, best_trained, score_baselines
from finetune.evaluation.learning_curve import Answers as Labels
from finetune.evaluation.learning_curve import rising_classes
from finetune.evaluation.predictions import Predictions
from finetune.evaluation.prompting import read_answer
from finetune.evaluation.sample import drop_embeddings
from finetune.hosted import card_of, prompts_folder
from finetune.llm import fence_ticket
from finetune.methods import PILOT
from finetune.progress import Progress
from finetune.reports.finetune import FinetuneReport, Latency
from finetune.reports.parts import Spent
from finetune.tasks.triage.data import prepare
from finetune.tasks.triage.prompts import prompt_answers
from finetune.tasks.triage.run import Answers, curve_of, save_baseline, write_report
from finetune.training.embedding import embedder_for
from finetune.training.summary import TrainingSummary

if TYPE_CHECKING:
    from finetune.spec import Spec
    from finetune.tasks import HostedModel

ANSWER_TOKENS = 12


def question(text: str) -> str:
    """The question for one ticket, in the form of the training chats: short, as the model has learned the queues."""
    return f"Sort this support ticket and answer with the name of its queue only.\n{fence_ticket(text)}"


def chats(spec: Spec, tickets: Tickets) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The training and validation chats; the split is that of the evaluation."""
    rows = tuple(row for row in draw_rows(tickets, spec.seed).rows if row.label is not None)
    cut = split(Tickets(rows, "triage"), spec.seed)
    queues = {rows[i].label for i in cut.train}
    train = [(question(rows[i].text), str(rows[i].label)) for i in cut.train]
    dev = [(question(rows[i].text), str(rows[i].label)) for i in cut.dev if rows[i].label in queues]
    return train, dev


def run(spec: Spec, tickets: Tickets, folder: Path, progress: Progress, model: HostedModel) -> FinetuneReport:
    """The task's part of the report: the hosted model beside the cheap methods on the same held-out tickets.

    Each is asked once, without its label; an answer that is no queue counts as wrong. There are no confidences.
    """
    embedder, spec = embedder_for(tickets.texts), replace(spec, method=PILOT.name)
    sample = prepare(spec, tickets, embedder, folder, progress)
    cheap = CheapMethods(sample)
    progress.phase("baselines")
    baselines, _ = score_baselines(sample, cheap, "accuracy", progress)
    save_baseline(spec, sample, cheap, folder, embedder)
    progress.phase("evaluating")
    rows = sample.once.test
    questions = [question(sample.rows[i].text) for i in rows]
    outcome = model.endpoint.answers(questions, ANSWER_TOKENS, model.spend_usd, folder, progress)
    labels = np.array([read_answer(text or "", sample.names) for text in outcome.texts], dtype=int)
    odd = int((labels < 0).sum())
    labels = np.where(labels < 0, (sample.labels[rows] + 1) % len(sample.names), labels)
    ours = Predictions(model.title, "tuned", labels, outcome.seconds)
    curve: Labels = {}
    points = curve_of(sample, cheap, best_trained(baselines).name, spec.seed, progress, curve)
    (folder / MODEL).mkdir(exist_ok=True)
    card = card_of(model.endpoint, model.platform, model.base_model, "triage", classes=list(sample.names))
    (folder / MODEL / CARD).write_text(json.dumps(card, indent=1))
    drop_embeddings(folder)
    llm = model.llm_after(outcome.usd)
    prompts = prompt_answers(llm, sample, prompts_folder(folder), spec.seed, progress)
    answers = Answers(sample, baselines, ours, prompts)
    latency = Latency(1000 * outcome.seconds / len(rows), usd_per_1000=1000 * outcome.usd / len(rows))
    training = TrainingSummary(model.history, seconds=outcome.seconds)
    report = write_report(answers, training, latency, points, folder, rising_classes(sample, curve))
    notes = [f"{odd} of {len(rows)} answers named no queue: they count as wrong."] if odd else []
    return replace(
        report, spent=Spent(api_usd=report.spent.api_usd + outcome.usd), notes=(*report.notes, *notes)
    )
