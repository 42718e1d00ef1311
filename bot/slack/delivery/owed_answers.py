"""Answers that Slack did not take when they were ready: tried again, and in the asker's own messages where their place is closed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.delivery.placing import Answer, place, take_away
from bot.slack.delivery.posting import Trouble, find, refusal
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import context
from bot.slack.ui.escape import escape
from worker.jobs.records import Post
from worker.ledger.duty_lines import line_place
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import owe_answer

KIND = "answer"
PATIENCE = 3  # tries at the place itself after a refusal whose meaning we do not know
GIVE_UP_S = 24 * 3600.0
BEHIND_S = 1.0
log = logging.getLogger(__name__)
OnArrival = Callable[[Post, str, str], None]


def owe(ledger: Ledger, answer: Answer) -> None:
    """Keeps the answer in the ledger until Slack takes it; the notifier sends it."""
    place = (answer.key, answer.channel, answer.thread_ts)
    owe_answer(ledger.engine, *place, answer.to_json(), ledger.clock())


def deliver_answer(client: WebClient, ledger: Ledger, post: Post, now: float, on_arrival: OnArrival) -> None:
    """Pays one owed answer; raises what Slack raises where a later try may do better."""
    answer = Answer.from_json(post.body["answer"])
    if now - answer.since > GIVE_UP_S:
        log.error(
            "an answer in %s was not taken by Slack for a day: %s", answer.channel, post.body.get("why")
        )
        ledger.complete_post(post.id, "")
        return
    if line := line_place(ledger.engine, post):
        if line.is_behind:  # the earlier line may stand in Slack, and only its sender knows where
            ledger.postpone_post(post.id, now + BEHIND_S)
            return
        if line.is_gone:
            _take_line_away(client, answer, line.ts)
            ledger.complete_post(post.id, "")
            return
        answer = replace(answer, ts=answer.ts or line.ts)
    try:
        ts, channel = place(client, answer, again=True), answer.channel
    except SLACK_TROUBLE as error:
        why = refusal(error)
        is_closed = why.trouble in (Trouble.CHANNEL, Trouble.MESSAGE)
        if not is_closed and not (why.trouble is Trouble.OTHER and post.tries >= PATIENCE):
            raise
        channel, ts = _directly(client, answer, why.code)
    ledger.complete_post(post.id, ts)
    on_arrival(post, channel, ts)


def _take_line_away(client: WebClient, answer: Answer, ts: str | None) -> None:
    """The ticket was deleted while its line was being sent."""
    try:
        ts = ts or find(client, answer.channel, answer.thread_ts, answer.key, answer.since)
    except SlackApiError as error:
        if refusal(error).trouble not in (Trouble.CHANNEL, Trouble.MESSAGE):
            raise
    if ts:
        take_away(client, answer.channel, ts)


def _directly(client: WebClient, answer: Answer, code: str) -> tuple[str, str]:
    """The answer in the asker's own messages, with the reason why there."""
    if answer.ts is not None:
        take_away(client, answer.channel, answer.ts)
    direct = str(client.conversations_open(users=[answer.user])["channel"]["id"])
    note = context(
        f"You read this here because Slack did not let me answer in <#{answer.channel}>: `{escape(code)}`."
    )
    blocks = [*list(answer.blocks)[:48], note] if answer.blocks else []
    text = (
        answer.text
        if blocks
        else f"{answer.text}\n(Slack did not let me answer in <#{answer.channel}>: {code}.)"
    )
    own = replace(answer, channel=direct, thread_ts="", text=text, blocks=blocks, ts=None)
    return direct, place(client, own, again=True)
