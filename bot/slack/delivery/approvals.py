"""Requests for approval: one to each approver directly, beside the one in the channel; their buttons go when they are spent."""

from __future__ import annotations

import logging

from slack_sdk import WebClient

from bot.slack.delivery.posting import Trouble, find, refusal, send
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.messages import approval_end, message_of
from worker.jobs.records import Job, Post
from worker.jobs.states import State
from worker.ledger.approvals import approval_requests
from worker.ledger.ledger import Ledger

KINDS = ("approval_direct", "approval_end")
log = logging.getLogger(__name__)


def deliver_approval(client: WebClient, ledger: Ledger, post: Post, job: Job) -> None:
    """Pays one post of KINDS; raises what Slack raises where a later try may do better."""
    if post.kind == "approval_end":
        _end_requests(client, ledger, job)
        ledger.complete_post(post.id, "")
        return
    if job.state is not State.AWAITING_APPROVAL:
        ledger.complete_post(post.id, "")
        return
    try:
        direct = str(client.conversations_open(users=[post.channel])["channel"]["id"])
        ts = find(client, direct, None, post.dedupe_key, post.sent_at) if post.tries else None
        if ts is None:
            text, blocks = message_of(post, job)
            ts = send(client, direct, None, text, blocks, post.dedupe_key)
    except SLACK_TROUBLE as error:
        why = refusal(error)
        if why.trouble not in (Trouble.CHANNEL, Trouble.OTHER) or (
            why.trouble is Trouble.OTHER and post.tries < 3
        ):
            raise
        log.warning("approver %s of job %s cannot be asked directly: %s", post.channel, job.id, why.code)
        ledger.complete_post(post.id, "")
        return
    ledger.set_post_channel(post.id, direct)
    ledger.complete_post(post.id, ts)


def _end_requests(client: WebClient, ledger: Ledger, job: Job) -> None:
    """Each message that asked says how it ended, and has no buttons any more; twice is as good as once."""
    text, blocks = approval_end(job)
    for channel, ts in approval_requests(ledger.engine, job.id):
        try:
            client.chat_update(channel=channel, ts=ts, text=text, blocks=blocks)
        except SLACK_TROUBLE as error:
            if refusal(error).trouble not in (Trouble.CHANNEL, Trouble.MESSAGE):
                raise
