"""Blind A/B in the channel: people choose between two systems' replies to the same tickets, not knowing whose.

One message a ticket in the job's thread, each owed in the ledger like a report; one vote per person and ticket;
which system stands first is shuffled by seed. Closed by a button or `/jobs count JOB`, it is summed up by ticket
(votes on one ticket are not independent), with Wilson's interval.
"""

from __future__ import annotations

import re
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import guarded, where
from bot.slack.services import Services
from bot.slack.ui.blocks import Block, actions, button, confirm, context, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.limits import checked, split_text
from bot.visible import visible_job
from finetune.evaluation.statistics import wilson
from worker.jobs.records import Job, Post
from worker.ledger import comparisons
from worker.ledger.comparisons import Tally, tally_of, tuned_first

Body = dict[str, Any]
TICKETS = 10
SHOWN = 900  # characters of a ticket, and of each reply


def register(app: App, services: Services) -> None:
    """The buttons of a comparison."""
    app.action("compare_start")(guarded(services, on_start))
    app.action(re.compile(r"^compare_vote:[012]$"))(guarded(services, on_vote))
    app.action("compare_close")(guarded(services, on_close))


def can_compare(job: Job) -> bool:
    """Whether the job's report carries two systems' replies to the same tickets."""
    return bool(_rows(job))


def on_start(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Owes the comparison's messages to the job's thread."""
    ack()
    channel, user, _ = where(body)
    said = begin(services, str(action.get("value")), user, channel)
    respond(text=said, response_type="ephemeral", replace_original=False)


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
    said = end(services, str(action.get("value")), user, channel)
    respond(text=said, response_type="ephemeral", replace_original=False)


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
    person = services.people.person(user)
    open_one = comparisons.comparison(services.ledger.engine, job.id)
    started = open_one is not None and open_one.started_by == user
    if not started and (denial := services.policy.denies_change(person, job, "close the comparison of")):
        raise BotError(denial)
    if not comparisons.close(services.ledger.engine, job.id, user, services.clock()):
        return "It is closed already: its result stands in the thread."
    services.wake()
    return "Closed: the result comes to the thread."


def intro_message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """What this is, and the button that ends it."""
    text = (
        f"🙈 *Which reply is better?* {post.body.get('rows')} tickets follow, each answered by two systems in "
        "shuffled order. Choose without knowing whose it is; one vote each and ticket."
    )
    sure = confirm("Close and count?", "Nobody can vote any more.", "Close", "Not yet", danger=False)
    closing = button("Close and count", "compare_close", job.id, confirm=sure)
    return text, [section(text), actions([closing], block_id="compare")]


def post_message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """One ticket, as it is first posted."""
    return ticket_message(job, int(post.body["row"]), str(post.body["seed"]), 0)


def ticket_message(job: Job, row: int, seed: str, cast: int) -> tuple[str, list[Block]]:
    """The ticket with both replies in this row's order, and three buttons."""
    pair = _rows(job)[row]
    sides = ("tuned", "baseline") if tuned_first(seed, row) else ("baseline", "tuned")
    text = f"Ticket {row + 1}: which reply is better?"
    quoted = "\n".join(f"> {line}" for line in escape(str(pair.get("ticket", ""))[-SHOWN:]).splitlines())
    blocks = [section(split_text(f"*Ticket {row + 1}*\n{quoted}")[0])]
    for number, side in enumerate(sides, 1):
        said = escape(str(pair.get(side, "")).strip()[:SHOWN]) or "_(nothing)_"
        blocks.append(section(split_text(f"*Reply {number}*\n{said}")[0]))
    value = f"{job.id}:{row}"
    labels = {"1": "Reply 1", "2": "Reply 2", "0": "Equally good"}
    row_of = [button(label, f"compare_vote:{place}", value) for place, label in labels.items()]
    blocks.append(actions(row_of, block_id="vote"))
    if cast:
        blocks.append(context(f"{cast} vote{'s' if cast != 1 else ''} so far"))
    return text, checked(blocks, text)


def summary_message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """Who won, unblinded."""
    counted = tally_of(post.body["by_row"], int(post.body["people"]))
    text = summed_up(counted, int(post.body["rows"]), _name(job, "tuned"), _name(job, "baseline"))
    lines = [
        f"Ticket {row + 1}: tuned {count['tuned']}, baseline {count['baseline']}, equal {count['equal']}"
        for row, count in sorted(counted.by_row.items())
    ]
    return text, [section(text), *([context("\n".join(lines))] if lines else [])]


def summed_up(counted: Tally, rows: int, tuned: str, baseline: str) -> str:
    """The result in words: tickets won, since several votes on one ticket are not independent."""
    ours, theirs = counted.won("tuned"), counted.won("baseline")
    total = sum(sum(count.values()) for count in counted.by_row.values())
    if not total:
        return "🙈 The blind comparison is closed. Nobody voted, so it says nothing."
    votes = f"{total} votes of {counted.people} {'people' if counted.people != 1 else 'person'}"
    head = f"🙈 *Blind comparison closed:* {votes} on {len(counted.by_row)} of {rows} tickets."
    if not ours + theirs:
        return f"{head} No ticket has a winner: {tuned} and {baseline} are equally good here."
    share = wilson(ours, ours + theirs)
    found = (
        f"{head} {tuned} won {ours} of {ours + theirs} decided tickets against {baseline} "
        f"({share.value:.0%}, 95% interval {100 * share.low:.0f} to {100 * share.high:.0f})."
    )
    if share.low > 0.5:
        return f"{found} People prefer the tuned replies."
    if share.high < 0.5:
        return f"{found} People prefer the replies without training."
    return f"{found} That is too few to say which is better."


def _rows(job: Job) -> list[Body]:
    pairs = (job.report or {}).get("pairs")
    rows = pairs.get("rows") if isinstance(pairs, dict) else None
    return [row for row in rows or [] if isinstance(row, dict)]


def _name(job: Job, side: str) -> str:
    return escape(one_line(str(((job.report or {}).get("pairs") or {}).get(side, side)), 80))
