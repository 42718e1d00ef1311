"""`/docs outsiders`: what external readers (guests, other companies) may get in this channel; admins change it."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError, OldButton
from bot.slack.failures import wrap_listener
from bot.slack.payload import Body, Command, origin_of
from bot.slack.services import Services, is_direct
from bot.slack.teams import Teams
from bot.slack.ui import blocks as ui
from bot.slack.ui.blocks import Block, button, confirm, section
from bot.slack.ui.escape import question_of
from bot.slack.ui.limits import validate_message
from bot.slack.users import Person
from worker.ledger.guest_access import NAMES, guest_access, set_guest_access

TITLES = {
    "documents": ("Documents", "Answers here may cite the whole workspace's documents.", "Answers here rest on my guide and this channel's own documents."),
    "jobs": ("Jobs", "Cards and reports of jobs stay here.", "Cards and reports of jobs go to whoever launched them."),
}  # fmt: skip
INTRODUCTION = (
    "👋 I tell you whether to prompt, retrieve, fine-tune or train a model, with sources: mention me with your question.\n"
    "`/should-i-train help` lists what else I do. What I know from here stays in this channel unless someone shares it."
)
USAGE = "Write `/docs outsiders`, or for example `/docs outsiders documents on`."


def register(app: App, teams: Teams) -> None:
    """Registers `/docs outsiders` (before the command's other texts), its buttons, and the event of joining a channel."""
    app.command("/docs", matchers=[is_outsiders_command])(wrap_listener(teams, on_command))
    app.event("member_joined_channel")(wrap_listener(teams, on_join))
    for name in NAMES:
        app.action(f"opening:{name}")(wrap_listener(teams, on_button))


def is_outsiders_command(command: Command) -> bool:
    """Whether the command's text begins with `outsiders`."""
    return question_of(str(command.get("text") or "")).lower().split()[:1] == ["outsiders"]


def on_join(services: Services, event: Body, client: WebClient, context: Any) -> None:
    """After somebody joined: drops the cached audience; when it was the bot itself, posts its introduction."""
    channel = str(event.get("channel"))
    services.audience.forget(channel)
    if event.get("user") == context.bot_user_id:
        client.chat_postMessage(channel=channel, text=INTRODUCTION, unfurl_links=False)


def on_command(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Handles `outsiders` (shows the panel) and `outsiders NAME on|off` (changes one entry)."""
    ack()
    words = question_of(command["text"]).lower().split()[1:]
    channel, person = command["channel_id"], services.users.person(command["user_id"])
    if is_direct(channel):
        raise BotError("This belongs to channels. Write it in the one that people from outside share.")
    if not words:
        state = guest_access(services.ledger.engine, channel)
    elif len(words) == 2 and words[0] in NAMES and words[1] in ("on", "off"):
        state = set_access(services, channel, person, words[0], words[1] == "on")
    else:
        raise BotError(f"I can open {' and '.join(NAMES)}. {USAGE}")
    blocks = panel(state, services.audience.check_external_readers(channel))
    respond(text=summary(state), blocks=validate_message(blocks), response_type="ephemeral")


def on_button(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Switches one entry by its button, after a permission check, and shows the new panel."""
    ack()
    channel, user, _ = origin_of(body)
    name, _, to = str(action.get("value")).partition(":")
    if name not in NAMES or to not in ("on", "off") or is_direct(channel):
        raise OldButton(USAGE)
    state = set_access(services, channel, services.users.person(user), name, to == "on")
    blocks = panel(state, services.audience.check_external_readers(channel))
    respond(text=summary(state), blocks=validate_message(blocks), replace_original=True)


def set_access(services: Services, channel: str, person: Person, name: str, on: bool) -> frozenset[str]:
    """Switches one entry and returns what is open in the channel; raises BotError for a person who is no admin."""
    if not services.permissions.is_admin(person):
        raise BotError("Only an admin opens a channel to people from outside. Ask an admin.")
    return set_guest_access(services.ledger.engine, channel, name, on, person.id, services.clock())


def panel(state: frozenset[str], is_external: bool | None) -> list[Block]:
    """The panel: whether there are external readers, and one line and one button per entry."""
    who: dict[bool | None, str] = {
        True: "People from outside read along here.",
        False: "Only members read here now.",
    }
    blocks = [section(f"*What people from outside have here*\n{who.get(is_external, 'I could not ask Slack who reads here.')}")]  # fmt: skip
    for name in NAMES:
        title, when_on, when_off = TITLES[name]
        line = f"{'🔓' if name in state else '🔒'} *{title}*  {when_on if name in state else when_off}"
        if name in state:
            blocks.append(section(line, button("Close", f"opening:{name}", f"{name}:off")))
        else:
            dialog = confirm("Open it to people from outside?", when_on, "Open it", "Keep it closed")
            blocks.append(section(line, button("Open…", f"opening:{name}", f"{name}:on", confirm=dialog)))
    return [
        *blocks,
        ui.context("Launching, approving, cancelling, trying and rating stay with members in any case."),
    ]


def summary(state: frozenset[str]) -> str:
    """The panel in one line."""
    return "Open to people from outside: " + (", ".join(sorted(state)) or "nothing beyond the guide")
