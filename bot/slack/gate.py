"""Access control before every listener: members may use everything, people from outside a short allow-list.

People from outside (bot/slack/users.py) may use what OPEN_TO_OUTSIDERS lists: ask questions, and open the details of
answers that they can read anyway. Everything else is refused, new features included, with a private message.
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

from bot.slack.failures import ARRIVAL, LATE, send_ephemeral
from bot.slack.form_ack import WAIT, form_with, is_submission
from bot.slack.form_client import FormClient, opens_form
from bot.slack.payload import Body, message_address, origin_of
from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.teams import Teams
from bot.slack.thread_memory import Conversation
from bot.slack.ui.blocks import context, header, section
from bot.slack.ui.escape import question_of
from bot.slack.ui.forms import note_modal
from bot.slack.ui.limits import validate_view
from bot.slack.users import BOT, GUEST, STRANGER, UNKNOWN, Person

ANSWER_WITHIN_S = 2.0  # of Slack's three for a command, button or form
LATE_S = 30.0  # how long an acknowledged request waits for Slack's answer about its person
RETRYABLE_KINDS = ("command", "action", "shortcut", "view")  # what can be heard later
FORM = "trainwise_form"  # in Bolt's context
OPEN_TO_OUTSIDERS = {
    "event:app_mention",
    "event:message",
    "event:agent_session_stopped",
    "event:member_joined_channel",
    "command:/should-i-train",
    "shortcut:ask_about_message",
    *("action:why", "action:would_change", "action:cite", "action:follow_up"),
}
"""What people from outside may use; the name of an action ends at its colon."""
MEMBER_WORDS = ("measure", "connect")  # sub-commands of `/should-i-train` for members only
OUTSIDER_TEXTS = {
    GUEST: "You are a guest here",
    STRANGER: "You are with another company",
    BOT: "Apps have no rights of their own here",
    UNKNOWN: "I could not find out who you are, so I take you for a visitor; try again in a minute",
}
OUTSIDER_RIGHTS = (
    "In channels that we share you can ask me whether to train a model; I answer from my guide and from that "
    "channel's own documents. Documents, datasets, jobs and budgets are for members of this workspace."
)
NO_TEAM = "I am not installed in this workspace. Ask one of its admins to add the app again."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AccessRequest:
    """Who uses what: `name` such as `command:/jobs` or `action:why`; `user` is empty when no person acts."""

    name: str
    user: str
    team: str = ""  # the person's team as the payload tells it; never a proof of membership

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


def read_access_request(body: Body) -> AccessRequest:
    """The access request of a payload of any kind; an unknown kind is `other:`, which only members may use."""
    if "event" in body:
        event = body["event"]
        inner = event.get("message") or {}
        user = event.get("user") or inner.get("user") or ""
        user = user.get("id") if isinstance(user, dict) else user
        team = event.get("user_team") or event.get("source_team") or inner.get("user_team") or ""
        name = str(event.get("type"))
        return AccessRequest(f"event:{name}", "" if event.get("bot_id") else str(user or ""), str(team))
    if "command" in body:
        return AccessRequest(f"command:{body['command']}", str(body.get("user_id") or ""))
    who = body.get("user") or {}
    user, team, kind = str(who.get("id") or ""), str(who.get("team_id") or ""), body.get("type")
    if kind == "block_actions":
        names = {str(action.get("action_id")).partition(":")[0] for action in body.get("actions") or [{}]}
        return AccessRequest("action:" + ",".join(sorted(names)), user, team)
    if kind in ("view_submission", "view_closed"):
        return AccessRequest(f"view:{(body.get('view') or {}).get('callback_id')}", user, team)
    if kind in ("message_action", "shortcut"):
        return AccessRequest(f"shortcut:{body.get('callback_id')}", user, team)
    return AccessRequest(f"other:{kind}", user, team)


def gate(teams: Teams, dispatch: Callable[[BoltRequest], BoltResponse]) -> Callable[..., BoltResponse | None]:
    """Bolt's middleware that passes or refuses a request; it runs before every listener.

    `dispatch` dispatches a request again: when Slack is slow to describe the person, a command or button is acknowledged
    first and dispatched when the person is known.
    """
    pool = ThreadPoolExecutor(8, thread_name_prefix="gate")
    late_pool = ThreadPoolExecutor(
        16, thread_name_prefix="late"
    )  # its tasks wait for tasks of `pool`, so it needs its own threads

    def check_access(
        req: BoltRequest,
        body: Body,
        ack: Ack,
        client: WebClient,
        respond: Respond,
        next: Callable[[], None],
        context: Any,
    ) -> BoltResponse | None:
        access, services = read_access_request(body), teams.services(context)
        context[ARRIVAL] = time.monotonic()
        if services is None:
            log.warning("a payload at %s belongs to no team of this bot", access.name)
            return _refuse_team(body, ack)
        if body.get("is_ext_shared_channel") and (channel := origin_of(body)[0]):
            services.audience.mark_shared(channel)
        if access.kind == "event" and (not access.user or access.user == context.bot_user_id):
            next()  # no person acts, or the message is our own
            return None
        if access.kind == "event" and access.name in OPEN_TO_OUTSIDERS and not access.team:
            next()  # open to all; the listener checks the person itself
            return None
        if context.get(FORM) is None and opens_form(body):
            context[FORM] = FormClient(client, body["trigger_id"])
        client = context["client"] = context.get(FORM) or client
        work = None if context.get(LATE) else _look_up_person(services, pool, access)
        if is_submission(body) and not context.get(LATE) and services.submissions.holds(body["view"]["id"]):
            return ack(response_action="update", view=form_with(body["view"], WAIT))
        if work is not None and not work.done():
            return _put_off(
                services, body, ack, lambda: late_pool.submit(_dispatch_late, dispatch, req, work, respond)
            )
        person = _identify(services, access)
        if not person.outside or is_open_to_outsiders(services, access, body):
            next()
            return None
        log.info("a %s was refused at %s", person.outside, access.name)
        if is_submission(body) and context.get(LATE):
            return _give_back(services, person, body, ack, client)
        return _refuse(access, person, body, ack, client, respond, pool)

    return check_access


def is_open_to_outsiders(services: Services, access: AccessRequest, body: Body) -> bool:
    """Whether people from outside may do this: by its name, and for a button by the answer that carries it."""
    if access.name not in OPEN_TO_OUTSIDERS:
        return False
    if access.kind == "command":
        words = question_of(str(body.get("text") or "")).lower().split()
        return not words or words[0] not in MEMBER_WORDS
    if access.kind != "action":
        return True
    channel, thread_ts, ts = message_address(body)
    card = Conversation.from_json(services.ledger.thread(channel, thread_ts)).cards.get(ts)
    return card is not None and not card.uses_workspace


def _look_up_person(
    services: Services, pool: ThreadPoolExecutor, access: AccessRequest
) -> Future[Person] | None:
    """The lookup of the person, running or done; None when no lookup is needed.

    A command, button or form waits at most ANSWER_WITHIN_S.
    """
    users = services.users
    if not access.user or users.is_cached(access.user):
        return None
    work: Future[Person] = pool.submit(users.person, access.user)
    with suppress(FutureTimeout):
        work.result(None if access.kind == "event" else ANSWER_WITHIN_S)
    return work if access.kind in RETRYABLE_KINDS or work.done() else None


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
    except SLACK_ERRORS as refused:
        log.info("a form was not given back: %s", type(refused).__name__)
    return ack()


def _why(person: Person) -> str:
    return f"{OUTSIDER_TEXTS.get(person.outside, 'You are not a member here')}. {OUTSIDER_RIGHTS}"


def _dispatch_late(
    dispatch: Callable[[BoltRequest], BoltResponse], req: BoltRequest, work: Future[Person], respond: Respond
) -> None:
    """Dispatches an acknowledged request when its person is known, and sends the text of its listener's ack."""
    with suppress(FutureTimeout, *SLACK_ERRORS):
        work.result(LATE_S)
    context = {LATE: True, FORM: req.context.get(FORM)}
    if req.mode == "socket_mode":
        answer = dispatch(BoltRequest(body=req.body, mode=req.mode, headers=req.headers, context=context))
    else:
        raw = BoltRequest(body=req.raw_body, mode=req.mode, headers=req.headers, context=context)
        answer = dispatch(raw)
    text = answer.body if isinstance(answer.body, str) else ""
    if text.startswith("{") and respond.response_url:
        respond(**json.loads(text))


def _identify(services: Services, access: AccessRequest) -> Person:
    """The person of the request; from outside (UNKNOWN) when Slack has not answered yet."""
    users, person = services.users, Person(access.user, access.user, outside=UNKNOWN)
    if not access.user:
        return person
    if users.is_cached(access.user):
        person = users.person(access.user)
    own = users.team()
    if access.team and not person.outside and access.team not in {own.id, own.enterprise, *person.teams}:
        return users.mark_outside(access.user, STRANGER)
    return person


def _refuse_team(body: Body, ack: Ack) -> BoltResponse:
    """Acknowledges a payload of a team that has not installed the app; a command gets an explanation."""
    if "command" in body:
        return ack(text=f"🔒 {NO_TEAM}", response_type="ephemeral")
    return ack()


def _refuse(
    access: AccessRequest,
    person: Person,
    body: Body,
    ack: Ack,
    client: WebClient,
    respond: Respond,
    pool: ThreadPoolExecutor,
) -> BoltResponse:
    """Acknowledges, and tells the person privately what they may do; in the home tab when they opened it."""
    text = _why(person)
    if isinstance(client, FormClient) and client.show_text(text):
        return ack()
    if access.kind == "command":
        return ack(text=f"🔒 {text}", response_type="ephemeral")
    if is_submission(body):
        return ack(response_action="update", view=validate_view(note_modal("For members", text)))
    if access.name == "event:app_home_opened":
        pool.submit(_show_home, client, access.user, text)
    elif access.kind != "event" and access.user:
        channel, _, thread_ts = origin_of(body)
        pool.submit(
            send_ephemeral, client, text, channel or access.user, access.user, thread_ts, respond, "🔒"
        )
    return ack()


def _show_home(client: WebClient, user: str, text: str) -> None:
    blocks = [header("Should we train a model?"), section(text), context("Mention me with your question.")]
    try:
        client.views_publish(user_id=user, view=validate_view({"type": "home", "blocks": blocks}))
    except SLACK_ERRORS as refused:
        log.info("no home tab for a visitor: %s", type(refused).__name__)
