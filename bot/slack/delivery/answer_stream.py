"""An answer being made, shown as it grows: steps in a stream, then the card; whatever Slack refuses, it arrives once.

Order of what is tried: stop the stream with the card; end it without a word and put the card, or its text alone, into
it; a new message. What Slack refuses even then is in `owed`: the ledger keeps it (owed_answers.py). While the answer is
made the thread's session is "processing", which is what shows Slack's Stop button.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from slack_sdk import WebClient
from slack_sdk.models.messages.chunk import Chunk, MarkdownTextChunk, PlanUpdateChunk, TaskUpdateChunk

from bot.slack.delivery.placing import Answer, end_stream, place_surely
from bot.slack.delivery.posting import Trouble, find_stream, refusal
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
        self.client, self.channel, self.thread_ts, self.user = client, channel, thread_ts, user
        self._team, self._stop, self._clock = team, stop, clock
        self._quick = WebClient(client.token, base_url=client.base_url, timeout=5, retry_handlers=[])
        self._since = time.time()
        self._ts: str | None = None
        self._alive = self._in_session = streaming
        self._current: tuple[str, str] | None = None
        self._chunks: list[Chunk] = [PlanUpdateChunk(title="Working it out")] if streaming else []
        self._flush_at = -FLUSH_S
        self.owed: list[Answer] = []
        self._set_session("processing")

    def step(self, name: str) -> None:
        """Shows the next step (an empty name shows none); raises AnswerStop once the person pressed Stop."""
        if self._stop.is_set():
            raise AnswerStop
        if not self._alive or not name:
            return
        self._close_step()
        word = name.split()[0].lower().rstrip(".…") if name.split() else "working"
        self._current = (word[:40], STEPS.get(word, name)[:120])
        self._chunks.append(
            TaskUpdateChunk(id=self._current[0], title=self._current[1], status="in_progress")
        )
        if self._clock() - self._flush_at >= FLUSH_S:
            self._flush()

    def finish(self, title: str, blocks: Sequence[Block], text: str) -> str:
        """Puts the card up: the ts of its message, or the key of what is `owed`; `title` is its first block in markdown."""
        first, *rest = split_blocks(blocks)
        own = Answer(
            self.channel, self.thread_ts, self.user, text, validate_message(first), since=self._since
        )
        ts = self._stop_stream(title, own.blocks[1:]) or self._place(own)
        for more in rest:
            self._place(
                Answer(self.channel, self.thread_ts, self.user, "", validate_message(more)), fresh=True
            )
        return ts

    def say(self, text: str) -> str:
        """Ends with a plain sentence instead of a card."""
        own = Answer(self.channel, self.thread_ts, self.user, text, since=self._since)
        return self._stop_stream(text, []) or self._place(own)

    def abandon(self, text: str) -> None:
        """Closes what was streamed after a failure; nothing is posted where nothing was shown."""
        if self._ts is not None:
            self._stop.set()
            self.say(text)
        self._set_session("active")

    def _close_step(self, status: str = "complete") -> None:
        if self._current:
            self._chunks.append(TaskUpdateChunk(id=self._current[0], title=self._current[1], status=status))
            self._current = None

    def _flush(self) -> None:
        chunks, self._chunks = self._chunks, []
        try:
            if self._ts is None:
                self._ts = self._start(chunks)
            else:
                self.client.chat_appendStream(channel=self.channel, ts=self._ts, chunks=chunks)
        except SLACK_TROUBLE as refused:
            log.info("streaming ended early (%s); the answer stands at its end", refusal(refused).code)
            self._alive = False
            if self._ts is None and refusal(refused).trouble is Trouble.UNSURE:  # it may stand there unheard
                with contextlib.suppress(*SLACK_TROUBLE):
                    self._ts = find_stream(self.client, self.channel, self.thread_ts, self._since)
        self._flush_at = self._clock()

    def _start(self, chunks: Sequence[Chunk]) -> str:
        answer = self.client.chat_startStream(
            channel=self.channel,
            thread_ts=self.thread_ts,
            recipient_team_id=self._team,
            recipient_user_id=self.user,
            task_display_mode="plan",
            chunks=list(chunks),
        )
        return str(answer["ts"])

    def _stop_stream(self, markdown: str, blocks: Sequence[Block]) -> str | None:
        """The ts of the stream that ended with this card; None where Slack did not end it so."""
        if self._ts is None:
            self._set_session("active")
            return None
        self._close_step("error" if self._stop.is_set() else "complete")
        chunks: list[Any] = [*self._chunks, PlanUpdateChunk(title="Worked it out")]
        chunks += [MarkdownTextChunk(text=piece) for piece in split_text(markdown, 11_000)]
        try:
            self.client.chat_stopStream(
                channel=self.channel,
                ts=self._ts,
                chunks=chunks,
                blocks=list(blocks) or None,
                session_status="active",
            )
        except SLACK_TROUBLE as refused:
            log.info("the stream did not end with its card: %s", refusal(refused).code)
            end_stream(self.client, self.channel, self._ts)
            self._set_session("active")
            return None
        return self._ts

    def _place(self, answer: Answer, fresh: bool = False) -> str:
        """Into the streamed message, or as a new one; what Slack does not take is owed, under the key that comes back."""
        answer = answer if fresh else replace(answer, ts=self._ts)
        try:
            return place_surely(self.client, answer)
        except SLACK_TROUBLE as refused:
            log.warning("the answer is owed: %s", refusal(refused).code)
            self.owed.append(answer)
            return answer.key

    def _set_session(self, status: str) -> None:
        """Tells Slack that we work on the thread, or that we are done; it is a courtesy, so nobody waits for it."""
        if self._in_session:
            with contextlib.suppress(*SLACK_TROUBLE):
                self._quick.agents_sessions_setStatus(
                    channel_id=self.channel, thread_ts=self.thread_ts, status=status
                )
