"""One question, from what a person typed to the card in the thread and the memory in the ledger."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.delivery.answer_stream import AnswerStop, AnswerStream
from bot.slack.failures import apologise
from bot.slack.services import Services
from bot.slack.thread_memory import Card, Conversation
from bot.slack.ui.blocks import Block, context
from bot.slack.ui.escape import escape
from bot.slack.ui.lists import job_list
from bot.slack.ui.verdict_card import verdict_card, verdict_text, verdict_title
from rag.reply import Reply, Verdict
from worker.jobs.states import END_STATES
from worker.logs import log_event

QUESTION_MOST = 12_000
log = logging.getLogger(__name__)


class BadQuestion(BotError):
    """A question that cannot be read; the text says what to do."""


@dataclass(frozen=True)
class Question:
    """Who asks what, where; `without_mention` marks a thread reply that did not mention the bot, `ts` its message."""

    text: str
    user: str
    team: str
    channel: str
    thread_ts: str
    without_mention: bool = False
    ts: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Questions of one thread are answered in order."""
        return self.channel, self.thread_ts


def check_question(text: str) -> str:
    """The text, or BadQuestion for an empty or an endless one."""
    if not text.strip():
        raise BadQuestion(
            "Ask me in a sentence, for example: _our help center changes every week, should we fine-tune on it?_"
        )
    if len(text) > QUESTION_MOST:
        raise BadQuestion(
            f"Your question has {len(text):,} characters and I read up to {QUESTION_MOST:,}. "
            "Ask in a few sentences; add long material with `/docs add`, tickets with `/datasets add`."
        )
    return text


def check_asker(services: Services, user: str, channel: str) -> None:
    """Raises BotError, with whom to ask, where this person may not ask from this channel."""
    if services.permissions.askers:
        person = services.users.person(user)
        if denial := services.permissions.denies_question(person, channel, services.users.in_group):
            raise BotError(denial)


def ask(services: Services, client: WebClient, question: Question) -> None:
    """Queues the answer to a question; returns at once, raises BadQuestion, TooBusy or BotError (not allowed)."""
    try:
        check_asker(services, question.user, question.channel)
    except BotError:
        if question.without_mention:  # they talk in a thread of ours, to each other
            return
        raise
    check_question(question.text)
    services.thread_queue.submit(
        question.key, lambda stop: _turn(services, client, question, stop), order=question.ts
    )


def _turn(services: Services, client: WebClient, question: Question, stop: threading.Event) -> None:
    try:
        _answer(services, client, question, stop)
    except Exception as error:  # the edge: this thread has no caller to tell
        apologise(client, error, question.channel, question.user, question.thread_ts)


def _answer(services: Services, client: WebClient, question: Question, stop: threading.Event) -> None:
    began = time.monotonic()
    memory = Conversation.from_json(services.ledger.thread(*question.key))
    stream = AnswerStream(
        client,
        question.channel,
        question.thread_ts,
        question.team,
        question.user,
        stop,
        streaming=not question.without_mention,
    )
    try:
        reply = services.adviser.ask(
            question.text,
            state=memory.state,
            scopes=services.scopes(question.channel),
            on_step=stream.step,
        )
        if stop.is_set():
            raise AnswerStop
    except AnswerStop:
        stream.say("Stopped. Ask again whenever you like.")
        return
    except Exception:
        stream.abandon("I could not answer this one; whoever asked has been told why.")
        raise
    if question.without_mention and reply.verdict == Verdict.OFF_TOPIC and not reply.service:
        return
    blocks = [*verdict_card(reply), *_job_blocks(services, question, reply)]
    ts = stream.finish(verdict_title(reply), blocks, verdict_text(reply))
    _log_answer(question, reply, time.monotonic() - began)
    conversation = memory.with_answer(ts, Card(question.user, question.text[:2000], reply))
    services.ledger.save_thread(*question.key, conversation.to_json())


def _job_blocks(services: Services, question: Question, reply: Reply) -> list[Block]:
    """The jobs that run or wait and that this person may see from here, where they were asked for."""
    if reply.service not in ("status", "stop_job"):
        return []
    person = services.users.person(question.user)
    jobs = [job for job in services.ledger.jobs(limit=50) if job.state not in END_STATES]
    visible = [job for job in jobs if not services.permissions.denies_sight(person, job, question.channel)]
    if not visible:
        return [context("Nothing runs or waits.")]
    return job_list(visible[:8], "Running and waiting", time.time())


def _log_answer(question: Question, reply: Reply, seconds: float) -> None:
    """Who was answered where, how and how fast; never the question's words."""
    log_event(
        log,
        "question answered",
        team=question.team,
        channel=question.channel,
        thread=question.thread_ts,
        user=question.user,
        verdict=str(reply.verdict),
        seconds=round(seconds, 2),
    )


def card_at(services: Services, channel: str, thread_ts: str, ts: str) -> Card:
    """The answer posted as `ts` in a thread; BotError when it is too old or from elsewhere."""
    memory = Conversation.from_json(services.ledger.thread(channel, thread_ts))
    card = memory.cards.get(ts)
    if card is None:
        raise BotError("This answer is too old to open. Ask again in the thread and use the new card.")
    return card


def quoted(reply: Reply) -> str:
    """The reply's headline, escaped."""
    return escape(reply.headline)
