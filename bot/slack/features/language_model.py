"""Connects an OpenAI-compatible language model, so that prompts are measured too: command, button, form (for admins).

The API key goes from the form into the store and into requests; it is never shown, logged or sent back to Slack.
"""

from __future__ import annotations

import time

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.endpoint import Endpoint, EndpointError, EndpointStore, read_endpoint
from bot.errors import BotError
from bot.slack.failures import wrap_listener
from bot.slack.payload import Body, Command, View
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.endpoint_form import FIELDS, connect_modal, connected_line, result_modal
from bot.slack.ui.escape import escape
from bot.slack.ui.forms import FormValues
from bot.slack.ui.limits import validate_view

TEST_TIMEOUT_S = 60.0  # a local server may load its model first
TEST_PROMPT = "Answer with the one word: ready"
WORDS = ("connect", "connect model")
SUMMARY = "`/should-i-train connect` connects a language model, so that prompts are measured too (admins)."


def register(app: App, teams: Teams) -> None:
    """Registers `/should-i-train connect` (before the command's other texts), home's button, the form and its button."""
    app.command("/should-i-train", matchers=[is_connect_command])(wrap_listener(teams, on_command))
    app.action("endpoint_connect")(wrap_listener(teams, on_button))
    app.action("endpoint_remove")(wrap_listener(teams, on_remove))
    app.view("connect_model")(wrap_listener(teams, on_form))


def is_connect_command(command: Command) -> bool:
    """Whether the command's text is `connect`."""
    return " ".join(str(command.get("text") or "").lower().split()) in WORDS


def on_command(services: Services, ack: Ack, command: Command, client: WebClient) -> None:
    """Opens the form for admins."""
    ack()
    open_form(services, client, command["trigger_id"], command["user_id"])


def on_button(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Opens the form from home's button."""
    ack()
    open_form(services, client, body["trigger_id"], body["user"]["id"])


def open_form(services: Services, client: WebClient, trigger_id: str, user: str) -> None:
    """Opens the form; raises BotError for a person who is no admin."""
    check_admin(services, user)
    store = EndpointStore(services.home)
    try:
        current = store.load()
    except EndpointError:
        current = None  # unreadable; a new connection replaces it
    view = connect_modal("", current, store.spent_usd(services.clock()))
    client.views_open(trigger_id=trigger_id, view=validate_view(view))


def check_admin(services: Services, user: str) -> None:
    """Raises BotError unless this person is an admin, because the form makes the bot call any address."""
    if not services.permissions.is_admin(services.users.person(user)):
        raise BotError("Only an admin connects a language model: tickets and money go there. Ask an admin.")


def on_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Validates the fields, tests the server with one short call, and saves the endpoint when it answers."""
    user, form = str(body["user"]["id"]), FormValues.of(view).values
    try:
        check_admin(services, user)
        endpoint = read_endpoint(form, user, services.clock())
    except EndpointError as wrong:
        ack(response_action="errors", errors=wrong.problems)
        return
    except BotError as refused:
        ack(response_action="errors", errors={FIELDS[0]: str(refused)})
        return
    testing = f"⏳ Asking *{escape(endpoint.model)}* at {escape(endpoint.host)} for one word …"
    ack(response_action="update", view=validate_view(result_modal(testing)))
    text = _connect(services, endpoint, form.get("api_key", "").strip() or None)
    client.views_update(view_id=view["id"], view=validate_view(result_modal(text)))


def _connect(services: Services, endpoint: Endpoint, api_key: str | None) -> str:
    """Tests and saves the endpoint; returns the text for the person."""
    from finetune.llm import EndpointFailure, ask_once

    began = time.monotonic()
    try:
        ask_once(endpoint.model, api_key, endpoint.base_url, TEST_PROMPT, TEST_TIMEOUT_S)
    except EndpointFailure as failure:
        return f"⚠️ Nothing was kept: the server {failure.reason}. {failure.advice}"
    store = EndpointStore(services.home)
    store.save(endpoint, api_key)
    line = connected_line(endpoint, store.spent_usd(services.clock()))
    return (
        f"✅ Connected, it answered in {time.monotonic() - began:.1f} s. {line}\nFrom now on measurements and "
        "fine-tunes on this machine's workers compare prompts too. A worker elsewhere needs OPENAI_API_KEY and "
        "OPENAI_BASE_URL of its own: the key does not leave this machine."
    )


def on_remove(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Deletes the endpoint and its key."""
    ack()
    check_admin(services, str(body["user"]["id"]))
    there = EndpointStore(services.home).remove()
    text = (
        "Removed: the key is deleted, prompts are no longer measured." if there else "Nothing was connected."
    )
    client.views_update(view_id=body["view"]["id"], view=validate_view(result_modal(text)))
