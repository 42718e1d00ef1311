"""A blind A/B comparison in the channel: people choose between two systems' replies to the same tickets.

The job's thread gets one message per ticket, through the outbox like a report. Each person has one vote per ticket. A
seed decides which system comes first. A button or `/jobs count JOB` closes the comparison; the summary counts tickets
(votes on one ticket are not independent), with Wilson's interval.
"""

from __future__ import annotations

import re

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import wrap_listener
from bot.slack.payload import Body, origin_of
from bot.slack.services import Services, visible_job
from bot.slack.teams import Teams
from bot.slack.ui.model_trials import TICKETS, _rows, ticket_message
from worker.ledger import comparisons
from worker.ledger.comparisons import tuned_first


def register(app: App, teams: Teams) -> None:
    """Registers the buttons of a comparison."""
    app.action("compare_start")(wrap_listener(teams, on_start))
    app.action(re.compile(r"^compare_vote:[012]$"))(wrap_listener(teams, on_vote))
    app.action("compare_close")(wrap_listener(teams, on_close))


def on_start(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Starts a comparison: puts its messages for the job's thread into the outbox."""
    ack()
    channel, user, _ = origin_of(body)
    text = start_comparison(services, str(action.get("value")), user, channel)
    respond(text=text, response_type="ephemeral", replace_original=False)


def on_vote(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Stores the vote and updates the number of votes (not their content) on the ticket's message."""
    ack()
    channel, user, _ = origin_of(body)
    job_id, _, number = str(action.get("value")).partition(":")
    job, row = visible_job(services, job_id, user, channel), int(number or -1)
    comparison = comparisons.comparison(services.ledger.engine, job.id)
    if comparison is None:
        raise BotError("There is no such comparison. Start one with `/jobs compare JOB`.")
    if row >= len(_rows(job)):
        raise BotError("The replies of this comparison are no longer kept, so nobody can judge them.")
    place = str(action["action_id"])[-1]
    first, second = ("tuned", "baseline") if tuned_first(comparison.seed, row) else ("baseline", "tuned")
    choice = {"1": first, "2": second, "0": "equal"}[place]
    if not comparisons.vote(services.ledger.engine, job.id, row, user, choice, services.clock()):
        raise BotError("You have voted on this ticket already; the first vote counts.")
    vote_count = sum(comparisons.tally(services.ledger.engine, job.id).by_row[row].values())
    text, blocks = ticket_message(job, row, comparison.seed, vote_count)
    client.chat_update(channel=channel, ts=str(body["container"]["message_ts"]), text=text, blocks=blocks)
    respond(text=f"Your vote on ticket {row + 1} counts.", response_type="ephemeral", replace_original=False)


def on_close(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Closes the voting; the summary is posted in the thread."""
    ack()
    channel, user, _ = origin_of(body)
    text = close_comparison(services, str(action.get("value")), user, channel)
    respond(text=text, response_type="ephemeral", replace_original=False)


def start_comparison(services: Services, job_id: str, user: str, channel: str) -> str:
    """Starts the comparison for a person who may see the job; returns the confirmation."""
    job = visible_job(services, job_id, user, channel)
    rows = min(TICKETS, len(_rows(job)))
    if not rows:
        raise BotError(
            f"Job {job.id} has no two systems' replies to compare. Only a finished fine-tune of the task "
            "`reply` does."
        )
    seed = f"{job.id}:{job.spec.get('seed', 7)}"
    if not comparisons.start(services.ledger.engine, job.id, user, seed, rows, services.clock()):
        raise BotError(f"Job {job.id} has been put to a comparison already: look into its thread.")
    services.wake()
    return f"{rows} tickets come to the job's thread, each with two replies. Everyone here may vote."


def close_comparison(services: Services, job_id: str, user: str, channel: str) -> str:
    """Closes the comparison, for its starter, the job's requester or an admin; returns the confirmation."""
    job = visible_job(services, job_id, user, channel)
    person = services.users.person(user)
    comparison = comparisons.comparison(services.ledger.engine, job.id)
    is_owner = comparison is not None and comparison.started_by == user
    if not is_owner and (
        denial := services.permissions.denies_change(person, job, "close the comparison of")
    ):
        raise BotError(denial)
    if not comparisons.close(services.ledger.engine, job.id, user, services.clock()):
        return "It is closed already: its result stands in the thread."
    services.wake()
    return "Closed: the result comes to the thread."
