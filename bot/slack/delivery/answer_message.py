"""Posts an answer exactly once: into the message that was streamed, else as a new message.

Raises Slack's error when a retry may succeed; the caller then puts the answer into the outbox (answer_outbox.py).
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.delivery.posting import FailureKind, classify_error, find_message, send_message
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import Block
from bot.slack.ui.limits import split_text, words_of

LONGEST_UPDATE = 3_900  # Slack takes 4,000 characters in chat.update
STREAM_CONFLICTS = {"streaming_state_conflict"}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnswerMessage:
    """One message of an answer; `ts` is the streamed message to write it into, if there is one.

    `since` is the time of the first try in Unix seconds: the search for an earlier send starts there.
    """

    channel: str
    thread_ts: str
    user: str
    text: str
    blocks: Sequence[Block] = ()
    ts: str | None = None
    key: str = field(default_factory=lambda: f"answer:{secrets.token_hex(8)}")
    since: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the ledger."""
        return {**vars(self), "blocks": list(self.blocks)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AnswerMessage:
        """Reads the JSON of `to_json`."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


def post_answer(client: WebClient, answer: AnswerMessage, may_exist: bool = False) -> str:
    """Posts the answer and returns the ts of its message; `may_exist`: an earlier try may have arrived."""
    if answer.ts is not None:
        ts = _update_streamed(client, answer, answer.ts)
        if ts is not None:
            return ts
    if may_exist and (
        earlier := find_message(client, answer.channel, answer.thread_ts, answer.key, answer.since)
    ):
        return earlier
    return send_message(
        client, answer.channel, answer.thread_ts, answer.text or "…", answer.blocks, answer.key
    )


def post_answer_with_retries(client: WebClient, answer: AnswerMessage, tries: int = 3) -> str:
    """As `post_answer`, but retries at once while the outcome of a call is unknown."""
    for left in reversed(range(tries)):
        try:
            return post_answer(client, answer, may_exist=left < tries - 1)
        except SLACK_ERRORS as error:
            if classify_error(error).kind is not FailureKind.UNSURE or not left:
                raise
            time.sleep(0.5 * (tries - left))
    raise AssertionError("the last try returns or raises")


def end_stream(client: WebClient, channel: str, ts: str) -> None:
    """Stops a stream without text, so that Slack shows no progress any more; does nothing for a stopped one."""
    with suppress(*SLACK_ERRORS):
        client.chat_stopStream(channel=channel, ts=ts)


def _update_streamed(client: WebClient, answer: AnswerMessage, ts: str) -> str | None:
    """Writes the answer into the streamed message and returns its ts; None where Slack refuses, and deletes that message."""
    words = words_of(answer.blocks) or answer.text or "…"
    for blocks in (list(answer.blocks), []):
        first, *rest = [answer.text[:LONGEST_UPDATE]] if blocks else split_text(words, LONGEST_UPDATE)
        try:
            client.chat_update(channel=answer.channel, ts=ts, text=first, blocks=blocks)
        except SlackApiError as error:
            why = classify_error(error)
            if why.code in STREAM_CONFLICTS:
                end_stream(client, answer.channel, ts)
            if why.kind is FailureKind.PAYLOAD and blocks:
                continue
            if why.kind in (FailureKind.MESSAGE, FailureKind.PAYLOAD, FailureKind.OTHER):
                log.warning("the streamed message could not be changed: %s", why.code)
                delete_message(client, answer.channel, ts)
                return None
            raise
        for number, piece in enumerate(rest):
            part = replace(answer, text=piece, blocks=(), ts=None, key=f"{answer.key}:{number}")
            post_answer_with_retries(client, part)
        return ts
    return None


def delete_message(client: WebClient, channel: str, ts: str) -> None:
    """Stops the stream and deletes its message, so that no unfinished card stays beside the answer."""
    end_stream(client, channel, ts)
    with suppress(*SLACK_ERRORS):
        client.chat_delete(channel=channel, ts=ts)
