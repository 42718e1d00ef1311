"""Promotes a retrained model: compares it with the model on duty on the same fresh tickets; the better one stays on duty."""

from __future__ import annotations

import logging

from bot.errors import BotError
from bot.slack.launch import launch_deployment
from bot.slack.on_duty import find_version
from bot.slack.payload import RequestOrigin
from bot.slack.retraining import (
    LEAST_FRESH,
    compare_models,
    comparison_tickets,
    correct_flags,
    judged_tickets,
    shortage_text,
)
from bot.slack.services import Services
from finetune.errors import FinetuneError
from finetune.serving.answers import ServedModel
from finetune.serving.deploy import load_version
from worker.errors import WorkerError
from worker.jobs.records import Job
from worker.jobs.states import END_STATES, State
from worker.kinds.deploy import DEPLOY
from worker.ledger import duty
from worker.ledger.duty import Watch

log = logging.getLogger(__name__)


def promote_successor(services: Services, watch: Watch, model: ServedModel) -> str:
    """Checks the watch's successor and promotes it if it is better; returns the note for the channel, "" while there is none."""
    assert watch.successor is not None
    engine, versions_folder = services.ledger.engine, services.duty.versions_folder if services.duty else None
    job = services.ledger.job(watch.successor)
    if job.state not in END_STATES or versions_folder is None:
        return ""
    if job.state != State.SUCCEEDED:
        return _drop_successor(
            services, watch, f"Job {job.id} gave no model ({job.state}), so {watch.version} stays on duty."
        )
    folder = find_version(versions_folder, job.id)
    if folder is None:
        return _ensure_version(services, watch, job)
    rows = judged_tickets(duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id))
    fresh = comparison_tickets(rows)
    if len(fresh) < LEAST_FRESH:
        return _drop_successor(
            services,
            watch,
            f"{shortage_text(len(fresh))} {watch.version} stays on duty; judge more, then retrain.",
        )
    try:
        new = load_version(folder, watch.error_rate)
    except FinetuneError as error:
        return _drop_successor(services, watch, f"{error} {watch.version} stays on duty.")
    is_better, figures = compare_models(correct_flags(model, fresh), correct_flags(new, fresh))
    if not is_better:
        return _drop_successor(
            services,
            watch,
            f"🔁 The retrained model {job.id} is not shown to be better: {figures}. {watch.version} stays on duty.",
        )
    now = services.clock()
    values = {"version": job.id, "successor": None, "threshold": None, "mode_at": now, "why": ""}
    if not duty.change_watch(engine, watch, values):
        return ""
    name = folder.parents[1].name
    return (
        f"🔁 Model {job.id} takes over from {watch.version} in this channel: {figures}. What is served over HTTP stays as it is: "
        f"`trainwise versions {name} --use {job.id}` makes this model the served one."
    )


def _ensure_version(services: Services, watch: Watch, job: Job) -> str:
    """Launches the job that makes the successor's version, once; returns the note when it cannot be made."""
    deployments = services.ledger.jobs(kind=DEPLOY, dataset=job.dataset, limit=50)
    mine = next((one for one in deployments if one.spec.get("model") == job.id), None)
    if mine is not None and mine.state in END_STATES and mine.state != State.SUCCEEDED:
        return _drop_successor(
            services,
            watch,
            f"No version of {job.id} was made ({mine.error or mine.state}): {watch.version} stays.",
        )
    if mine is None:
        origin = RequestOrigin(
            watch.by, watch.team, watch.channel, job.thread_ts, f"deploy:{job.id}:succession"
        )
        try:
            launch_deployment(services, job, origin)
        except (BotError, WorkerError) as error:
            return _drop_successor(services, watch, f"No version of {job.id} can be made: {error}")
    return ""


def _drop_successor(services: Services, watch: Watch, text: str) -> str:
    """Removes the successor from the watch; returns the text, or "" when another bot was faster."""
    return text if duty.change_watch(services.ledger.engine, watch, {"successor": None}) else ""
