"""`/jobs` and the buttons of job cards: list, open, cancel, pause, resume, retry, approve."""

from __future__ import annotations

import time
from functools import partial

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateErrorReport, wrap_listener
from bot.slack.features import channel_settings, compare, questions
from bot.slack.payload import Body, Command, View, open_direct_channel, origin_of
from bot.slack.services import Services, approvers_of, visible_job
from bot.slack.teams import Teams
from bot.slack.ui import lists
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.forms import FormMetadata, FormValues
from bot.slack.ui.job_card import job_card
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.ui.messages import approval_end
from bot.slack.ui.report import details_modal
from bot.slack.users import Person
from worker.jobs.records import Job
from worker.jobs.states import END_STATES, State

SUMMARY = "`/jobs` lists, opens, pauses, cancels and repeats what runs; it sets notices and the budget."


def register(app: App, teams: Teams) -> None:
    """Registers `/jobs`, the buttons of job cards and approval requests, and the form for declining."""
    app.command("/jobs")(wrap_listener(teams, on_jobs))
    for action_id, verb in JOB_VERBS.items():
        app.action(action_id)(wrap_listener(teams, partial(on_job_change, verb=verb)))
    app.action("job_details")(wrap_listener(teams, on_job_details))
    app.action("job_approve")(wrap_listener(teams, on_approve))
    app.action("job_reject")(wrap_listener(teams, on_reject))
    app.view("job_reject")(wrap_listener(teams, on_reject_form))


def on_reject_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    ack()
    metadata, reason = (
        FormMetadata.parse(view["private_metadata"]),
        FormValues.of(view).values.get("reason", ""),
    )
    with PrivateErrorReport(client, metadata, body):
        person, job = services.users.person(body["user"]["id"]), services.ledger.job(metadata.about)
        if denial := services.permissions.denies_approval(person, job, services.users.in_group):
            raise BotError(denial)
        services.ledger.reject(job.id, person.id, reason[:1000], person.name)
        services.wake()


JOB_VERBS = {"job_cancel": "cancel", "job_pause": "pause", "job_resume": "resume", "job_retry": "retry"}
JOB_VERBS |= {"job_finish": "finish"}


def on_job_change(
    services: Services, verb: str, ack: Ack, body: Body, action: Body, client: WebClient
) -> None:
    """Handles the buttons cancel, pause, resume, finish and retry, for the job's requester and admins."""
    ack()
    channel, user, _ = origin_of(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    change_job(services, job, verb, user)


def on_job_details(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    ack()
    channel, user, _ = origin_of(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    view = details_modal(job, services.ledger.history(job.id))
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def job_to_approve(services: Services, job_id: str, person: Person) -> Job:
    """The job, if this person may approve it, from any channel (approvers are asked in direct messages)."""
    job = services.ledger.job(job_id[:32])
    if denial := services.permissions.denies_approval(person, job, services.users.in_group):
        raise BotError(denial)
    return job


def on_approve(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Approves a job, which queues it, and replaces the request's buttons by the approver's name."""
    ack()
    person = services.users.person(origin_of(body)[1])
    job = job_to_approve(services, str(action.get("value")), person)
    after = services.ledger.approve(job.id, person.id, by_name=person.name)
    services.wake()
    if action.get("block_id") == "approval":
        text, blocks = approval_end(after)
        respond(text=text, blocks=blocks, replace_original=True)


def on_reject(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Opens the form for the reason to decline; checks the permission here and again on submit."""
    ack()
    channel, user, _ = origin_of(body)
    job = job_to_approve(services, str(action.get("value")), services.users.person(user))
    metadata = FormMetadata(channel or open_direct_channel(client, body), None, job.id)
    questions.open_reason(client, body["trigger_id"], "job_reject", "Decline", "Why not?", metadata)


FILTERS = {
    "running": frozenset(State) - END_STATES,
    "queued": frozenset({State.QUEUED, State.RETRY_WAIT}),
    "done": END_STATES,
    "failed": frozenset({State.FAILED, State.BUDGET_STOPPED}),
}


def on_jobs(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Handles the sub-commands of `/jobs`."""
    ack()
    words = question_of(command.get("text", "")).split()
    first = words[0].lower() if words else "list"
    if len(words) <= 1 and first in ("list", "mine", "all", *FILTERS):
        jobs, title = _requested_jobs(services, command, first)
        blocks = lists.jobs_message(jobs, title, time.time())
        respond(text=lists.jobs_text(jobs), blocks=validate_message(blocks))
        return
    if first == "budget":
        channel_settings.on_budget(services, words[1:], command["team_id"], command["user_id"], respond)
        return
    if first in ("notify", "digest"):
        lower = [word.lower() for word in words]
        channel_settings.on_notify(
            services, lower, command["channel_id"], command["user_id"], client, respond
        )
        return
    if first in ("compare", "count") and len(words) == 2:
        act = compare.start_comparison if first == "compare" else compare.close_comparison
        text = act(services, words[1], command["user_id"], command["channel_id"])
        respond(text=text, response_type="ephemeral")
        return
    if first in ("open", *CHANGE_TEXTS) and len(words) != 2:
        raise BotError(f"Which job? Write `/jobs {first} JOB`; `/jobs` lists them with their ids.")
    verb, job_id = ("open", words[0]) if len(words) == 1 else (first, words[1])
    if verb not in ("open", *CHANGE_TEXTS):
        raise BotError(
            f"I do not know `/jobs {escape(one_line(verb, 40))}`. There is `/jobs`, `/jobs mine`, "
            "`/jobs running`, `/jobs done`, `/jobs notify`, `/jobs budget`, `/jobs JOB`, and `/jobs cancel`, `pause`, `resume`, "
            "`finish` (end training, keep the best) or `retry` with a job's id; `/jobs compare JOB` and `/jobs count JOB`."
        )
    job = visible_job(services, job_id, command["user_id"], command["channel_id"])
    if verb == "open":
        blocks = job_card(job, services.clock(), redis_down=not services.is_queue_up())
        respond(text=lists.jobs_text([job]), blocks=validate_message(blocks))
    else:
        after = change_job(services, job, verb, command["user_id"])
        respond(text=f"{CHANGE_TEXTS[verb]}: {lists.jobs_text([after])}", response_type="ephemeral")


CHANGE_TEXTS = {
    "cancel": "Cancelling",
    "pause": "Pausing",
    "resume": "Back in line",
    "retry": "Started again",
}
CHANGE_TEXTS |= {"finish": "Ending its training, the best weights are kept"}


def change_job(services: Services, job: Job, verb: str, user: str, why: str = "") -> Job:
    """Changes the job (cancel, pause, resume, finish, retry) and returns it; raises BotError when this person may not."""
    person = services.users.person(user)
    if denial := services.permissions.denies_change(person, job, verb):
        raise BotError(denial)
    ledger = services.ledger
    if verb == "cancel":
        after = ledger.request_cancel(job.id, user, why or f"cancelled by {person.name}")
    elif verb == "pause":
        after = ledger.request_pause(job.id, user, why)
    elif verb == "finish":
        after = ledger.request_finish(job.id, user, why)
    elif verb == "resume":
        after = ledger.resume(job.id, user, why)
    else:
        after = _retry(services, job, person)
    services.wake()
    return after


def _retry(services: Services, job: Job, person: Person) -> Job:
    """Submits the retry of this job; raises BotError when an open retry exists, so two clicks launch one job."""
    again = [one for one in services.ledger.jobs(channel=job.channel, limit=200) if one.retry_of == job.id]
    if going := [one for one in again if one.state not in END_STATES]:
        raise BotError(f"Job {job.id} runs again already, as {going[0].id}.")
    approval = services.permissions.needs_approval(float(job.spec.get("budget_usd") or 0))
    key = f"retry:{job.id}:{len(again)}"
    month = services.permissions.month_budget_usd
    approvers = approvers_of(services) if approval else ()
    return services.ledger.retry(job.id, person.id, person.name, key, approval, month, approvers)


def _requested_jobs(services: Services, command: Command, word: str) -> tuple[list[Job], str]:
    """The requested jobs and a title: this channel's by default, `mine` for the person's own, `all` for admins."""
    channel, user = command["channel_id"], command["user_id"]
    if word == "mine":
        return services.ledger.jobs(by=user, limit=lists.JOBS_SHOWN), "Your jobs"
    if word == "all":
        person = services.users.person(user)
        if not services.permissions.is_admin(person):
            raise BotError("Only admins see the jobs of every channel. `/jobs mine` shows yours.")
        return services.ledger.jobs(limit=lists.JOBS_SHOWN), "All jobs"
    states = FILTERS.get(word)
    jobs = services.ledger.jobs(states=states, channel=channel, limit=lists.JOBS_SHOWN)
    return jobs, f"Jobs here{' · ' + word if states else ''}"
