"""Sends requests for approval to each approver directly, and removes their buttons after the decision."""

from __future__ import annotations

import logging

from slack_sdk import WebClient

from bot.slack.delivery.posting import FailureKind, classify_error, find_message, send_message
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.messages import approval_end, message_of
from worker.jobs.records import Job, Post
from worker.jobs.states import State
from worker.ledger.approvals import approval_requests
from worker.ledger.ledger import Ledger

KINDS = ("approval_direct", "approval_end")
log = logging.getLogger(__name__)


def deliver_approval(client: WebClient, ledger: Ledger, post: Post, job: Job) -> None:
    """Delivers one post of KINDS; raises Slack's error when a retry may succeed."""
    if post.kind == "approval_end":
        _end_requests(client, ledger, job)
        ledger.complete_post(post.id, "")
        return
    if job.state is not State.AWAITING_APPROVAL:
        ledger.complete_post(post.id, "")
        return
    try:
        direct = str(client.conversations_open(users=[post.channel])["channel"]["id"])
        ts = find_message(client, direct, None, post.dedupe_key, post.sent_at) if post.tries else None
        if ts is None:
            text, blocks = message_of(post, job)
            ts = send_message(client, direct, None, text, blocks, post.dedupe_key)
    except SLACK_ERRORS as error:
        why = classify_error(error)
        if why.kind not in (FailureKind.CHANNEL, FailureKind.OTHER) or (
            why.kind is FailureKind.OTHER and post.tries < 3
        ):
            raise
        log.warning("approver %s of job %s cannot be asked directly: %s", post.channel, job.id, why.code)
        ledger.complete_post(post.id, "")
        return
    ledger.set_post_channel(post.id, direct)
    ledger.complete_post(post.id, ts)


def _end_requests(client: WebClient, ledger: Ledger, job: Job) -> None:
    """Replaces each request by its decision, without buttons; idempotent."""
    text, blocks = approval_end(job)
    for channel, ts in approval_requests(ledger.engine, job.id):
        try:
            client.chat_update(channel=channel, ts=ts, text=text, blocks=blocks)
        except SLACK_ERRORS as error:
            if classify_error(error).kind not in (FailureKind.CHANNEL, FailureKind.MESSAGE):
                raise
