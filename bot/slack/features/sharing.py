"""Who sees a document or a dataset is its owner's act: `/docs share` and `/datasets share` ask first, tell the owner, and
can be taken back for a day. Admins may as well; nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError, OldButton
from bot.slack.failures import guard, tell_privately
from bot.slack.payload import Body, Command, where
from bot.slack.services import Services, scopes_of
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block, actions, button, section
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.limits import validate_message
from bot.slack.users import Person
from worker.ledger.undos import find_undo, keep_undo, owner, spend_undo

UNDO = "sharing"
CHOICES = {"everyone": "workspace", "here": "channel"}
USAGE = {
    "document": "Say who may see it: `/docs share ID everyone` or `/docs share ID here`.",
    "dataset": "Say who may see it: `/datasets share NAME everyone` or `/datasets share NAME here`.",
}


@dataclass(frozen=True)
class Thing:
    """A document or dataset: `size` in words, `owner` the user id of whoever added it ("" where nobody was noted)."""

    kind: str
    key: str
    title: str
    size: str
    owner: str
    scopes: frozenset[str]


def register(app: App, teams: Teams) -> None:
    """Both commands (ahead of their other texts), the button that shares, the button that takes it back."""
    app.command("/docs", matchers=[is_share_order])(guard(teams, on_docs_share))
    app.command("/datasets", matchers=[is_share_order])(guard(teams, on_datasets_share))
    app.action("share_do")(guard(teams, on_share))
    app.action("share_undo")(guard(teams, on_undo))


def is_share_order(command: Command) -> bool:
    """Whether the command's text begins with `share`."""
    return question_of(str(command.get("text") or "")).lower().split()[:1] == ["share"]


def on_docs_share(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Asks whether this document shall be seen by others."""
    ack()
    _ask(services, "document", command, respond)


def on_datasets_share(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Asks whether this dataset shall be seen by others."""
    ack()
    _ask(services, "dataset", command, respond)


def _ask(services: Services, kind: str, command: Command, respond: Respond) -> None:
    words = question_of(command["text"]).split()[1:]
    if len(words) != 2 or words[1].lower() not in CHOICES:
        raise BotError(USAGE[kind])
    channel, choice = command["channel_id"], words[1].lower()
    thing = find_thing(services, kind, words[0], services.scopes(channel))
    check_owner(services, thing, services.users.person(command["user_id"]))
    blocks = question(thing, choice, channel)
    respond(text=f"Who may see {thing.title}?", blocks=validate_message(blocks), response_type="ephemeral")


def question(thing: Thing, choice: str, channel: str) -> list[Block]:
    """The confirmation: what it is, who sees it now and who will."""
    scopes = scopes_of(CHOICES[choice], channel)
    text = (
        f"*{escape(one_line(thing.title, 120))}* ({thing.size})\n• now it is seen by {readers(thing.scopes)}\n"
        f"• then it is seen by {readers(scopes)}: answers there may quote it"
    )
    text += ", jobs there may train on it." if thing.kind == "dataset" else "."
    label = "Let everyone see it" if choice == "everyone" else "This channel only"
    share = button(label, "share_do", f"{thing.kind}:{thing.key}:{choice}", style="primary")
    return [section(text), actions([share], block_id="share")]


def readers(scopes: frozenset[str]) -> str:
    """Who sees what has these scopes, in words."""
    if "workspace" in scopes:
        return "every member of this workspace, in every channel"
    channels = sorted(scope.partition(":")[2] for scope in scopes)
    return " and ".join(
        f"<#{one}>" if one.startswith(("C", "G")) else "one person, directly" for one in channels
    )


def find_thing(services: Services, kind: str, key: str, scopes: frozenset[str] | None) -> Thing:
    """The document or dataset that readers of `scopes` may see (None: any)."""
    key = key.strip("`")
    if kind == "dataset":
        card = services.datasets.get(key, scopes)
        return Thing(
            kind, card.name, card.name, f"{card.rows:,} tickets", card.added_by, frozenset(card.scopes)
        )
    for document in services.index.documents(scopes):
        if document.id == key and document.root != "guide":
            by = owner(services.ledger.engine, "document", document.id)
            title = document.title or document.source
            return Thing(kind, key, title, f"{document.chunks} passages", by, frozenset(document.scopes))
    raise BotError("There is no such document here. `/docs` lists them with their ids.")


def check_owner(services: Services, thing: Thing, person: Person) -> None:
    """BotError, with whom to ask, unless this person added it or is an admin."""
    if person.id == thing.owner or services.permissions.is_admin(person):
        return
    whom = (
        f"<@{thing.owner}>, who added it, or an admin" if thing.owner.startswith(("U", "W")) else "an admin"
    )
    raise BotError(f"Who sees this {thing.kind} is decided by {whom}. Ask them.")


def on_share(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Shares after the question; the right is checked again, the owner is told, and it can be taken back."""
    ack()
    channel, user, _ = where(body)
    kind, _, rest = str(action.get("value")).partition(":")
    key, _, choice = rest.rpartition(":")
    if kind not in USAGE or choice not in CHOICES:
        raise OldButton(USAGE["document"])
    person = services.users.person(user)
    thing = find_thing(services, kind, key, services.scopes(channel))
    check_owner(services, thing, person)
    scopes = scopes_of(CHOICES[choice], channel)
    change = {"kind": kind, "key": thing.key, "scopes": sorted(thing.scopes), "owner": thing.owner}
    undo = keep_undo(services.ledger.engine, UNDO, change, user, services.clock())
    set_scopes(services, kind, thing.key, scopes)
    text = f"*{escape(one_line(thing.title, 120))}* is now seen by {readers(scopes)}."
    blocks = [section(text), undo_button(undo)]
    respond(text=text, blocks=blocks, replace_original=True)
    if thing.owner != user and thing.owner.startswith(("U", "W")):
        tell = f"{escape(person.name)}, an admin, changed who sees your {kind}: {text}"
        tell_privately(client, thing.owner, tell, [section(tell), undo_button(undo)])


def undo_button(undo: str) -> Block:
    """The one button that takes it back."""
    return actions([button("Undo", "share_undo", undo)], block_id="undo")


def set_scopes(services: Services, kind: str, key: str, scopes: frozenset[str]) -> None:
    """Lets exactly these scopes see it."""
    change: dict[str, Callable[[str, frozenset[str]], object]] = {
        "document": services.index.share,
        "dataset": services.datasets.share,
    }
    change[kind](key, scopes)


def on_undo(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Puts back who saw it before: for the owner, admins, and nobody else; once, for a day."""
    ack()
    engine, now = services.ledger.engine, services.clock()
    undo = find_undo(engine, str(action.get("value")), UNDO, now)
    thing = find_thing(services, undo.body["kind"], undo.body["key"], None)
    check_owner(services, thing, services.users.person(where(body)[1]))
    if spend_undo(engine, undo.id, now):
        set_scopes(services, thing.kind, thing.key, frozenset(undo.body["scopes"]))
    text = f"Taken back: *{escape(one_line(thing.title, 120))}* is seen by {readers(frozenset(undo.body['scopes']))}."
    respond(text=text, blocks=[section(text)], replace_original=True)
