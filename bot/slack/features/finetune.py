"""`/finetune`: turns a form or a typed command into a validated, priced and permitted job in the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateErrorReport, wrap_listener
from bot.slack.home_tab import show_started
from bot.slack.launch import check_launch, launch, tell_card_channel
from bot.slack.payload import (
    Body,
    Command,
    RequestOrigin,
    View,
    errors_by_field,
    form_origin,
    open_direct_channel,
    origin_of,
)
from bot.slack.services import Services, visible_job
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.estimate import BUDGET_FOR_UNKNOWN_SIZE, estimate_text
from bot.slack.ui.forms import (
    FINETUNE_FIELDS,
    FormMetadata,
    FormValues,
    finetune_modal,
    fitting_values,
    note_modal,
    recipe_of,
)
from bot.slack.ui.job_card import MORE_EPOCHS
from bot.slack.ui.limits import validate_view
from bot.slack.ui.machine_choice import HERE, is_hosted, machine_fields, machine_of, machine_text
from finetune.data.card import Card
from finetune.data.ticket import DatasetError
from finetune.errors import did_you_mean
from finetune.estimate import Machine, estimate_run, refusal
from finetune.methods import METHODS
from finetune.platforms.contract import PlaceOffer
from finetune.spec import Spec, SpecError, default_task, parse_spec
from finetune.tasks import TASKS

FORM_FIELDS = (*FINETUNE_FIELDS, "where")
ALIASES = {"budget": "budget_usd", "model": "base_model", "lr": "learning_rate"}
SUMMARY = "`/finetune` trains on your tickets and brings the evaluation back here."


def register(app: App, teams: Teams) -> None:
    """Registers `/finetune`, the buttons that open its form, and the form."""
    app.command("/finetune")(wrap_listener(teams, on_finetune))
    app.action("job_continue")(wrap_listener(teams, on_continue))
    app.action("job_finetune")(wrap_listener(teams, on_train))
    app.action("finetune_tickets")(wrap_listener(teams, on_tickets))
    app.action("finetune_open")(wrap_listener(teams, on_open))
    app.action("home_finetune")(wrap_listener(teams, on_home_finetune))
    app.action(re.compile("^(dataset|task|method|base_model|where)$"))(wrap_listener(teams, on_recipe_change))
    app.view("finetune")(wrap_listener(teams, on_finetune_form))


def finetune_spec(
    services: Services, form: Mapping[str, Any], channel: str, machine: PlaceOffer | None = None
) -> tuple[Spec, Card]:
    """Validates the form; returns the recipe and its dataset. Raises SpecError with a sentence per wrong field.

    The task is that of the tickets unless the form names one. It also refuses a recipe that no live worker (or the
    platform's `machine`) can run, and a base model of unknown size without a budget.
    """
    problems: dict[str, str] = {}
    spec = card = None
    name = str(form.get("dataset") or "").strip()
    try:
        card = services.datasets.get(name, services.scopes(channel)) if name else None
    except DatasetError as wrong:
        problems["dataset"] = str(wrong)
    if card is not None and not form.get("task"):
        form = {**form, "task": default_task(card.kind)}
    try:
        spec = parse_spec(form)
    except SpecError as wrong:
        problems = wrong.problems | problems
    task = TASKS.get(spec.task if spec is not None else str(form.get("task") or ""))
    if card is not None and task is not None and card.kind != task.dataset_kind:
        problems["dataset"] = f"{card.name} holds {card.kind} tickets; the task is {task.name}."
    if problems or spec is None or card is None:
        raise SpecError(problems or {"dataset": "Choose a dataset."})
    spec = parse_spec({**spec.to_json(), "dataset": card.name, "digest": card.digest})
    if problems := find_obstacles(services, spec, card, machine):
        raise SpecError(problems)
    return spec, card


def find_obstacles(
    services: Services, spec: Spec, card: Card, machine: PlaceOffer | None = None
) -> dict[str, str]:
    """The reasons, by field, why this recipe cannot be queued."""
    if machine is not None and not spec.budget_usd:
        limit = "is the most it may cost" if is_hosted(machine) else "sets the time limit"
        return {"budget_usd": f"Give a budget: it {limit} at {machine.platform.label}."}
    if machine is not None and is_hosted(machine):
        return {}
    estimate = estimate_run(spec, card, services.prices)
    if estimate.size.parameters is None and not spec.budget_usd:
        return {"budget_usd": BUDGET_FOR_UNKNOWN_SIZE.format(base=spec.base_model)}
    return refusal(spec, estimate, [machine_of(machine)] if machine else machines_of(services))


def find_machine(services: Services, choice: str) -> PlaceOffer | None:
    """The machine that a form or command names, None for this team's workers; raises SpecError when none offers it."""
    if choice in ("", HERE):
        return None
    places = {place.name: place for place in services.places()}
    if choice not in places:
        hint = did_you_mean(choice, places) or f" There is {', '.join(list(places)[:8]) or 'none connected'}."
        raise SpecError({"where": f"No connected platform offers `{choice[:60]}` now.{hint}"})
    return places[choice]


def machines_of(services: Services) -> list[Machine]:
    """The machines of the live workers; [] when one of them is too old to report its machine."""
    machines = [Machine.from_health(health) for health in services.workers()]
    return [machine for machine in machines if machine] if all(machines) else []


def dataset_kind(services: Services, form: Mapping[str, str], channel: str) -> str:
    """The kind of the dataset that a form names; "" for an unknown dataset."""
    try:
        return services.datasets.get(form.get("dataset", ""), services.scopes(channel)).kind
    except DatasetError:
        return ""


def parse_command(text: str) -> dict[str, str]:
    """Parses `sample-tickets lora epochs=3` into form fields: key=value pairs, a method, a task, or the dataset."""
    form: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            name = re.sub(r"[^a-z_]", "", name.lower().replace("-", "_"))
            form[ALIASES.get(name, name)] = value
        elif word.lower() in METHODS and "method" not in form:
            form["method"] = word.lower()
        elif word.lower() in TASKS and "task" not in form:
            form["task"] = word.lower()
        elif "dataset" not in form:
            form["dataset"] = word
        else:
            hint = did_you_mean(word, [*METHODS, *TASKS])
            raise SpecError(
                {
                    "command": f"I do not understand `{word[:40]}`.{hint} Write settings as key=value, for example "
                    "epochs=3."
                }
            )
    return form


def on_finetune_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    metadata, fields = FormMetadata.parse(view["private_metadata"]), FormValues.of(view)
    try:
        form = recipe_of(fields.values, dataset_kind(services, fields.values, metadata.channel))
        machine = find_machine(services, fields.values.get("where", ""))
        spec, card = finetune_spec(services, form, metadata.channel, machine)
    except SpecError as wrong:
        problems = dict(wrong.problems)
        hub_field = fields.values.get("hub_model", "").strip() or "base_model" not in view["state"]["values"]
        if hub_field and "base_model" in problems:
            problems["hub_model"] = problems.pop("base_model")
        ack(response_action="errors", errors=errors_by_field(problems, FORM_FIELDS))
        return
    job = None
    with PrivateErrorReport(client, metadata, body, ack):
        origin = form_origin(metadata, body, view)
        job = launch(services, "finetune", spec.to_json(), origin, card, machine=machine)
    tell_card_channel(client, job)
    if job is not None:
        show_started(services, client, body, metadata.channel, f"The fine-tune on *{escape(card.name)}*")


NO_TICKETS = "There is no dataset yet. Add your tickets with /datasets add, then come back."


def open_finetune(
    services: Services,
    client: WebClient,
    trigger_id: str,
    metadata: FormMetadata,
    values: Mapping[str, str] | None = None,
) -> None:
    """Opens the form; `values` are prefilled fields."""
    client.views_open(trigger_id=trigger_id, view=build_form(services, metadata, values or {}))


def build_form(services: Services, metadata: FormMetadata, values: Mapping[str, str]) -> Block:
    """The fine-tune form with the estimate for its current values."""
    cards = services.datasets.list(services.scopes(metadata.channel))
    if not cards:
        return validate_view(note_modal("Fine-tune", NO_TICKETS))
    machines = machines_of(services)
    has_gpu = not machines or any(machine.gpu_gib for machine in machines)
    fields = machine_fields(services.places(), values.get("where", HERE))
    form = fitting_values({"dataset": cards[0].name, **values}, cards, has_gpu or bool(fields))
    estimate = estimate_line(services, form, metadata.channel)
    return validate_view(finetune_modal(cards, metadata, form, estimate, has_gpu or bool(fields), fields))


def estimate_line(services: Services, form: Mapping[str, str], channel: str) -> str:
    """The sentence on time and cost, or the reason why there is no estimate."""
    try:
        recipe = recipe_of(form, dataset_kind(services, form, channel))
        machine = find_machine(services, form.get("where", ""))
        spec, card = finetune_spec(services, {"budget_usd": "5", **recipe}, channel, machine)
    except SpecError as wrong:
        return " ".join(wrong.problems.values())
    if machine is not None:
        trains_without_test_rows = TASKS[spec.task].remote_training is not None
        return machine_text(machine, estimate_run(spec, card, services.prices), trains_without_test_rows)
    return estimate_text(spec.base_model, estimate_run(spec, card, services.prices), services.prices)


def on_train(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Handles \"Fine-tune on these\" below a report: opens the form with the report's tickets."""
    ack()
    channel, user, _ = origin_of(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    card = services.datasets.get(job.dataset, services.scopes(channel))
    open_finetune(services, client, body["trigger_id"], FormMetadata(channel), {"dataset": card.name})


def on_tickets(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Handles "Fine-tune" below a dataset's card: opens the form with its tickets."""
    ack()
    channel, user, _ = origin_of(body)
    check_launch(services, user, channel)
    card = services.datasets.get(str(action.get("value")), services.scopes(channel))
    open_finetune(services, client, body["trigger_id"], FormMetadata(channel), {"dataset": card.name})


def on_continue(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Handles the button for more epochs: launches a job that continues from the last checkpoint."""
    ack()
    channel, user, _ = origin_of(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    person = services.users.person(user)
    if denial := services.permissions.denies_change(person, job, "continue"):
        raise BotError(denial)
    spec = parse_spec({**job.spec, "epochs": int(job.spec["epochs"]) + MORE_EPOCHS})
    card = services.datasets.get(str(job.spec["digest"]), services.scopes(channel))
    key = f"continue:{job.id}:{spec.epochs}"
    origin = RequestOrigin(user, job.team, job.channel, job.thread_ts, key)
    launch(services, job.kind, spec.to_json(), origin, card, previous_job=job)


def on_open(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles the button below an answer to "train it": opens the form for that channel and thread."""
    ack()
    channel, _, thread_ts = origin_of(body)
    open_finetune(services, client, body["trigger_id"], FormMetadata(channel, thread_ts))


def on_home_finetune(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles home's button: opens the form; the job's card goes to the person's direct messages."""
    ack()
    channel = open_direct_channel(client, body)
    check_launch(services, body["user"]["id"], channel)
    open_finetune(services, client, body["trigger_id"], FormMetadata(channel))


def on_recipe_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Updates the form's estimate after a choice; keeps the typed values."""
    ack()
    view = body.get("view") or {}
    if view.get("callback_id") != "finetune":
        return
    metadata = FormMetadata.parse(view["private_metadata"])
    values = {k: v for k, v in FormValues.of(view).values.items() if k in FORM_FIELDS}
    form = build_form(services, metadata, values)
    client.views_update(view_id=view["id"], hash=view.get("hash"), view=form)


def on_finetune(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Opens the form; with arguments launches the job, and acknowledges when it is in the ledger."""
    settings = question_of(command.get("text", ""))
    channel = command["channel_id"]
    if not settings:
        ack()
        open_finetune(services, client, command["trigger_id"], FormMetadata(channel))
        return
    try:
        form = parse_command(settings)
        machine = find_machine(services, form.pop("where", ""))
        spec, card = finetune_spec(services, form, channel, machine)
    except SpecError as wrong:
        ack()
        lines = "\n".join(f"• *{escape(name)}*: {escape(text)}" for name, text in wrong.problems.items())
        respond(
            text=f"I did not start anything:\n{lines}\nOr use the form: `/finetune`",
            response_type="ephemeral",
        )
        return
    key = f"command:{command['trigger_id']}"
    origin = RequestOrigin(command["user_id"], command["team_id"], channel, None, key)
    job = launch(services, "finetune", spec.to_json(), origin, card, machine=machine)
    ack()
    tell_card_channel(client, job)
