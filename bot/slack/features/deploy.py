"""The button "Deploy" below a finished fine-tune: a worker makes the version, and the thread gets the serve command."""

from __future__ import annotations

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.slack.failures import wrap_listener
from bot.slack.launch import launch_deployment, model_job, tell_card_channel
from bot.slack.payload import Body, RequestOrigin, origin_of
from bot.slack.services import Services
from bot.slack.teams import Teams


def register(app: App, teams: Teams) -> None:
    """Registers the button."""
    app.action("job_deploy")(wrap_listener(teams, on_deploy))


def on_deploy(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Launches the deployment, for people who may launch jobs and see this one; a second press launches nothing."""
    ack()
    channel, user, thread = origin_of(body)
    job = model_job(services, str(action.get("value")), user, channel)
    origin = RequestOrigin(
        user, job.team, channel, thread or job.thread_ts, f"deploy:{job.id}:{body['trigger_id']}"
    )
    tell_card_channel(client, launch_deployment(services, job, origin))
