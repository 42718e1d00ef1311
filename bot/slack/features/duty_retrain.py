"""The button "Retrain" on the card: what people taught becomes a new version of the dataset, and the same recipe trains on it."""

from __future__ import annotations

from dataclasses import replace

from slack_bolt import Ack, App, Respond

from bot.errors import BotError
from bot.slack.failures import guard
from bot.slack.launch import launch
from bot.slack.payload import Body, Place, where
from bot.slack.retraining import LEAST_LESSONS, judged_tickets, to_learn
from bot.slack.services import Services
from bot.slack.teams import Teams
from finetune.data.card import Card
from finetune.spec import parse_spec
from worker.ledger import duty
from worker.ledger.duty import Watch


def register(app: App, teams: Teams) -> None:
    """The button."""
    app.action("duty_retrain")(guard(teams, on_retrain))


def on_retrain(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Launches the training for whoever put the model on duty, or an admin; pressed twice it is one."""
    ack()
    user = where(body)[1]
    watch = duty.watch_by(services.ledger.engine, str(action.get("value")))
    person = services.users.person(user)
    if person.outside or not (services.permissions.is_admin(person) or user == watch.by):
        raise BotError(f"Only <@{watch.by}> or an admin retrains this model.")
    if watch.successor or watch.mode not in duty.AT_WORK:
        raise BotError("A model is being trained for this channel already, or none is on duty any more.")
    card, count = new_version(services, watch, user)
    old = services.ledger.job(watch.version)
    spec = parse_spec({**old.spec, "dataset": card.name, "digest": card.digest})
    place = Place(user, watch.team, watch.channel, None, f"retrain:{watch.id}:{card.digest[:16]}")
    job = launch(services, "finetune", spec.to_json(), place, card)
    watch = duty.watch_by(services.ledger.engine, watch.id)  # an alarm may have moved it meanwhile
    if not duty.change_watch(services.ledger.engine, watch, {"successor": job.id}):
        raise BotError("The model was just moved to another mode. Press Retrain once more.")
    text = (
        f"{count} judged tickets are version {card.version} of {card.name}, which only <#{watch.channel}> sees; job `{job.id}` trains on it. Then old and new meet the same "
        "fresh tickets, and the new one takes over only if it is shown to be better."
    )
    respond(text=text, response_type="ephemeral", replace_original=False)


def new_version(services: Services, watch: Watch, user: str) -> tuple[Card, int]:
    """The dataset with what people taught, as its next version, and how many of their tickets it holds.

    Only the watch's channel sees it: the corrections are its messages. BotError where that channel may not see the dataset.
    """
    engine, store = services.ledger.engine, services.datasets
    rows = judged_tickets(duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id))
    lessons = to_learn(rows)
    if len(lessons) < LEAST_LESSONS:
        raise BotError(
            f"People have judged {len(lessons)} tickets to learn from; {LEAST_LESSONS} is the least."
        )
    old = services.ledger.job(watch.version)
    digest = str(old.spec.get("digest") or old.dataset)
    base, card = store.tickets(digest), store.get(digest)
    there = {row.id for row in base.rows}
    mine = f"channel:{watch.channel}"
    if not {"workspace", mine} & set(card.scopes):
        raise BotError(
            f"{card.name} belongs to other channels only. Its owner can share it with this one: `/datasets`."
        )
    new = tuple(row for row in lessons if row.id not in there)
    people = len({one.person for one in rows if not one.is_fresh})
    source = f"{len(new)} corrections of {people} people in {watch.channel}"
    together = replace(base, rows=(*base.rows, *new))
    return store.keep(together, card.name, user, frozenset({mine}), card.licence, source), len(new)
