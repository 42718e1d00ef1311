"""The home tab of one person: buttons, approvals, jobs, budget, datasets and the state of the bot's services."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress

from slack_sdk import WebClient

from bot.slack.payload import Body, team_of
from bot.slack.services import Services, is_direct, this_month
from bot.slack.slack_errors import SLACK_ERRORS
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
from bot.slack.users import Person
from worker.jobs.states import State
from worker.ledger.duty import watches_at_work

log = logging.getLogger(__name__)


def home_view(services: Services, person: Person, team: str, news: str = "") -> Block:
    """The home tab of one person: their jobs (all jobs for admins) and the state of the bot's services.

    `news` is a line (mrkdwn) on the work that this person has just begun.
    """
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
        *([section(news)] if news else []),
        *feature_list(services.summaries),
        *approvals(services, person),
        divider(),
        *job_list(jobs, "All jobs" if everything else "Your jobs", time.time()),
        divider(),
        section(budget_line(this_month(services, team))),
        *home_lines(watches_at_work(services.ledger.engine)),
        *dataset_list(
            cards, frozenset(), "Datasets for everyone" if not everything else "Datasets", here=False
        ),
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


def show_started(services: Services, client: WebClient, body: Body, channel: str, work: str) -> None:
    """Publishes Home with a line on the work that a form started from Home or from a direct message.

    The form closes, and the card of its work is posted in Messages: without the line Home would show nothing.
    """
    if not is_direct(channel):
        return
    person = services.users.person(body["user"]["id"])
    line = f"⏳ {work} is on its way: see *Messages*."
    with suppress(*SLACK_ERRORS):  # best effort
        view = validate_view(home_view(services, person, team_of(body), line))
        client.views_publish(user_id=person.id, view=view)


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
