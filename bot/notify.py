"""What the ledger owes to Slack, paid: job cards kept current, one final report per job, its pictures.

One thread. A card changes at most every `card_interval_s` (at once when its job ends). What fails waits by
itself: no card or report holds up another. A message whose earlier send may have arrived is looked for by its
key before it is sent again. A job whose channel takes nothing any more goes on in its launcher's own messages;
a refused token keeps everything in the ledger until a person repairs it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient

from bot.blocks import Block, actions, button, context, section
from bot.cards import job_card, job_text
from bot.escape import escape, one_line
from bot.faults import SLACK_TROUBLE
from bot.limits import checked
from bot.posting import Refusal, Trouble, find, has_files, refusal, send
from bot.reports import final_report
from worker.ledger import Ledger
from worker.records import Job, Post
from worker.states import END_STATES, State

TOKEN_S = 15.0  # how long a refused token is left alone before it is tried again
RETRIES_S = (2.0, 5.0, 15.0, 60.0, 300.0)
CARD_WAIT_S = 1.0
PICTURE_TRIES = 3
CARDS_A_ROUND = 200
EVERYTHING, UPDATES = "*", "chat.update"
IN_LINE = (State.QUEUED, State.RETRY_WAIT)
WHY_CLOSED = {
    "is_archived": "it is archived",
    "not_in_channel": "I am no longer in it",
    "channel_not_found": "I cannot see it any more",
}
log = logging.getLogger(__name__)


class Notifier:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once.

    `clock` is the ledger's (Unix seconds), `tick` a steady one for intervals: a clock put back freezes no card.
    """

    def __init__(
        self,
        client: WebClient,
        ledger: Ledger,
        card_interval_s: float,
        queue_up: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._ledger, self._clock, self._tick = client, ledger, clock, tick
        self._interval, self._queue_up = card_interval_s, queue_up
        self._queue_was: bool | None = None
        self._began = clock()
        self._not_before: dict[str, float] = {}  # by job, channel, method or EVERYTHING, in ticks
        self._failed: dict[str, int] = {}  # how often in a row the card of a job failed
        self._gone: set[str] = set()  # jobs whose card somebody deleted
        self._picture_tries: dict[int, int] = {}
        self._mute = False
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
        pause = 0.5
        while not self._over.is_set():
            try:
                self.work_once()
                pause = 0.5
            except Exception:  # the edge of this thread: it must outlive whatever the ledger meets
                if pause == 0.5:
                    log.exception("notifier: this round failed; it goes on, more and more slowly")
                pause = min(TOKEN_S, pause * 2)
            self._wake.wait(pause)
            self._wake.clear()

    def work_once(self) -> None:
        """One round: cards first, so that a report finds the thread it belongs to."""
        if self._held(EVERYTHING):
            return
        changed = {job.id: job for job in [*self._turned(), *self._ledger.stale_cards(CARDS_A_ROUND)]}
        for job in changed.values():
            if self._over.is_set():
                return
            if self._is_due(job):
                self._card(job)
        for post in [] if self._held(EVERYTHING) else self._ledger.due_posts(self._clock()):
            self._pay(post)

    def _turned(self) -> list[Job]:
        """Jobs in line whose card is out of date because the queue went away or came back."""
        up, was = self._queue_up(), self._queue_was
        self._queue_was = up
        if was is None or up == was:
            return []
        waiting = self._ledger.jobs(states=IN_LINE, limit=CARDS_A_ROUND)
        for job in waiting:
            self._not_before.pop(job.id, None)
        return [job for job in waiting if job.card_ts]

    def _is_due(self, job: Job) -> bool:
        if self._held(EVERYTHING) or self._held(UPDATES if job.card_ts else job.channel):
            return False
        ended = job.state in END_STATES and job.id not in self._failed
        return ended or not self._held(job.id)

    def _card(self, job: Job) -> None:
        if not job.channel:  # launched from a terminal: nobody in Slack waits for it
            self._ledger.card_posted(job.id, "", job.version)
            return
        self._hold(job.id, self._interval)
        try:
            ts = self._put_card(job, self._drawn(job))
        except SLACK_TROUBLE as error:
            self._card_refused(job, refusal(error))
            return
        self._well()
        self._failed.pop(job.id, None)
        self._gone.discard(job.id)
        if job.state in END_STATES:
            self._not_before.pop(job.id, None)
        self._ledger.card_posted(job.id, ts, job.version)

    def _drawn(self, job: Job) -> list[Block]:
        try:
            return checked(job_card(job, self._clock(), redis_down=not self._queue_up()))
        except Exception:  # the edge: what a worker reported may be of any shape, the card still goes out
            log.exception("card of %s cannot be drawn", job.id)
            return [section(job_text(job))]

    def _put_card(self, job: Job, blocks: list[Block]) -> str:
        text = job_text(job)
        if job.card_ts and job.id not in self._gone:
            self._client.chat_update(channel=job.channel, ts=job.card_ts, text=text, blocks=blocks)
            return job.card_ts
        key = f"card:{job.id}:{job.card_ts or ''}"
        look = job.id in self._failed or job.created_at <= self._began
        found = find(self._client, job.channel, job.thread_ts, key) if look else None
        return found or send(self._client, job.channel, job.thread_ts, text, blocks, key)

    def _card_refused(self, job: Job, why: Refusal) -> None:
        if not self._mute:
            log.warning("card of %s: %s", job.id, why.code)
        if why.trouble is Trouble.TOKEN:
            self._token_refused(why)
        elif why.trouble is Trouble.SLOW_DOWN:
            self._hold(UPDATES if job.card_ts else job.channel, why.wait_s)
        else:
            tries = self._failed[job.id] = self._failed.get(job.id, 0) + 1
            self._hold(job.id, delay(tries - 1))
        if why.trouble is Trouble.MESSAGE and job.card_ts:
            self._gone.add(job.id)
        elif why.trouble is Trouble.CHANNEL:
            self._move(job, why)

    def _move(self, job: Job, why: Refusal) -> None:
        """The job goes on in its launcher's own messages, who are told why; on failure it stays where it was."""
        if not job.by.startswith(("U", "W")):
            return
        reason = WHY_CLOSED.get(why.code, why.code)
        text = (
            f"I cannot post in <#{job.channel}>: {reason}. Job `{job.id}` goes on, and its report comes here."
        )
        try:
            direct = str(self._client.conversations_open(users=[job.by])["channel"]["id"])
            if direct == job.channel:
                return
            send(self._client, direct, None, text, [section(text)], f"moved:{job.id}")
        except SLACK_TROUBLE as error:
            log.warning("launcher of %s not reached: %s", job.id, refusal(error).code)
            return
        self._not_before.pop(job.id, None)
        self._failed.pop(job.id, None)
        self._ledger.move_to(job.id, direct, f"the channel takes nothing ({why.code})")

    def _pay(self, post: Post) -> None:
        try:
            job = self._ledger.job(post.job_id)
            thread = post.thread_ts or job.thread_ts or job.card_ts
            if not post.channel:
                self._ledger.post_done(post.id, "")
            elif self._held(EVERYTHING) or not thread:
                self._ledger.post_later(post.id, self._clock() + CARD_WAIT_S)
            else:
                self._deliver(post, job, thread)
        except SLACK_TROUBLE as error:
            self._post_refused(post, job, refusal(error))
        except Exception:  # the edge: one report must not hold up the others
            log.exception("post %s of %s", post.kind, post.job_id)
            self._ledger.post_failed(post.id, self._clock() + delay(post.tries), "internal")

    def _deliver(self, post: Post, job: Job, thread: str) -> None:
        """The message if it is not there yet, then its pictures; the ledger hears when both stand."""
        ts = find(self._client, post.channel, thread, post.dedupe_key) if post.tries else None
        if ts is None:
            text, blocks = self._message(post, job)
            ts = send(self._client, post.channel, thread, text, blocks, post.dedupe_key)
        self._well()
        if self._pictures(job, post, thread):
            self._ledger.post_done(post.id, ts)

    def _message(self, post: Post, job: Job) -> tuple[str, list[Block]]:
        try:
            text, blocks = message_of(post, job)
            return text, checked(blocks)
        except Exception:  # the edge: a report that cannot be drawn is still reported
            log.exception("post %s of %s cannot be drawn", post.kind, job.id)
            text = f"{job_text(job)}. Its report cannot be shown here; `trainwise jobs show {job.id}` has it."
            return text, [section(text)]

    def _post_refused(self, post: Post, job: Job, why: Refusal) -> None:
        """Keeps the message owed; until when depends on what Slack said."""
        if not self._mute:
            log.warning("post %s of %s is kept: %s", post.kind, job.id, why.code)
        wait = delay(post.tries)
        if why.trouble is Trouble.TOKEN:
            self._token_refused(why)
            wait = TOKEN_S
        elif why.trouble is Trouble.SLOW_DOWN:
            wait = why.wait_s
        self._ledger.post_failed(post.id, self._clock() + wait, why.code)
        if why.trouble is Trouble.CHANNEL:
            self._move(job, why)

    def _pictures(self, job: Job, post: Post, thread: str) -> bool:
        """Whether nothing is owed any more: the pictures stand in the thread, or a line says why not."""
        plots = self._ledger.plots(job.id) if post.kind == "final_report" else {}
        if not plots or (post.tries and has_files(self._client, post.channel, thread, set(plots))):
            return True
        try:
            self._client.files_upload_v2(
                channel=post.channel, thread_ts=thread, file_uploads=uploads(plots, job.report or {})
            )
        except SLACK_TROUBLE as error:
            why = refusal(error)
            tried = self._picture_tries[post.id] = self._picture_tries.get(post.id, 0) + 1
            log.warning("pictures of %s, try %d: %s", job.id, tried, why.code)
            if tried < PICTURE_TRIES:
                wait = max(why.wait_s, delay(tried))
                self._ledger.post_failed(post.id, self._clock() + wait, f"pictures: {why.code}")
                return False
            text = f"🖼️ The pictures could not be uploaded (`{why.code}`). Check the app's permission files:write."
            key = f"{post.dedupe_key}:pictures"
            send(self._client, post.channel, thread, text, [context(text)], key)
        self._picture_tries.pop(post.id, None)
        return True

    def _token_refused(self, why: Refusal) -> None:
        self._hold(EVERYTHING, TOKEN_S)
        if not self._mute:
            log.error(
                "Slack refuses the bot's token (%s). Reinstall the app (Install App), put its xoxb- token in "
                "SLACK_BOT_TOKEN and restart `trainwise up`. Reports are kept and go out then.",
                why.code,
            )
        self._mute = True

    def _well(self) -> None:
        """Slack took something."""
        if self._mute:
            log.warning("Slack takes messages again; what was kept goes out now")
        self._mute = False

    def _hold(self, what: str, seconds: float) -> None:
        self._not_before[what] = self._tick() + seconds

    def _held(self, what: str) -> bool:
        return self._tick() < self._not_before.get(what, float("-inf"))


def delay(tries: int) -> float:
    """Seconds until the next try after so many earlier ones."""
    return RETRIES_S[min(tries, len(RETRIES_S) - 1)]


def message_of(post: Post, job: Job) -> tuple[str, list[Block]]:
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


def uploads(plots: dict[str, bytes], report: dict[str, Any]) -> list[dict[str, Any]]:
    """The pictures as files_upload_v2 takes them, with the report's titles and descriptions."""
    about = {str(p.get("file")): p for p in report.get("plots") or [] if isinstance(p, dict)}
    return [
        {
            "content": png,
            "filename": name,
            "title": str(about.get(name, {}).get("title", name))[:100],
            "alt_txt": str(about.get(name, {}).get("alt", name))[:900],
        }
        for name, png in plots.items()
    ]
