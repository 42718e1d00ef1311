"""The one gate before every listener: who is at the door, and what people from outside may use.

Members pass. People from outside (bot/slack/users.py) pass at the doors of OPEN only: they may ask and look behind the
answers that they could read anyway. Everything else, also what comes later, is closed to them and said so in private.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from slack_bolt import Ack, BoltRequest, BoltResponse, Respond
from slack_sdk import WebClient

from bot.slack.failures import ARRIVAL, LATE, whisper
from bot.slack.form_ack import WAIT, form_with, is_submission
from bot.slack.form_client import FormClient, opens_form
from bot.slack.payload import Body, message_place, where
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.thread_memory import Conversation
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import context, header, section
from bot.slack.ui.escape import question_of
from bot.slack.ui.forms import note_modal
from bot.slack.ui.limits import validate_view
from bot.slack.users import BOT, GUEST, STRANGER, UNKNOWN, Person

ANSWER_WITHIN_S = 2.0  # of Slack's three for a command, button or form
LATE_S = 30.0  # how long one that was acknowledged waits for Slack to say who it is
AGAIN = ("command", "action", "shortcut", "view")  # what can be heard later
FORM = "trainwise_form"  # in Bolt's context
OPEN = {
    "event:app_mention",
    "event:message",
    "event:agent_session_stopped",
    "event:member_joined_channel",
    "command:/should-i-train",
    "shortcut:ask_about_message",
    *("action:why", "action:would_change", "action:cite", "action:follow_up"),
}
"""Doors that people from outside may use; an action's name ends at its colon."""
ORDERS = ("measure", "connect")  # words that make another thing of `/should-i-train`
WHO = {
    GUEST: "You are a guest here",
    STRANGER: "You are with another company",
    BOT: "Apps have no rights of their own here",
    UNKNOWN: "I could not find out who you are, so I take you for a visitor; try again in a minute",
}
MAY = (
    "In channels that we share you can ask me whether to train a model; I answer from my guide and from that "
    "channel's own documents. Documents, datasets, jobs and budgets are for members of this workspace."
)
NO_TEAM = "I am not installed in this workspace. Ask one of its admins to add the app again."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """What is being used, by whom: `name` such as `command:/jobs`, `action:why`; `user` is empty for nobody."""

    name: str
    user: str
    team: str = ""  # the person's own, where the payload tells; never taken as a proof of membership

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


def door_of(body: Body) -> Door:
    """The door of a payload of any kind; one that is not known is `other:`, which is open to members only."""
    if "event" in body:
        event = body["event"]
        inner = event.get("message") or {}
        user = event.get("user") or inner.get("user") or ""
        user = user.get("id") if isinstance(user, dict) else user
        team = event.get("user_team") or event.get("source_team") or inner.get("user_team") or ""
        name = str(event.get("type"))
        return Door(f"event:{name}", "" if event.get("bot_id") else str(user or ""), str(team))
    if "command" in body:
        return Door(f"command:{body['command']}", str(body.get("user_id") or ""))
    who = body.get("user") or {}
    user, team, kind = str(who.get("id") or ""), str(who.get("team_id") or ""), body.get("type")
    if kind == "block_actions":
        names = {str(action.get("action_id")).partition(":")[0] for action in body.get("actions") or [{}]}
        return Door("action:" + ",".join(sorted(names)), user, team)
    if kind in ("view_submission", "view_closed"):
        return Door(f"view:{(body.get('view') or {}).get('callback_id')}", user, team)
    if kind in ("message_action", "shortcut"):
        return Door(f"shortcut:{body.get('callback_id')}", user, team)
    return Door(f"other:{kind}", user, team)


def gate(teams: Teams, again: Callable[[BoltRequest], BoltResponse]) -> Callable[..., BoltResponse | None]:
    """Bolt's middleware that lets through or refuses; the first of all, so that no listener is without it.

    `again` dispatches a request anew: a command or button whose person Slack takes long to name is acknowledged, and
    heard once the person is known.
    """
    pool = ThreadPoolExecutor(8, thread_name_prefix="gate")
    late = ThreadPoolExecutor(16, thread_name_prefix="late")  # they wait for what is done in the other

    def pass_door(
        req: BoltRequest,
        body: Body,
        ack: Ack,
        client: WebClient,
        respond: Respond,
        next: Callable[[], None],
        context: Any,
    ) -> BoltResponse | None:
        door, services = door_of(body), teams.services(context)
        context[ARRIVAL] = time.monotonic()
        if services is None:
            log.warning("a payload at %s belongs to no team of this bot", door.name)
            return _refuse_team(body, ack)
        if body.get("is_ext_shared_channel") and (channel := where(body)[0]):
            services.audience.mark_shared(channel)
        if door.kind == "event" and (not door.user or door.user == context.bot_user_id):
            next()  # nobody asks for anything: what is heard of, or our own message
            return None
        if door.kind == "event" and door.name in OPEN and not door.team:
            next()  # open to all; whoever answers looks at who asks
            return None
        if context.get(FORM) is None and opens_form(body):
            context[FORM] = FormClient(client, body["trigger_id"])
        client = context["client"] = context.get(FORM) or client
        work = None if context.get(LATE) else _ask_for(services, pool, door)
        if is_submission(body) and not context.get(LATE) and services.submissions.holds(body["view"]["id"]):
            return ack(response_action="update", view=form_with(body["view"], WAIT))
        if work is not None and not work.done():
            return _put_off(services, body, ack, lambda: late.submit(_come_late, again, req, work, respond))
        person = _identify(services, door)
        if not person.outside or is_open(services, door, body):
            next()
            return None
        log.info("a %s was refused at %s", person.outside, door.name)
        if is_submission(body) and context.get(LATE):
            return _give_back(services, person, body, ack, client)
        return _refuse(door, person, body, ack, client, respond, pool)

    return pass_door


def is_open(services: Services, door: Door, body: Body) -> bool:
    """Whether people from outside may use this door: by its name, and for a button by what its message holds."""
    if door.name not in OPEN:
        return False
    if door.kind == "command":
        words = question_of(str(body.get("text") or "")).lower().split()
        return not words or words[0] not in ORDERS
    if door.kind != "action":
        return True
    channel, thread_ts, ts = message_place(body)
    card = Conversation.from_json(services.ledger.thread(channel, thread_ts)).cards.get(ts)
    return card is not None and not card.wide


def _ask_for(services: Services, pool: ThreadPoolExecutor, door: Door) -> Future[Person] | None:
    """The question who it is, on its way or answered; None where nothing has to be asked.

    A command, button or form does not wait longer than Slack does.
    """
    users = services.users
    if not door.user or users.is_cached(door.user):
        return None
    work: Future[Person] = pool.submit(users.person, door.user)
    with suppress(FutureTimeout):
        work.result(None if door.kind == "event" else ANSWER_WITHIN_S)
    return work if door.kind in AGAIN or work.done() else None


def _put_off(services: Services, body: Body, ack: Ack, begin: Callable[[], object]) -> BoltResponse:
    """Acknowledges what is heard later; a form stays open with what was typed, and counts once."""
    if not is_submission(body):
        begin()
        return ack()
    if services.submissions.begin(body["view"]["id"]):
        begin()
    return ack(response_action="update", view=form_with(body["view"], WAIT))


def _give_back(services: Services, person: Person, body: Body, ack: Ack, client: WebClient) -> BoltResponse:
    """Tells in the form, which was acknowledged before, why it is refused; what was typed stays."""
    services.submissions.end(body["view"]["id"])
    try:
        client.views_update(
            view_id=body["view"]["id"], view=validate_view(form_with(body["view"], f"🔒 {_why(person)}"))
        )
    except SLACK_TROUBLE as refused:
        log.info("a form was not given back: %s", type(refused).__name__)
    return ack()


def _why(person: Person) -> str:
    return f"{WHO.get(person.outside, 'You are not a member here')}. {MAY}"


def _come_late(
    again: Callable[[BoltRequest], BoltResponse], req: BoltRequest, work: Future[Person], respond: Respond
) -> None:
    """Dispatches a request that was acknowledged, once its person is known; what its listener acknowledges with is sent."""
    with suppress(FutureTimeout, *SLACK_TROUBLE):
        work.result(LATE_S)
    late = {LATE: True, FORM: req.context.get(FORM)}
    if req.mode == "socket_mode":
        answer = again(BoltRequest(body=req.body, mode=req.mode, headers=req.headers, context=late))
    else:
        raw = BoltRequest(body=req.raw_body, mode=req.mode, headers=req.headers, context=late)
        answer = again(raw)
    text = answer.body if isinstance(answer.body, str) else ""
    if text.startswith("{") and respond.response_url:
        respond(**json.loads(text))


def _identify(services: Services, door: Door) -> Person:
    """Who it is; unknown, and so from outside, where Slack has not said it by now."""
    users, person = services.users, Person(door.user, door.user, outside=UNKNOWN)
    if not door.user:
        return person
    if users.is_cached(door.user):
        person = users.person(door.user)
    own = users.team()
    if door.team and not person.outside and door.team not in {own.id, own.enterprise, *person.teams}:
        return users.mark_outside(door.user, STRANGER)
    return person


def _refuse_team(body: Body, ack: Ack) -> BoltResponse:
    """Acknowledges what came for a team that has not installed the app, and tells whoever typed a command."""
    if "command" in body:
        return ack(text=f"🔒 {NO_TEAM}", response_type="ephemeral")
    return ack()


def _refuse(
    door: Door,
    person: Person,
    body: Body,
    ack: Ack,
    client: WebClient,
    respond: Respond,
    pool: ThreadPoolExecutor,
) -> BoltResponse:
    """Acknowledges and tells the person alone; the home tab shows what they may do here."""
    text = _why(person)
    if isinstance(client, FormClient) and client.say(text):
        return ack()
    if door.kind == "command":
        return ack(text=f"🔒 {text}", response_type="ephemeral")
    if is_submission(body):
        return ack(response_action="update", view=validate_view(note_modal("For members", text)))
    if door.name == "event:app_home_opened":
        pool.submit(_show_home, client, door.user, text)
    elif door.kind != "event" and door.user:
        channel, _, thread_ts = where(body)
        pool.submit(whisper, client, text, channel or door.user, door.user, thread_ts, respond, "🔒")
    return ack()


def _show_home(client: WebClient, user: str, text: str) -> None:
    blocks = [header("Should we train a model?"), section(text), context("Mention me with your question.")]
    try:
        client.views_publish(user_id=user, view=validate_view({"type": "home", "blocks": blocks}))
    except SLACK_TROUBLE as refused:
        log.info("no home tab for a visitor: %s", type(refused).__name__)
