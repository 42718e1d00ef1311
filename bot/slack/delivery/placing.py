"""An answer put where it can be read, exactly once: in the message that was streamed, else as a new one.

Raises what Slack raised where a later try may do better; `owe` in the ledger keeps it until then (owed_answers.py).
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

from bot.slack.delivery.posting import Trouble, find, refusal, send
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import Block
from bot.slack.ui.limits import split_text, words_of

UPDATE_TEXT = 3_900  # Slack takes 4,000 characters in chat.update
NOT_OURS_TO_CHANGE = {"streaming_state_conflict"}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """One message of an answer: where it belongs, for whom, and the streamed message to put it into, if there is one.

    `since` is when it was first tried (Unix seconds): an earlier send is looked for from then on.
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
    def from_json(cls, data: dict[str, Any]) -> Answer:
        """What `to_json` wrote."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


def place(client: WebClient, answer: Answer, again: bool = False) -> str:
    """The ts of the message in which the answer stands; `again`: an earlier try may have arrived."""
    if answer.ts is not None:
        ts = _put_into(client, answer, answer.ts)
        if ts is not None:
            return ts
    if again and (earlier := find(client, answer.channel, answer.thread_ts, answer.key, answer.since)):
        return earlier
    return send(client, answer.channel, answer.thread_ts, answer.text or "…", answer.blocks, answer.key)


def place_surely(client: WebClient, answer: Answer, tries: int = 3) -> str:
    """As `place`, tried again at once while it may have arrived unheard."""
    for left in reversed(range(tries)):
        try:
            return place(client, answer, again=left < tries - 1)
        except SLACK_TROUBLE as error:
            if refusal(error).trouble is not Trouble.UNSURE or not left:
                raise
            time.sleep(0.5 * (tries - left))
    raise AssertionError("the last try returns or raises")


def end_stream(client: WebClient, channel: str, ts: str) -> None:
    """Ends a stream without a word, so that nothing goes on turning; one that is over already stays as it is."""
    with suppress(*SLACK_TROUBLE):
        client.chat_stopStream(channel=channel, ts=ts)


def _put_into(client: WebClient, answer: Answer, ts: str) -> str | None:
    """The streamed message with the answer in it; None where it is gone or is not to be changed, and out of the way."""
    words = words_of(answer.blocks) or answer.text or "…"
    for blocks in (list(answer.blocks), []):
        first, *rest = [answer.text[:UPDATE_TEXT]] if blocks else split_text(words, UPDATE_TEXT)
        try:
            client.chat_update(channel=answer.channel, ts=ts, text=first, blocks=blocks)
        except SlackApiError as error:
            why = refusal(error)
            if why.code in NOT_OURS_TO_CHANGE:
                end_stream(client, answer.channel, ts)
            if why.trouble is Trouble.PAYLOAD and blocks:
                continue
            if why.trouble in (Trouble.MESSAGE, Trouble.PAYLOAD, Trouble.OTHER):
                log.warning("the streamed message could not be changed: %s", why.code)
                take_away(client, answer.channel, ts)
                return None
            raise
        for number, piece in enumerate(rest):
            part = replace(answer, text=piece, blocks=(), ts=None, key=f"{answer.key}:{number}")
            place_surely(client, part)
        return ts
    return None


def take_away(client: WebClient, channel: str, ts: str) -> None:
    """What was streamed goes, so that no turning card stands beside the answer."""
    end_stream(client, channel, ts)
    with suppress(*SLACK_TROUBLE):
        client.chat_delete(channel=channel, ts=ts)
