"""From a filled form or a typed command to an accepted job: checked, priced, allowed, in the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import BotError
from bot.estimate import estimate
from bot.slack.services import Services
from finetune.data.card import Card
from finetune.data.ticket import DatasetError
from finetune.spec import METHODS, TASKS, Spec, SpecError, defaults, parse_spec
from worker.jobs.records import Job

WORDS = {"budget": "budget_usd", "model": "base_model", "lr": "learning_rate"}


class Refused(BotError):
    """The launch is not allowed; the text says why and whom to ask."""


@dataclass(frozen=True)
class Place:
    """Who asks from where, and the key that makes asking twice the same as asking once."""

    user: str
    team: str
    channel: str
    thread_ts: str | None
    request_key: str


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
    person = services.people.person(place.user)
    open_jobs = services.ledger.unfinished(place.user)
    if denial := services.policy.denies_launch(person, open_jobs, services.people.in_group, place.channel):
        raise Refused(denial)
    budget = float(spec.get("budget_usd") or 0)
    expected = estimate(Spec.from_json(spec), card, services.prices).usd if card is not None else 0.05
    job = services.ledger.submit(
        kind,
        dict(spec),
        str(spec["dataset"]),
        place.user,
        person.name,
        place.team,
        place.channel,
        place.thread_ts,
        place.request_key,
        estimate_usd=round(budget or expected, 4),
        approval=services.policy.needs_approval(budget),
        month_limit_usd=services.policy.month_budget_usd,
    )
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
