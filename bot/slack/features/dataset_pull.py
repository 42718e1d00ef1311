"""`/datasets pull`: pulls tickets from a connected help desk into a dataset, once or on a schedule (PullRunner runs it).

A person who may add datasets may pull; only an admin may pull for the whole workspace.
"""

from __future__ import annotations

from collections.abc import Mapping

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import OURS, BotError
from bot.slack.failures import PrivateErrorReport, send_ephemeral, wrap_listener
from bot.slack.features.dataset_import import check_name_owner
from bot.slack.payload import Body, Command, View, origin_of
from bot.slack.services import PullService, Services, scopes_of
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import FormMetadata, FormValues
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.ui.pulls import INTERVALS, NOT_CONNECTED, REPLIES, pull_list, pull_modal
from bot.slack.users import Person
from finetune.data.store import check_name
from finetune.pulls.pull import check_origin
from finetune.sources import SOURCES
from worker.ledger.pulls import Pull, all_pulls, ask_now, pull_of, set_pull, stop_pull

USAGE = (
    "I know `/datasets pull`, `/datasets pull SOURCE PROJECT`, `/datasets pull NAME` (once more, now) and "
    "`/datasets pull NAME stop`."
)


def register(app: App, teams: Teams) -> None:
    """Registers the command (before the other sub-commands of `/datasets`), the form, and the buttons of the list."""
    app.command("/datasets", matchers=[is_pull_command])(wrap_listener(teams, on_command))
    app.view("dataset_pull")(wrap_listener(teams, on_form))
    app.action("pull_new")(wrap_listener(teams, on_new))
    app.action("pull_now")(wrap_listener(teams, on_now))
    app.action("pull_stop")(wrap_listener(teams, on_stop))


def is_pull_command(command: Command) -> bool:
    """Whether the command's text begins with `pull`."""
    return question_of(str(command.get("text") or "")).lower().split()[:1] == ["pull"]


def on_command(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Lists pulls, opens the form, runs a pull again, or stops it."""
    ack()
    words = [word.strip("`") for word in question_of(command["text"]).split()[1:]]
    channel, person = command["channel_id"], services.users.person(command["user_id"])
    if not words:
        blocks = list_page(services, person, channel)
        respond(text="Pulls", blocks=validate_message(blocks), response_type="ephemeral")
    elif words[0].lower() in SOURCES and len(words) <= 2 and words[-1] not in ("now", "stop"):
        open_form(services, client, command["trigger_id"], channel, (words[0].lower(), *words[1:]))
    elif len(words) == 1 or (len(words) == 2 and words[1].lower() in ("now", "stop")):
        act = stop if words[-1].lower() == "stop" and len(words) == 2 else pull_again
        respond(text=act(services, words[0], person, channel), response_type="ephemeral")
    else:
        raise BotError(USAGE)


def pulls_of(services: Services) -> PullService:
    """The pull service; raises BotError when this bot has none."""
    if services.pulls is None:
        raise BotError(NOT_CONNECTED)
    return services.pulls


def list_page(services: Services, person: Person, channel: str) -> list[Block]:
    """The list of pulls whose datasets are visible here."""
    rows = [one for one in all_pulls(services.ledger.engine) if set(one.scopes) & services.scopes(channel)]
    changeable = frozenset(one.dataset for one in rows if may_change(services, one, person))
    sources = services.pulls.sources() if services.pulls else []
    return pull_list(rows, changeable, sources, services.clock())


def may_change(services: Services, pull: Pull, person: Person) -> bool:
    """Whether this person may run or stop the pull: its requester and admins."""
    return person.id == pull.by or services.permissions.is_admin(person)


def find_pull(services: Services, dataset: str, person: Person, channel: str) -> Pull:
    """The pull, if this person may change it from here; else raises BotError."""
    pull = pull_of(services.ledger.engine, dataset)
    admin = services.permissions.is_admin(person)
    if pull is None or not (admin or pull.by == person.id or set(pull.scopes) & services.scopes(channel)):
        raise BotError(
            f"No pull makes a dataset {escape(dataset[:64])} here. `/datasets pull` lists those that are set."
        )
    if not may_change(services, pull, person):
        whom = f"<@{pull.by}>" if pull.by.startswith(("U", "W")) else "who set it up in the terminal"
        raise BotError(f"Only {whom} or an admin can pull {pull.dataset} or stop it.")
    return pull


def pull_again(services: Services, dataset: str, person: Person, channel: str) -> str:
    """Makes a pull due now; returns the confirmation."""
    pull = find_pull(services, dataset, person, channel)
    runner = pulls_of(services)
    runner.check(pull.source, str(pull.query.get("project") or ""))
    ask_now(services.ledger.engine, pull.dataset, services.clock())
    runner.wake()
    return f"Pulling *{escape(pull.dataset)}*. What changed is told here."


def stop(services: Services, dataset: str, person: Person, channel: str) -> str:
    """Ends a pull's schedule and keeps the dataset; returns the confirmation."""
    pull = find_pull(services, dataset, person, channel)
    stop_pull(services.ledger.engine, pull.dataset)
    return f"*{escape(pull.dataset)}* is not pulled any more. Its versions stay."


def open_form(
    services: Services, client: WebClient, trigger: str, channel: str, words: tuple[str, ...] = ()
) -> None:
    """Opens the form, with the typed source and project filled in."""
    sources = pulls_of(services).sources()
    if not sources:
        raise BotError(NOT_CONNECTED)
    if words and words[0] not in {one.name for one in sources}:
        pulls_of(services).check(words[0], words[1] if len(words) > 1 else "")
    view = pull_modal(FormMetadata(channel), sources, *words)
    client.views_open(trigger_id=trigger, view=validate_view(view))


def on_new(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Opens the form from the list's button."""
    ack()
    open_form(services, client, body["trigger_id"], origin_of(body)[0])


def on_now(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Runs a pull from its button; checks the permission again."""
    ack()
    channel, user, _ = origin_of(body)
    text = pull_again(services, str(action.get("value")), services.users.person(user), channel)
    respond(text=text, response_type="ephemeral", replace_original=False)


def on_stop(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Stops a pull from its button."""
    ack()
    channel, user, _ = origin_of(body)
    text = stop(services, str(action.get("value")), services.users.person(user), channel)
    respond(text=text, response_type="ephemeral", replace_original=False)


def on_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Stores the pull, due now; errors are shown on their fields."""
    metadata, values = FormMetadata.parse(view["private_metadata"]), FormValues.of(view).values
    user = str(body["user"]["id"])
    person = services.users.person(user)
    if errors := form_errors(services, values, person):
        ack(response_action="errors", errors=errors)
        return
    with PrivateErrorReport(client, metadata, body, ack):
        dataset = values["name"]
        source = SOURCES[values["source"]]
        label = values.get("label", "").strip()
        has_replies = values.get("what") == REPLIES
        query = source.query(
            values.get("project", ""), {"label": label} if label else {}, (), "", has_replies
        )
        now = services.clock()
        last = (services.datasets.pulls.state(dataset) or {}).get("last") or {}
        pull = Pull(
            dataset,
            source.name,
            query.to_json(),
            tuple(sorted(scopes_of(values.get("scope", ""), metadata.channel))),
            values.get("licence", "").strip() or "not stated",
            user,
            metadata.channel,
            INTERVALS[values.get("every", "once")][1],
            now,
            next_at=now,
            is_asked=True,
            version=int(last.get("version") or 0),
        )
        set_pull(services.ledger.engine, pull)
        pulls_of(services).wake()
        interval = f", then {INTERVALS[values.get('every', 'once')][0].lower()}" if pull.every_s else ""
        text = (
            f"Pulling *{escape(dataset)}* from {source.label} now{interval}. What changed comes to this channel; "
            "`/datasets pull` shows how it stands."
        )
        send_ephemeral(client, text, metadata.channel, user, mark="🔄")


def form_errors(services: Services, form: Mapping[str, str], person: Person) -> dict[str, str]:
    """The errors of the form by field."""
    errors: dict[str, str] = {}
    try:
        check_pull_owner(services, check_name(form.get("name", "")), person)
        check_origin(services.datasets, form["name"], form.get("source", ""), form.get("project", ""))
    except OURS as wrong:
        errors["name"] = str(wrong)[:300]
    try:
        pulls_of(services).check(form.get("source", ""), form.get("project", ""))
    except OURS as wrong:
        errors["project"] = str(wrong)[:300]
    if form.get("scope") == "workspace" and not services.permissions.is_admin(person):
        errors["scope"] = "For the whole workspace an admin has to pull: a help desk is nobody's own file."
    if form.get("every", "once") not in INTERVALS:
        errors["every"] = "Choose how often."
    return errors


def check_pull_owner(services: Services, name: str, person: Person) -> None:
    """Raises BotError when the dataset or its pull belongs to somebody else."""
    check_name_owner(services, name, person)
    pull = pull_of(services.ledger.engine, name)
    if pull is not None and not may_change(services, pull, person):
        raise BotError(f"Somebody else pulls a dataset {name}. Choose another name.")
