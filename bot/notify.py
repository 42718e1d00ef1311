"""What the ledger owes to Slack, paid: job cards kept current, one final report per job, its pictures.

One thread; cards of one job change at most every `card_interval_s` (at once when the job ends). A report
whose earlier send may have arrived is looked for by its key before it is sent again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.blocks import Block, actions, button, section
from bot.cards import job_card, job_text
from bot.escape import escape, one_line
from bot.limits import checked
from bot.reports import final_report
from worker.ledger import Ledger
from worker.records import Job, Post
from worker.states import END_STATES

RETRY_S = 15.0
EVENT_TYPE = "trainwise_post"
log = logging.getLogger(__name__)


class Notifier:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once."""

    def __init__(
        self,
        client: WebClient,
        ledger: Ledger,
        card_interval_s: float,
        queue_up: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._ledger, self._clock = client, ledger, clock
        self._interval, self._queue_up = card_interval_s, queue_up
        self._shown: dict[str, float] = {}
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        """Begins to pay what is owed."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ends after the call under way; what is left stays owed in the ledger."""
        self._over.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def wake(self) -> None:
        """Something new is owed."""
        self._wake.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.work_once()
            except Exception:  # the edge of this thread: it must outlive whatever one round meets
                log.exception("notifier")
            self._wake.wait(0.5)
            self._wake.clear()

    def work_once(self) -> None:
        """One round: cards first, so that a report finds the thread it belongs to."""
        for job in self._ledger.stale_cards():
            self._card(job)
        for post in self._ledger.due_posts():
            self._pay(post)

    def _card(self, job: Job) -> None:
        if not job.channel:  # launched from a terminal: nobody in Slack waits for it
            self._ledger.card_posted(job.id, "", job.version)
            return
        now = self._clock()
        if job.state not in END_STATES and now - self._shown.get(job.id, 0.0) < self._interval:
            return
        self._shown[job.id] = now
        blocks = checked(job_card(job, now, redis_down=not self._queue_up()))
        try:
            ts = self._put_card(job, blocks)
        except SlackClientError as refused:
            log.warning("card of %s: %s", job.id, _code(refused))
            self._shown[job.id] = now + RETRY_S
            return
        self._ledger.card_posted(job.id, ts, job.version)

    def _put_card(self, job: Job, blocks: list[Block]) -> str:
        if job.card_ts:
            self._client.chat_update(channel=job.channel, ts=job.card_ts, text=job_text(job), blocks=blocks)
            return job.card_ts
        key = f"card:{job.id}"
        found = self._find(job.channel, job.thread_ts, key) if job.id in self._shown else None
        return found or self._send(job.channel, job.thread_ts, job_text(job), blocks, key)

    def _pay(self, post: Post) -> None:
        job = self._ledger.job(post.job_id)
        if not post.channel:
            self._ledger.post_done(post.id, "")
            return
        thread = post.thread_ts or job.thread_ts or job.card_ts
        if thread is None:  # its card has not gone out yet
            self._ledger.post_failed(post.id, self._clock() + 1.0, "waits for the card")
            return
        try:
            ts = self._find(post.channel, thread, post.dedupe_key) if post.tries else None
            if ts is None:
                text, blocks = _message(post, job)
                ts = self._send(post.channel, thread, text, checked(blocks), post.dedupe_key)
                self._pictures(job, post, thread)
        except SlackClientError as refused:
            log.warning("post %s of %s: %s", post.kind, job.id, _code(refused))
            self._ledger.post_failed(post.id, self._clock() + RETRY_S, _code(refused))
            return
        self._ledger.post_done(post.id, ts)

    def _pictures(self, job: Job, post: Post, thread: str) -> None:
        plots = self._ledger.plots(job.id) if post.kind == "final_report" else {}
        if not plots:
            return
        about = {p["file"]: p for p in (job.report or {}).get("plots", [])}
        uploads = [
            {
                "content": png,
                "filename": name,
                "title": str(about.get(name, {}).get("title", name))[:100],
                "alt_txt": str(about.get(name, {}).get("alt", name))[:900],
            }
            for name, png in plots.items()
        ]
        try:
            self._client.files_upload_v2(channel=post.channel, thread_ts=thread, file_uploads=uploads)
        except SlackClientError as refused:  # the report stands; its pictures are not worth a second one
            log.warning("pictures of %s: %s", job.id, _code(refused))

    def _send(self, channel: str, thread: str | None, text: str, blocks: list[Block], key: str) -> str:
        sent = self._client.chat_postMessage(
            channel=channel,
            thread_ts=thread,
            text=text,
            blocks=blocks,
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
        )
        return str(sent["ts"])

    def _find(self, channel: str, thread: str | None, key: str) -> str | None:
        """The message that carries this key, if an earlier send did arrive."""
        if thread:
            answer = self._client.conversations_replies(
                channel=channel, ts=thread, limit=200, include_all_metadata=True
            )
        else:
            answer = self._client.conversations_history(channel=channel, limit=200, include_all_metadata=True)
        messages: list[dict[str, Any]] = answer.get("messages") or []
        for message in messages:
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("key") == key:
                return str(message["ts"])
        return None


def _message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """The text and blocks of one owed message."""
    if post.kind != "approval_request":
        return final_report(job)
    why = escape(one_line(str(post.body.get("why", "")), 500))
    text = f"🙋 {escape(job.by_name)} asks for approval of job {job.id}: {why}"
    buttons = [
        button("Approve", "job_approve", job.id, style="primary"),
        button("Decline", "job_reject", job.id, style="danger"),
    ]
    return text, [section(text), actions(buttons, block_id="approval")]


def _code(error: Exception) -> str:
    """Slack's error code, or the class of the failure."""
    return str(error.response.get("error")) if isinstance(error, SlackApiError) else type(error).__name__
