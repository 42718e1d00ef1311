"""Accepting a job that a person asks for: allowed, priced, in the ledger; and the finished job whose model they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import whisper
from bot.slack.payload import Place
from bot.slack.services import Services, approvers_of, visible_job
from bot.slack.ui.where import usd_at
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


class Refusal(BotError):
    """The launch is not allowed; the text says why and whom to ask."""


def check_launch(services: Services, user: str, channel: str) -> Person:
    """The person, who may launch a job from this channel now; Refusal with the reason otherwise."""
    person = services.users.person(user)
    open_jobs = services.ledger.open_job_count(user)
    if denial := services.permissions.denies_launch(person, open_jobs, services.users.in_group, channel):
        raise Refusal(denial)
    return person


def launch(
    services: Services,
    kind: str,
    spec: Mapping[str, Any],
    place: Place,
    card: Card | None = None,
    goes_on_from: Job | None = None,
    machine: PlaceOffer | None = None,
) -> Job:
    """The accepted job; Refused with the reason when policy says no.

    `goes_on_from`: the job whose folder it takes up; `machine`: the platform's machine that trains, None: a worker.
    """
    person = check_launch(services, place.user, place.channel)
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
        by=place.user,
        by_name=person.name,
        team=place.team,
        channel=place.channel,
        thread_ts=place.thread_ts,
        request_key=place.request_key,
        estimate_usd=round(budget or expected, 4),
        approval=approval,
        approvers=approvers_of(services) if approval else (),
        month_limit_usd=services.permissions.month_budget_usd,
        retry_of=goes_on_from,
        platform=machine.platform.name if machine else None,
        machine=machine.offer.name if machine else None,
    )
    job = services.ledger.submit(request)
    services.wake()
    return job


def say_where(client: WebClient, job: Job | None) -> None:
    """Tells the launcher alone where the card is, when the channel does not hear of starts."""
    if job is not None and job.card_channel:
        text = f"Job `{job.id}` is on its way. This channel is not told of starts: its card is in your messages with me."
        whisper(client, text, job.channel, job.by, job.thread_ts, mark="🔕")


def model_job(services: Services, job_id: str, user: str, channel: str) -> Job:
    """The finished fine-tune, if this person may see it from this channel; BotError says what is wrong."""
    job = visible_job(services, job_id, user, channel)
    if not kind_of(job.kind).leaves_model or job.state != State.SUCCEEDED:
        raise BotError(f"Job {job.id} left no model to try. Only a finished fine-tune does.")
    return job


def launch_deployment(services: Services, job: Job, place: Place) -> Job:
    """The accepted job that makes a version of this one's model."""
    spec = {"model": job.id, "root": job.root, "dataset": job.dataset}
    return launch(services, DEPLOY, spec, place)
