"""Blind A/B in the channel: people choose between two systems' replies to the same tickets, not knowing whose.

One message a ticket in the job's thread, each owed in the ledger like a report; one vote per person and ticket;
which system stands first is shuffled by seed. Closed by a button or `/jobs count JOB`, it is summed up by ticket
(votes on one ticket are not independent), with Wilson's interval.
"""

from __future__ import annotations

import re

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import guard
from bot.slack.payload import Body, where
from bot.slack.services import Services, visible_job
from bot.slack.teams import Teams
from bot.slack.ui.model_trials import TICKETS, _rows, ticket_message
from worker.ledger import comparisons
from worker.ledger.comparisons import tuned_first


def register(app: App, teams: Teams) -> None:
    """The buttons of a comparison."""
    app.action("compare_start")(guard(teams, on_start))
    app.action(re.compile(r"^compare_vote:[012]$"))(guard(teams, on_vote))
    app.action("compare_close")(guard(teams, on_close))


def on_start(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Owes the comparison's messages to the job's thread."""
    ack()
    channel, user, _ = where(body)
    text = begin(services, str(action.get("value")), user, channel)
    respond(text=text, response_type="ephemeral", replace_original=False)


def on_vote(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Keeps the vote and shows on the ticket's message how many have voted, not for what."""
    ack()
    channel, user, _ = where(body)
    job_id, _, number = str(action.get("value")).partition(":")
    job, row = visible_job(services, job_id, user, channel), int(number or -1)
    open_one = comparisons.comparison(services.ledger.engine, job.id)
    if open_one is None:
        raise BotError("There is no such comparison. Start one with `/jobs compare JOB`.")
    if row >= len(_rows(job)):
        raise BotError("The replies of this comparison are no longer kept, so nobody can judge them.")
    place = str(action["action_id"])[-1]
    first, second = ("tuned", "baseline") if tuned_first(open_one.seed, row) else ("baseline", "tuned")
    choice = {"1": first, "2": second, "0": "equal"}[place]
    if not comparisons.vote(services.ledger.engine, job.id, row, user, choice, services.clock()):
        raise BotError("You have voted on this ticket already; the first vote counts.")
    cast = sum(comparisons.tally(services.ledger.engine, job.id).by_row[row].values())
    text, blocks = ticket_message(job, row, open_one.seed, cast)
    client.chat_update(channel=channel, ts=str(body["container"]["message_ts"]), text=text, blocks=blocks)
    respond(text=f"Your vote on ticket {row + 1} counts.", response_type="ephemeral", replace_original=False)


def on_close(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Ends the voting; the summary comes to the thread."""
    ack()
    channel, user, _ = where(body)
    text = end(services, str(action.get("value")), user, channel)
    respond(text=text, response_type="ephemeral", replace_original=False)


def begin(services: Services, job_id: str, user: str, channel: str) -> str:
    """Starts the comparison for a person who may see the job; the sentence for them."""
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


def end(services: Services, job_id: str, user: str, channel: str) -> str:
    """Closes it for whoever started it, launched the job, or is an admin; the sentence for them."""
    job = visible_job(services, job_id, user, channel)
    person = services.users.person(user)
    open_one = comparisons.comparison(services.ledger.engine, job.id)
    is_owner = open_one is not None and open_one.started_by == user
    if not is_owner and (
        denial := services.permissions.denies_change(person, job, "close the comparison of")
    ):
        raise BotError(denial)
    if not comparisons.close(services.ledger.engine, job.id, user, services.clock()):
        return "It is closed already: its result stands in the thread."
    services.wake()
    return "Closed: the result comes to the thread."
