"""`/docs share` and `/datasets share`: changes who sees a document or dataset.

Only the owner and admins may change it. The bot asks first, tells the owner, and offers Undo for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError, OldButton
from bot.slack.failures import send_direct_message, wrap_listener
from bot.slack.payload import Body, Command, origin_of
from bot.slack.services import Services, scopes_of
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block, actions, button, section
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.limits import validate_message
from bot.slack.users import Person
from worker.ledger.undos import find_undo, owner, save_undo, use_undo

UNDO = "sharing"
CHOICES = {"everyone": "workspace", "here": "channel"}
USAGE = {
    "document": "Say who may see it: `/docs share ID everyone` or `/docs share ID here`.",
    "dataset": "Say who may see it: `/datasets share NAME everyone` or `/datasets share NAME here`.",
}


@dataclass(frozen=True)
class SharedItem:
    """A document or dataset: `size` as text, `owner` the user id of its owner ("" when unknown)."""

    kind: str
    key: str
    title: str
    size: str
    owner: str
    scopes: frozenset[str]


def register(app: App, teams: Teams) -> None:
    """Registers both sub-commands (before the others of their commands) and the buttons to share and to undo."""
    app.command("/docs", matchers=[is_share_command])(wrap_listener(teams, on_docs_share))
    app.command("/datasets", matchers=[is_share_command])(wrap_listener(teams, on_datasets_share))
    app.action("share_do")(wrap_listener(teams, on_share))
    app.action("share_undo")(wrap_listener(teams, on_undo))


def is_share_command(command: Command) -> bool:
    """Whether the command's text begins with `share`."""
    return question_of(str(command.get("text") or "")).lower().split()[:1] == ["share"]


def on_docs_share(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Asks for confirmation to share a document."""
    ack()
    _ask(services, "document", command, respond)


def on_datasets_share(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Asks for confirmation to share a dataset."""
    ack()
    _ask(services, "dataset", command, respond)


def _ask(services: Services, kind: str, command: Command, respond: Respond) -> None:
    words = question_of(command["text"]).split()[1:]
    if len(words) != 2 or words[1].lower() not in CHOICES:
        raise BotError(USAGE[kind])
    channel, choice = command["channel_id"], words[1].lower()
    item = find_item(services, kind, words[0], services.scopes(channel))
    check_owner(services, item, services.users.person(command["user_id"]))
    blocks = question(item, choice, channel)
    respond(text=f"Who may see {item.title}?", blocks=validate_message(blocks), response_type="ephemeral")


def question(item: SharedItem, choice: str, channel: str) -> list[Block]:
    """The question: the item, who sees it now, who will see it, and the button."""
    scopes = scopes_of(CHOICES[choice], channel)
    text = (
        f"*{escape(one_line(item.title, 120))}* ({item.size})\n• now it is seen by {readers_text(item.scopes)}\n"
        f"• then it is seen by {readers_text(scopes)}: answers there may quote it"
    )
    text += ", jobs there may train on it." if item.kind == "dataset" else "."
    label = "Let everyone see it" if choice == "everyone" else "This channel only"
    share = button(label, "share_do", f"{item.kind}:{item.key}:{choice}", style="primary")
    return [section(text), actions([share], block_id="share")]


def readers_text(scopes: frozenset[str]) -> str:
    """The audience of these scopes as text."""
    if "workspace" in scopes:
        return "every member of this workspace, in every channel"
    channels = sorted(scope.partition(":")[2] for scope in scopes)
    return " and ".join(
        f"<#{one}>" if one.startswith(("C", "G")) else "one person, directly" for one in channels
    )


def find_item(services: Services, kind: str, key: str, scopes: frozenset[str] | None) -> SharedItem:
    """The document or dataset that is visible in `scopes` (None: in any)."""
    key = key.strip("`")
    if kind == "dataset":
        card = services.datasets.get(key, scopes)
        return SharedItem(
            kind, card.name, card.name, f"{card.rows:,} tickets", card.added_by, frozenset(card.scopes)
        )
    for document in services.index.documents(scopes):
        if document.id == key and document.root != "guide":
            by = owner(services.ledger.engine, "document", document.id)
            title = document.title or document.source
            return SharedItem(kind, key, title, f"{document.chunks} passages", by, frozenset(document.scopes))
    raise BotError("There is no such document here. `/docs` lists them with their ids.")


def check_owner(services: Services, item: SharedItem, person: Person) -> None:
    """Raises BotError, with a contact, unless this person is the owner or an admin."""
    if person.id == item.owner or services.permissions.is_admin(person):
        return
    whom = f"<@{item.owner}>, who added it, or an admin" if item.owner.startswith(("U", "W")) else "an admin"
    raise BotError(f"Who sees this {item.kind} is decided by {whom}. Ask them.")


def on_share(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Changes the audience after the confirmation and a permission check; tells the owner and offers Undo."""
    ack()
    channel, user, _ = origin_of(body)
    kind, _, rest = str(action.get("value")).partition(":")
    key, _, choice = rest.rpartition(":")
    if kind not in USAGE or choice not in CHOICES:
        raise OldButton(USAGE["document"])
    person = services.users.person(user)
    item = find_item(services, kind, key, services.scopes(channel))
    check_owner(services, item, person)
    scopes = scopes_of(CHOICES[choice], channel)
    change = {"kind": kind, "key": item.key, "scopes": sorted(item.scopes), "owner": item.owner}
    undo = save_undo(services.ledger.engine, UNDO, change, user, services.clock())
    set_scopes(services, kind, item.key, scopes)
    text = f"*{escape(one_line(item.title, 120))}* is now seen by {readers_text(scopes)}."
    blocks = [section(text), undo_button(undo)]
    respond(text=text, blocks=blocks, replace_original=True)
    if item.owner != user and item.owner.startswith(("U", "W")):
        owner_text = f"{escape(person.name)}, an admin, changed who sees your {kind}: {text}"
        send_direct_message(client, item.owner, owner_text, [section(owner_text), undo_button(undo)])


def undo_button(undo: str) -> Block:
    """The Undo button."""
    return actions([button("Undo", "share_undo", undo)], block_id="undo")


def set_scopes(services: Services, kind: str, key: str, scopes: frozenset[str]) -> None:
    """Sets the scopes of the item."""
    change: dict[str, Callable[[str, frozenset[str]], object]] = {
        "document": services.index.share,
        "dataset": services.datasets.share,
    }
    change[kind](key, scopes)


def on_undo(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Restores the earlier audience: for the owner and admins, once, within a day."""
    ack()
    engine, now = services.ledger.engine, services.clock()
    undo = find_undo(engine, str(action.get("value")), UNDO, now)
    item = find_item(services, undo.body["kind"], undo.body["key"], None)
    check_owner(services, item, services.users.person(origin_of(body)[1]))
    if use_undo(engine, undo.id, now):
        set_scopes(services, item.kind, item.key, frozenset(undo.body["scopes"]))
    text = f"Taken back: *{escape(one_line(item.title, 120))}* is seen by {readers_text(frozenset(undo.body['scopes']))}."
    respond(text=text, blocks=[section(text)], replace_original=True)
