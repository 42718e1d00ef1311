"""`/triage`: requests, approves, shows and stops a model on duty in a channel.

A middleware before all listeners sees every message, because Bolt passes an event to one listener only. It enters tickets of
watched channels and passes every event on.
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
from bot.slack.delivery.duty_history import TOMBSTONE
from bot.slack.failures import SLACK_HINTS, PrivateErrorReport, wrap_listener
from bot.slack.launch import launch_deployment, model_job
from bot.slack.on_duty import (
    card_of,
    find_version,
    new_watch,
    ticket_in,
    ticket_key,
    without_personal_data,
)
from bot.slack.payload import Body, Command, RequestOrigin, View, message_address, origin_of, team_of
from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.teams import Teams
from bot.slack.ui.duty import (
    CORRECTORS,
    MODES,
    card_message,
    message_text,
    request_message,
    watch_modal,
)
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import FormMetadata, FormValues
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.users import Person
from worker.ledger import duty
from worker.ledger.duty import LIVE, SHADOW, STOPPED, Watch

SUMMARY = "`/triage` puts a tuned model on duty in a channel, shows how it does there, and stops it."
USAGE = "Write `/triage watch #channel with JOB`, `/triage` for the card of this channel, or `/triage stop`."
WATCH_COMMAND = re.compile(r"watch\s+<#(?P<channel>[CG][A-Z0-9]+)(?:\|[^>]*)?>\s+with\s+`?(?P<job>[a-z0-9]{4,32})`?\s*(?P<mode>live|shadow)?", re.I)  # fmt: skip
LOWEST, HIGHEST = 0.5, 50.0
log = logging.getLogger(__name__)


def register(app: App, teams: Teams) -> None:
    """Registers the command, the form, the buttons of request and card, and the middleware for messages."""
    app.use(ticket_middleware(teams))
    app.command("/triage")(wrap_listener(teams, on_triage))
    app.view("duty_watch")(wrap_listener(teams, on_watch_form))
    app.action("duty_approve")(wrap_listener(teams, on_approve))
    app.action("duty_decline")(wrap_listener(teams, on_decline))
    app.action(re.compile(r"^duty_(live|shadow|stop)$"))(wrap_listener(teams, on_mode))


def ticket_middleware(teams: Teams) -> Callable[..., BoltResponse | None]:
    """Bolt's middleware that enters tickets of watched channels, applies edits and deletions, and passes every event on."""

    def enter_tickets(body: Body, context: Any, next: Callable[[], None]) -> None:
        event = body.get("event") or {}
        if event.get("type") == "message" and str(event.get("channel", "")).startswith(("C", "G")):
            try:
                if services := teams.services(context):
                    _process_event(services, event, str(context.bot_user_id))
            except Exception:  # the edge: DutyRunner reads the channel's history later
                log.exception("a message was not entered; it is read from the history later")
        next()

    return enter_tickets


def _process_event(services: Services, event: dict[str, Any], bot_user: str) -> None:
    engine, channel = services.ledger.engine, str(event["channel"])
    watch = duty.watch_in(engine, channel)
    if watch is None or watch.mode not in duty.AT_WORK:
        return
    message = event.get("message") or {}
    is_gone = event.get("subtype") == "message_deleted" or message.get("subtype") == TOMBSTONE
    if is_gone:
        ts = str(event.get("deleted_ts") or message.get("ts"))
        line = duty.delete_ticket(engine, watch.id, ticket_key(channel, ts))
        if line and services.duty:
            services.duty.delete_line(watch, line)
    elif event.get("subtype") == "message_changed":
        if "edited" in message:
            words = without_personal_data(question_of(message_text(message)))
            duty.edit_ticket(engine, watch.id, ticket_key(channel, str(message.get("ts"))), words)
    elif (text := ticket_in(event, bot_user)) is not None:
        ts = str(event["ts"])
        duty.add_ticket(
            engine, watch.id, ticket_key(channel, ts), ts, without_personal_data(text), services.clock()
        )
    if services.duty:
        services.duty.wake()


def on_triage(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """`watch` opens the form, `stop` stops the watch, no word or `card` shows the channel's card."""
    ack()
    text, channel, user = str(command.get("text") or "").strip(), command["channel_id"], command["user_id"]
    first = text.split()[0].lower() if text else "card"
    if first == "watch":
        match = WATCH_COMMAND.match(text)
        if match is None:
            raise BotError(USAGE)
        job = model_job(services, match["job"], user, channel)
        if job.spec.get("task", "triage") != "triage":
            raise BotError(f"Job {job.id} writes replies; only a model that sorts tickets can be on duty.")
        check_channel(client, match["channel"])
        metadata = FormMetadata(match["channel"], None, job.id).pack()
        view = watch_modal(job.id, match["channel"], metadata, (match["mode"] or SHADOW).lower())
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
    """Raises BotError when the bot cannot read the channel, with how to invite it."""
    try:
        client.conversations_history(channel=channel, limit=1)
    except SlackApiError as error:
        code = str(error.response.get("error"))
        raise BotError(
            SLACK_HINTS.get(code, f"Slack does not let me read <#{channel}> ({escape(code)}).")
        ) from error


def show_card(services: Services, watch: Watch) -> tuple[str, list[Any]]:
    """The card as text and blocks."""
    model = services.duty.model_of(watch) if services.duty else None
    text, blocks = card_message(card_of(services, watch, model))
    return text, validate_message(blocks, text)


def on_watch_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Stores the requested watch; an admin's own request starts at once, others wait for an admin."""
    metadata, user = FormMetadata.parse(view["private_metadata"]), str(body["user"]["id"])
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
    with PrivateErrorReport(client, metadata, body):
        job = services.ledger.job(metadata.about)
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
        watch = new_watch(metadata.channel, team_of(body), user, form, services.clock())
        watch = duty.open_watch(services.ledger.engine, watch)
        try:
            _ask(services, client, watch, person)
        except (*OURS, *SLACK_ERRORS):  # nobody could decide on it, and it would block the channel
            duty.set_mode(services.ledger.engine, watch, STOPPED, "it could not begin", services.clock())
            raise


def _ask(services: Services, client: WebClient, watch: Watch, person: Person) -> None:
    """Starts an admin's own request; for everyone else posts the request with its buttons in the channel."""
    if services.permissions.is_admin(person):
        activate_watch(services, client, watch, person.id)
        return
    text, blocks = request_message(watch)
    client.chat_postMessage(channel=watch.channel, text=text, blocks=validate_message(blocks, text))


def on_approve(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Starts the requested watch after an admin's approval."""
    ack()
    watch, user = _requested_watch(services, body, action)
    activate_watch(services, client, watch, user)
    _replace_message(
        client, body, f"✅ <@{user}> agreed: model `{escape(watch.version)}` is on duty here ({watch.wish})."
    )


def on_decline(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Declines the requested watch."""
    ack()
    watch, user = _requested_watch(services, body, action)
    duty.set_mode(services.ledger.engine, watch, STOPPED, "declined", services.clock())
    _replace_message(client, body, f"🚫 <@{user}> declined: no model is on duty here.")


def _requested_watch(services: Services, body: Body, action: Body) -> tuple[Watch, str]:
    """The requested watch and the admin who pressed the button; raises BotError for everyone else."""
    user = origin_of(body)[1]
    watch = duty.find_watch(services.ledger.engine, str(action.get("value")))
    if not services.permissions.is_admin(services.users.person(user)):
        raise BotError("Only an admin puts a model on duty.")
    if watch.mode != duty.ASKED:
        raise BotError("This has been decided already.")
    return watch, user


def activate_watch(services: Services, client: WebClient, watch: Watch, admin: str) -> None:
    """Starts the watch, launches the job for a missing version, and announces it in the channel."""
    check_readers(services, watch)
    waits = ""
    if services.duty and find_version(services.duty.versions_folder, watch.version) is None:
        job = services.ledger.job(watch.job_id)
        origin = RequestOrigin(admin, watch.team, watch.channel, None, f"deploy:{watch.id}")
        waits = f" Its version is being made first (job `{launch_deployment(services, job, origin).id}`); tickets wait until then."
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


def check_readers(services: Services, watch: Watch) -> None:
    """Raises BotError when external readers would see the model's answers."""
    if services.is_closed_to_jobs(watch.channel) is not False:
        raise BotError("People from outside may read along in this channel, so no model answers there.")


def on_mode(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Handles the card's buttons: live, shadow, stop."""
    ack()
    user = origin_of(body)[1]
    watch = duty.find_watch(services.ledger.engine, str(action.get("value")))
    mode = {"live": LIVE, "shadow": SHADOW, "stop": STOPPED}[str(action["action_id"]).removeprefix("duty_")]
    respond(text=change_mode(services, watch, user, mode), response_type="ephemeral", replace_original=False)


def change_mode(services: Services, watch: Watch, user: str, mode: str) -> str:
    """Changes the watch's mode: its requester and admins may stop it or set shadow, only admins may set live."""
    person = services.users.person(user)
    is_admin = services.permissions.is_admin(person)
    if person.outside or not (is_admin or (mode != LIVE and person.id == watch.by)):
        who = "an admin" if mode == LIVE else f"<@{watch.by}> or an admin"
        raise BotError(f"Only {who} may do that.")
    if mode == LIVE:
        check_readers(services, watch)
    if watch.mode == STOPPED or not duty.set_mode(services.ledger.engine, watch, mode, "", services.clock()):
        raise BotError("Someone was faster: `/triage` shows how it stands.")
    if services.duty:
        services.duty.wake()
    return {
        LIVE: "It is live: a line stands beneath each new message.",
        SHADOW: "It is in shadow: it answers for itself.",
        STOPPED: "Stopped. It reads nothing more here; what it learned of its errors is kept.",
    }[mode]


def _replace_message(client: WebClient, body: Body, text: str) -> None:
    channel, _, ts = message_address(body)
    client.chat_update(channel=channel, ts=ts, text=text, blocks=[])
