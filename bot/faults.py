"""What a person is told when something fails: what to do, and an id to quote; never exception text.

Our own errors carry a sentence that is safe to show; everything else goes to the log under the id.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlalchemy.exc import OperationalError

from bot.blocks import section
from bot.errors import BotError
from bot.escape import escape
from bot.limits import split_text
from finetune.errors import FinetuneError
from rag.errors import RagError
from worker.errors import WorkerError

OURS = (BotError, RagError, FinetuneError, WorkerError)
SLACK_ADVICE = {
    "not_in_channel": "I am not in this channel. Invite me with `/invite @trainwise` and try again.",
    "channel_not_found": "I cannot see this channel. Invite me with `/invite @trainwise` and try again.",
    "is_archived": "This channel is archived. Try again in another one.",
    "missing_scope": "The app lacks a permission. Ask an admin to reinstall it from manifest.yml.",
    "ratelimited": "Slack asked me to slow down. Please try again in a minute.",
}
log = logging.getLogger(__name__)


def advice(error: BaseException) -> str:
    """The sentence for the person; logs the error with its traceback under an id when it is not ours."""
    if isinstance(error, OURS):
        log.info("told a person: %s", type(error).__name__)
        return str(error) if isinstance(error, BotError) else escape(str(error))
    fault = secrets.token_hex(4)
    log.error("fault %s", fault, exc_info=error)
    if isinstance(error, SlackApiError) and (known := SLACK_ADVICE.get(str(error.response.get("error")))):
        return f"{known} (error {fault})"
    if _disk_full(error):
        return f"My disk is full, so nothing was changed. Ask an admin to free space. (error {fault})"
    return f"Something went wrong on my side. Try again; if it stays, give an admin the error id `{fault}`."


def apologise(
    client: WebClient, error: BaseException, channel: str, user: str, thread_ts: str | None = None
) -> None:
    """Tells one person, so that only they see it: in the channel, else in their DM with the bot."""
    whisper(client, advice(error), channel, user, thread_ts)


def whisper(client: WebClient, text: str, channel: str, user: str, thread_ts: str | None = None) -> None:
    """An ephemeral message; failing that a direct one; failing that a line in the log."""
    blocks = [section(f"⚠️ {piece}") for piece in split_text(text, 2900)][:10]
    try:
        client.chat_postEphemeral(
            channel=channel, user=user, text=text[:2900], blocks=blocks, thread_ts=thread_ts
        )
    except SlackClientError:
        try:
            client.chat_postMessage(channel=user, text=text[:2900], blocks=blocks)
        except SlackClientError as refused:
            log.warning("could not reach a person: %s", type(refused).__name__)


def handle_error(error: Exception, body: dict[str, Any], client: WebClient) -> None:
    """Bolt's error handler: the edge for every listener."""
    text = advice(error)
    channel, user, thread_ts = where(body)
    if user:
        whisper(client, text, channel or user, user, thread_ts)


def where(body: dict[str, Any]) -> tuple[str, str, str | None]:
    """The channel, user and thread that a payload of any kind came from; empty strings when it has none."""
    event = body.get("event") or {}
    container = body.get("container") or {}
    channel = body.get("channel_id") or (body.get("channel") or {}).get("id") or event.get("channel") or ""
    user = body.get("user_id") or (body.get("user") or {}).get("id") or event.get("user") or ""
    thread = container.get("thread_ts") or event.get("thread_ts")
    return str(channel), str(user), thread


def _disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (28, 122):  # ENOSPC, EDQUOT
        return True
    return isinstance(error, OperationalError) and "full" in str(error.orig).lower()
