"""An answer being made, shown as it grows: steps in a stream, then the card; whatever Slack refuses, the
answer still arrives.

Order of what is tried: stop the stream with the card; update the streamed message; post a new message; post
the text alone. Rate limits and a dead stream (about 5 minutes) are the usual reasons to go down the list.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from threading import Event

from slack_sdk import WebClient
from slack_sdk.models.messages.chunk import Chunk, MarkdownTextChunk, PlanUpdateChunk, TaskUpdateChunk

from bot.slack.delivery.posting import refusal, send_surely
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import Block
from bot.slack.ui.limits import split_blocks, split_text, validate_message

STEPS = {
    "reading": "Reading the question",
    "searching": "Searching the sources",
    "checking": "Checking every claim",
}
FLUSH_S = 0.6
log = logging.getLogger(__name__)


class AnswerStop(Exception):
    """The person pressed Stop."""


class AnswerStream:
    """Where one answer appears: `step` while it is made, then exactly one of `finish`, `say`."""

    def __init__(
        self,
        client: WebClient,
        channel: str,
        thread_ts: str,
        team: str,
        user: str,
        stop: Event,
        streaming: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.channel, self.thread_ts = client, channel, thread_ts
        self._stop, self._clock = stop, clock
        self._stream = client.chat_stream(
            channel=channel,
            thread_ts=thread_ts,
            recipient_team_id=team,
            recipient_user_id=user,
            task_display_mode="plan",
        )
        self._alive = streaming
        self._current: tuple[str, str] | None = None
        self._owed: list[Chunk] = [PlanUpdateChunk(title="Working it out")] if streaming else []
        self._flush_at = -FLUSH_S

    def step(self, name: str) -> None:
        """Shows the next step (an empty name shows none); raises Stopped once the person pressed Stop."""
        if self._stop.is_set():
            raise AnswerStop
        if not self._alive or not name:
            return
        self._close_step()
        word = name.split()[0].lower().rstrip(".…") if name.split() else "working"
        self._current = (word[:40], STEPS.get(word, name)[:120])
        self._owed.append(TaskUpdateChunk(id=self._current[0], title=self._current[1], status="in_progress"))
        if self._clock() - self._flush_at >= FLUSH_S:
            self._flush()

    def finish(self, title: str, blocks: Sequence[Block], text: str) -> str:
        """Puts the card up and gives the ts of its message; `title` is the first block's text in markdown."""
        first, *rest = split_blocks(blocks)
        ts = self._stop_stream(title, first) or self._put(text, first)
        for more in rest:
            self._post("", more)
        return ts

    def say(self, text: str) -> str:
        """Ends with a plain sentence instead of a card."""
        return self._stop_stream(text, []) or self._put(text, [])

    def abandon(self, text: str) -> None:
        """Closes what was streamed after a failure; nothing is posted where nothing was shown."""
        if self._stream.ts is not None:
            self._stop.set()
            with contextlib.suppress(*SLACK_TROUBLE):
                self.say(text)

    def _close_step(self, status: str = "complete") -> None:
        if self._current:
            self._owed.append(TaskUpdateChunk(id=self._current[0], title=self._current[1], status=status))
            self._current = None

    def _flush(self) -> None:
        chunks, self._owed = self._owed, []
        try:
            self._stream.append(chunks=chunks)
        except SLACK_TROUBLE as refused:
            self._drop(refused)
        self._flush_at = self._clock()

    def _stop_stream(self, markdown: str, blocks: Sequence[Block]) -> str | None:
        if not self._alive or self._stream.ts is None:
            return None
        self._close_step("error" if self._stop.is_set() else "complete")
        rest = validate_message(list(blocks)[1:]) if blocks else []
        chunks: list[Chunk] = [*self._owed, PlanUpdateChunk(title="Worked it out")]
        chunks += [MarkdownTextChunk(text=piece) for piece in split_text(markdown, 11_000)]
        try:
            self._stream.stop(chunks=chunks, blocks=rest or None)
        except SLACK_TROUBLE as refused:
            self._drop(refused)
            return None
        return self._stream.ts

    def _put(self, text: str, blocks: Sequence[Block]) -> str:
        """Over the streamed message when there is one, else as a new message."""
        if self._stream.ts is not None:
            try:
                self.client.chat_update(
                    channel=self.channel, ts=self._stream.ts, text=text, blocks=validate_message(blocks)
                )
            except SLACK_TROUBLE as error:
                log.warning("the streamed message could not be updated: %s", refusal(error).code)
            else:
                return self._stream.ts
        return self._post(text, blocks)

    def _post(self, text: str, blocks: Sequence[Block]) -> str:
        key = f"answer:{secrets.token_hex(8)}"
        return send_surely(
            self.client, self.channel, self.thread_ts, text or "…", validate_message(blocks), key
        )

    def _drop(self, error: Exception) -> None:
        log.info("streaming ended early (%s); the answer goes out as a message", refusal(error).code)
        self._alive = False
