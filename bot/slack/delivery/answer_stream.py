"""Streams an answer to Slack: first its steps, then its card. The answer arrives exactly once, whatever Slack refuses.

The order of attempts: stop the stream with the card; stop the stream empty and write the card (or its text alone) into
that message; post a new message. Answers that Slack still refuses are in `unsent_answers`, and the caller puts them into
the outbox (answer_outbox.py). Meanwhile the thread's session is "processing", so that Slack shows its Stop button.
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

from bot.slack.delivery.answer_message import AnswerMessage, end_stream, post_answer_with_retries
from bot.slack.delivery.posting import FailureKind, classify_error, find_stream
from bot.slack.slack_errors import SLACK_ERRORS
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
    """The message of one answer: call `step` while it is made, then exactly one of `finish` and `finish_with_text`."""

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
        self._session_client = WebClient(client.token, base_url=client.base_url, timeout=5, retry_handlers=[])
        self._since = time.time()
        self._ts: str | None = None
        self._can_stream = self._uses_session = streaming
        self._current: tuple[str, str] | None = None
        self._chunks: list[Chunk] = [PlanUpdateChunk(title="Working it out")] if streaming else []
        self._flush_at = -FLUSH_S
        self.unsent_answers: list[AnswerMessage] = []
        self._set_session("processing")

    def step(self, name: str) -> None:
        """Shows the next step (none for an empty name); raises AnswerStop after the person pressed Stop."""
        if self._stop.is_set():
            raise AnswerStop
        if not self._can_stream or not name:
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
        """Shows the card; returns the ts of its message, or the key of the unsent answer.

        `title` is the card's first block in markdown.
        """
        first, *rest = split_blocks(blocks)
        answer = AnswerMessage(
            self.channel, self.thread_ts, self.user, text, validate_message(first), since=self._since
        )
        ts = self._stop_stream(title, answer.blocks[1:]) or self._deliver(answer)
        for more in rest:
            self._deliver(
                AnswerMessage(self.channel, self.thread_ts, self.user, "", validate_message(more)),
                as_new_message=True,
            )
        return ts

    def finish_with_text(self, text: str) -> str:
        """Ends with a plain sentence instead of a card."""
        answer = AnswerMessage(self.channel, self.thread_ts, self.user, text, since=self._since)
        return self._stop_stream(text, []) or self._deliver(answer)

    def abandon(self, text: str) -> None:
        """Ends the stream with `text` after a failure; posts nothing when nothing was shown yet."""
        if self._ts is not None:
            self._stop.set()
            self.finish_with_text(text)
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
        except SLACK_ERRORS as refused:
            log.info(
                "streaming ended early (%s); the answer comes as one message", classify_error(refused).code
            )
            self._can_stream = False
            if (
                self._ts is None and classify_error(refused).kind is FailureKind.UNSURE
            ):  # the stream may exist although the call failed
                with contextlib.suppress(*SLACK_ERRORS):
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
        """Stops the stream with this card; returns its ts, or None where Slack refused."""
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
        except SLACK_ERRORS as refused:
            log.info("the stream did not end with its card: %s", classify_error(refused).code)
            end_stream(self.client, self.channel, self._ts)
            self._set_session("active")
            return None
        return self._ts

    def _deliver(self, answer: AnswerMessage, as_new_message: bool = False) -> str:
        """Writes the answer into the streamed message or a new one; returns its ts, or its key when it stays unsent."""
        answer = answer if as_new_message else replace(answer, ts=self._ts)
        try:
            return post_answer_with_retries(self.client, answer)
        except SLACK_ERRORS as refused:
            log.warning("the answer is unsent and goes to the outbox: %s", classify_error(refused).code)
            self.unsent_answers.append(answer)
            return answer.key

    def _set_session(self, status: str) -> None:
        """Sets the session's status in Slack, best effort: a failure or a slow call delays nothing."""
        if self._uses_session:
            with contextlib.suppress(*SLACK_ERRORS):
                self._session_client.agents_sessions_setStatus(
                    channel_id=self.channel, thread_ts=self.thread_ts, status=status
                )
