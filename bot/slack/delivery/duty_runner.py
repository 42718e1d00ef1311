"""Runs the models on duty: reads missed messages, answers each ticket once, checks the alarms.

A restart loses nothing: the ledger holds each ticket before the model sees it, the channel's history is read from the last
position, and edits and deletions of the time before the start are applied once. Nothing happens twice: a ticket is entered
by its key and answered by compare-and-set.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slack_sdk import WebClient

from bot.slack.delivery.answer_message import AnswerMessage
from bot.slack.delivery.background_loop import BackgroundLoop
from bot.slack.delivery.duty_alarms import judged_observations, update_alarms
from bot.slack.delivery.duty_history import ChannelHistory
from bot.slack.delivery.promotion import promote_successor
from bot.slack.failures import send_direct_message
from bot.slack.on_duty import (
    IN_DOUBT,
    MONTH_S,
    answer_to,
    card_of,
    confidences_of,
    load_model,
    share_to_check,
)
from bot.slack.served_rollback import roll_back_served_version
from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ticket_files import Files, read_file
from bot.slack.ui.blocks import section
from bot.slack.ui.duty import card_message, ticket_line
from bot.slack.ui.limits import validate_message
from finetune.errors import FinetuneError
from finetune.evaluation.duty_monitoring import SUSPICION, recalibrate
from finetune.serving.answers import ServedModel
from finetune.serving.versions import hashed_share
from worker.ledger import duty
from worker.ledger.database import writing
from worker.ledger.duty import DutyTicket, Watch
from worker.ledger.duty_events import event_counts

HISTORY_INTERVAL_S = 120.0
LONGEST_PAUSE_S = 60.0
CARD_HOUR_UTC = 8
HOUR_S = 3_600.0
log = logging.getLogger(__name__)


class DutyRunner:
    """`start()` runs `work_once` until `stop()`; `wake()` starts the next round at once.

    `files` are the ticket files by channel. Thresholds use the promised error rate less the share `reserve` (as far as one is
    possible); alarms use the whole rate, because the errors between a change of the tickets and its alarm count too.
    """

    def __init__(
        self,
        services: Services,
        client: WebClient,
        versions_folder: Path,
        tick: Callable[[], float] = time.monotonic,
        files: Files | None = None,
        reserve: float = 0.0,
    ) -> None:
        self._reserve = reserve
        self.services, self._client, self.versions_folder, self._tick = (
            services,
            client,
            versions_folder,
            tick,
        )
        self._files = files or {}
        self._models: dict[tuple[str, str, float, float | None], ServedModel] = {}
        self._load_failures: dict[tuple[str, str, float, float | None], float] = {}  # the time of the failure
        self._read_at: dict[str, float] = {}
        self._checked_states: dict[str, tuple[int, int, float]] = {}
        self._enqueued_cards: set[str] = set()
        self._in_doubt: dict[str, bool] = {}
        self._bot_user = ""
        self._loop = BackgroundLoop(self.work_once, "duty", LONGEST_PAUSE_S)
        self._history = ChannelHistory(
            services.ledger.engine, services.clock, client, lambda: self._loop.is_stopping
        )

    def start(self) -> None:
        """Starts answering tickets."""
        self._loop.start()

    def stop(self) -> None:
        """Stops after the current ticket; the others wait in the ledger."""
        self._loop.stop()

    def wake(self) -> None:
        """Starts the next round at once, for a new ticket."""
        self._loop.wake()

    def work_once(self) -> None:
        """Processes every active watch once; a failure in one channel is raised after the others are done."""
        watches = duty.watches_at_work(self.services.ledger.engine)
        ids = {watch.id for watch in watches}
        self._models = {key: model for key, model in self._models.items() if key[0] in ids}
        failures = []
        for watch in watches:
            try:
                self._process_watch(watch)
            except Exception as failure:  # the edge: BackgroundLoop logs it and waits longer
                failures.append(failure)
        if failures:
            raise failures[0]

    def _process_watch(self, watch: Watch) -> None:
        if self.services.is_closed_to_jobs(watch.channel):
            self._stop_watch(watch)
            return
        self.read_history(watch)
        self._read_files(watch)
        model = self.model_of(watch)
        if model is None:
            return
        if watch.id not in self._checked_states:  # the first round after a start: is the model in doubt?
            self._update_alarms(watch, model)
            watch = duty.find_watch(self.services.ledger.engine, watch.id)
        if self._answer_waiting(watch, model):
            self.services.wake()
        self._update_alarms(watch, model)
        if watch.successor and (text := promote_successor(self.services, watch, model)):
            self.post_note(watch, text, f"succession:{watch.successor}")
        self._enqueue_weekly_card(watch, model)

    def _stop_watch(self, watch: Watch) -> None:
        """Stops the watch of a channel with external readers and tells its requester privately."""
        why = "people from outside read along"
        if duty.set_mode(self.services.ledger.engine, watch, duty.STOPPED, why, self.services.clock()):
            text = (
                f"🛑 Model {watch.version} is off duty in <#{watch.channel}>: {why} there now. `/triage watch` puts it back once "
                "they are gone."
            )
            send_direct_message(self._client, watch.by, text, [section(text)])

    def model_of(self, watch: Watch) -> ServedModel | None:
        """The watch's model, loaded once; None while its version is missing or does not load."""
        key = (watch.id, watch.version, watch.error_rate, watch.threshold)
        if key not in self._models:
            if self._tick() - self._load_failures.get(key, float("-inf")) < LONGEST_PAUSE_S:
                return None
            try:
                model = load_model(self.versions_folder, watch, self._reserve)
            except FinetuneError as error:
                self._load_failures = {
                    one: at for one, at in self._load_failures.items() if one[0] != watch.id
                }
                self._load_failures[key] = self._tick()
                log.error("the model of %s does not load: %s", watch.channel, error)
                return None
            if model is None:
                return None
            self._models = {one: other for one, other in self._models.items() if one[0] != watch.id}
            self._models[key] = model
        return self._models[key]

    def read_history(self, watch: Watch) -> None:
        """Enters the channel's messages since the last read, since the bot may have missed events."""
        last = self._read_at.get(watch.id)
        if last is not None and self._tick() - last < HISTORY_INTERVAL_S:
            return
        try:
            bot_user = self._bot_user = self._bot_user or str(self._client.auth_test()["user_id"])
            newest = self._history.enter_new(watch, bot_user)
            if last is None and not self._loop.is_stopping:
                for line in self._history.apply_changes(watch):
                    self.delete_line(watch, line)
        except SLACK_ERRORS as error:
            log.warning("the history of %s cannot be read: %s", watch.channel, type(error).__name__)
            newest = ""
        if newest:
            duty.note_read(self.services.ledger.engine, watch.id, newest)
        self._read_at[watch.id] = self._tick()

    def _read_files(self, watch: Watch) -> None:
        """Enters new lines of the channel's ticket files; bad lines are reported in the channel, a missing file in the log."""
        for path in self._files.get(watch.channel, ()):
            try:
                outcome = read_file(self.services.ledger.engine, watch, path, self.services.clock())
            except OSError as error:
                log.error("%s cannot be read: %s", path, error.strerror or type(error).__name__)
                continue
            if text := outcome.sentence():
                hour = (
                    self.services.clock() // HOUR_S
                )  # one key per hour: several bots may read the same lines
                self.post_note(watch, text, f"file:{path.name}:{outcome.first_bad_line}:{hour:.0f}")
            if outcome.has_more:
                self.wake()

    def _answer_waiting(self, watch: Watch, model: ServedModel) -> int:
        """Answers the waiting tickets; returns how many."""
        engine = self.services.ledger.engine
        batch = duty.waiting_tickets(engine, watch.id)
        if not batch:
            return 0
        now = self.services.clock()
        share = share_to_check(*duty.ticket_rate(engine, watch.id, now - MONTH_S), watch, now)
        if self._in_doubt.get(watch.id):  # in live mode people check every answer until the doubt is resolved
            share = 1.0 if watch.mode == duty.LIVE else share * SUSPICION
        count = 0
        for ticket in batch:
            if self._loop.is_stopping:
                break
            count += self._answer_ticket(watch, model, ticket, share)
        return count

    def _answer_ticket(self, watch: Watch, model: ServedModel, ticket: DutyTicket, share: float) -> bool:
        answer = answer_to(model, ticket)
        outcome = replace(
            ticket,
            state=duty.ABSTAINED if answer.queue is None else duty.ANSWERED,
            queue=answer.queue,
            confidence=answer.confidence if answer.likeliest else None,
            likeliest=answer.likeliest,
            reason=IN_DOUBT
            if share >= 1 and self._in_doubt.get(watch.id) and answer.queue
            else answer.reason,
            is_near=answer.is_near,
            is_audit=hashed_share(f"{watch.id}:{ticket.key}") < share,
            version=watch.version,
        )
        line = self._line_message(watch, outcome) if watch.mode == duty.LIVE or outcome.is_audit else None
        return duty.record_answer(
            self.services.ledger.engine, outcome, line, watch.channel, self.services.clock()
        )

    def _line_message(self, watch: Watch, ticket: DutyTicket) -> dict[str, Any]:
        text, blocks = ticket_line(ticket)
        answer = AnswerMessage(
            watch.channel, ticket.ts, watch.by, text, validate_message(blocks, text), key=""
        )
        return replace(answer, since=self.services.clock()).to_json()

    def _update_alarms(self, watch: Watch, model: ServedModel) -> None:
        """Checks the alarms when tickets, labels or mode have changed: an alarm moves the model back to shadow.

        In shadow after an alarm, enough fresh labels recalibrate the threshold.
        """
        state_key = (*event_counts(self.services.ledger.engine, watch.id), watch.mode_at)
        if self._checked_states.get(watch.id) == state_key:
            return
        self._apply_alarms(watch, model)
        self._checked_states[watch.id] = state_key  # only after success: a failed check is repeated

    def _apply_alarms(self, watch: Watch, model: ServedModel) -> None:
        engine = self.services.ledger.engine
        alarms = update_alarms(engine, watch, confidences_of(model))
        if alarms is None:  # someone changed the mode
            return
        self._in_doubt[watch.id] = alarms.is_in_doubt
        if watch.mode == duty.LIVE:
            if alarms.alarm:
                values = {"mode": duty.SHADOW, "mode_at": self.services.clock(), "why": alarms.alarm}
                text = f"⚠️ Model {watch.version} goes back to shadow: {alarms.alarm}."
                if alarms.is_of_labels:
                    tickets, labels = duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id)
                    text = f"{text} {roll_back_served_version(self.versions_folder, watch, tickets, labels)}".strip()
                if duty.change_watch(engine, watch, values, self._note_message(watch, text, "alarm")):
                    self.services.wake()
            return
        observations = judged_observations(engine, watch) if watch.why else []
        fresh = recalibrate(observations, watch.error_rate, self._reserve)
        if fresh is None or (fresh.value or 2.0) == watch.threshold:
            return
        value = 2.0 if fresh.value is None else fresh.value  # above every confidence: always abstains
        text = f"🎯 Set anew on fresh labels: {fresh.describe(watch.error_rate)}"
        if duty.change_watch(
            engine,
            watch,
            {"threshold": value},
            self._note_message(watch, text, f"threshold:{value:.6f}:{observations[-1].word_at:.0f}"),
        ):
            self.services.wake()

    def post_note(self, watch: Watch, text: str, about: str) -> None:
        """Puts a sentence for the channel into the outbox."""
        note = self._note_message(watch, text, about)
        with writing(self.services.ledger.engine) as connection:
            duty.enqueue_message(connection, watch.channel, "", note, note["since"])
        self.services.wake()

    def _note_message(self, watch: Watch, text: str, about: str) -> dict[str, Any]:
        key, now = f"duty-note:{watch.id}:{about}:{watch.mode_at:.0f}", self.services.clock()
        return AnswerMessage(watch.channel, "", watch.by, text, [section(text)], key=key, since=now).to_json()

    def _enqueue_weekly_card(self, watch: Watch, model: ServedModel) -> None:
        """Puts the weekly card into the outbox, on Mondays from CARD_HOUR_UTC."""
        now = self.services.clock()
        moment = datetime.fromtimestamp(now, UTC)
        if moment.weekday() != 0 or moment.hour < CARD_HOUR_UTC or now - watch.created_at < 86_400:
            return
        year, week, _ = moment.isocalendar()
        key = f"duty-card:{watch.id}:{year}-{week}"
        if key in self._enqueued_cards:
            return
        text, blocks = card_message(card_of(self.services, watch, model))
        answer = AnswerMessage(watch.channel, "", watch.by, text, validate_message(blocks, text), key=key)
        with writing(self.services.ledger.engine) as connection:
            duty.enqueue_message(connection, watch.channel, "", replace(answer, since=now).to_json(), now)
        self._enqueued_cards.add(key)
        self.services.wake()

    def delete_line(self, watch: Watch, ts: str) -> None:
        """Deletes the line of a deleted ticket."""
        with suppress(*SLACK_ERRORS):
            self._client.chat_delete(channel=watch.channel, ts=ts)
