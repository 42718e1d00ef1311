"""From a filled form or a typed command to an accepted job: checked, priced, allowed, in the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateFailure, guard
from bot.slack.features import channel_settings
from bot.slack.features.channel_settings import say_where
from bot.slack.payload import Body, Command, Place, View, _direct_channel, errors_by_field, form_place, where
from bot.slack.services import Services, visible_job
from bot.slack.ui.blocks import Block
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import FINETUNE_FIELDS, FormValues, Memory, finetune_modal, note_modal, recipe_of
from bot.slack.ui.job_card import duration
from bot.slack.ui.limits import validate_view
from finetune.data.card import Card
from finetune.data.ticket import DatasetError
from finetune.pricing import CostError, cheapest_gpu, gpu
from finetune.spec import METHODS, TASKS, Spec, SpecError, defaults, parse_spec
from worker.jobs.records import Job, JobRequest

WORDS = {"budget": "budget_usd", "model": "base_model", "lr": "learning_rate"}


def register(app: App, services: Services) -> None:
    """`/finetune`, the buttons that open its form, and the form."""
    app.command("/finetune")(guard(services, on_finetune))
    app.action("job_finetune")(guard(services, on_train))
    app.action("home_finetune")(guard(services, on_home_finetune))
    app.action(re.compile("^(dataset|task|method|base_model)$"))(guard(services, on_recipe_change))
    app.view("finetune")(guard(services, on_finetune_form))


class Refused(BotError):
    """The launch is not allowed; the text says why and whom to ask."""


def finetune_spec(services: Services, form: Mapping[str, Any], channel: str) -> tuple[Spec, Card]:
    """The validated recipe and its dataset; SpecError with a sentence per wrong field."""
    problems: dict[str, str] = {}
    spec = card = None
    try:
        spec = parse_spec(form)
    except SpecError as wrong:
        problems |= wrong.problems
    name = str(form.get("dataset") or "").strip()
    try:
        card = services.datasets.get(name, services.scopes(channel)) if name else None
    except DatasetError as wrong:
        problems["dataset"] = str(wrong)
    task = spec.task if spec is not None else str(form.get("task") or "triage")
    if card is not None and task in TASKS and card.kind != task:
        problems["dataset"] = f"{card.name} holds {card.kind} tickets; the task is {task}."
    if problems or spec is None or card is None:
        raise SpecError(problems or {"dataset": "Choose a dataset."})
    return parse_spec({**spec.to_json(), "dataset": card.name, "digest": card.digest}), card


def launch(
    services: Services, kind: str, spec: Mapping[str, Any], place: Place, card: Card | None = None
) -> Job:
    """The accepted job; Refused with the reason when policy says no."""
    person = services.users.person(place.user)
    open_jobs = services.ledger.unfinished(place.user)
    if denial := services.permissions.denies_launch(
        person, open_jobs, services.users.in_group, place.channel
    ):
        raise Refused(denial)
    budget = float(spec.get("budget_usd") or 0)
    expected = estimate(Spec.from_json(spec), card, services.prices).usd if card is not None else 0.05
    request = JobRequest(
        kind=kind,
        spec=spec,
        dataset=str(spec["dataset"]),
        by=place.user,
        by_name=person.name,
        team=place.team,
        channel=place.channel,
        thread_ts=place.thread_ts,
        request_key=place.request_key,
        estimate_usd=round(budget or expected, 4),
        approval=services.permissions.needs_approval(budget),
        month_limit_usd=services.permissions.month_budget_usd,
    )
    job = services.ledger.submit(request)
    services.wake()
    return job


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
            raise SpecError(
                {"command": f"I do not understand `{word[:40]}`. Write key=value, for example epochs=3."}
            )
    if form.get("method") == "scratch" and "base_model" not in form:
        form["base_model"] = defaults(form).base_model
    return form


def on_finetune_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    memory, filled = Memory.parse(view["private_metadata"]), FormValues.of(view)
    try:
        spec, card = finetune_spec(services, recipe_of(filled.values), memory.channel)
    except SpecError as wrong:
        problems = dict(wrong.problems)
        if filled.values.get("hub_model", "").strip() and "base_model" in problems:
            problems["hub_model"] = problems.pop("base_model")
        ack(response_action="errors", errors=errors_by_field(problems, FINETUNE_FIELDS))
        return
    job = None
    with PrivateFailure(client, memory, body, ack):
        job = launch(services, "finetune", spec.to_json(), form_place(memory, body, view), card)
    say_where(client, job)


PARAMETERS = {"minilm": 22.7e6, "tiny-bert": 6e6}
TINY = 12e6
CHARS_PER_TOKEN = 4.2
FLOPS = {"lora": 4.0, "qlora": 4.0, "full": 6.0, "scratch": 6.0, "linear": 2.0}
CPU_GFLOPS = (25.0, 120.0)  # effective, 2 cores, small batches; measured runs fall inside
START_S = 20.0  # loading, baselines, evaluation


@dataclass(frozen=True)
class Guess:
    """Seconds on a CPU from low to high, dollars at most, and the sentence for the form."""

    seconds: tuple[float, float]
    usd: float
    text: str


def estimate(spec: Spec, card: Card, prices: Mapping[str, Any]) -> Guess:
    """The guess for a validated recipe on a dataset."""
    parameters = PARAMETERS.get(spec.base_model, TINY)
    tokens_a_row = min(spec.max_length, float(card.lengths.get("median", 400)) / CHARS_PER_TOKEN + 8)
    passes = 1 if spec.method == "linear" else spec.epochs
    flops = FLOPS[spec.method] * parameters * tokens_a_row * card.rows * passes
    slow, fast = (flops / (rate * 1e9) + START_S for rate in CPU_GFLOPS)
    hourly = float(prices.get("cpu_hour", {}).get("usd", 0))
    usd = slow / 3600 * hourly
    text = (
        f"About {duration(fast)} to {duration(slow)} on a CPU worker, at most ${max(usd, 0.01):.2f} "
        f"(${hourly:.2f} an hour, prices of {prices.get('as_of', 'unknown date')})."
    )
    return Guess((fast, slow), usd, f"{text}{_gpu_hint(prices)}")


def _gpu_hint(prices: Mapping[str, Any]) -> str:
    try:
        name = cheapest_gpu(prices)
        row = gpu(prices, name)
    except CostError:
        return ""
    return f" On a GPU it takes less: the cheapest is {row.get('provider', name)} at ${float(row['usd']):.2f} an hour."


NO_TICKETS = "There is no dataset yet. Add your tickets with /datasets add, then come back."


def open_finetune(
    services: Services,
    client: WebClient,
    trigger_id: str,
    memory: Memory,
    chosen: Mapping[str, str] | None = None,
) -> None:
    """`chosen` are fields filled in beforehand."""
    client.views_open(trigger_id=trigger_id, view=filled_form(services, memory, chosen or {}))


def filled_form(services: Services, memory: Memory, chosen: Mapping[str, str]) -> Block:
    """The fine-tune form with the estimate for what is chosen so far."""
    cards = services.datasets.list(services.scopes(memory.channel))
    if not cards:
        return validate_view(note_modal("Fine-tune", NO_TICKETS))
    form = {"dataset": cards[0].name, "task": cards[0].kind, **chosen}
    return validate_view(finetune_modal(cards, memory, form, estimate_line(services, form, memory.channel)))


def estimate_line(services: Services, form: Mapping[str, str], channel: str) -> str:
    """The cost in a sentence, or what stands in the way."""
    try:
        spec, card = finetune_spec(services, recipe_of(form), channel)
    except SpecError as wrong:
        return " ".join(wrong.problems.values())
    return estimate(spec, card, services.prices).text


def on_train(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """The button \"Fine-tune on these\" beneath a report that says train: the form with its tickets chosen."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    card = services.datasets.get(job.dataset, services.scopes(channel))
    chosen = {"dataset": card.name, "task": card.kind, "method": "lora"}
    open_finetune(services, client, body["trigger_id"], Memory(channel), chosen)


def on_home_finetune(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """From the home tab a job's card goes to the person's own conversation with the bot."""
    ack()
    open_finetune(services, client, body["trigger_id"], Memory(_direct_channel(client, body)))


def on_recipe_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """A choice in the fine-tune form brings its estimate up to date; what was typed stays."""
    ack()
    view = body.get("view") or {}
    if view.get("callback_id") != "finetune":
        return
    memory = Memory.parse(view["private_metadata"])
    chosen = {k: v for k, v in FormValues.of(view).values.items() if k in FINETUNE_FIELDS}
    form = filled_form(services, memory, chosen)
    client.views_update(view_id=view["id"], hash=view.get("hash"), view=form)


def on_finetune(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Opens the form; with arguments it launches at once, and acknowledges a job that is in the ledger."""
    typed = question_of(command.get("text", ""))
    channel = command["channel_id"]
    if not typed:
        ack()
        open_finetune(services, client, command["trigger_id"], Memory(channel))
        return
    try:
        spec, card = finetune_spec(services, typed_form(typed), channel)
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
    job = launch(services, "finetune", spec.to_json(), place, card)
    ack()
    channel_settings.say_where(client, job)
