"""`/triage`: a model on duty in a channel - asked for, agreed to, shown, stopped.

Every message is looked at by a middleware ahead of all listeners, since Bolt gives an event to one listener only. It enters
what is a ticket in a watched channel and passes everything on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from slack_bolt import Ack, App, BoltResponse, Respond
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.errors import OURS, BotError
from bot.slack.delivery.duty_history import GONE
from bot.slack.failures import SLACK_ADVICE, PrivateFailure, guard
from bot.slack.launch import launch_deployment, model_job
from bot.slack.on_duty import (
    card_of,
    find_version,
    fresh_watch,
    key_of,
    ticket_in,
    without_personal_data,
)
from bot.slack.payload import Body, Command, Place, View, message_place, team_of, where
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.duty import (
    CORRECTORS,
    MODES,
    card_message,
    message_text,
    request_message,
    watch_modal,
)
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import FormValues, Memory
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.users import Person
from worker.ledger import duty
from worker.ledger.duty import LIVE, SHADOW, STOPPED, Watch

SUMMARY = "`/triage` puts a tuned model on duty in a channel, shows how it does there, and stops it."
USAGE = "Write `/triage watch #channel with JOB`, `/triage` for the card of this channel, or `/triage stop`."
ORDER = re.compile(r"watch\s+<#(?P<channel>[CG][A-Z0-9]+)(?:\|[^>]*)?>\s+with\s+`?(?P<job>[a-z0-9]{4,32})`?\s*(?P<mode>live|shadow)?", re.I)  # fmt: skip
LOWEST, HIGHEST = 0.5, 50.0
log = logging.getLogger(__name__)


def register(app: App, teams: Teams) -> None:
    """The command, the form, the buttons of request and card, and the ear on every channel."""
    app.use(ear(teams))
    app.command("/triage")(guard(teams, on_triage))
    app.view("duty_watch")(guard(teams, on_watch_form))
    app.action("duty_approve")(guard(teams, on_approve))
    app.action("duty_decline")(guard(teams, on_decline))
    app.action(re.compile(r"^duty_(live|shadow|stop)$"))(guard(teams, on_mode))


def ear(teams: Teams) -> Callable[..., BoltResponse | None]:
    """Bolt's middleware that enters tickets of watched channels, follows edits and deletions, and passes all on."""

    def hear(body: Body, context: Any, next: Callable[[], None]) -> None:
        event = body.get("event") or {}
        if event.get("type") == "message" and str(event.get("channel", "")).startswith(("C", "G")):
            try:
                if services := teams.services(context):
                    _take(services, event, str(context.bot_user_id))
            except Exception:  # the edge: the clerk reads the channel's history again
                log.exception("a message was not entered; it is read from the history later")
        next()

    return hear


def _take(services: Services, event: dict[str, Any], bot_user: str) -> None:
    engine, channel = services.ledger.engine, str(event["channel"])
    watch = duty.watch_in(engine, channel)
    if watch is None or watch.mode not in duty.AT_WORK:
        return
    message = event.get("message") or {}
    is_gone = event.get("subtype") == "message_deleted" or message.get("subtype") == GONE
    if is_gone:
        ts = str(event.get("deleted_ts") or message.get("ts"))
        line = duty.delete_ticket(engine, watch.id, key_of(channel, ts))
        if line and services.duty:
            services.duty.drop_line(watch, line)
    elif event.get("subtype") == "message_changed":
        if "edited" in message:
            words = without_personal_data(question_of(message_text(message)))
            duty.edit(engine, watch.id, key_of(channel, str(message.get("ts"))), words)
    elif (text := ticket_in(event, bot_user)) is not None:
        ts = str(event["ts"])
        duty.enter(engine, watch.id, key_of(channel, ts), ts, without_personal_data(text), services.clock())
    if services.duty:
        services.duty.wake()


def on_triage(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """`watch` opens the form, `stop` stops, nothing or `card` shows this channel's card."""
    ack()
    text, channel, user = str(command.get("text") or "").strip(), command["channel_id"], command["user_id"]
    first = text.split()[0].lower() if text else "card"
    if first == "watch":
        order = ORDER.match(text)
        if order is None:
            raise BotError(USAGE)
        job = model_job(services, order["job"], user, channel)
        if job.spec.get("task", "triage") != "triage":
            raise BotError(f"Job {job.id} writes replies; only a model that sorts tickets can be on duty.")
        check_channel(client, order["channel"])
        memory = Memory(order["channel"], None, job.id).pack()
        view = watch_modal(job.id, order["channel"], memory, (order["mode"] or SHADOW).lower())
        client.views_open(trigger_id=command["trigger_id"], view=validate_view(view))
        return
    watch = duty.watch_in(services.ledger.engine, channel)
    if watch is None:
        raise BotError(f"No model is on duty here. {USAGE}")
    if first == "stop":
        respond(text=change_mode(services, watch, user, STOPPED), response_type="ephemeral")
    elif first == "card":
        words, blocks = show_card(services, watch)
        respond(text=words, blocks=blocks, response_type="ephemeral")
    else:
        raise BotError(USAGE)


def check_channel(client: WebClient, channel: str) -> None:
    """BotError where the bot may not read the channel: it says how to let it in."""
    try:
        client.conversations_history(channel=channel, limit=1)
    except SlackApiError as error:
        code = str(error.response.get("error"))
        raise BotError(
            SLACK_ADVICE.get(code, f"Slack does not let me read <#{channel}> ({escape(code)}).")
        ) from error


def show_card(services: Services, watch: Watch) -> tuple[str, list[Any]]:
    """The card as text and blocks."""
    model = services.duty.model_of(watch) if services.duty else None
    text, blocks = card_message(card_of(services, watch, model))
    return text, validate_message(blocks, text)


def on_watch_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Enters the watch; an admin's own request begins at once, others wait for one."""
    memory, user = Memory.parse(view["private_metadata"]), str(body["user"]["id"])
    values = FormValues.of(view).values
    try:
        rate = float(values.get("error_rate", "").replace(",", "."))
    except ValueError:
        rate = 0.0
    if not LOWEST <= rate <= HIGHEST:
        ack(
            response_action="errors",
            errors={"error_rate": f"Give a percentage from {LOWEST:g} to {HIGHEST:g}."},
        )
        return
    ack()
    with PrivateFailure(client, memory, body):
        job = services.ledger.job(memory.about)
        mode = values.get("mode") if values.get("mode") in MODES else SHADOW
        people = values.get("correctors") if values.get("correctors") in CORRECTORS else "everyone"
        form = {
            "job_id": job.id,
            "dataset": job.dataset,
            "error_rate": rate / 100,
            "mode": mode,
            "correctors": people,
        }
        person = services.users.person(user)
        if denial := services.permissions.denies_outsider(person):
            raise BotError(denial)
        watch = fresh_watch(memory.channel, team_of(body), user, form, services.clock())
        watch = duty.open_watch(services.ledger.engine, watch)
        try:
            _ask(services, client, watch, person)
        except (*OURS, *SLACK_TROUBLE):  # nobody could see or decide it, and the channel would be taken
            duty.set_mode(services.ledger.engine, watch, STOPPED, "it could not begin", services.clock())
            raise


def _ask(services: Services, client: WebClient, watch: Watch, person: Person) -> None:
    """An admin's own request begins; for everyone else's the channel is shown the buttons."""
    if services.permissions.is_admin(person):
        begin(services, client, watch, person.id)
        return
    text, blocks = request_message(watch)
    client.chat_postMessage(channel=watch.channel, text=text, blocks=validate_message(blocks, text))


def on_approve(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """An admin agrees; the model begins as it was asked for."""
    ack()
    watch, user = _asked_watch(services, body, action)
    begin(services, client, watch, user)
    _replace(
        client, body, f"✅ <@{user}> agreed: model `{escape(watch.version)}` is on duty here ({watch.wish})."
    )


def on_decline(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """An admin declines."""
    ack()
    watch, user = _asked_watch(services, body, action)
    duty.set_mode(services.ledger.engine, watch, STOPPED, "declined", services.clock())
    _replace(client, body, f"🚫 <@{user}> declined: no model is on duty here.")


def _asked_watch(services: Services, body: Body, action: Body) -> tuple[Watch, str]:
    """The watch that waits for an admin, and the admin who pressed; BotError for everyone else."""
    user = where(body)[1]
    watch = duty.watch_by(services.ledger.engine, str(action.get("value")))
    if not services.permissions.is_admin(services.users.person(user)):
        raise BotError("Only an admin puts a model on duty.")
    if watch.mode != duty.ASKED:
        raise BotError("This has been decided already.")
    return watch, user


def begin(services: Services, client: WebClient, watch: Watch, admin: str) -> None:
    """Puts the model to work, makes its version where it is missing, and tells the channel what will happen."""
    check_open(services, watch)
    waits = ""
    if services.duty and find_version(services.duty.place, watch.version) is None:
        job = services.ledger.job(watch.job_id)
        place = Place(admin, watch.team, watch.channel, None, f"deploy:{watch.id}")
        waits = f" Its version is being made first (job `{launch_deployment(services, job, place).id}`); tickets wait until then."
    now = services.clock()
    values = {"mode": watch.wish, "mode_at": now, "approved_by": admin, "read_ts": f"{now:.6f}"}
    if not duty.change_watch(services.ledger.engine, watch, values):
        raise BotError("This has been decided already.")
    words = {
        SHADOW: "It answers for itself; only answers drawn for checking are shown.",
        LIVE: "It writes a line beneath each new message; press what is right.",
    }[watch.wish]
    text = f"🧭 Model `{escape(watch.version)}` is on duty here, at most {watch.error_rate:.0%} wrong. {words}{waits}"
    client.chat_postMessage(channel=watch.channel, text=text)
    if services.duty:
        services.duty.wake()


def check_open(services: Services, watch: Watch) -> None:
    """BotError where people from outside would read what the model says."""
    if services.keeps_jobs_out(watch.channel) is not False:
        raise BotError("People from outside may read along in this channel, so no model answers there.")


def on_mode(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """A button of the card: live, shadow or stop."""
    ack()
    user = where(body)[1]
    watch = duty.watch_by(services.ledger.engine, str(action.get("value")))
    mode = {"live": LIVE, "shadow": SHADOW, "stop": STOPPED}[str(action["action_id"]).removeprefix("duty_")]
    respond(text=change_mode(services, watch, user, mode), response_type="ephemeral", replace_original=False)


def change_mode(services: Services, watch: Watch, user: str, mode: str) -> str:
    """Moves the watch, if this person may: whoever asked for it and admins stop it, only admins let it go live."""
    person = services.users.person(user)
    is_admin = services.permissions.is_admin(person)
    if person.outside or not (is_admin or (mode != LIVE and person.id == watch.by)):
        who = "an admin" if mode == LIVE else f"<@{watch.by}> or an admin"
        raise BotError(f"Only {who} may do that.")
    if mode == LIVE:
        check_open(services, watch)
    if watch.mode == STOPPED or not duty.set_mode(services.ledger.engine, watch, mode, "", services.clock()):
        raise BotError("Someone was faster: `/triage` shows how it stands.")
    if services.duty:
        services.duty.wake()
    return {
        LIVE: "It is live: a line stands beneath each new message.",
        SHADOW: "It is in shadow: it answers for itself.",
        STOPPED: "Stopped. It reads nothing more here; what it learned of its errors is kept.",
    }[mode]


def _replace(client: WebClient, body: Body, text: str) -> None:
    channel, _, ts = message_place(body)
    client.chat_update(channel=channel, ts=ts, text=text, blocks=[])
