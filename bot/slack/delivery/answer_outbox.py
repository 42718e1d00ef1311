"""Retries answers that Slack refused; when the channel is closed, sends them to the asker's direct messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.delivery.answer_message import AnswerMessage, delete_message, post_answer
from bot.slack.delivery.posting import FailureKind, LookupRefused, classify_error, find_message
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import context
from bot.slack.ui.escape import escape
from worker.jobs.records import Post
from worker.ledger.duty_lines import line_place
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import insert_answer

KIND = "answer"
MOST_TRIES = 3  # in the channel, after an error code that we do not know
GIVE_UP_S = 24 * 3600.0
WAIT_BEHIND_S = 1.0
log = logging.getLogger(__name__)
OnSent = Callable[[Post, str, str], None]


def enqueue_answer(ledger: Ledger, answer: AnswerMessage) -> None:
    """Stores the answer in the ledger's outbox; the notifier sends it."""
    address = (answer.key, answer.channel, answer.thread_ts)
    insert_answer(ledger.engine, *address, answer.to_json(), ledger.clock())


def deliver_answer(client: WebClient, ledger: Ledger, post: Post, now: float, on_sent: OnSent) -> None:
    """Delivers one answer; raises Slack's error when a retry may succeed. Gives up after GIVE_UP_S."""
    answer = AnswerMessage.from_json(post.body["answer"])
    if now - answer.since > GIVE_UP_S:
        log.error(
            "gave up: Slack refused an answer in %s for a day: %s", answer.channel, post.body.get("why")
        )
        ledger.complete_post(post.id, "")
        return
    if line := line_place(ledger.engine, post):
        if line.is_behind:  # another bot may have sent the earlier line and not recorded its ts yet
            ledger.postpone_post(post.id, now + WAIT_BEHIND_S)
            return
        if line.is_gone:
            _delete_line(client, answer, line.ts, post.tries)
            ledger.complete_post(post.id, "")
            return
        answer = replace(answer, ts=answer.ts or line.ts)
    try:
        ts, channel = post_answer(client, answer, may_exist=True), answer.channel
    except SLACK_ERRORS as error:
        why = classify_error(error, post.tries)
        is_closed = why.kind in (FailureKind.CHANNEL, FailureKind.MESSAGE)
        if not is_closed and not (why.kind is FailureKind.OTHER and post.tries >= MOST_TRIES):
            raise
        channel, ts = _send_directly(client, answer, why.code)
    ledger.complete_post(post.id, ts)
    on_sent(post, channel, ts)


def _delete_line(client: WebClient, answer: AnswerMessage, ts: str | None, tries: int) -> None:
    """Deletes the line of a ticket that was deleted while the line was sent."""
    try:
        ts = ts or find_message(client, answer.channel, answer.thread_ts, answer.key, answer.since)
    except (SlackApiError, LookupRefused) as error:
        if classify_error(error, tries).kind not in (FailureKind.CHANNEL, FailureKind.MESSAGE):
            raise
    if ts:
        delete_message(client, answer.channel, ts)


def _send_directly(client: WebClient, answer: AnswerMessage, code: str) -> tuple[str, str]:
    """Sends the answer to the asker's direct messages, with the reason; returns channel and ts."""
    if answer.ts is not None:
        delete_message(client, answer.channel, answer.ts)
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
    return direct, post_answer(client, own, may_exist=True)
