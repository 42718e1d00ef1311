"""What the ledger owes to Slack, paid: job cards kept current, one final report per job, its pictures.

One thread. A card changes at most every `card_interval_s` (at once when its job ends) and all of them share
Slack's speed limit, the one shown longest ago first. What fails waits by itself: no card or report holds up
another. A message whose earlier send may have arrived is looked for by its key before it is sent again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from slack_sdk import WebClient

from bot.blocks import Block
from bot.cards import job_text
from bot.faults import SLACK_TROUBLE
from bot.owed import card_of, message_of, pictures_of
from bot.pace import Pace
from bot.posting import Refusal, Trouble, find, has_files, refusal, send
from worker.ledger import Ledger
from worker.records import Job, Post, StaleCard
from worker.states import END_STATES

RETRIES_S = (2.0, 5.0, 15.0, 60.0, 300.0)
WAIT_S = 1.0
PICTURE_TRIES = 3
log = logging.getLogger(__name__)


class Aftermath(Protocol):
    """What else a job's end means (bot/aftermath.py): lines beneath its report, and work after it."""

    def blocks(self, job: Job) -> list[Block]: ...

    def settle(self, job: Job) -> None: ...


class NotNow(Exception):
    """Slack's speed limit: this call's turn has not come."""


class Notifier:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once.

    `client` must neither wait nor repeat inside a call (bot.app.posting_client): this class decides when.
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
        self._pace = Pace(tick)
        self._interval, self._queue_up = card_interval_s, queue_up
        self._shown: dict[str, float] = {}
        self._held: dict[str, tuple[float, int]] = {}
        self._uncertain: set[str] | None = None
        self._refused = ""
        self.aftermath: Aftermath | None = None
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
        stale = self._ledger.stale_cards()
        if self._uncertain is None:  # an earlier process may have sent these without noting it
            self._uncertain = {card.id for card in stale if not card.card_ts}
        for card in sorted(stale, key=self._urgency):
            if self._over.is_set():
                return
            if self._is_due(card):
                self._show(card)
        for post in self._ledger.due_posts():
            self._pay(post)
        self._shown = {key: at for key, at in self._shown.items() if self._tick() - at < 3600}

    def _urgency(self, card: StaleCard) -> tuple[bool, bool, float]:
        return card.state not in END_STATES, bool(card.card_ts), self._shown.get(card.id, float("-inf"))

    def _is_due(self, card: StaleCard) -> bool:
        now = self._tick()
        if now < self._held.get(card.id, (now, 0))[0]:
            return False
        return card.state in END_STATES or now - self._shown.get(card.id, float("-inf")) >= self._interval

    def _show(self, card: StaleCard) -> None:
        job = self._ledger.job(card.id)
        if not job.channel:  # launched from a terminal: nobody in Slack waits for it
            self._ledger.card_posted(job.id, "", job.version)
            return
        try:
            ts = self._put_card(job)
        except NotNow:
            return
        except SLACK_TROUBLE as error:
            self._card_failed(job, refusal(error))
            return
        except Exception:
            log.exception("card of %s", job.id)
            self._card_failed(job, Refusal(Trouble.OTHER, "internal"))
            return
        self._refused = ""
        self._shown[job.id] = self._tick()
        self._held.pop(job.id, None)
        self._ledger.card_posted(job.id, ts, job.version)

    def _put_card(self, job: Job) -> str:
        """The ts of the card, which now shows `job`."""
        assert self._uncertain is not None
        text, blocks = job_text(job), card_of(job, self._clock(), not self._queue_up())
        key, ts = f"card:{job.id}", job.card_ts
        if ts is None and job.id in self._uncertain:
            ts = find(self._client, job.channel, job.thread_ts, key)
        if ts is not None:
            self._take("update", job.channel)
            self._client.chat_update(channel=job.channel, ts=ts, text=text, blocks=blocks)
            return ts
        self._take("post", job.channel)
        self._uncertain.add(job.id)
        ts = send(self._client, job.channel, job.thread_ts, text, blocks, key)
        self._uncertain.discard(job.id)
        return ts

    def _take(self, method: str, channel: str) -> None:
        if not self._pace.take(method, channel):
            raise NotNow

    def _card_failed(self, job: Job, why: Refusal) -> None:
        tries = self._held.get(job.id, (0.0, 0))[1]
        wait = why.wait_s or delay(tries)
        if why.trouble is Trouble.SLOW_DOWN:
            self._pace.hold("update" if job.card_ts else "post", job.channel, wait)
        else:
            self._say(f"card of {job.id}", why)
        self._held[job.id] = (self._tick() + wait, tries + 1)
        if why.trouble is Trouble.MESSAGE:  # someone deleted it: a new one
            self._ledger.card_gone(job.id)
        if why.trouble is Trouble.CHANNEL:
            self._move_to_requester(job, why)

    def _say(self, what: str, why: Refusal) -> None:
        """One line in the log; a refused token is said once, not for every card."""
        if why.trouble is Trouble.TOKEN:
            if self._refused != why.code:
                log.error("Slack refuses our token (%s): everything owed is kept until it works", why.code)
            self._refused = why.code
        else:
            log.warning("%s: %s", what, why.code)

    def _move_to_requester(self, job: Job, why: Refusal) -> None:
        """A channel that is gone keeps no report from its person: it goes to their own messages."""
        if not job.by.startswith(("U", "W")):
            return
        try:
            direct = str(self._client.conversations_open(users=[job.by])["channel"]["id"])
        except SLACK_TROUBLE as error:
            log.warning("no conversation with %s: %s", job.by, refusal(error).code)
            return
        if direct != job.channel:
            reason = f"I can no longer post where the job was launched ({why.code})"
            self._ledger.move_to(job.id, direct, reason)

    def _pay(self, post: Post) -> None:
        job = self._ledger.job(post.job_id)
        try:
            self._deliver(post, job)
        except NotNow:
            self._ledger.post_later(post.id, self._clock() + WAIT_S)
        except SLACK_TROUBLE as error:
            why = refusal(error)
            wait = why.wait_s or delay(post.tries)
            if why.trouble is Trouble.SLOW_DOWN:
                self._pace.hold("post", post.channel, wait)
            self._say(f"{post.kind} of {post.job_id}", why)
            self._ledger.post_failed(post.id, self._clock() + wait, why.code)
            if why.trouble is Trouble.CHANNEL:
                self._move_to_requester(job, why)
        except Exception:
            log.exception("%s of %s", post.kind, post.job_id)
            self._ledger.post_failed(post.id, self._clock() + delay(post.tries), "internal")

    def _deliver(self, post: Post, job: Job) -> None:
        after = self.aftermath if post.kind == "final_report" else None
        more = after.blocks(job) if after else []
        if not post.channel:
            self._ledger.post_done(post.id, "")
            return
        thread = post.thread_ts or job.thread_ts or job.card_ts
        if thread is None:  # its card has not gone out yet
            raise NotNow
        ts = find(self._client, post.channel, thread, post.dedupe_key) if post.tries else None
        if ts is None:
            text, blocks = message_of(post, job)
            blocks += more
            self._take("post", post.channel)
            ts = send(self._client, post.channel, thread, text, blocks, post.dedupe_key)
        if post.kind == "final_report":
            self._pictures(job, post, thread)
        if after:
            after.settle(job)
        self._ledger.post_done(post.id, ts)

    def _pictures(self, job: Job, post: Post, thread: str) -> None:
        """Uploads the pictures that the thread does not show yet; after some tries the report stands alone."""
        plots = self._ledger.plots(job.id)
        if not plots or (post.tries and has_files(self._client, post.channel, thread, set(plots))):
            return
        uploads = pictures_of(job, plots)
        try:
            self._client.files_upload_v2(channel=post.channel, thread_ts=thread, file_uploads=uploads)
        except SLACK_TROUBLE as error:
            if post.tries + 1 < PICTURE_TRIES:
                raise
            log.warning("pictures of %s given up: %s", job.id, refusal(error).code)


def delay(tries: int) -> float:
    """Seconds until the next try after so many earlier ones."""
    return RETRIES_S[min(tries, len(RETRIES_S) - 1)]
