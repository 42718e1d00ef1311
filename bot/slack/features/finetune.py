"""From a filled form or a typed command to an accepted job: checked, priced, allowed, in the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateFailure, guard
from bot.slack.launch import check_launch, launch, say_where
from bot.slack.payload import Body, Command, Place, View, _direct_channel, errors_by_field, form_place, where
from bot.slack.services import Services, visible_job
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.estimate import BUDGET_FOR_UNKNOWN_SIZE, estimate_text
from bot.slack.ui.forms import (
    FINETUNE_FIELDS,
    FormValues,
    Memory,
    finetune_modal,
    fitting_values,
    note_modal,
    recipe_of,
)
from bot.slack.ui.job_card import MORE_EPOCHS
from bot.slack.ui.limits import validate_view
from bot.slack.ui.where import HERE, is_hosted, machine_of, where_fields, where_text
from finetune.data.card import Card
from finetune.data.ticket import DatasetError
from finetune.errors import did_you_mean
from finetune.estimate import Machine, estimate_run, refusal
from finetune.methods import METHODS
from finetune.platforms.contract import PlaceOffer
from finetune.spec import Spec, SpecError, default_task, parse_spec
from finetune.tasks import TASKS

FORM_FIELDS = (*FINETUNE_FIELDS, "where")
WORDS = {"budget": "budget_usd", "model": "base_model", "lr": "learning_rate"}
SUMMARY = "`/finetune` trains on your tickets and brings the evaluation back here."


def register(app: App, teams: Teams) -> None:
    """`/finetune`, the buttons that open its form, and the form."""
    app.command("/finetune")(guard(teams, on_finetune))
    app.action("job_continue")(guard(teams, on_continue))
    app.action("job_finetune")(guard(teams, on_train))
    app.action("finetune_open")(guard(teams, on_open))
    app.action("home_finetune")(guard(teams, on_home_finetune))
    app.action(re.compile("^(dataset|task|method|base_model|where)$"))(guard(teams, on_recipe_change))
    app.view("finetune")(guard(teams, on_finetune_form))


def finetune_spec(
    services: Services, form: Mapping[str, Any], channel: str, machine: PlaceOffer | None = None
) -> tuple[Spec, Card]:
    """The validated recipe and its dataset; SpecError with a sentence per wrong field.

    The task is that of the tickets unless the form names one. Also refused: what no worker that shows signs of life
    (or the `machine` of a platform) can run, and a base model of unknown size without a budget.
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
    if problems := impossible(services, spec, card, machine):
        raise SpecError(problems)
    return spec, card


def impossible(
    services: Services, spec: Spec, card: Card, machine: PlaceOffer | None = None
) -> dict[str, str]:
    """What speaks against queueing this recipe, by field."""
    if machine is not None and not spec.budget_usd:
        limit = "is the most it may cost" if is_hosted(machine) else "sets the time limit"
        return {"budget_usd": f"Give a budget: it {limit} at {machine.platform.label}."}
    if machine is not None and is_hosted(machine):
        return {}
    estimate = estimate_run(spec, card, services.prices)
    if estimate.size.parameters is None and not spec.budget_usd:
        return {"budget_usd": BUDGET_FOR_UNKNOWN_SIZE.format(base=spec.base_model)}
    return refusal(spec, estimate, [machine_of(machine)] if machine else machines_of(services))


def place_of(services: Services, choice: str) -> PlaceOffer | None:
    """The machine that a form or a command names, None for this team's workers; SpecError where nobody offers it."""
    if choice in ("", HERE):
        return None
    places = {place.name: place for place in services.places()}
    if choice not in places:
        hint = did_you_mean(choice, places) or f" There is {', '.join(list(places)[:8]) or 'none connected'}."
        raise SpecError({"where": f"No connected platform offers `{choice[:60]}` now.{hint}"})
    return places[choice]


def machines_of(services: Services) -> list[Machine]:
    """What the workers that show signs of life train on; [] where one of them is too old to say."""
    machines = [Machine.from_health(health) for health in services.workers()]
    return [machine for machine in machines if machine] if all(machines) else []


def kind_of(services: Services, form: Mapping[str, str], channel: str) -> str:
    """The kind of the tickets that a form names; "" where there are none of that name."""
    try:
        return services.datasets.get(form.get("dataset", ""), services.scopes(channel)).kind
    except DatasetError:
        return ""


def typed_form(text: str) -> dict[str, str]:
    """`sample-tickets lora epochs=3` as form fields: key=value pairs, a method, a task, else the dataset."""
    form: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            name = re.sub(r"[^a-z_]", "", name.lower().replace("-", "_"))
            form[WORDS.get(name, name)] = value
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
    memory, fields = Memory.parse(view["private_metadata"]), FormValues.of(view)
    try:
        form = recipe_of(fields.values, kind_of(services, fields.values, memory.channel))
        machine = place_of(services, fields.values.get("where", ""))
        spec, card = finetune_spec(services, form, memory.channel, machine)
    except SpecError as wrong:
        problems = dict(wrong.problems)
        hub_field = fields.values.get("hub_model", "").strip() or "base_model" not in view["state"]["values"]
        if hub_field and "base_model" in problems:
            problems["hub_model"] = problems.pop("base_model")
        ack(response_action="errors", errors=errors_by_field(problems, FORM_FIELDS))
        return
    job = None
    with PrivateFailure(client, memory, body, ack):
        place = form_place(memory, body, view)
        job = launch(services, "finetune", spec.to_json(), place, card, machine=machine)
    say_where(client, job)


NO_TICKETS = "There is no dataset yet. Add your tickets with /datasets add, then come back."


def open_finetune(
    services: Services,
    client: WebClient,
    trigger_id: str,
    memory: Memory,
    values: Mapping[str, str] | None = None,
) -> None:
    """`values` are fields filled in beforehand."""
    client.views_open(trigger_id=trigger_id, view=filled_form(services, memory, values or {}))


def filled_form(services: Services, memory: Memory, values: Mapping[str, str]) -> Block:
    """The fine-tune form with the estimate for what it holds so far."""
    cards = services.datasets.list(services.scopes(memory.channel))
    if not cards:
        return validate_view(note_modal("Fine-tune", NO_TICKETS))
    machines = machines_of(services)
    has_gpu = not machines or any(machine.gpu_gib for machine in machines)
    fields = where_fields(services.places(), values.get("where", HERE))
    form = fitting_values({"dataset": cards[0].name, **values}, cards, has_gpu or bool(fields))
    estimate = estimate_line(services, form, memory.channel)
    return validate_view(finetune_modal(cards, memory, form, estimate, has_gpu or bool(fields), fields))


def estimate_line(services: Services, form: Mapping[str, str], channel: str) -> str:
    """The cost in a sentence, or what stands in the way."""
    try:
        recipe = recipe_of(form, kind_of(services, form, channel))
        machine = place_of(services, form.get("where", ""))
        spec, card = finetune_spec(services, {"budget_usd": "5", **recipe}, channel, machine)
    except SpecError as wrong:
        return " ".join(wrong.problems.values())
    if machine is not None:
        trains_apart = TASKS[spec.task].away is not None
        return where_text(machine, estimate_run(spec, card, services.prices), trains_apart)
    return estimate_text(spec.base_model, estimate_run(spec, card, services.prices), services.prices)


def on_train(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """The button \"Fine-tune on these\" beneath a report that says train: the form with its tickets chosen."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    card = services.datasets.get(job.dataset, services.scopes(channel))
    open_finetune(services, client, body["trigger_id"], Memory(channel), {"dataset": card.name})


def on_continue(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """The button that trains a finished model for some epochs more: a new job that takes up its last checkpoint."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    person = services.users.person(user)
    if denial := services.permissions.denies_change(person, job, "continue"):
        raise BotError(denial)
    spec = parse_spec({**job.spec, "epochs": int(job.spec["epochs"]) + MORE_EPOCHS})
    card = services.datasets.get(str(job.spec["digest"]), services.scopes(channel))
    key = f"continue:{job.id}:{spec.epochs}"
    place = Place(user, job.team, job.channel, job.thread_ts, key)
    launch(services, job.kind, spec.to_json(), place, card, goes_on_from=job)


def on_open(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """The button beneath an answer to "train it": the form, for where it was asked."""
    ack()
    channel, _, thread_ts = where(body)
    open_finetune(services, client, body["trigger_id"], Memory(channel, thread_ts))


def on_home_finetune(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """From the home tab a job's card goes to the person's own conversation with the bot."""
    ack()
    channel = _direct_channel(client, body)
    check_launch(services, body["user"]["id"], channel)
    open_finetune(services, client, body["trigger_id"], Memory(channel))


def on_recipe_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """A choice in the fine-tune form brings its estimate up to date; what was typed stays."""
    ack()
    view = body.get("view") or {}
    if view.get("callback_id") != "finetune":
        return
    memory = Memory.parse(view["private_metadata"])
    values = {k: v for k, v in FormValues.of(view).values.items() if k in FORM_FIELDS}
    form = filled_form(services, memory, values)
    client.views_update(view_id=view["id"], hash=view.get("hash"), view=form)


def on_finetune(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Opens the form; with arguments it launches at once, and acknowledges a job that is in the ledger."""
    settings = question_of(command.get("text", ""))
    channel = command["channel_id"]
    if not settings:
        ack()
        open_finetune(services, client, command["trigger_id"], Memory(channel))
        return
    try:
        form = typed_form(settings)
        machine = place_of(services, form.pop("where", ""))
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
    place = Place(command["user_id"], command["team_id"], channel, None, key)
    job = launch(services, "finetune", spec.to_json(), place, card, machine=machine)
    ack()
    say_where(client, job)
