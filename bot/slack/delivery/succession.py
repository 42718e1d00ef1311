"""From a retrained model to the one on duty: both meet the same fresh tickets, and a new one that is shown better takes over."""

from __future__ import annotations

import logging

from bot.errors import BotError
from bot.slack.launch import launch_deployment
from bot.slack.on_duty import find_version
from bot.slack.payload import Place
from bot.slack.retraining import LEAST_FRESH, comparison, judged_tickets, rights, shortage, to_compare
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


def follow(services: Services, watch: Watch, model: ServedModel) -> str:
    """One look at the watch's successor: what the channel is to be told, "" while it is not there yet."""
    assert watch.successor is not None
    engine, place = services.ledger.engine, services.duty.place if services.duty else None
    job = services.ledger.job(watch.successor)
    if job.state not in END_STATES or place is None:
        return ""
    if job.state != State.SUCCEEDED:
        return _end(
            services, watch, f"Job {job.id} gave no model ({job.state}), so {watch.version} stays on duty."
        )
    folder = find_version(place, job.id)
    if folder is None:
        return _deploy(services, watch, job)
    rows = judged_tickets(duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id))
    fresh = to_compare(rows)
    if len(fresh) < LEAST_FRESH:
        return _end(
            services,
            watch,
            f"{shortage(len(fresh))} {watch.version} stays on duty; judge more, then retrain.",
        )
    try:
        new = load_version(folder, watch.error_rate)
    except FinetuneError as error:
        return _end(services, watch, f"{error} {watch.version} stays on duty.")
    is_better, figures = comparison(rights(model, fresh), rights(new, fresh))
    if not is_better:
        return _end(
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


def _deploy(services: Services, watch: Watch, job: Job) -> str:
    """Has the version made, once; what to tell where it cannot be."""
    deployments = services.ledger.jobs(kind=DEPLOY, dataset=job.dataset, limit=50)
    mine = next((one for one in deployments if one.spec.get("model") == job.id), None)
    if mine is not None and mine.state in END_STATES and mine.state != State.SUCCEEDED:
        return _end(
            services,
            watch,
            f"No version of {job.id} was made ({mine.error or mine.state}): {watch.version} stays.",
        )
    if mine is None:
        request = Place(watch.by, watch.team, watch.channel, job.thread_ts, f"deploy:{job.id}:succession")
        try:
            launch_deployment(services, job, request)
        except (BotError, WorkerError) as error:
            return _end(services, watch, f"No version of {job.id} can be made: {error}")
    return ""


def _end(services: Services, watch: Watch, text: str) -> str:
    """Forget the successor; the text, unless someone was faster."""
    return text if duty.change_watch(services.ledger.engine, watch, {"successor": None}) else ""
