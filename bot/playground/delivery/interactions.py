"""What a person does that the app must answer: commands, clicks, shortcuts, modals. Slack's payloads,
Slack's 3 s."""

from __future__ import annotations

import json
from typing import Any

from bot.playground.block_kit import forms
from bot.playground.client.compose import encode
from bot.playground.errors import ApiError, NoAck, PlaygroundError
from bot.playground.state import posting, seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import Channel, User
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import check_content, named_blocks
from bot.playground.web_api.views import check_view, close_all, close_top, push_onto, replace

NO_ANSWER_TEXT = "We had some trouble connecting. Try again?"


async def command(context: WorkspaceContext, user: User, channel: Channel, name: str, text: str) -> Json:
    """A slash command; its answer in the ack shows as an ephemeral (or public) message."""
    workspace = context.workspace
    entry = workspace.app.commands.get(name)
    if entry is None:
        raise PlaygroundError(f"{name} is not a valid command. Type / to see which there are.")
    if entry.should_escape:
        text = encode(text, workspace.users, workspace.channels, labels=True)
    payload = {
        "token": workspace.tokens["verification"],
        "team_id": user.team,
        "team_domain": context.workspace.team.domain,
        "channel_id": channel.id,
        "channel_name": channel.name or "directmessage",
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": text,
        "api_app_id": seed.APP_ID,
        "is_enterprise_install": "false",
        "response_url": workspace.base_url + context.links.response(channel.id, user.id),
        "trigger_id": context.links.trigger(user.id),
    }
    try:
        answer = await context.outbox.ask("slash_commands", payload)
    except NoAck as error:
        failure = "operation_timeout" if error.reason in {"timeout", "http_timeout"} else "dispatch_failed"
        _send_ephemeral(context, channel, user, f'{name} failed with the error "{failure}"')
        return {"ok": False, "error": failure}
    if answer.get("text") or answer.get("blocks"):
        respond(context, channel, user, answer)
    return {"ok": True}


async def message_action(
    context: WorkspaceContext, user: User, channel: Channel, ts: str, element: Json, block: Json, value: Any
) -> Json:
    """A click or choice in a message."""
    message = context.workspace.messages[channel.id][ts]
    thread_ts = message.get("thread_ts")
    private = bool(message.get("_ephemeral_to"))
    container: Json = {"type": "message", "message_ts": ts, "channel_id": channel.id, "is_ephemeral": private}
    if thread_ts:
        container["thread_ts"] = thread_ts
    link = context.links.response(channel.id, user.id, ts, thread_ts)
    payload = {
        **_base(context, "block_actions", user),
        "container": container,
        "trigger_id": context.links.trigger(user.id),
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message": wire(message),
        "state": {"values": forms.fill({"blocks": message.get("blocks") or []}, {}, {})},
        "response_url": context.workspace.base_url + link,
        "actions": [_action(context, element, block, value)],
    }
    return await _deliver(context, payload)


async def view_action(
    context: WorkspaceContext, user: User, view: Json, element: Json, block: Json, value: Any
) -> Json:
    """A click or choice in a modal or the App Home; the choice stays in the view's state."""
    if element["type"] not in {"button", "overflow"}:
        state = forms.entry_of(element, value, context.workspace.files)
        view["state"]["values"].setdefault(block["block_id"], {})[element["action_id"]] = state
    full_view = wire(view)  # as Slack sends it: what nobody changed has its initial value
    full_view["state"] = {"values": forms.fill(view, {}, {})}
    payload = {
        **_base(context, "block_actions", user),
        "container": {"type": "view", "view_id": view["id"]},
        "trigger_id": context.links.trigger(user.id, view["id"] if view["type"] == "modal" else None),
        "view": full_view,
        "actions": [_action(context, element, block, value)],
    }
    return await _deliver(context, payload)


async def submit(context: WorkspaceContext, user: User, view: Json, values: dict[str, Any]) -> Json:
    """Press the modal's button: {"ok": True}, or {"ok": False, "errors": {block_id: message}} as shown on
    the fields."""
    files = {key: wire(record) for key, record in context.workspace.files.items()}
    try:
        state = forms.fill(view, values, files)
    except KeyError as error:
        raise PlaygroundError(str(error.args[0])) from error
    view["state"] = {"values": state}
    errors = forms.client_errors(view, state)
    if errors:
        return {"ok": False, "errors": errors}
    payload = {
        **_base(context, "view_submission", user),
        "trigger_id": context.links.trigger(user.id, view["id"]),
        "view": wire(view),
        "response_urls": _response_urls(context, user, view, state),
    }
    try:
        answer = await context.outbox.ask("interactive", payload)
    except NoAck:
        return {"ok": False, "error": NO_ANSWER_TEXT}
    return _after_submit(context, user, view, answer)


async def close(context: WorkspaceContext, user: User, view: Json, *, clear: bool) -> Json:
    """Cancel (or the X, which clears the stack): view_closed when the view asked for it."""
    payload_view = wire(view)
    close_all(context, user.id) if clear else close_top(context, user.id)
    if not view["notify_on_close"]:
        return {"ok": True}
    payload = {**_base(context, "view_closed", user), "view": payload_view, "is_cleared": clear}
    return await _deliver(context, payload)


async def shortcut(
    context: WorkspaceContext, user: User, callback_id: str, channel: Channel | None, ts: str | None
) -> Json:
    """A message shortcut (with channel and ts) or a global one."""
    entry = context.workspace.app.shortcuts.get(callback_id)
    if entry is None:
        raise PlaygroundError(f"The manifest has no shortcut {callback_id!r}.")
    payload = {
        **_base(context, "shortcut", user),
        "callback_id": callback_id,
        "action_ts": context.workspace.new_ts(),
        "trigger_id": context.links.trigger(user.id),
    }
    if entry.kind == "message":
        if channel is None or ts is None:
            raise PlaygroundError("A message shortcut needs the message it is used on.")
        message = context.workspace.message(channel.id, ts)
        link = context.links.response(channel.id, user.id, None, message.get("thread_ts"))
        payload |= {
            "type": "message_action",
            "message_ts": ts,
            "channel": {"id": channel.id, "name": channel.name or "directmessage"},
            "message": wire(message),
            "response_url": context.workspace.base_url + link,
        }
    return await _deliver(context, payload)


async def suggest(
    context: WorkspaceContext, user: User, container: Json, element: Json, block: Json, text: str
) -> list[Json]:
    """Options of an external select for what was typed; empty when the app does not answer."""
    payload = {
        **_base(context, "block_suggestion", user),
        **container,
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "value": text,
    }
    try:
        answer = await context.outbox.ask("interactive", payload)
    except NoAck:
        return []
    options = [item for group in answer.get("option_groups") or [] for item in group["options"]]
    return [*(answer.get("options") or []), *options]


def respond(
    context: WorkspaceContext,
    channel: Channel,
    user: User,
    body: Json,
    ts: str | None = None,
    thread_ts: str | None = None,
) -> None:
    """Do what an ack's payload or a response_url asks: post (ephemeral or not), replace or delete."""
    original = context.workspace.messages[channel.id].get(ts or "")
    if body.get("delete_original"):
        if original is not None:
            posting.remove(context, channel, original["ts"])
        return
    check_content(body)
    blocks = named_blocks(context, body.get("blocks"))
    if body.get("replace_original") and original is not None:
        posting.edit(context, channel, original, {"text": body.get("text") or "", "blocks": blocks})
        return
    message = posting.bot_message(
        context.workspace,
        body.get("text") or "",
        blocks=blocks,
        attachments=body.get("attachments"),
        thread_ts=body.get("thread_ts") or thread_ts,
    )
    public = body.get("response_type") == "in_channel"
    posting.post(context, channel, message, ephemeral_to=None if public else user.id)


def _after_submit(context: WorkspaceContext, user: User, view: Json, answer: Json) -> Json:
    action = answer.get("response_action")
    if action == "errors":
        return _shown_errors(view, answer.get("errors") or {})
    if action == "clear":
        close_all(context, user.id)
    elif action in {"update", "push"}:
        answer_view = answer.get("view")
        next_view: Json = json.loads(answer_view) if isinstance(answer_view, str) else answer_view or {}
        try:
            check_view(next_view, "modal")
        except ApiError:
            return {"ok": False, "error": NO_ANSWER_TEXT}
        if action == "update":
            replace(context, view, next_view)
        else:
            push_onto(context, user.id, next_view)
    elif action is None:
        close_top(context, user.id)
    else:
        return {"ok": False, "error": NO_ANSWER_TEXT}
    return {"ok": True}


def _shown_errors(view: Json, errors: Json) -> Json:
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if (
        not errors or not set(errors) <= inputs
    ):  # Slack shows its own error when a block id is none of the inputs
        return {"ok": False, "error": NO_ANSWER_TEXT}
    return {"ok": False, "errors": errors}


def _base(context: WorkspaceContext, kind: str, user: User) -> Json:
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": seed.APP_ID,
        "token": context.workspace.tokens["verification"],
        "team": {"id": context.workspace.team.id, "domain": context.workspace.team.domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _action(context: WorkspaceContext, element: Json, block: Json, value: Any) -> Json:
    action: Json = {"action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"]}
    action["action_ts"] = context.workspace.new_ts()
    if element["type"] == "button":
        return action | {key: element[key] for key in ("text", "value", "style") if key in element}
    if element["type"] == "feedback_buttons":
        for key in ("positive_button", "negative_button"):
            if element[key].get("value") == value:
                return action | {"value": value, "text": element[key]["text"]}
        raise PlaygroundError(f"The feedback buttons have no value {value!r}.")
    if element["type"] == "icon_button":
        return action | ({"value": element["value"]} if "value" in element else {})
    try:
        return action | forms.entry_of(element, value, context.workspace.files)
    except KeyError as error:
        raise PlaygroundError(str(error.args[0])) from error


def _response_urls(context: WorkspaceContext, user: User, view: Json, state: Json) -> list[Json]:
    links = []
    for block, element in forms.elements_of(view["blocks"]):
        if element.get("response_url_enabled"):
            channel = forms.selection_of(state[block["block_id"]][element["action_id"]])
            if channel:
                url = context.workspace.base_url + context.links.response(channel, user.id)
                ids = {"block_id": block["block_id"], "action_id": element["action_id"]}
                links.append({**ids, "channel_id": channel, "response_url": url})
    return links


async def _deliver(context: WorkspaceContext, payload: Json) -> Json:
    try:
        await context.outbox.ask("interactive", payload)
    except NoAck as error:
        return {"ok": False, "error": NO_ANSWER_TEXT, "reason": error.reason}
    return {"ok": True}


def _send_ephemeral(context: WorkspaceContext, channel: Channel, user: User, text: str) -> None:
    message = {"type": "message", "user": "USLACKBOT", "username": "Slackbot", "text": text}
    posting.post(context, channel, message, ephemeral_to=user.id)
