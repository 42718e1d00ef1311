"""The button "Deploy" under a finished fine-tune: a worker makes the version, the thread gets how to serve it."""

from __future__ import annotations

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.slack.failures import guard
from bot.slack.launch import launch_deployment, model_job, say_where
from bot.slack.payload import Body, Place, where
from bot.slack.services import Services
from bot.slack.teams import Teams


def register(app: App, teams: Teams) -> None:
    """The button."""
    app.action("job_deploy")(guard(teams, on_deploy))


def on_deploy(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Launches the deployment for whoever may launch jobs and may see this one; pressed twice it is one."""
    ack()
    channel, user, thread = where(body)
    job = model_job(services, str(action.get("value")), user, channel)
    place = Place(user, job.team, channel, thread or job.thread_ts, f"deploy:{job.id}:{body['trigger_id']}")
    say_where(client, launch_deployment(services, job, place))
