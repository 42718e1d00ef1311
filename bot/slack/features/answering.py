"""Answers one question: from the typed text to the card in the thread and the conversation in the ledger."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.delivery.answer_outbox import enqueue_answer
from bot.slack.delivery.answer_stream import AnswerStop, AnswerStream
from bot.slack.failures import send_error
from bot.slack.services import Services, is_direct, this_month
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.thread_memory import Card, Conversation
from bot.slack.ui.blocks import Block, context
from bot.slack.ui.escape import escape
from bot.slack.ui.lists import budget_line, job_list
from bot.slack.ui.verdict_card import verdict_card, verdict_text, verdict_title
from bot.slack.users import Person
from rag.reply import Reply, Verdict
from worker.jobs.states import END_STATES
from worker.logs import log_event

LONGEST_QUESTION = 12_000
EXTERNAL_READERS_NOTE = (
    "🔒 People from outside read along here, so this rests on my guide and this channel's own documents. Ask me in a "
    "direct message for the rest; an admin can open this channel with `/docs outsiders`."
)
CARD_WAIT_S = 1.5  # of the three seconds that Slack allows for a button
log = logging.getLogger(__name__)


class BadQuestion(BotError):
    """The question is empty or too long; the text says what to do."""


@dataclass(frozen=True)
class Question:
    """A question with its asker and thread; `without_mention`: a reply without a mention of the bot; `ts`: its message."""

    text: str
    user: str
    team: str
    channel: str
    thread_ts: str
    without_mention: bool = False
    ts: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The key of the thread, whose questions are answered in order."""
        return self.channel, self.thread_ts


def check_question(text: str) -> str:
    """Returns the text; raises BadQuestion when it is empty or too long."""
    if not text.strip():
        raise BadQuestion(
            "Ask me in a sentence, for example: _our help center changes every week, should we fine-tune on it?_"
        )
    if len(text) > LONGEST_QUESTION:
        raise BadQuestion(
            f"Your question has {len(text):,} characters and I read up to {LONGEST_QUESTION:,}. "
            "Ask in a few sentences; add long material with `/docs add`, tickets with `/datasets add`."
        )
    return text


def check_asker(services: Services, user: str, channel: str) -> None:
    """Raises BotError, with a contact, when this person may not ask from this channel."""
    if services.permissions.askers:
        person = services.users.person(user)
        if denial := services.permissions.denies_question(person, channel, services.users.in_group):
            raise BotError(denial)


def ask(services: Services, client: WebClient, question: Question) -> None:
    """Queues the answer to a question and returns at once; raises BadQuestion, TooBusy or BotError (not allowed)."""
    try:
        check_asker(services, question.user, question.channel)
    except BotError:
        if question.without_mention:  # the reply may be meant for another person
            return
        raise
    check_question(question.text)
    services.thread_queue.submit(
        question.key, lambda stop: _run_question(services, client, question, stop), order=question.ts
    )


def _run_question(services: Services, client: WebClient, question: Question, stop: threading.Event) -> None:
    try:
        _answer(services, client, question, stop)
    except Exception as error:  # the edge: this thread has no caller to tell
        send_error(client, error, question.channel, question.user, question.thread_ts)


def _answer(services: Services, client: WebClient, question: Question, stop: threading.Event) -> None:
    began = time.monotonic()
    person = services.users.person(question.user)
    scopes = services.answer_scopes(person, question.channel)
    conversation = Conversation.from_json(services.ledger.thread(*question.key)).limited_to(scopes)
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
            state=conversation.state,
            scopes=scopes,
            on_step=stream.step,
        )
        if stop.is_set():
            raise AnswerStop
    except AnswerStop:
        stream.finish_with_text("Stopped. Ask again whenever you like.")
        _enqueue_unsent(services, stream)
        return
    except Exception:
        stream.abandon("I could not answer this one; whoever asked has been told why.")
        _enqueue_unsent(services, stream)
        raise
    if question.without_mention and reply.verdict == Verdict.OFF_TOPIC and reply.service in ("", "welcome"):
        _add_reaction(client, question, conversation)
        return
    blocks = [*verdict_card(reply), *_fact_blocks(services, question, reply, person)]
    uses_workspace = "workspace" in scopes
    if not uses_workspace and not person.outside:
        blocks.append(context(EXTERNAL_READERS_NOTE))
    ts = stream.finish(verdict_title(reply), blocks, verdict_text(reply))
    _enqueue_unsent(services, stream)
    _log_answer(question, reply, time.monotonic() - began)
    card = Card(question.user, question.text[:2000], reply, uses_workspace=uses_workspace)
    conversation = conversation.with_answer(ts, card)
    services.ledger.save_thread(*question.key, conversation.to_json())


def _add_reaction(client: WebClient, question: Question, conversation: Conversation) -> None:
    """Adds a reaction to a reply that needs no answer, if its author asked last; ignores replies of other people."""
    last = next(reversed(list(conversation.cards.values())), None)
    if last is not None and last.asker == question.user and question.ts:
        with suppress(*SLACK_ERRORS):
            client.reactions_add(channel=question.channel, timestamp=question.ts, name="eyes")


def _enqueue_unsent(services: Services, stream: AnswerStream) -> None:
    """Puts the answers that Slack refused into the outbox, for the notifier."""
    for answer in stream.unsent_answers:
        enqueue_answer(services.ledger, answer)
    if stream.unsent_answers:
        services.wake()


FACT_SERVICES = ("status", "stop_job", "readers", "running_cost")


def _fact_blocks(services: Services, question: Question, reply: Reply, person: Person) -> list[Block]:
    """The bot's own figures for a question about the bot: jobs, documents by audience, the month's budget."""
    if reply.service not in FACT_SERVICES or person.outside:
        return []
    if not is_direct(question.channel) and services.is_closed_to_jobs(question.channel) is not False:
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
    """The running and waiting jobs that this person may see from here."""
    jobs = [job for job in services.ledger.jobs(limit=50) if job.state not in END_STATES]
    visible = [job for job in jobs if not services.permissions.denies_view(person, job, question.channel)]
    if not visible:
        return [context("Nothing runs or waits.")]
    return job_list(visible[:8], "Running and waiting", time.time())


def _log_answer(question: Question, reply: Reply, seconds: float) -> None:
    """Logs person, channel, verdict and duration of an answer; never the question's text."""
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
    """The answer posted as `ts` in a thread; raises BotError when it is too old or of another thread.

    The card is stored a moment after it is posted, so a button that is pressed at once waits up to CARD_WAIT_S.
    """
    began = time.monotonic()
    while True:
        is_answering = services.thread_queue.is_busy((channel, thread_ts))
        card = Conversation.from_json(services.ledger.thread(channel, thread_ts)).cards.get(ts)
        if card or not is_answering or time.monotonic() - began > CARD_WAIT_S:
            break
        time.sleep(0.05)
    if card is None:
        raise BotError("This answer is too old to open. Ask again in the thread and use the new card.")
    return card


def quoted(reply: Reply) -> str:
    """The reply's headline, escaped."""
    return escape(reply.headline)
