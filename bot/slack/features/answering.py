"""One question, from what a person typed to the card in the thread and the memory in the ledger."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.delivery.answer_stream import AnswerStop, AnswerStream
from bot.slack.delivery.owed_answers import owe
from bot.slack.failures import apologise
from bot.slack.services import Services, is_direct, this_month
from bot.slack.thread_memory import Card, Conversation
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import Block, context
from bot.slack.ui.escape import escape
from bot.slack.ui.lists import budget_line, job_list
from bot.slack.ui.verdict_card import verdict_card, verdict_text, verdict_title
from bot.slack.users import Person
from rag.reply import Reply, Verdict
from worker.jobs.states import END_STATES
from worker.logs import log_event

QUESTION_MOST = 12_000
OVERHEARD = (
    "🔒 People from outside read along here, so this rests on my guide and this channel's own documents. Ask me in a "
    "direct message for the rest; an admin can open this channel with `/docs outsiders`."
)
KEPT_WITHIN_S = 1.5  # of the three that Slack gives a button
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
    person = services.users.person(question.user)
    scopes = services.reach(person, question.channel)
    memory = Conversation.from_json(services.ledger.thread(*question.key)).within(scopes)
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
            scopes=scopes,
            on_step=stream.step,
        )
        if stop.is_set():
            raise AnswerStop
    except AnswerStop:
        stream.say("Stopped. Ask again whenever you like.")
        _keep_owed(services, stream)
        return
    except Exception:
        stream.abandon("I could not answer this one; whoever asked has been told why.")
        _keep_owed(services, stream)
        raise
    if question.without_mention and reply.verdict == Verdict.OFF_TOPIC and not reply.service:
        _nod(client, question, memory)
        return
    blocks = [*verdict_card(reply), *_fact_blocks(services, question, reply, person)]
    wide = "workspace" in scopes
    if not wide and not person.outside:
        blocks.append(context(OVERHEARD))
    ts = stream.finish(verdict_title(reply), blocks, verdict_text(reply))
    _keep_owed(services, stream)
    _log_answer(question, reply, time.monotonic() - began)
    card = Card(question.user, question.text[:2000], reply, wide=wide)
    conversation = memory.with_answer(ts, card)
    services.ledger.save_thread(*question.key, conversation.to_json())


def _nod(client: WebClient, question: Question, memory: Conversation) -> None:
    """Shows whoever asked last that they were heard, where there is nothing to answer; colleagues' talk is left alone."""
    last = next(reversed(list(memory.cards.values())), None)
    if last is not None and last.asker == question.user and question.ts:
        with suppress(*SLACK_TROUBLE):
            client.reactions_add(channel=question.channel, timestamp=question.ts, name="eyes")


def _keep_owed(services: Services, stream: AnswerStream) -> None:
    """What Slack did not take is kept in the ledger, for the notifier."""
    for answer in stream.owed:
        owe(services.ledger, answer)
    if stream.owed:
        services.wake()


FACTS = ("status", "stop_job", "readers", "running_cost")


def _fact_blocks(services: Services, question: Question, reply: Reply, person: Person) -> list[Block]:
    """What only the bot knows, for a question about itself: jobs, who sees how many documents, the month's money."""
    if reply.service not in FACTS or person.outside:
        return []
    if not is_direct(question.channel) and services.keeps_jobs_out(question.channel) is not False:
        return [context("People from outside read along here: `/jobs` and `/docs` show you the rest alone.")]
    if reply.service == "running_cost":
        return [context(budget_line(this_month(services, question.team)))]
    if reply.service == "readers":
        documents = services.index.documents(services.scopes(question.channel))
        everyone = sum("workspace" in document.scopes for document in documents)
        return [
            context(
                f"Now: {everyone} documents for everyone, {len(documents) - everyone} for this channel alone."
            )
        ]
    return _job_blocks(services, question, person)


def _job_blocks(services: Services, question: Question, person: Person) -> list[Block]:
    """The jobs that run or wait and that this person may see from here."""
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
    """The answer posted as `ts` in a thread; BotError when it is too old or from elsewhere.

    An answer stands in Slack a moment before it is kept: who presses at once on a busy machine is waited for.
    """
    began = time.monotonic()
    while True:
        is_answering = services.thread_queue.holds((channel, thread_ts))
        card = Conversation.from_json(services.ledger.thread(channel, thread_ts)).cards.get(ts)
        if card or not is_answering or time.monotonic() - began > KEPT_WITHIN_S:
            break
        time.sleep(0.05)
    if card is None:
        raise BotError("This answer is too old to open. Ask again in the thread and use the new card.")
    return card


def quoted(reply: Reply) -> str:
    """The reply's headline, escaped."""
    return escape(reply.headline)
