"""`/datasets remove` asks first, takes a dataset away for a day in which it can be brought back, then for good."""

from __future__ import annotations

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import guard, tell_privately
from bot.slack.payload import Body, Command, where
from bot.slack.services import Services, models_trained_on
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block, actions, button, section
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.limits import validate_message
from bot.slack.users import Person
from finetune.data.card import Card


def register(app: App, teams: Teams) -> None:
    """The command (ahead of its other texts), the button that removes, the button that brings back."""
    app.command("/datasets", matchers=[is_remove_order])(guard(teams, on_command))
    app.action("dataset_remove")(guard(teams, on_dataset_remove))
    app.action("dataset_undo")(guard(teams, on_dataset_undo))


def is_remove_order(command: Command) -> bool:
    """Whether the command's text names a dataset to remove."""
    words = question_of(str(command.get("text") or "")).lower().split()
    return words[:1] == ["remove"] and len(words) == 2


def on_command(services: Services, ack: Ack, command: Command, respond: Respond) -> None:
    """Asks before anything goes."""
    ack()
    name = question_of(command["text"]).split()[1]
    person = services.users.person(command["user_id"])
    blocks = removal_question(services, removable(services, name, person, command["channel_id"]))
    respond(text="Remove it?", blocks=validate_message(blocks), response_type="ephemeral")


def removable(services: Services, name: str, person: Person, channel: str) -> Card:
    """The dataset, if this person may remove it: whoever added it, or an admin."""
    admin = services.permissions.is_admin(person)
    card = services.datasets.get(name.strip("`"), None if admin else services.scopes(channel))
    if card.added_by != person.id and not admin:
        raise BotError(f"Only the person who added {card.name} or an admin can remove it.")
    return card


def removal_question(services: Services, card: Card) -> list[Block]:
    """What would go, what stays and what is trained on it, with the button that does it."""
    text = (
        f"Remove *{escape(card.name)}* (every version, {card.rows:,} tickets)? Nobody sees it from then on. It can be "
        f"brought back for a day; then its tickets are erased.{models_line(services, card.name)}"
    )
    return [
        section(text),
        actions([button("Remove", "dataset_remove", card.name, "danger")], block_id="removal"),
    ]


def models_line(services: Services, name: str) -> str:
    """The models whose weights saw any version's tickets; empty where there are none."""
    models_of = models_trained_on(services.ledger)
    digests = {card.digest for card in services.datasets.versions(name)}
    models = sorted({model for digest in digests for model in models_of(digest)})
    listing = ", ".join(f"`{model}`" for model in models[:20]) + (" …" if len(models) > 20 else "")
    return f" Trained on them, and cannot forget: {listing}." if models else ""


def remove_dataset(
    services: Services, client: WebClient, name: str, person: Person, channel: str
) -> list[Block]:
    """Takes a dataset away for a day, then for good; what to say, with the button that brings it back."""
    card = removable(services, name, person, channel)
    models = models_line(services, card.name)
    removal = services.datasets.removals.hide(card.name)
    text = (
        f"🗑️ {escape(removal.name)} is removed: nobody sees its {removal.rows:,} tickets any more. Within a day it can "
        f"be brought back, then they are erased.{models}"
    )
    undo = actions([button("Undo", "dataset_undo", removal.key)], block_id="undo")
    if card.added_by != person.id and card.added_by.startswith(("U", "W")):
        tell = f"{escape(person.name)}, an admin, removed your dataset. {text}"
        tell_privately(client, card.added_by, tell, [section(tell), undo])
    return [section(text), undo]


def on_dataset_undo(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Brings a removed dataset back, for whoever added it and admins."""
    ack()
    key, person = str(action.get("value")), services.users.person(where(body)[1])
    removal = services.datasets.removals.absence(key)
    if removal is None:
        raise BotError("This removal cannot be undone any more. Add the file again.")
    if removal.owner != person.id and not services.permissions.is_admin(person):
        raise BotError(f"Only the person who added {removal.name} or an admin can bring it back.")
    card = services.datasets.removals.bring_back(key)
    text = f"{escape(card.name)} is back, with its {card.rows:,} tickets."
    respond(text=text, blocks=[section(text)], replace_original=True)


def on_dataset_remove(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, respond: Respond
) -> None:
    """Removes it: both the list's button and the question of the command have asked before."""
    ack()
    channel, user, _ = where(body)
    person, name = services.users.person(user), str(action.get("value"))
    blocks = remove_dataset(services, client, name, person, channel)
    is_answer = action.get("block_id") == "removal"  # the question gives way to what was done
    respond(text=f"{name} is removed.", blocks=blocks, response_type="ephemeral", replace_original=is_answer)
