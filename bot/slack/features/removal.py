"""`/datasets remove`: asks first, hides a dataset for a day in which it can be restored, then erases it."""

from __future__ import annotations

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import send_direct_message, wrap_listener
from bot.slack.payload import Body, Command, origin_of
from bot.slack.services import Services, models_trained_on
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block, actions, button, section
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.limits import validate_message
from bot.slack.users import Person
from finetune.data.card import Card


def register(app: App, teams: Teams) -> None:
    """Registers the sub-command (before the others of `/datasets`) and the buttons to remove and to restore."""
    app.command("/datasets", matchers=[is_remove_command])(wrap_listener(teams, on_command))
    app.action("dataset_remove")(wrap_listener(teams, on_dataset_remove))
    app.action("dataset_undo")(wrap_listener(teams, on_dataset_undo))


def is_remove_command(command: Command) -> bool:
    """Whether the command's text names a dataset to remove."""
    words = question_of(str(command.get("text") or "")).lower().split()
    return words[:1] == ["remove"] and len(words) == 2


def on_command(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Asks for confirmation before a removal."""
    ack()
    name = question_of(command["text"]).split()[1]
    person = services.users.person(command["user_id"])
    blocks = removal_question(services, removable(services, name, person, command["channel_id"]))
    respond(text="Remove it?", blocks=validate_message(blocks), response_type="ephemeral")


def removable(services: Services, name: str, person: Person, channel: str) -> Card:
    """The dataset, if this person may remove it: its owner, or an admin."""
    admin = services.permissions.is_admin(person)
    card = services.datasets.get(name.strip("`"), None if admin else services.scopes(channel))
    if card.added_by != person.id and not admin:
        raise BotError(f"Only the person who added {card.name} or an admin can remove it.")
    return card


def removal_question(services: Services, card: Card) -> list[Block]:
    """The question: what is removed, what stays, which models were trained on it, and the button."""
    text = (
        f"Remove *{escape(card.name)}* (every version, {card.rows:,} tickets)? Nobody sees it from then on. It can be "
        f"brought back for a day; then its tickets are erased.{models_line(services, card.name)}"
    )
    return [
        section(text),
        actions([button("Remove", "dataset_remove", card.name, "danger")], block_id="removal"),
    ]


def models_line(services: Services, name: str) -> str:
    """The line on models that were trained on any version; "" without any."""
    models_of = models_trained_on(services.ledger)
    digests = {card.digest for card in services.datasets.versions(name)}
    models = sorted({model for digest in digests for model in models_of(digest)})
    listing = ", ".join(f"`{model}`" for model in models[:20]) + (" …" if len(models) > 20 else "")
    return f" Trained on them, and cannot forget: {listing}." if models else ""


def remove_dataset(
    services: Services, client: WebClient, name: str, person: Person, channel: str
) -> list[Block]:
    """Hides a dataset for a day, after which it is erased; returns the confirmation with the Undo button."""
    card = removable(services, name, person, channel)
    models = models_line(services, card.name)
    removal = services.datasets.removals.hide(card.name)
    text = (
        f"🗑️ {escape(removal.name)} is removed: nobody sees its {removal.rows:,} tickets any more. Within a day it can "
        f"be brought back, then they are erased.{models}"
    )
    undo = actions([button("Undo", "dataset_undo", removal.key)], block_id="undo")
    if card.added_by != person.id and card.added_by.startswith(("U", "W")):
        owner_text = f"{escape(person.name)}, an admin, removed your dataset. {text}"
        send_direct_message(client, card.added_by, owner_text, [section(owner_text), undo])
    return [section(text), undo]


def on_dataset_undo(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Restores a removed dataset, for its owner and admins."""
    ack()
    key, person = str(action.get("value")), services.users.person(origin_of(body)[1])
    removal = services.datasets.removals.pending(key)
    if removal is None:
        raise BotError("This removal cannot be undone any more. Add the file again.")
    if removal.owner != person.id and not services.permissions.is_admin(person):
        raise BotError(f"Only the person who added {removal.name} or an admin can bring it back.")
    card = services.datasets.removals.restore(key)
    text = f"{escape(card.name)} is back, with its {card.rows:,} tickets."
    respond(text=text, blocks=[section(text)], replace_original=True)


def on_dataset_remove(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Removes the dataset, after the confirmation of the list or the command."""
    ack()
    channel, user, _ = origin_of(body)
    person, name = services.users.person(user), str(action.get("value"))
    blocks = remove_dataset(services, client, name, person, channel)
    is_answer = action.get("block_id") == "removal"  # replaces the question
    respond(text=f"{name} is removed.", blocks=blocks, response_type="ephemeral", replace_original=is_answer)
