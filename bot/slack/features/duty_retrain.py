"""The button "Retrain" on the card: adds the corrections to a new version of the dataset and trains the same recipe on it."""

from __future__ import annotations

from dataclasses import replace

from slack_bolt import Ack, App, Respond

from bot.errors import BotError
from bot.slack.failures import wrap_listener
from bot.slack.launch import launch
from bot.slack.payload import Body, RequestOrigin, origin_of
from bot.slack.retraining import LEAST_TRAINING, judged_tickets, training_tickets
from bot.slack.services import Services
from bot.slack.teams import Teams
from finetune.data.card import Card
from finetune.spec import parse_spec
from worker.ledger import duty
from worker.ledger.duty import Watch


def register(app: App, teams: Teams) -> None:
    """Registers the button."""
    app.action("duty_retrain")(wrap_listener(teams, on_retrain))


def on_retrain(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Launches the training for the watch's requester or an admin; a second press launches nothing."""
    ack()
    user = origin_of(body)[1]
    watch = duty.find_watch(services.ledger.engine, str(action.get("value")))
    person = services.users.person(user)
    if person.outside or not (services.permissions.is_admin(person) or user == watch.by):
        raise BotError(f"Only <@{watch.by}> or an admin retrains this model.")
    if watch.successor or watch.mode not in duty.AT_WORK:
        raise BotError("A model is being trained for this channel already, or none is on duty any more.")
    card, count = new_version(services, watch, user)
    old = services.ledger.job(watch.version)
    spec = parse_spec({**old.spec, "dataset": card.name, "digest": card.digest})
    origin = RequestOrigin(user, watch.team, watch.channel, None, f"retrain:{watch.id}:{card.digest[:16]}")
    job = launch(services, "finetune", spec.to_json(), origin, card)
    watch = duty.find_watch(services.ledger.engine, watch.id)  # an alarm may have changed it meanwhile
    if not duty.change_watch(services.ledger.engine, watch, {"successor": job.id}):
        raise BotError("The model was just moved to another mode. Press Retrain once more.")
    text = (
        f"{count} judged tickets are version {card.version} of {card.name}, which only <#{watch.channel}> sees; job `{job.id}` trains on it. Then old and new meet the same "
        "fresh tickets, and the new one takes over only if it is shown to be better."
    )
    respond(text=text, response_type="ephemeral", replace_original=False)


def new_version(services: Services, watch: Watch, user: str) -> tuple[Card, int]:
    """Stores the dataset with the corrections as its next version; returns its card and the number of corrections in it.

    Only the watch's channel sees it, since the corrections are its messages. Raises BotError when that channel may not see
    the dataset.
    """
    engine, store = services.ledger.engine, services.datasets
    rows = judged_tickets(duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id))
    lessons = training_tickets(rows)
    if len(lessons) < LEAST_TRAINING:
        raise BotError(
            f"People have judged {len(lessons)} tickets to learn from; {LEAST_TRAINING} is the least."
        )
    old = services.ledger.job(watch.version)
    digest = str(old.spec.get("digest") or old.dataset)
    base, card = store.tickets(digest), store.get(digest)
    known_ids = {row.id for row in base.rows}
    channel_scope = f"channel:{watch.channel}"
    if not {"workspace", channel_scope} & set(card.scopes):
        raise BotError(
            f"{card.name} belongs to other channels only. Its owner can share it with this one: `/datasets`."
        )
    new = tuple(row for row in lessons if row.id not in known_ids)
    people = len({one.person for one in rows if not one.is_fresh})
    source = f"{len(new)} corrections of {people} people in {watch.channel}"
    combined = replace(base, rows=(*base.rows, *new))
    return store.keep(combined, card.name, user, frozenset({channel_scope}), card.licence, source), len(new)
