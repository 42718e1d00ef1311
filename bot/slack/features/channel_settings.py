"""`/jobs notify` and `/jobs budget`: shows and changes a channel's notices and the month's budget."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError, OldButton
from bot.slack.failures import wrap_listener
from bot.slack.payload import Body, origin_of
from bot.slack.services import Services, this_month
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block, actions, button, context, section
from bot.slack.ui.limits import validate_message
from bot.slack.ui.lists import budget_line
from worker.ledger.budgets import month_of, set_budget
from worker.ledger.notifications import NAMES, Notices, notices, set_notice
from worker.ledger.undos import find_undo, save_undo, use_undo

TITLES = {
    "started": ("Started", "The job's card stands here from launch on.", "It goes to whoever launched it."),
    "finished": ("Finished", "The report comes here.", "It goes to whoever launched the job."),
    "failed": ("Failed", "The reason comes here.", "It goes to whoever launched the job."),
    "digest": ("Weekly", "Each Monday: what the jobs came to.", "No weekly message here."),
}
USAGE = "Write `/jobs notify`, or for example `/jobs notify started off`."


def register(app: App, teams: Teams) -> None:
    """Registers the buttons of the panel; the command is a sub-command of `/jobs`."""
    app.action("budget_undo")(wrap_listener(teams, on_budget_undo))
    for name in NAMES:
        app.action(f"notice:{name}")(wrap_listener(teams, on_notice))


def on_notify(
    services: Services, words: list[str], channel: str, user: str, client: WebClient, respond: Respond
) -> None:
    """Handles `notify` (shows the panel), `notify NAME on|off` (sets one notice) and the older `digest on|off`."""
    if words[:1] == ["notify"]:
        words = words[1:]
    if not words:
        state = notices(services.ledger.engine, require_channel(channel))
    elif len(words) == 2 and words[0] in NAMES and words[1] in ("on", "off"):
        state = change_notices(services, client, channel, user, words[0], words[1] == "on")
    else:
        raise BotError(f"I can tell a channel of {', '.join(NAMES)}. {USAGE}")
    respond(text=summary(state), blocks=validate_message(panel(state)), response_type="ephemeral")


def on_notice(
    services: Services,
    ack: Ack,
    body: dict[str, Any],
    action: dict[str, Any],
    client: WebClient,
    respond: Respond,
) -> None:
    """Switches one notice by its button, after a permission check, and shows the new panel."""
    ack()
    channel, user, _ = origin_of(body)
    name, _, state = str(action.get("value")).partition(":")
    if name not in NAMES or state not in ("on", "off"):
        raise OldButton(USAGE)
    new = change_notices(services, client, channel, user, name, state == "on")
    respond(text=summary(new), blocks=validate_message(panel(new)), replace_original=True)


def change_notices(
    services: Services, client: WebClient, channel: str, user: str, name: str, on: bool
) -> Notices:
    """Switches one notice and returns the channel's notices; raises BotError, with who may, when this person may not."""
    person = services.users.person(user)
    if denial := services.permissions.denies_notices(person, creator(client, require_channel(channel))):
        raise BotError(denial)
    return set_notice(services.ledger.engine, channel, name, on, user, services.clock())


def require_channel(channel: str) -> str:
    """Returns the id if it is a channel's; raises BotError for direct messages."""
    if not channel.startswith(("C", "G")):
        raise BotError("These settings belong to channels. In your own messages I tell you everything.")
    return channel


def creator(client: WebClient, channel: str) -> str | None:
    """The channel's creator; None when Slack does not tell."""
    try:
        return str(client.conversations_info(channel=channel)["channel"].get("creator") or "") or None
    except SLACK_ERRORS:
        return None


def panel(state: Notices) -> list[Block]:
    """The panel: one line and one button per notice."""
    blocks = [section("*What this channel is told of its jobs*")]
    for name in NAMES:
        title, when_on, when_off = TITLES[name]
        on = getattr(state, name)
        line = f"{'🔔' if on else '🔕'} *{title}*  {when_on if on else when_off}"
        label, to = ("Switch off", "off") if on else ("Switch on", "on")
        blocks.append(section(line, button(label, f"notice:{name}", f"{name}:{to}")))
    hint = "Admins and whoever made the channel can change this. Cards stay where they are."
    return [*blocks, context(hint)]


def summary(state: Notices) -> str:
    """The panel in one line."""
    return "This channel is told: " + ", ".join(
        f"{name} {'on' if getattr(state, name) else 'off'}" for name in NAMES
    )


MOST_USD = 1e7
UNDO = "budget"


def on_budget(services: Services, words: list[str], team: str, user: str, respond: Respond) -> None:
    """Handles `budget` (shows it) and `budget 300` (sets it for this month, with an Undo button)."""
    blocks: list[Block] = []
    if words:
        before = this_month(services, team).limit
        undo = change_budget(services, words, team, user)
        blocks = [context(f"It was ${before:,.0f}."), actions([button("Undo", "budget_undo", undo)])]
    line = budget_line(this_month(services, team))
    respond(text=line, blocks=validate_message([section(line), *blocks]), response_type="ephemeral")


def change_budget(services: Services, words: list[str], team: str, user: str) -> str:
    """Sets the month's budget in dollars; returns the id for Undo. Raises BotError for a bad amount or a missing permission."""
    if denial := services.permissions.denies_budget(services.users.person(user)):
        raise BotError(denial)
    try:
        limit = float("".join(words).lstrip("$").replace(",", ""))
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= MOST_USD:
        raise BotError("Write an amount in US dollars, for example `/jobs budget 300`.")
    engine, now = services.ledger.engine, services.clock()
    before = set_budget(engine, team, month_of(now), limit, user, now)
    return save_undo(engine, UNDO, {"team": team, "month": month_of(now), "limit": before}, user, now)


def on_budget_undo(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Restores the earlier budget: for admins, once, within a day."""
    ack()
    user = origin_of(body)[1]
    if denial := services.permissions.denies_budget(services.users.person(user)):
        raise BotError(denial)
    engine, now = services.ledger.engine, services.clock()
    undo = find_undo(engine, str(action.get("value")), UNDO, now)
    if use_undo(engine, undo.id, now):
        set_budget(engine, undo.body["team"], undo.body["month"], undo.body["limit"], user, now)
    line = f"Taken back. {budget_line(this_month(services, undo.body['team']))}"
    respond(text=line, blocks=validate_message([section(line)]), replace_original=True)
