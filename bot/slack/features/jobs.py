"""`/jobs` and the buttons of job cards: list, open, cancel, pause, resume, retry, approve."""

from __future__ import annotations

import time
from functools import partial

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateFailure, guard
from bot.slack.features import channel_settings, compare, questions
from bot.slack.payload import Body, Command, View, _direct_channel, where
from bot.slack.services import Services, approvers_of, visible_job
from bot.slack.teams import Teams
from bot.slack.ui import lists
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.forms import FormValues, Memory
from bot.slack.ui.job_card import job_card
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.ui.messages import approval_end
from bot.slack.ui.report import details_modal
from bot.slack.users import Person
from worker.jobs.records import Job
from worker.jobs.states import END_STATES, State

SUMMARY = "`/jobs` lists, opens, pauses, cancels and repeats what runs; it sets notices and the budget."


def register(app: App, teams: Teams) -> None:
    """`/jobs`, the buttons of a job's card and of a request for approval, and the form that asks why not."""
    app.command("/jobs")(guard(teams, on_jobs))
    for action_id, verb in JOB_VERBS.items():
        app.action(action_id)(guard(teams, partial(on_job_change, verb=verb)))
    app.action("job_details")(guard(teams, on_job_details))
    app.action("job_approve")(guard(teams, on_approve))
    app.action("job_reject")(guard(teams, on_reject))
    app.view("job_reject")(guard(teams, on_reject_form))


def on_reject_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    ack()
    memory, reason = Memory.parse(view["private_metadata"]), FormValues.of(view).values.get("reason", "")
    with PrivateFailure(client, memory, body):
        person, job = services.users.person(body["user"]["id"]), services.ledger.job(memory.about)
        if denial := services.permissions.denies_approval(person, job, services.users.in_group):
            raise BotError(denial)
        services.ledger.reject(job.id, person.id, reason[:1000], person.name)
        services.wake()


JOB_VERBS = {"job_cancel": "cancel", "job_pause": "pause", "job_resume": "resume", "job_retry": "retry"}
JOB_VERBS |= {"job_finish": "finish"}


def on_job_change(
    services: Services, verb: str, ack: Ack, body: Body, action: Body, client: WebClient
) -> None:
    """Cancel, pause, resume, finish, retry: for the person who launched the job, and admins."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    change_job(services, job, verb, user)


def on_job_details(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    view = details_modal(job, services.ledger.history(job.id))
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def job_to_approve(services: Services, job_id: str, person: Person) -> Job:
    """The job, if this person may decide on it: approvers are asked directly, so from wherever they are."""
    job = services.ledger.job(job_id[:32])
    if denial := services.permissions.denies_approval(person, job, services.users.in_group):
        raise BotError(denial)
    return job


def on_approve(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Queues a job that waited for a second person; every request's buttons give way to who agreed."""
    ack()
    person = services.users.person(where(body)[1])
    job = job_to_approve(services, str(action.get("value")), person)
    after = services.ledger.approve(job.id, person.id, by_name=person.name)
    services.wake()
    if action.get("block_id") == "approval":
        text, blocks = approval_end(after)
        respond(text=text, blocks=blocks, replace_original=True)


def on_reject(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Declining asks for the reason; the right is checked here and again when the reason comes."""
    ack()
    channel, user, _ = where(body)
    job = job_to_approve(services, str(action.get("value")), services.users.person(user))
    memory = Memory(channel or _direct_channel(client, body), None, job.id)
    questions.open_reason(client, body["trigger_id"], "job_reject", "Decline", "Why not?", memory)


FILTERS = {
    "running": frozenset(State) - END_STATES,
    "queued": frozenset({State.QUEUED, State.RETRY_WAIT}),
    "done": END_STATES,
    "failed": frozenset({State.FAILED, State.BUDGET_STOPPED}),
}


def on_jobs(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Lists, filters, opens, cancels, retries; and what the channel is told."""
    ack()
    words = question_of(command.get("text", "")).split()
    first = words[0].lower() if words else "list"
    if len(words) <= 1 and first in ("list", "mine", "all", *FILTERS):
        jobs, title = _jobs_asked(services, command, first)
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
        act = compare.begin if first == "compare" else compare.end
        text = act(services, words[1], command["user_id"], command["channel_id"])
        respond(text=text, response_type="ephemeral")
        return
    if first in ("open", *CHANGES) and len(words) != 2:
        raise BotError(f"Which job? Write `/jobs {first} JOB`; `/jobs` lists them with their ids.")
    verb, job_id = ("open", words[0]) if len(words) == 1 else (first, words[1])
    if verb not in ("open", *CHANGES):
        raise BotError(
            f"I do not know `/jobs {escape(one_line(verb, 40))}`. There is `/jobs`, `/jobs mine`, "
            "`/jobs running`, `/jobs done`, `/jobs notify`, `/jobs budget`, `/jobs JOB`, and `/jobs cancel`, `pause`, `resume`, "
            "`finish` (end training, keep the best) or `retry` with a job's id; `/jobs compare JOB` and `/jobs count JOB`."
        )
    job = visible_job(services, job_id, command["user_id"], command["channel_id"])
    if verb == "open":
        blocks = job_card(job, services.clock(), redis_down=not services.queue_up())
        respond(text=lists.jobs_text([job]), blocks=validate_message(blocks))
    else:
        after = change_job(services, job, verb, command["user_id"])
        respond(text=f"{CHANGES[verb]}: {lists.jobs_text([after])}", response_type="ephemeral")


CHANGES = {"cancel": "Cancelling", "pause": "Pausing", "resume": "Back in line", "retry": "Started again"}
CHANGES |= {"finish": "Ending its training, the best weights are kept"}


def change_job(services: Services, job: Job, verb: str, user: str, why: str = "") -> Job:
    """The job after cancel, pause, resume, finish or retry by a person who may; BotError with the reason otherwise."""
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
    """The job that repeats this one; BotError when one does already, so that two clicks are one."""
    again = [one for one in services.ledger.jobs(channel=job.channel, limit=200) if one.retry_of == job.id]
    if going := [one for one in again if one.state not in END_STATES]:
        raise BotError(f"Job {job.id} runs again already, as {going[0].id}.")
    approval = services.permissions.needs_approval(float(job.spec.get("budget_usd") or 0))
    key = f"retry:{job.id}:{len(again)}"
    month = services.permissions.month_budget_usd
    approvers = approvers_of(services) if approval else ()
    return services.ledger.retry(job.id, person.id, person.name, key, approval, month, approvers)


def _jobs_asked(services: Services, command: Command, word: str) -> tuple[list[Job], str]:
    """The jobs of this channel by default; `mine` those of the asker from everywhere; `all` for admins."""
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
