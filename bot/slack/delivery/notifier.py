"""What the ledger owes to Slack, paid: job cards kept current, one final report per job, its pictures.

One thread. A card changes at most every `card_interval_s` (at once when its job ends) and all of them share
Slack's speed limit, the one shown longest ago first. What fails waits by itself: no card or report holds up
another. A message whose earlier send may have arrived is looked for by its key before it is sent again.
A job whose channel takes nothing any more goes on in its launcher's own messages, and so does what a channel
does not want to hear (worker/ledger/notifications.py); a refused token keeps everything until a person repairs it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from slack_sdk import WebClient

from bot.slack.delivery.approvals import KINDS, deliver_approval
from bot.slack.delivery.card_schedule import CardSchedule
from bot.slack.delivery.owed_answers import OnArrival, deliver_answer
from bot.slack.delivery.pictures import Pictures
from bot.slack.delivery.posting import Refusal, Trouble, answer_try, find, refusal, send
from bot.slack.delivery.rate_limit import Pace, delay
from bot.slack.delivery.rounds import Rounds
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import Block, section
from bot.slack.ui.job_card import job_text
from bot.slack.ui.messages import card_of, message_of
from worker.jobs.records import Job, Post, StaleCard
from worker.jobs.states import State
from worker.kinds import kind_of
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import note_post

TOKEN_S = 15.0  # how long a refused token is left alone before it is tried again
WAIT_S = 1.0
WHY_CLOSED = {
    "is_archived": "it is archived",
    "not_in_channel": "I am no longer in it",
    "channel_not_found": "I cannot see it any more",
    "overheard": "people from outside read along there",
}
log = logging.getLogger(__name__)


class Aftermath(Protocol):
    """What else a job's end means (bot/slack/delivery/after_job.py): lines beneath its report, and work after it."""

    def blocks(self, job: Job) -> list[Block]: ...

    def settle(self, job: Job) -> None: ...


class NotNow(Exception):
    """Slack's speed limit: this call's turn has not come."""


class Notifier:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once.

    `client` must neither wait nor repeat inside a call (bot.slack.app.posting_client): this class decides when.
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
        self._queue_up = queue_up
        self._cards = CardSchedule(ledger, card_interval_s, queue_up, tick)
        self._uncertain: set[str] | None = None
        self.voice: Callable[[], int] = lambda: 1  # worker.ledger.voice, where other bots share the ledger
        self._turn = 0
        self._token_trouble = ""
        self.aftermath: Aftermath | None = None
        self.keeps_out: Callable[[str], bool | None] = lambda channel: False  # services.keeps_jobs_out
        self.on_answer: OnArrival = lambda post, channel, ts: None  # services.place_card
        self._silent_until = float("-inf")  # in ticks: nothing is tried while Slack refuses the token
        self._pictures = Pictures(client)
        self._rounds = Rounds(self.work_once, "notifier", TOKEN_S)

    def start(self) -> None:
        """Begins to pay what is owed."""
        self._rounds.start()

    def stop(self) -> None:
        """Ends after the call under way; what is left stays owed in the ledger."""
        self._rounds.stop()

    def wake(self) -> None:
        """Something new is owed."""
        self._rounds.wake()

    def work_once(self) -> None:
        """One round: cards first, so that a report finds the thread it belongs to."""
        if self._is_silent() or not self._has_voice():
            return
        stale = [*self._cards.changed_by_queue(), *self._ledger.stale_cards()]
        if self._uncertain is None:  # an earlier process may have sent these without noting it
            self._uncertain = {card.id for card in stale if not card.card_ts}
        for card in sorted(stale, key=self._cards.urgency):
            if self._rounds.is_over or not self._has_voice() or self._uncertain is None:
                return
            if self._is_due(card):
                self._show(card)
        for card in self._cards.aging():
            if not self._rounds.is_over and self._is_due(card):
                self._show(card)
        for post in (
            [] if self._is_silent() or not self._has_voice() else self._ledger.due_posts(self._clock())
        ):
            self._pay(post)
        self._cards.forget_old()

    def _has_voice(self) -> bool:
        """Whether this bot speaks; what another one may have sent meanwhile is uncertain."""
        turn = self.voice()
        if turn != self._turn:
            self._turn, self._uncertain = turn, None
        return bool(turn)

    def _is_silent(self) -> bool:
        return self._tick() < self._silent_until

    def _is_due(self, card: StaleCard) -> bool:
        return not self._is_silent() and self._cards.is_due(card)

    def _show(self, card: StaleCard) -> None:
        job = self._ledger.job(card.id)
        if not job.channel:  # launched from a terminal: nobody in Slack waits for it
            self._ledger.record_card(job.id, "", job.version)
            return
        try:
            if self._moves_away(job):
                return
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
        self._well()
        self._cards.note_shown(job.id)
        self._ledger.record_card(job.id, ts, job.version)
        if (
            self.voice() != self._turn
        ):  # another bot spoke meanwhile: what it showed may lie beneath what we did
            self._ledger.doubt_card(job.id)
        if self._uncertain is not None:  # only now: a ledger that could not note it would have it sent again
            self._uncertain.discard(job.id)

    def _put_card(self, job: Job) -> str:
        """The ts of the card, which now shows `job`."""
        assert self._uncertain is not None
        text, blocks = job_text(job), card_of(job, self._clock(), not self._queue_up())
        key, ts = f"card:{job.id}", job.card_ts
        place = self._open_direct(
            job.card_place, lambda direct: self._ledger.set_card_channel(job.id, direct)
        )
        thread = job.thread_ts if place == job.channel else None
        if ts is None and job.id in self._uncertain:
            ts = find(self._client, place, thread, key, job.created_at)
        if ts is not None:
            self._take("update", place)
            self._client.chat_update(channel=place, ts=ts, text=text, blocks=blocks)
            return ts
        self._take("post", place)
        self._uncertain.add(job.id)
        return send(self._client, place, thread, text, blocks, key)

    def _open_direct(self, channel: str, keep: Callable[[str], None]) -> str:
        """The channel, or for a person's id their messages with the bot, opened and noted with `keep`."""
        if not channel.startswith(("U", "W")):
            return channel
        direct = str(self._client.conversations_open(users=[channel])["channel"]["id"])
        keep(direct)
        return direct

    def _take(self, method: str, channel: str) -> None:
        if not self._pace.take(method, channel):
            raise NotNow

    def _moves_away(self, job: Job) -> bool:
        """Whether the job has gone to its launcher's own messages, since people from outside read in its channel.

        NotNow while Slack cannot say who reads there.
        """
        overheard = self.keeps_out(job.channel)
        if overheard is None:
            raise NotNow
        if overheard:
            self._cards.put_off(job.id, delay(self._cards.tries(job.id)))
            self._move_to_requester(job, Refusal(Trouble.CHANNEL, "overheard"))
        return overheard

    def _card_failed(self, job: Job, why: Refusal) -> None:
        if why.trouble is Trouble.TOKEN:
            self._token_refused(why)
            return
        wait = why.wait_s or delay(self._cards.tries(job.id))
        if why.trouble is Trouble.SLOW_DOWN:
            self._pace.hold("update" if job.card_ts else "post", job.card_place, wait)
        else:
            log.warning("card of %s: %s", job.id, why.code)
        self._cards.put_off(job.id, wait)
        if why.trouble is Trouble.MESSAGE:  # someone deleted it: a new one
            self._ledger.forget_card(job.id)
        if why.trouble is Trouble.CHANNEL and job.card_channel and not job.card_ts:
            # its launcher cannot be reached: the channel, after all
            self._ledger.set_card_channel(job.id, None)
        elif why.trouble is Trouble.CHANNEL:
            self._move_to_requester(job, why)

    def _token_refused(self, why: Refusal) -> None:
        """Said once, not for every card; then nothing is tried for a while."""
        self._silent_until = self._tick() + TOKEN_S
        if self._token_trouble != why.code:
            log.error(
                "Slack refuses the bot's token (%s). Reinstall the app (Install App), put its xoxb- token in "
                "SLACK_BOT_TOKEN and restart `trainwise up`. Reports are kept and go out then.",
                why.code,
            )
        self._token_trouble = why.code

    def _well(self) -> None:
        """Slack took something."""
        if self._token_trouble:
            log.warning("Slack takes messages again; what was kept goes out now")
        self._token_trouble = ""

    def _move_to_requester(self, job: Job, why: Refusal) -> None:
        """A channel that is gone keeps no report from its person: it goes to their own messages, who hear why."""
        if not job.by.startswith(("U", "W")):
            return
        reason = WHY_CLOSED.get(why.code, why.code)
        text = (
            f"I cannot post in <#{job.channel}>: {reason}. Job `{job.id}` goes on, and its report comes here."
        )
        try:
            direct = str(self._client.conversations_open(users=[job.by])["channel"]["id"])
            if direct == job.channel or not self._pace.take("post", direct):
                return  # where there is no room now, the card or post that is due again comes back here
            send(self._client, direct, None, text, [section(text)], f"moved:{job.id}")
        except SLACK_TROUBLE as error:
            log.warning("launcher of %s not reached: %s", job.id, refusal(error).code)
            return
        self._cards.try_at_once(job.id)
        self._ledger.move_job(job.id, direct, f"I cannot post where the job was launched: {reason}")

    def _pay(self, post: Post) -> None:
        job = self._ledger.job(post.job_id) if post.job_id else None
        try:
            if job is None:
                deliver_answer(self._client, self._ledger, post, self._clock(), self.on_answer)
            else:
                self._deliver(post, job)
        except NotNow:
            self._ledger.postpone_post(post.id, self._clock() + WAIT_S)
        except SLACK_TROUBLE as error:
            why = refusal(error)
            wait = why.wait_s or delay(post.tries)
            if why.trouble is Trouble.TOKEN:
                wait = TOKEN_S
                self._token_refused(why)
            elif why.trouble is Trouble.SLOW_DOWN:
                self._pace.hold("post", post.channel, wait)
            else:
                log.warning("%s of %s is kept: %s", post.kind, post.job_id, why.code)
            self._ledger.retry_post(post.id, self._clock() + wait, why.code)
            if why.trouble is Trouble.CHANNEL and job is not None:
                self._move_to_requester(job, why)
        except Exception:
            log.exception("%s of %s", post.kind, post.job_id)
            self._ledger.retry_post(post.id, self._clock() + delay(post.tries), "internal")

    def _deliver(self, post: Post, job: Job) -> None:
        if not kind_of(job.kind).has_card:
            self._ledger.complete_post(post.id, answer_try(self._client, post, job))
            return
        if post.kind in KINDS:
            deliver_approval(self._client, self._ledger, post, job)
            return
        after = self.aftermath if post.kind == "final_report" else None
        more = after.blocks(job) if after else []
        if not post.channel or (post.kind == "digest" and self.keeps_out(post.channel)):
            self._ledger.complete_post(post.id, "")
            return
        if post.kind == "approval_request" and job.state is not State.AWAITING_APPROVAL:
            self._ledger.complete_post(post.id, "")  # decided before it was asked
            return
        if post.kind != "digest" and self._moves_away(job):
            raise NotNow  # it goes to the launcher's own messages in the next round
        if self._is_silent() or (post.kind != "digest" and not (job.card_ts or job.thread_ts)):
            raise NotNow  # its card has not gone out yet
        if post.kind == "digest":
            self._tell_channel(post, job)
            return
        channel = self._open_direct(
            post.channel, lambda direct: self._ledger.set_post_channel(post.id, direct)
        )
        post, thread = replace(post, channel=channel), thread_of(post, job, channel)
        ts = post.posted_ts or self._earlier(post, channel, thread)
        if ts is None:
            text, blocks = message_of(post, job)
            blocks += more
            self._take("post", channel)
            ts = send(self._client, channel, thread, text, blocks, post.dedupe_key)
        self._well()
        note_post(self._ledger.engine, post.id, ts)  # before the pictures, which may fail
        if post.kind == "final_report":
            trouble = self._pictures.send(job, post, self._ledger.plots(job.id), thread or ts)
            if trouble is not None:
                wait = trouble[0].wait_s or delay(trouble[1])
                self._ledger.retry_post(post.id, self._clock() + wait, f"pictures: {trouble[0].code}")
                return
        if after:
            after.settle(job)
        self._ledger.complete_post(post.id, ts)

    def _earlier(self, post: Post, channel: str, thread: str | None) -> str | None:
        """The ts of this post if an earlier send of it did arrive."""
        return find(self._client, channel, thread, post.dedupe_key, post.sent_at) if post.tries else None

    def _tell_channel(self, post: Post, job: Job) -> None:
        """A message about the channel, in none of its threads."""
        ts = self._earlier(post, post.channel, None)
        if ts is None:
            text, blocks = message_of(post, job)
            self._take("post", post.channel)
            ts = send(self._client, post.channel, None, text, blocks, post.dedupe_key)
        self._ledger.complete_post(post.id, ts)


def thread_of(post: Post, job: Job, channel: str) -> str | None:
    """The thread that an owed message belongs to in `channel`: the job's, else its card's where that stands."""
    asked_in = job.thread_ts if channel == job.channel else None
    return post.thread_ts or asked_in or (job.card_ts if channel == job.card_place else None)
