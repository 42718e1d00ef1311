"""The clerk of models on duty: reads what was missed, lets the model look at each ticket once, and rings the alarm.

Nothing is lost by a restart: the ledger holds each ticket before a model sees it, and the channel's history is read again from
where it was left; what changed while the bot was away is looked for once after a start. Nothing comes twice: a ticket is entered by its key and settled by compare-and-set.
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

from bot.slack.delivery.duty_alarms import judged_observations, look
from bot.slack.delivery.duty_history import ChannelHistory
from bot.slack.delivery.placing import Answer
from bot.slack.delivery.rounds import Rounds
from bot.slack.delivery.succession import follow
from bot.slack.failures import tell_privately
from bot.slack.on_duty import (
    IN_DOUBT,
    MONTH_S,
    answer_to,
    card_of,
    confidences_of,
    load_model,
    share_to_check,
)
from bot.slack.served_rollback import roll_served_back
from bot.slack.services import Services
from bot.slack.ticket_files import Files, read_file
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import section
from bot.slack.ui.duty import card_message, ticket_line
from bot.slack.ui.limits import validate_message
from finetune.errors import FinetuneError
from finetune.evaluation.on_duty import SUSPICION, recalibrate
from finetune.serving.answers import ServedModel
from finetune.serving.versions import hashed_share
from worker.ledger import duty
from worker.ledger.database import writing
from worker.ledger.duty import DutyTicket, Watch
from worker.ledger.duty_evidence import pulse

READS_EVERY_S = 120.0
LONGEST_PAUSE_S = 60.0
HOUR_OF_CARD = 8
HOUR_S = 3_600.0
log = logging.getLogger(__name__)


class DutyClerk:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once.

    Versions lie in `place`; `files` are the files of tickets by channel. Thresholds are set for the promised rate less the share
    `reserve` where one keeps that, alarms for all of it: what is wrong between a change and its alarm has to fit in as well.
    """

    def __init__(
        self,
        services: Services,
        client: WebClient,
        place: Path,
        tick: Callable[[], float] = time.monotonic,
        files: Files | None = None,
        reserve: float = 0.0,
    ) -> None:
        self._reserve = reserve
        self.services, self._client, self.place, self._tick = services, client, place, tick
        self._files = files or {}
        self._models: dict[tuple[str, str, float, float | None], ServedModel] = {}
        self._broken: dict[tuple[str, str, float, float | None], float] = {}  # when it did not load
        self._read_at: dict[str, float] = {}
        self._looked_at: dict[str, tuple[int, int, float]] = {}
        self._cards: set[str] = set()
        self._in_doubt: dict[str, bool] = {}
        self._bot_user = ""
        self._rounds = Rounds(self.work_once, "duty", LONGEST_PAUSE_S)
        self._history = ChannelHistory(
            services.ledger.engine, services.clock, client, lambda: self._rounds.is_over
        )

    def start(self) -> None:
        """Begins to look at tickets."""
        self._rounds.start()

    def stop(self) -> None:
        """Ends after the ticket under way; the others wait in the ledger."""
        self._rounds.stop()

    def wake(self) -> None:
        """A ticket has come."""
        self._rounds.wake()

    def work_once(self) -> None:
        """One round over every watch at work; what fails in one channel holds up no other, and is raised at the end."""
        watches = duty.watches_at_work(self.services.ledger.engine)
        ids = {watch.id for watch in watches}
        self._models = {key: model for key, model in self._models.items() if key[0] in ids}
        failures = []
        for watch in watches:
            try:
                self._work_on(watch)
            except Exception as failure:  # the edge: Rounds logs it and makes the pauses longer
                failures.append(failure)
        if failures:
            raise failures[0]

    def _work_on(self, watch: Watch) -> None:
        if self.services.keeps_jobs_out(watch.channel):
            self._leave(watch)
            return
        self.catch_up(watch)
        self._read_files(watch)
        model = self.model_of(watch)
        if model is None:
            return
        if watch.id not in self._looked_at:  # after a start: is it in doubt?
            self._judge(watch, model)
            watch = duty.watch_by(self.services.ledger.engine, watch.id)
        if self._settle_waiting(watch, model):
            self.services.wake()
        self._judge(watch, model)
        if watch.successor and (text := follow(self.services, watch, model)):
            self.tell(watch, text, f"succession:{watch.successor}")
        self._owe_card(watch, model)

    def _leave(self, watch: Watch) -> None:
        """Ends a watch whose channel people from outside have come to; whoever asked for it is told alone."""
        why = "people from outside read along"
        if duty.set_mode(self.services.ledger.engine, watch, duty.STOPPED, why, self.services.clock()):
            text = (
                f"🛑 Model {watch.version} is off duty in <#{watch.channel}>: {why} there now. `/triage watch` puts it back once "
                "they are gone."
            )
            tell_privately(self._client, watch.by, text, [section(text)])

    def model_of(self, watch: Watch) -> ServedModel | None:
        """The watch's model, loaded once; None while it is being made or does not load."""
        key = (watch.id, watch.version, watch.error_rate, watch.threshold)
        if key not in self._models:
            if self._tick() - self._broken.get(key, float("-inf")) < LONGEST_PAUSE_S:
                return None
            try:
                model = load_model(self.place, watch, self._reserve)
            except FinetuneError as error:
                self._broken = {one: at for one, at in self._broken.items() if one[0] != watch.id}
                self._broken[key] = self._tick()
                log.error("the model of %s does not load: %s", watch.channel, error)
                return None
            if model is None:
                return None
            self._models = {one: other for one, other in self._models.items() if one[0] != watch.id}
            self._models[key] = model
        return self._models[key]

    def catch_up(self, watch: Watch) -> None:
        """Enters what was said in the channel since it was read last; events may have been missed."""
        last = self._read_at.get(watch.id)
        if last is not None and self._tick() - last < READS_EVERY_S:
            return
        try:
            bot_user = self._bot_user = self._bot_user or str(self._client.auth_test()["user_id"])
            newest = self._history.enter_new(watch, bot_user)
            if last is None and not self._rounds.is_over:
                for line in self._history.follow_changes(watch):
                    self.drop_line(watch, line)
        except SLACK_TROUBLE as error:
            log.warning("the history of %s cannot be read: %s", watch.channel, type(error).__name__)
            newest = ""
        if newest:
            duty.note_read(self.services.ledger.engine, watch.id, newest)
        self._read_at[watch.id] = self._tick()

    def _read_files(self, watch: Watch) -> None:
        """Enters what other systems have appended to this channel's files; lines that are no tickets are told, a lost file is logged."""
        for path in self._files.get(watch.channel, ()):
            try:
                outcome = read_file(self.services.ledger.engine, watch, path, self.services.clock())
            except OSError as error:
                log.error("%s cannot be read: %s", path, error.strerror or type(error).__name__)
                continue
            if text := outcome.sentence():
                hour = self.services.clock() // HOUR_S  # several bots may read the same lines at once
                self.tell(watch, text, f"file:{path.name}:{outcome.first_bad_line}:{hour:.0f}")
            if outcome.is_more:
                self.wake()

    def _settle_waiting(self, watch: Watch, model: ServedModel) -> int:
        """Lets the model look at what waits; how many tickets it settled."""
        engine = self.services.ledger.engine
        batch = duty.waiting(engine, watch.id)
        if not batch:
            return 0
        now = self.services.clock()
        share = share_to_check(*duty.pace(engine, watch.id, now - MONTH_S), watch, now)
        if self._in_doubt.get(watch.id):  # live, people look at everything until their labels settle it
            share = 1.0 if watch.mode == duty.LIVE else share * SUSPICION
        count = 0
        for ticket in batch:
            if self._rounds.is_over:
                break
            count += self._settle(watch, model, ticket, share)
        return count

    def _settle(self, watch: Watch, model: ServedModel, ticket: DutyTicket, share: float) -> bool:
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
        line = self._line(watch, outcome) if watch.mode == duty.LIVE or outcome.is_audit else None
        return duty.settle(self.services.ledger.engine, outcome, line, watch.channel, self.services.clock())

    def _line(self, watch: Watch, ticket: DutyTicket) -> dict[str, Any]:
        text, blocks = ticket_line(ticket)
        answer = Answer(watch.channel, ticket.ts, watch.by, text, validate_message(blocks, text), key="")
        return replace(answer, since=self.services.clock()).to_json()

    def _judge(self, watch: Watch, model: ServedModel) -> None:
        """Rings where the promise or the tickets have changed: back to shadow, and the channel is told why.

        In shadow after an alarm, enough fresh labels set the threshold anew.
        """
        beat = (*pulse(self.services.ledger.engine, watch.id), watch.mode_at)
        if self._looked_at.get(watch.id) == beat:
            return
        self._look(watch, model)
        self._looked_at[watch.id] = beat  # a look that failed is taken again

    def _look(self, watch: Watch, model: ServedModel) -> None:
        engine = self.services.ledger.engine
        alarms = look(engine, watch, confidences_of(model))
        if alarms is None:  # someone has moved it to another mode
            return
        self._in_doubt[watch.id] = alarms.is_in_doubt
        if watch.mode == duty.LIVE:
            if alarms.alarm:
                values = {"mode": duty.SHADOW, "mode_at": self.services.clock(), "why": alarms.alarm}
                text = f"⚠️ Model {watch.version} goes back to shadow: {alarms.alarm}."
                if alarms.is_of_labels:
                    tickets, labels = duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id)
                    text = f"{text} {roll_served_back(self.place, watch, tickets, labels)}".strip()
                if duty.change_watch(engine, watch, values, self._note(watch, text, "alarm")):
                    self.services.wake()
            return
        observations = judged_observations(engine, watch) if watch.why else []
        fresh = recalibrate(observations, watch.error_rate, self._reserve)
        if fresh is None or (fresh.value or 2.0) == watch.threshold:
            return
        value = 2.0 if fresh.value is None else fresh.value  # above every confidence: it abstains
        text = f"🎯 Set anew on fresh labels: {fresh.describe(watch.error_rate)}"
        if duty.change_watch(
            engine,
            watch,
            {"threshold": value},
            self._note(watch, text, f"threshold:{value:.6f}:{observations[-1].word_at:.0f}"),
        ):
            self.services.wake()

    def tell(self, watch: Watch, text: str, about: str) -> None:
        """Owes a sentence to the channel."""
        note = self._note(watch, text, about)
        with writing(self.services.ledger.engine) as connection:
            duty.owe(connection, watch.channel, "", note, note["since"])
        self.services.wake()

    def _note(self, watch: Watch, text: str, about: str) -> dict[str, Any]:
        key, now = f"duty-note:{watch.id}:{about}:{watch.mode_at:.0f}", self.services.clock()
        return Answer(watch.channel, "", watch.by, text, [section(text)], key=key, since=now).to_json()

    def _owe_card(self, watch: Watch, model: ServedModel) -> None:
        """On Mondays from 8:00 UTC the channel gets the card, once a week."""
        now = self.services.clock()
        moment = datetime.fromtimestamp(now, UTC)
        if moment.weekday() != 0 or moment.hour < HOUR_OF_CARD or now - watch.created_at < 86_400:
            return
        year, week, _ = moment.isocalendar()
        key = f"duty-card:{watch.id}:{year}-{week}"
        if key in self._cards:
            return
        text, blocks = card_message(card_of(self.services, watch, model))
        answer = Answer(watch.channel, "", watch.by, text, validate_message(blocks, text), key=key)
        with writing(self.services.ledger.engine) as connection:
            duty.owe(connection, watch.channel, "", replace(answer, since=now).to_json(), now)
        self._cards.add(key)
        self.services.wake()

    def drop_line(self, watch: Watch, ts: str) -> None:
        """The ticket is gone, and so is the line beneath it."""
        with suppress(*SLACK_TROUBLE):
            self._client.chat_delete(channel=watch.channel, ts=ts)
