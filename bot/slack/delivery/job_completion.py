"""Work after a job's end: record and compare forecasts, and update the thread's verdict.

The notifier calls it for each final report. A failure here is logged and never delays a report.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

from slack_sdk import WebClient

from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.thread_memory import Card, Conversation
from bot.slack.thread_queue import TooBusy
from bot.slack.ui.blocks import Block, context
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.limits import validate_message
from bot.slack.ui.verdict_card import badge, verdict_card, verdict_text
from finetune.measurement.forecast_log import ForecastLog
from finetune.reports import FinetuneReport, MeasurementReport, read_report
from finetune.reports.history import FinishedJob, target_line
from rag.reply import Verdict
from worker.jobs.records import Job, Post
from worker.jobs.states import State
from worker.kinds import kind_of

FORECASTS = "forecasts.jsonl"  # in the bot's home; `trainwise eval forecast` reads it
QUESTION = "Which model should sort our tickets into these classes?"
NO_PROMPT_SCORED = (
    "No prompt was scored on these tickets, so a prompt stays the first thing to try, unmeasured."
)
JOBS_READ = 50
NON_DECISIONS = (Verdict.OFF_TOPIC, Verdict.GUIDE_ANSWER)
log = logging.getLogger(__name__)


class JobCompletion:
    """Uses the forecast log and the adviser; `client` edits the bot's own messages."""

    def __init__(self, services: Services, client: WebClient) -> None:
        self._services, self._client = services, client
        self._log = ForecastLog(services.home / FORECASTS)

    def report_notes(self, job: Job) -> list[Block]:
        """Records the job's forecasts and outcomes; returns the blocks to show below its report."""
        if job.state != State.SUCCEEDED or not job.report:
            return []
        try:
            notes = [self._log.about(job.report), self._target(job)] if kind_of(job.kind).leaves_model else []
            self._log.record(job.report, job.id)
        except (OSError, ValueError, KeyError, TypeError):  # a report may be of any shape, a disk full
            log.exception("the forecasts of job %s were not recorded", job.id)
            return []
        if _measurement(job) and job.thread_ts and _newest_verdict_ts(self._conversation(job)) is not None:
            notes = ["The verdict above in this thread now rests on these figures."]
        return [context(f"🔭 {escape(one_line(note, 600))}") for note in notes if note]

    def _target(self, job: Job) -> str:
        """Whether the model meets what the newest measurement of the same rows in this channel was asked about."""
        report = read_report(job.report)
        if not isinstance(report, FinetuneReport):
            return ""
        jobs = self._services.ledger.jobs(
            states=[State.SUCCEEDED], dataset=job.dataset, kind="measure", limit=JOBS_READ
        )
        here = [one for one in jobs if one.channel == job.channel and one.report]
        runs = [
            FinishedJob(one.id, one.by_name, one.ended_at or one.updated_at, one.report or {}) for one in here
        ]
        return target_line(report, runs)

    def move_card(self, post: Post, channel: str, ts: str) -> None:
        """Stores the card of a late answer under its message `ts`, so that its buttons work.

        Does nothing when the answer went to another channel than the one it was asked in.
        """
        key = (post.channel, str(post.thread_ts))
        if channel != post.channel:
            return

        def rename(_stop: threading.Event) -> None:
            conversation = Conversation.from_json(self._services.ledger.thread(*key))
            if post.dedupe_key in conversation.cards:
                self._services.ledger.save_thread(
                    *key, conversation.with_card_ts(post.dedupe_key, ts).to_json()
                )

        try:
            self._services.thread_queue.submit(key, rename)
        except TooBusy:
            log.warning("the card of a late answer in %s was not stored: its buttons will not work", channel)

    def update_verdict(self, job: Job) -> None:
        """After a measurement's report: queues the update of the thread's verdict with the measured signals."""
        report = _measurement(job)
        if report is None or not job.channel:
            return
        try:
            self._services.thread_queue.submit(_key(job), lambda stop: self._decide_again(job, report, stop))
        except TooBusy:
            log.warning("the verdict was not updated after job %s: too many questions wait", job.id)

    def _decide_again(self, job: Job, report: MeasurementReport, stop: threading.Event) -> None:
        if stop.is_set() or not self._services.ledger.first_time(f"decided-anew:{job.id}"):
            return
        try:
            self._update(job, report)
        except SLACK_ERRORS:
            log.exception("the card above job %s was not updated", job.id)

    def _update(self, job: Job, report: MeasurementReport) -> None:
        services = self._services
        scopes = services.answer_scopes(services.users.person(job.by), job.channel)
        conversation = self._conversation(job).limited_to(scopes)
        last = _newest_verdict_ts(conversation)
        question = conversation.cards[last].question if last else QUESTION
        reply = services.adviser.measured(
            question,
            report.signals,
            report.headline,
            state=conversation.state,
            scopes=scopes,
        )
        if last is None:  # no question was asked yet: keep the measured state for the first one
            after = replace(conversation, state=reply.state, uses_workspace="workspace" in scopes)
            services.ledger.save_thread(*_key(job), after.to_json())
            return
        if reply.verdict is Verdict.PROMPT and not report.prompt_scored:
            reply = replace(reply, headline=f"{report.headline} {NO_PROMPT_SCORED}")
        old = conversation.cards[last]
        before = f"Decided anew from measurement {job.id}; before it: {badge(old.reply.verdict)}."
        reply = replace(
            reply, note=" ".join(part for part in (before, reply.note) if part), **_measured_lines(report)
        )
        card = Card(old.asker, old.question, reply, uses_workspace="workspace" in scopes)
        services.ledger.save_thread(*_key(job), conversation.with_answer(last, card).to_json())
        self._client.chat_update(
            channel=job.channel,
            ts=last,
            text=verdict_text(reply),
            blocks=validate_message(verdict_card(reply)),
        )

    def _conversation(self, job: Job) -> Conversation:
        return Conversation.from_json(self._services.ledger.thread(*_key(job)))


def _measurement(job: Job) -> MeasurementReport | None:
    """The report of a finished measurement that has signals for the adviser; None for every other job."""
    report = read_report(job.report) if job.state == State.SUCCEEDED else None
    return report if isinstance(report, MeasurementReport) and report.signals else None


def _measured_lines(report: MeasurementReport) -> dict[str, Any]:
    """The measured next step and cost, which replace the adviser's planning figures."""
    lines = {"next_step": report.next_step, "cost_line": report.cost.sentence}
    return {key: one_line(text, 600) for key, text in lines.items() if text.strip()}


def _key(job: Job) -> tuple[str, str]:
    """The thread of the job: the one where it was requested, else the one of its card."""
    return job.channel, str(job.thread_ts or job.card_ts or "")


def _newest_verdict_ts(conversation: Conversation) -> str | None:
    """The ts of the message with the thread's newest verdict; None where there is none."""
    verdicts = (
        ts
        for ts, card in reversed(list(conversation.cards.items()))
        if card.reply.verdict not in NON_DECISIONS
    )
    return next(verdicts, None)
