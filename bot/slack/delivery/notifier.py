"""Delivers the ledger's outbox to Slack: updates job cards, posts one final report per job and its pictures.

It runs in one thread. A card changes at most every `card_interval_s` (at once when its job ends). All cards share
Slack's rate limit; the card with the oldest update goes first. A failed card or report waits alone and delays no other.
When an earlier send may have arrived, the message is searched by its key before it is sent again. When a channel
refuses messages, or does not want them (worker/ledger/notifications.py), the job moves to the direct messages of its
requester. When Slack refuses the token, everything stays in the outbox until a person repairs the token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from slack_sdk import WebClient

from bot.slack.delivery.answer_outbox import OnSent, deliver_answer
from bot.slack.delivery.approvals import KINDS, deliver_approval
from bot.slack.delivery.background_loop import BackgroundLoop
from bot.slack.delivery.card_schedule import CardSchedule
from bot.slack.delivery.pictures import Pictures
from bot.slack.delivery.posting import (
    FailureKind,
    SlackFailure,
    classify_error,
    deliver_trial,
    find_message,
    send_message,
)
from bot.slack.delivery.rate_limit import RateLimiter, retry_delay
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import Block, section
from bot.slack.ui.job_card import job_text
from bot.slack.ui.messages import CLOSED_REASONS, card_of, message_of, thread_of
from worker.jobs.records import Job, Post, StaleCard
from worker.jobs.states import State
from worker.kinds import kind_of
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import note_post

TOKEN_RETRY_S = 15.0  # the pause after Slack refused the token
POSTPONE_S = 1.0
log = logging.getLogger(__name__)


class CompletionHook(Protocol):
    """Work at a job's end beyond its report (bot/slack/delivery/job_completion.py)."""

    def report_notes(self, job: Job) -> list[Block]: ...

    def update_verdict(self, job: Job) -> None: ...


class TryLater(Exception):
    """The call has to wait: for the rate limit, for an answer of Slack's, or for another message."""


class Notifier:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once.

    `client` must not wait or retry inside a call (bot.slack.app.posting_client): this class schedules retries.
    `leader_term` is this bot's term as leader (0: another bot leads), where several bots share the ledger.
    """

    def __init__(
        self,
        client: WebClient,
        ledger: Ledger,
        card_interval_s: float,
        is_queue_up: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._ledger, self._clock, self._tick = client, ledger, clock, tick
        self._rate_limiter = RateLimiter(tick)
        self._is_queue_up = is_queue_up
        self._cards = CardSchedule(ledger, card_interval_s, is_queue_up, tick)
        self._maybe_sent: set[str] | None = None
        self.leader_term: Callable[[], int] = lambda: 1  # worker.ledger.speaker_lease
        self._term = 0
        self._token_error = ""
        self.completion_hook: CompletionHook | None = None
        self.is_closed_to_jobs: Callable[[str], bool | None] = lambda channel: False  # Services' method
        self.on_answer_sent: OnSent = lambda post, channel, ts: None  # JobCompletion.move_card
        self._paused_until = float("-inf")  # in ticks; set while Slack refuses the token
        self._pictures = Pictures(client)
        self._loop = BackgroundLoop(self.work_once, "notifier", TOKEN_RETRY_S)

    def start(self) -> None:
        """Starts delivering."""
        self._loop.start()

    def stop(self) -> None:
        """Stops after the current call; undelivered posts stay in the ledger."""
        self._loop.stop()

    def wake(self) -> None:
        """Starts the next round at once, for a new post."""
        self._loop.wake()

    def work_once(self) -> None:
        """Delivers one round: cards first, because a report is posted in its card's thread."""
        if self._is_paused() or not self._is_leader():
            return
        stale = [*self._cards.cards_after_queue_change(), *self._ledger.stale_cards()]
        if self._maybe_sent is None:  # an earlier process may have sent these before it could record them
            self._maybe_sent = {card.id for card in stale if not card.card_ts}
        for card in sorted(stale, key=self._cards.urgency):
            if self._loop.is_stopping or not self._is_leader() or self._maybe_sent is None:
                return
            if self._is_due(card):
                self._refresh_card(card)
        for card in self._cards.running_cards():
            if not self._loop.is_stopping and self._is_due(card):
                self._refresh_card(card)
        for post in (
            [] if self._is_paused() or not self._is_leader() else self._ledger.due_posts(self._clock())
        ):
            self._send_post(post)
        self._cards.forget_old()

    def _is_leader(self) -> bool:
        """Whether this bot is the leader; a new term clears what we know of sent cards, since others may have sent some."""
        term = self.leader_term()
        if term != self._term:
            self._term, self._maybe_sent = term, None
        return bool(term)

    def _is_paused(self) -> bool:
        return self._tick() < self._paused_until

    def _is_due(self, card: StaleCard) -> bool:
        return not self._is_paused() and self._cards.is_due(card)

    def _refresh_card(self, card: StaleCard) -> None:
        job = self._ledger.job(card.id)
        if not job.channel:  # launched from a terminal: it has no card in Slack
            self._ledger.record_card(job.id, "", job.version)
            return
        try:
            if self._moved_to_requester(job):
                return
            ts = self._post_or_update_card(job)
        except TryLater:
            return
        except SLACK_ERRORS as error:
            self._handle_card_failure(job, classify_error(error, self._cards.tries(job.id)))
            return
        except Exception:
            log.exception("card of %s", job.id)
            self._handle_card_failure(job, SlackFailure(FailureKind.OTHER, "internal"))
            return
        self._note_success()
        self._cards.record_shown(job.id)
        self._ledger.record_card(job.id, ts, job.version)
        if (
            self.leader_term() != self._term
        ):  # another bot spoke meanwhile: what it showed may lie beneath what we did
            self._ledger.mark_card_stale(job.id)
        if self._maybe_sent is not None:  # only now: a ledger that could not note it would have it sent again
            self._maybe_sent.discard(job.id)

    def _post_or_update_card(self, job: Job) -> str:
        """Shows `job` on its card and returns the card's ts."""
        assert self._maybe_sent is not None
        text, blocks = job_text(job), card_of(job, self._clock(), not self._is_queue_up())
        key, ts = f"card:{job.id}", job.card_ts
        place = self._open_direct(
            job.card_place, lambda direct: self._ledger.set_card_channel(job.id, direct)
        )
        thread = job.thread_ts if place == job.channel else None
        if ts is None and job.id in self._maybe_sent:
            ts = find_message(self._client, place, thread, key, job.created_at)
        if ts is not None:
            self._acquire("update", place)
            self._client.chat_update(channel=place, ts=ts, text=text, blocks=blocks)
            return ts
        self._acquire("post", place)
        self._maybe_sent.add(job.id)
        return send_message(self._client, place, thread, text, blocks, key)

    def _open_direct(self, channel: str, record: Callable[[str], None]) -> str:
        """The channel; for a user id the direct message with that person, passed to `record`."""
        if not channel.startswith(("U", "W")):
            return channel
        direct = str(self._client.conversations_open(users=[channel])["channel"]["id"])
        record(direct)
        return direct

    def _acquire(self, method: str, channel: str) -> None:
        if not self._rate_limiter.acquire(method, channel):
            raise TryLater

    def _moved_to_requester(self, job: Job) -> bool:
        """Moves the job to its requester's direct messages when its channel has external readers; whether it did.

        Raises TryLater while Slack does not tell who reads there.
        """
        is_closed = self.is_closed_to_jobs(job.channel)
        if is_closed is None:
            raise TryLater
        if is_closed:
            self._cards.postpone(job.id, retry_delay(self._cards.tries(job.id)))
            self._move_to_requester(job, SlackFailure(FailureKind.CHANNEL, "external_readers"))
        return is_closed

    def _handle_card_failure(self, job: Job, failure: SlackFailure) -> None:
        if failure.kind is FailureKind.TOKEN:
            self._handle_token_failure(failure)
            return
        wait = failure.wait_s or retry_delay(self._cards.tries(job.id))
        if failure.kind is FailureKind.SLOW_DOWN:
            self._rate_limiter.block("update" if job.card_ts else "post", job.card_place, wait)
        else:
            log.warning("card of %s: %s", job.id, failure.code)
        self._cards.postpone(job.id, wait)
        if failure.kind is FailureKind.MESSAGE:  # someone deleted the card: post a new one
            self._ledger.forget_card(job.id)
        if failure.kind is FailureKind.CHANNEL and job.card_channel and not job.card_ts:
            # the requester cannot be reached: back to the channel
            self._ledger.set_card_channel(job.id, None)
        elif failure.kind is FailureKind.CHANNEL:
            self._move_to_requester(job, failure)

    def _handle_token_failure(self, failure: SlackFailure) -> None:
        """Logs the refused token once and pauses all delivery for TOKEN_RETRY_S."""
        self._paused_until = self._tick() + TOKEN_RETRY_S
        if self._token_error != failure.code:
            log.error(
                "Slack refuses the bot's token (%s). Reinstall the app (Install App), put its xoxb- token in "
                "SLACK_BOT_TOKEN and restart `trainwise up`. Reports are kept and go out then.",
                failure.code,
            )
        self._token_error = failure.code

    def _note_success(self) -> None:
        """Notes that Slack accepted a message."""
        if self._token_error:
            log.warning("Slack accepts messages again; the outbox is delivered now")
        self._token_error = ""

    def _move_to_requester(self, job: Job, failure: SlackFailure) -> None:
        """Moves the job to its requester's direct messages and tells them why."""
        if not job.by.startswith(("U", "W")):
            return
        reason = CLOSED_REASONS.get(failure.code, failure.code)
        text = (
            f"I cannot post in <#{job.channel}>: {reason}. Job `{job.id}` goes on, and its report comes here."
        )
        try:
            direct = str(self._client.conversations_open(users=[job.by])["channel"]["id"])
            if direct == job.channel or not self._rate_limiter.acquire("post", direct):
                return  # no room in the rate limit: the next try of the card or post comes here again
            send_message(self._client, direct, None, text, [section(text)], f"moved:{job.id}")
        except SLACK_ERRORS as error:
            log.warning("requester of %s not reached: %s", job.id, classify_error(error).code)
            return
        self._cards.clear_backoff(job.id)
        self._ledger.move_job(job.id, direct, f"I cannot post where the job was launched: {reason}")

    def _send_post(self, post: Post) -> None:
        job = self._ledger.job(post.job_id) if post.job_id else None
        try:
            if job is None:
                deliver_answer(self._client, self._ledger, post, self._clock(), self.on_answer_sent)
            else:
                self._deliver(post, job)
        except TryLater:
            self._ledger.postpone_post(post.id, self._clock() + POSTPONE_S)
        except SLACK_ERRORS as error:
            failure = classify_error(error, post.tries)
            wait = failure.wait_s or retry_delay(post.tries)
            if failure.kind is FailureKind.TOKEN:
                wait = TOKEN_RETRY_S
                self._handle_token_failure(failure)
            elif failure.kind is FailureKind.SLOW_DOWN:
                self._rate_limiter.block("post", post.channel, wait)
            else:
                log.warning("%s of %s not sent, retrying later: %s", post.kind, post.job_id, failure.code)
            self._ledger.retry_post(post.id, self._clock() + wait, failure.code)
            if failure.kind is FailureKind.CHANNEL and job is not None:
                self._move_to_requester(job, failure)
        except Exception:
            log.exception("%s of %s", post.kind, post.job_id)
            self._ledger.retry_post(post.id, self._clock() + retry_delay(post.tries), "internal")

    def _deliver(self, post: Post, job: Job) -> None:
        if not kind_of(job.kind).has_card:
            self._ledger.complete_post(post.id, deliver_trial(self._client, post, job))
            return
        if post.kind in KINDS:
            deliver_approval(self._client, self._ledger, post, job)
            return
        hook = self.completion_hook if post.kind == "final_report" else None
        notes = hook.report_notes(job) if hook else []
        if not post.channel or (post.kind == "digest" and self.is_closed_to_jobs(post.channel)):
            self._ledger.complete_post(post.id, "")
            return
        if post.kind == "approval_request" and job.state is not State.AWAITING_APPROVAL:
            self._ledger.complete_post(post.id, "")  # already decided
            return
        if post.kind != "digest" and self._moved_to_requester(job):
            raise TryLater  # the next round posts it in the requester's direct messages
        if self._is_paused() or (post.kind != "digest" and not (job.card_ts or job.thread_ts)):
            raise TryLater  # its card is not posted yet
        if post.kind == "digest":
            self._post_to_channel(post, job)
            return
        channel = self._open_direct(
            post.channel, lambda direct: self._ledger.set_post_channel(post.id, direct)
        )
        post, thread = replace(post, channel=channel), thread_of(post, job, channel)
        ts = post.posted_ts or self._find_sent(post, channel, thread)
        if ts is None:
            text, blocks = message_of(post, job)
            blocks += notes
            self._acquire("post", channel)
            ts = send_message(self._client, channel, thread, text, blocks, post.dedupe_key)
        self._note_success()
        note_post(self._ledger.engine, post.id, ts)  # before the pictures: their upload may fail
        if post.kind == "final_report":
            trouble = self._pictures.send(job, post, self._ledger.plots(job.id), thread or ts)
            if trouble is not None:
                wait = trouble[0].wait_s or retry_delay(trouble[1])
                self._ledger.retry_post(post.id, self._clock() + wait, f"pictures: {trouble[0].code}")
                return
        if hook:
            hook.update_verdict(job)
        self._ledger.complete_post(post.id, ts)

    def _find_sent(self, post: Post, channel: str, thread: str | None) -> str | None:
        """The ts of this post if an earlier send arrived, else None."""
        return (
            find_message(self._client, channel, thread, post.dedupe_key, post.sent_at) if post.tries else None
        )

    def _post_to_channel(self, post: Post, job: Job) -> None:
        """Posts a message about the channel itself, outside of every thread."""
        ts = self._find_sent(post, post.channel, None)
        if ts is None:
            text, blocks = message_of(post, job)
            self._acquire("post", post.channel)
            ts = send_message(self._client, post.channel, None, text, blocks, post.dedupe_key)
        self._ledger.complete_post(post.id, ts)
