"""App Home: jobs, approvals, budget, queue, datasets, documents, workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.slack.failures import wrap_listener
from bot.slack.payload import Body, team_of
from bot.slack.services import Services, this_month
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block, actions, button, divider, header, section
from bot.slack.ui.duty import home_lines
from bot.slack.ui.job_card import approval_buttons, approval_line
from bot.slack.ui.limits import validate_view
from bot.slack.ui.lists import (
    JOBS_SHOWN,
    budget_line,
    dataset_list,
    feature_list,
    index_line,
    job_list,
    queue_line,
    worker_line,
)
from bot.slack.ui.prompts import PROMPTS
from bot.slack.users import Person
from worker.jobs.states import State
from worker.ledger.duty import watches_at_work

log = logging.getLogger(__name__)


def register(app: App, teams: Teams) -> None:
    """Registers the tab's event and its refresh button."""
    app.event("app_home_opened")(wrap_listener(teams, on_home))
    app.action("home_refresh")(wrap_listener(teams, on_home_refresh))


def home_view(services: Services, person: Person, team: str) -> Block:
    """The home tab of one person: their jobs (all jobs for admins) and the state of the bot's services."""
    everything = services.permissions.is_admin(person)
    jobs = services.ledger.jobs(by=None if everything else person.id, limit=JOBS_SHOWN)
    cards = services.datasets.list(None if everything else frozenset({"workspace"}))
    health = health_lines(services)
    blocks = [
        header("Should we train a model?"),
        section(
            "Ask me in a channel or right here in *Messages*. I answer with sources, and measure when asked."
        ),
        actions(
            [
                button("Ask", "home_ask", style="primary"),
                button("Measure", "home_measure"),
                button("Fine-tune", "home_finetune"),
                button("Tickets", "home_datasets"),
                button("Documents", "home_documents"),
            ],
            block_id="home",
        ),
        *feature_list(services.summaries),
        *approvals(services, person),
        divider(),
        *job_list(jobs, "All jobs" if everything else "Your jobs", time.time()),
        divider(),
        section(budget_line(this_month(services, team))),
        *home_lines(watches_at_work(services.ledger.engine)),
        *dataset_list(cards, frozenset(), "Datasets for everyone" if not everything else "Datasets"),
        divider(),
        section("*Health*\n" + "\n".join(health)),
        actions(
            [
                button("Refresh", "home_refresh"),
                *([button("Connect a model", "endpoint_connect")] if everything else []),
            ],
            block_id="home_more",
        ),
    ]
    return {"type": "home", "blocks": blocks}


def approvals(services: Services, person: Person) -> list[Block]:
    """The jobs that this person can approve, with buttons; [] without any."""
    waiting = services.ledger.jobs(states=[State.AWAITING_APPROVAL], limit=50)
    rules, in_group = services.permissions, services.users.in_group
    mine = [job for job in waiting if rules.denies_approval(person, job, in_group) is None][:JOBS_SHOWN]
    if not mine:
        return []
    blocks = [divider(), section(f"*Waiting for your approval: {len(mine)}*")]
    for job in mine:
        blocks += [section(approval_line(job)), actions(approval_buttons(job), block_id=f"approve:{job.id}")]
    return blocks


def on_home_refresh(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    person = services.users.person(body["user"]["id"])
    client.views_publish(user_id=person.id, view=validate_view(home_view(services, person, team_of(body))))


def on_home(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """Publishes the home tab; sets suggested prompts in the messages tab."""
    if event.get("tab") == "messages":
        try:
            client.assistant_threads_setSuggestedPrompts(channel_id=event["channel"], prompts=PROMPTS)
        except SLACK_ERRORS:  # older workspaces have no agent view
            return
        return
    person = services.users.person(event["user"])
    client.views_publish(
        user_id=person.id, view=validate_view(home_view(services, person, str(context.team_id)))
    )


def health_lines(services: Services) -> list[str]:
    """One line each for queue, workers and index."""
    waiting = len(services.ledger.jobs(states=[State.QUEUED], limit=500))
    return [
        queue_line(waiting, services.is_queue_up()),
        worker_line(services.workers(), services.clock()),
        index_health(services),
    ]


def index_health(services: Services) -> str:
    """The line on the index; an unreadable index gives a line too."""
    try:
        stats = services.index.stats()
        newest = max((str(document.updated_at) for document in services.index.documents()), default="")
    except Exception:
        log.exception("the index cannot be read")
        return index_line(None)
    return index_line(stats if isinstance(stats, Mapping) else vars(stats), newest)
