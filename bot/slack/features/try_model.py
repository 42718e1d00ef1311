"""The button "Try it" below a finished fine-tune: answers one ticket before and after training, in the modal.

The bot loads no model: a trial is a small job of kind `try`, which goes to the front of the queue. Its answer goes
through the outbox like a report; a person who closed the modal gets it as a direct message.
"""

from __future__ import annotations

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import wrap_listener
from bot.slack.launch import model_job
from bot.slack.payload import Body, origin_of, team_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.forms import FormMetadata, FormValues
from bot.slack.ui.limits import validate_view
from bot.slack.ui.model_trials import LONGEST, try_modal, waiting_modal
from finetune.errors import FinetuneError
from rag.redact import redact
from worker.jobs.records import Job, JobRequest
from worker.jobs.states import END_STATES, State
from worker.kinds.try_model import TRY

MOST_OPEN_TRIALS = 3


def register(app: App, teams: Teams) -> None:
    """Registers the button and its form."""
    app.action("job_try")(wrap_listener(teams, on_try))
    app.view("try")(wrap_listener(teams, on_text))


def on_try(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Opens the form for a person who may see the job."""
    ack()
    channel, user, _ = origin_of(body)
    job = model_job(services, str(action.get("value")), user, channel)
    view = try_modal(job, FormMetadata(channel, None, job.id))
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_text(services: Services, ack: Ack, body: Body, view: Body) -> None:
    """Submits the trial, after a permission check, and shows a waiting text in the form."""
    metadata, user = FormMetadata.parse(view["private_metadata"]), str(body["user"]["id"])
    text = redact(FormValues.of(view).values.get("text", "").strip())[:LONGEST]
    try:
        if not text:
            raise BotError("Type a ticket first.")
        job = model_job(services, metadata.about, user, metadata.channel)
        _submit_trial(services, job, text, metadata.channel, (user, team_of(body)), view)
    except (BotError, FinetuneError) as wrong:
        ack(response_action="errors", errors={"text": str(wrong)[:300]})
        return
    ack(response_action="update", view=validate_view(waiting_modal(job, text, services.workers())))
    services.wake()


def _submit_trial(
    services: Services, job: Job, text: str, channel: str, who: tuple[str, str], view: Body
) -> None:
    """Submits the trial job of `who` (user, team); a form that Slack delivers twice is one job."""
    user, team = who
    waiting = services.ledger.jobs(set(State) - END_STATES, by=user, kind=TRY)
    if len(waiting) >= MOST_OPEN_TRIALS and not any(one.spec.get("view") == view["id"] for one in waiting):
        raise BotError(f"{len(waiting)} of your tries still wait for their answers. Try again after them.")
    spec = {"model": job.id, "root": job.root, "text": text, "from": channel}
    spec |= {"view": view["id"], "hash": view["hash"]}
    request = JobRequest(
        kind=TRY,
        spec=spec,
        dataset=job.dataset,
        by=user,
        by_name=services.users.person(user).name,
        team=team,
        channel="",
        thread_ts=None,
        request_key=f"try:{view['id']}:{view['hash']}",
    )
    services.ledger.submit(request)
