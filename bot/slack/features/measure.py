"""\"Measure it\" in Slack: the button, the command and the form that launch a measurement."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.endpoint import EndpointError, EndpointStore
from bot.slack.failures import PrivateErrorReport, wrap_listener
from bot.slack.features.answering import card_at
from bot.slack.home_tab import show_started
from bot.slack.launch import check_launch, launch, tell_card_channel
from bot.slack.payload import (
    Body,
    RequestOrigin,
    View,
    errors_by_field,
    form_origin,
    open_direct_channel,
    origin_of,
)
from bot.slack.services import Services, visible_job
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.teams import Teams
from bot.slack.thread_memory import Conversation
from bot.slack.ui.blocks import Block
from bot.slack.ui.escape import escape
from bot.slack.ui.forms import FormMetadata, FormValues, note_modal
from bot.slack.ui.limits import validate_view
from bot.slack.ui.measure_form import (
    ALIASES,
    HIGHEST_PRICE,
    METRICS,
    SHARE_OR_PERCENT,
    MeasureContext,
    measure_modal,
)
from finetune.data.ticket import DatasetError
from finetune.measurement.evidence import evidence_of
from finetune.spec import SpecError
from rag.advice.decide import one_decimal
from worker.jobs.states import State

log = logging.getLogger(__name__)
JOBS_READ, EVIDENCE_CARRIED = 200, 10
MOST_MINUTES = 10_000
NO_LABELS = "There are no labelled tickets yet. Add some with /datasets add, then come back."


def register(app: App, teams: Teams) -> None:
    """Registers the buttons and the form; the command is a sub-command of `/should-i-train`."""
    app.action("measure")(wrap_listener(teams, on_button))
    app.view("measure")(wrap_listener(teams, on_measure_form))
    app.action("measure_tickets")(wrap_listener(teams, on_tickets))
    app.action("measure_pilot")(wrap_listener(teams, on_pilot))
    app.action("measure_dataset")(wrap_listener(teams, on_dataset_change))
    app.action("home_measure")(wrap_listener(teams, on_home_measure))


def on_button(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles \"Measure it\" on a verdict card: opens the form with the thread's values."""
    ack()
    container, message = body.get("container") or {}, body.get("message") or {}
    channel = str(container.get("channel_id") or (body.get("channel") or {}).get("id"))
    ts = str(container.get("message_ts") or message.get("ts"))
    thread = str(container.get("thread_ts") or message.get("thread_ts") or ts)
    card_at(services, channel, thread, ts)
    conversation = Conversation.from_json(services.ledger.thread(channel, thread))
    open_form(
        services, client, body["trigger_id"], FormMetadata(channel, thread), signal_fields(conversation)
    )


def on_tickets(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Handles "Measure it" below a dataset's card: opens the form with its tickets."""
    ack()
    channel, user, _ = origin_of(body)
    check_launch(services, user, channel)
    card = services.datasets.get(str(action.get("value")), services.scopes(channel))
    open_form(services, client, body["trigger_id"], FormMetadata(channel), {"dataset": card.name})


def on_pilot(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Handles "Run the pilot": continues the measurement with the time that its pilot needs."""
    ack()
    channel, user, thread = origin_of(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    card = services.datasets.get(str(job.spec.get("digest") or job.dataset), services.scopes(channel))
    spec = {
        **job.spec,
        "whole_pilot": True,
        "goes_on_from": job.root,
        "evidence": evidence_on(services, job.dataset, card.digest),
    }
    origin = RequestOrigin(user, job.team, channel, thread or job.thread_ts, f"pilot:{job.id}")
    tell_card_channel(client, launch(services, "measure", spec, origin))


def evidence_on(services: Services, dataset: str, digest: str) -> list[dict[str, Any]]:
    """The results of finished jobs on these rows, best first, for the measurement's spec."""
    jobs = services.ledger.jobs(states=[State.SUCCEEDED], dataset=dataset, limit=JOBS_READ)
    evidence = [one for job in jobs for one in evidence_of(job.report or {}, job.id) if one.digest == digest]
    best = sorted(evidence, key=lambda one: -one.score.accuracy.value)
    return [one.to_json() for one in best[:EVIDENCE_CARRIED]]


def signal_fields(conversation: Conversation) -> dict[str, str]:
    """The form's fields that the thread's signals prefill."""
    signals = (conversation.state or {}).get("signals") or {}
    fields = {"target": signals.get("target"), "volume": signals.get("volume_month")}
    return {
        name: one_decimal(value) if name == "target" else str(value)
        for name, value in fields.items()
        if value
    }


def open_form(
    services: Services, client: WebClient, trigger_id: str, metadata: FormMetadata, fields: dict[str, str]
) -> None:
    """Opens the form, or a note when there is no labelled dataset."""
    client.views_open(trigger_id=trigger_id, view=build_form(services, metadata, fields))


def build_form(services: Services, metadata: FormMetadata, fields: Mapping[str, str]) -> Block:
    """The form with its values, and the plan for the chosen tickets."""
    cards = services.datasets.list(services.scopes(metadata.channel))
    labelled = [card for card in cards if card.kind == "triage"]
    if not labelled:
        return validate_view(note_modal("Measure it", NO_LABELS))
    measure_context = MeasureContext(
        connected_model(services),
        len(services.ledger.jobs(states=[State.QUEUED], limit=JOBS_READ)),
        len(services.workers()),
    )
    return validate_view(measure_modal(labelled, metadata, fields, measure_context))


def connected_model(services: Services) -> str:
    """The name of the connected language model; "" without one."""
    try:
        endpoint = EndpointStore(services.home).load()
    except EndpointError:
        return ""
    return endpoint.model if endpoint else ""


def on_home_measure(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles home's button: opens the form; the report goes to the person's direct messages."""
    ack()
    channel = open_direct_channel(client, body)
    check_launch(services, body["user"]["id"], channel)
    open_form(services, client, body["trigger_id"], FormMetadata(channel), {})


def on_dataset_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Updates the form's plan when other tickets are chosen; keeps the typed values."""
    ack()
    view = body["view"]
    metadata, values = FormMetadata.parse(view["private_metadata"]), FormValues.of(view).values
    form = build_form(services, metadata, values)
    try:
        client.views_update(
            view_id=view["id"], view=form
        )  # without the view's hash, because a quick second choice may have changed it
    except SLACK_ERRORS as refused:
        log.info("the plan of a form was not updated: %s", type(refused).__name__)


def is_measure_command(services: Services, text: str, channel: str) -> bool:
    """Whether `/should-i-train TEXT` asks for a measurement, not a question that begins with "measure"."""
    first, _, rest = text.strip().partition(" ")
    if first.lower() != "measure":
        return False
    form = parse_command(rest)
    if form is None:
        return False
    if len(form) > 1 or not form or "dataset" not in form:
        return True
    try:
        return bool(services.datasets.get(form["dataset"], services.scopes(channel)))
    except DatasetError:
        return False


def on_command(services: Services, ack: Ack, command: Body, client: WebClient, respond: Respond) -> None:
    """Handles `/should-i-train measure`: opens the form; with arguments launches, and acknowledges the stored job."""
    channel = command["channel_id"]
    form = parse_command(command.get("text", "").strip().partition(" ")[2]) or {}
    if not form:
        ack()
        open_form(services, client, command["trigger_id"], FormMetadata(channel), {})
        return
    try:
        spec = measure_spec(services, form, channel)
    except SpecError as wrong:
        lines = "\n".join(f"• *{escape(name)}*: {escape(text)}" for name, text in wrong.problems.items())
        ack()
        message = f"I did not start anything:\n{lines}\nOr use the form: `/should-i-train measure`"
        respond(text=message, response_type="ephemeral")
        return
    key = f"command:{command['trigger_id']}"
    origin = RequestOrigin(command["user_id"], command["team_id"], channel, None, key)
    job = launch(services, "measure", spec, origin)
    ack()
    tell_card_channel(client, job)


def on_measure_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    metadata, fields = FormMetadata.parse(view["private_metadata"]), FormValues.of(view)
    try:
        spec = measure_spec(services, fields.values, metadata.channel)
    except SpecError as wrong:
        ack(response_action="errors", errors=errors_by_field(wrong.problems, FIELDS))
        return
    job = None
    with PrivateErrorReport(client, metadata, body, ack):
        job = launch(services, "measure", spec, form_origin(metadata, body, view))
    tell_card_channel(client, job)
    if job is not None:
        show_started(services, client, body, metadata.channel, f"The measurement of *{escape(job.dataset)}*")


FIELDS = ("dataset", "metric", "target", "volume", "price_per_wrong", "minutes_by_hand", "error_rate")


def measure_spec(services: Services, form: Mapping[str, Any], channel: str) -> dict[str, Any]:
    """Validates the form into the job's spec; raises SpecError with a sentence per wrong field."""
    problems: dict[str, str] = {}
    card = None
    try:
        card = services.datasets.get(str(form.get("dataset") or ""), services.scopes(channel))
        if card.kind != "triage":
            problems["dataset"] = f"{card.name} has no labels. Measuring needs tickets with their queue."
    except DatasetError as wrong:
        problems["dataset"] = str(wrong)
    metric = str(form.get("metric") or "accuracy")
    if metric not in METRICS:
        problems["metric"] = f"Choose one of: {', '.join(METRICS)}."
    spec: dict[str, Any] = {"metric": metric, "target": _share(form.get("target"), problems)}
    volume = _number(form.get("volume") or 0)
    if volume is None or not 0 <= volume <= 1e9:
        problems["volume"] = "Give a number of tickets a month, from 0 to 1,000,000,000."
    elif str(form.get("price_per_wrong") or "").strip():
        price = _number(form["price_per_wrong"])
        spec["price_per_wrong"] = price
        if price is None or not 0 <= price <= HIGHEST_PRICE:
            problems["price_per_wrong"] = "Give dollars, 0 or more, or leave it empty."
    spec |= _money_fields(form, problems)
    if problems or card is None or volume is None:
        raise SpecError(problems)
    evidence = evidence_on(services, card.name, card.digest)
    return {
        "dataset": card.name,
        "digest": card.digest,
        **spec,
        "volume": int(volume),
        **({"evidence": evidence} if evidence else {}),
    }


def _money_fields(form: Mapping[str, Any], problems: dict[str, str]) -> dict[str, float]:
    """The given minutes by hand and error rate; adds a problem per wrong value."""
    values: dict[str, float] = {}
    if str(form.get("minutes_by_hand") or "").strip():
        minutes = _number(form["minutes_by_hand"])
        if minutes is None or not 0 <= minutes <= MOST_MINUTES:
            problems["minutes_by_hand"] = "Give minutes, 0 or more, or leave it empty."
        else:
            values["minutes_by_hand"] = minutes
    if str(form.get("error_rate") or "").strip():
        rate = _number(form["error_rate"])
        share = rate / 100 if rate is not None and rate >= 1 else rate
        if share is None or not 0 < share < 1:
            problems["error_rate"] = "Give wrong answers out of 100, for example 5 (or a share such as 0.05)."
        else:
            values["error_rate"] = share
    return values


def parse_command(text: str) -> dict[str, str] | None:
    """Parses `sample-tickets target=0.92 volume=60000` into form fields; None for an ordinary sentence."""
    form: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        name = name.lower().replace("-", "_").lstrip("_")
        name = ALIASES.get(name, name)
        if equals and name in FIELDS:
            form[name] = ALIASES.get(value, value)
        elif not equals and "dataset" not in form:
            form["dataset"] = word
        else:
            return None
    return form


def _share(value: Any, problems: dict[str, str]) -> float:
    """A target as a share: a number up to 1 is a share, one from 10 to 100 a percentage."""
    number = _number(value)
    if number is not None and 0 < number <= 1:
        return number
    if number is not None and 10 <= number <= 100:
        return number / 100
    problems["target"] = SHARE_OR_PERCENT
    return 0.0


def _number(value: Any) -> float | None:
    """Parses a finite number as people type it, such as 60,000 or 92%; None for anything else."""
    try:
        number = float(str(value).strip().rstrip("%").lstrip("$").replace(",", ""))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
