"""Launches a job for a person: checks permissions, estimates the cost, submits it to the ledger; finds finished models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import send_ephemeral
from bot.slack.payload import RequestOrigin
from bot.slack.services import Services, approvers_of, visible_job
from bot.slack.ui.machine_choice import usd_at
from bot.slack.users import Person
from finetune.data.card import Card
from finetune.estimate import estimate_run
from finetune.platforms.contract import PlaceOffer
from finetune.spec import Spec
from worker.jobs.records import Job, JobRequest
from worker.jobs.states import State
from worker.kinds import kind_of
from worker.kinds.deploy import DEPLOY

SMALL_JOB_USD = 0.05  # reserved for a measurement or one answer of a trained model


class LaunchRefusal(BotError):
    """The person may not launch the job; the text says why and whom to ask."""


def check_launch(services: Services, user: str, channel: str) -> Person:
    """The person, if they may launch a job from this channel now; else raises LaunchRefusal."""
    person = services.users.person(user)
    open_jobs = services.ledger.open_job_count(user)
    if denial := services.permissions.denies_launch(person, open_jobs, services.users.in_group, channel):
        raise LaunchRefusal(denial)
    return person


def launch(
    services: Services,
    kind: str,
    spec: Mapping[str, Any],
    origin: RequestOrigin,
    card: Card | None = None,
    previous_job: Job | None = None,
    machine: PlaceOffer | None = None,
) -> Job:
    """Submits the job and returns it; raises LaunchRefusal when the permissions deny it.

    `previous_job`: the job whose checkpoints it continues; `machine`: the platform's machine that trains, None: a worker.
    """
    person = check_launch(services, origin.user, origin.channel)
    budget = float(spec.get("budget_usd") or 0)
    expected = SMALL_JOB_USD
    if card is not None:
        estimate = estimate_run(Spec.from_json(spec), card, services.prices)
        expected = usd_at(machine, estimate) if machine else estimate.usd
    approval = services.permissions.needs_approval(budget)
    request = JobRequest(
        kind=kind,
        spec=spec,
        dataset=str(spec["dataset"]),
        by=origin.user,
        by_name=person.name,
        team=origin.team,
        channel=origin.channel,
        thread_ts=origin.thread_ts,
        request_key=origin.request_key,
        estimate_usd=round(budget or expected, 4),
        approval=approval,
        approvers=approvers_of(services) if approval else (),
        month_limit_usd=services.permissions.month_budget_usd,
        retry_of=previous_job,
        platform=machine.platform.name if machine else None,
        machine=machine.offer.name if machine else None,
    )
    job = services.ledger.submit(request)
    services.wake()
    return job


def tell_card_channel(client: WebClient, job: Job | None) -> None:
    """Tells the requester privately that the card is in their direct messages, when the channel gets no start notices."""
    if job is not None and job.card_channel:
        text = f"Job `{job.id}` is on its way. This channel is not told of starts: its card is in your messages with me."
        send_ephemeral(client, text, job.channel, job.by, job.thread_ts, mark="🔕")


def model_job(services: Services, job_id: str, user: str, channel: str) -> Job:
    """The finished fine-tune, if this person may see it from this channel; else raises BotError."""
    job = visible_job(services, job_id, user, channel)
    if not kind_of(job.kind).leaves_model or job.state != State.SUCCEEDED:
        raise BotError(f"Job {job.id} left no model to try. Only a finished fine-tune does.")
    return job


def launch_deployment(services: Services, job: Job, origin: RequestOrigin) -> Job:
    """Submits the job that deploys this job's model as a version."""
    spec = {"model": job.id, "root": job.root, "dataset": job.dataset}
    return launch(services, DEPLOY, spec, origin)
