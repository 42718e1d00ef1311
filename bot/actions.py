"""The buttons: each acknowledged at once, its ids looked up again on the server, its right checked there."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot import opening
from bot.commands import change_job
from bot.errors import BotError
from bot.slack.failures import guarded, where
from bot.slack.features import datasets, measure
from bot.slack.features.answering import Question, ask, card_at
from bot.slack.features.home import home_view
from bot.slack.feedback_log import keep_feedback
from bot.slack.services import Services
from bot.slack.thread_memory import Card
from bot.slack.ui.blocks import section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import FINETUNE_FIELDS, Filled, Memory
from bot.slack.ui.limits import checked_view
from bot.slack.ui.report import details_modal
from bot.slack.ui.verdict_card import change_modal, source_modal, why_modal
from bot.visible import visible_job

Body = dict[str, Any]
JOB_VERBS = {"job_cancel": "cancel", "job_pause": "pause", "job_resume": "resume", "job_retry": "retry"}


def register(app: App, services: Services) -> None:
    """Every action_id that the views and cards send, and at the end whatever else comes."""
    app.action("why")(guarded(services, on_why))
    app.action("would_change")(guarded(services, on_change))
    app.action(re.compile(r"cite:\d{1,3}"))(guarded(services, on_cite))
    app.action(re.compile(r"follow_up:\d{1,2}"))(guarded(services, on_follow_up))
    app.action("measure")(guarded(services, measure.on_button))
    app.action("job_finetune")(guarded(services, on_train))
    app.action("feedback")(guarded(services, on_feedback))
    for action_id, verb in JOB_VERBS.items():
        app.action(action_id)(guarded(services, partial(on_job_change, verb=verb)))
    app.action("job_details")(guarded(services, on_job_details))
    app.action("job_approve")(guarded(services, on_approve))
    app.action("job_reject")(guarded(services, on_reject))
    app.action("dataset_remove")(guarded(services, on_dataset_remove))
    app.action("dataset_add")(guarded(services, on_dataset_add))
    app.action("docs_add")(guarded(services, on_docs_add))
    app.action("home_finetune")(guarded(services, on_home_finetune))
    app.action("home_add_dataset")(guarded(services, on_home_add_dataset))
    app.action("home_refresh")(guarded(services, on_home_refresh))
    app.action(re.compile("^(dataset|task|method|base_model)$"))(guarded(services, on_recipe_change))
    app.action(re.compile(".*"))(on_anything)


def on_why(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    view = why_modal(_card(services, body).reply)
    client.views_open(trigger_id=body["trigger_id"], view=checked_view(view))


def on_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    view = change_modal(_card(services, body).reply)
    client.views_open(trigger_id=body["trigger_id"], view=checked_view(view))


def on_cite(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Shows the passage behind a citation."""
    ack()
    number = int(action["action_id"].partition(":")[2])
    for citation in _card(services, body).reply.citations:
        if citation.number == number:
            client.views_open(trigger_id=body["trigger_id"], view=checked_view(source_modal(citation)))
            return
    raise BotError("This answer has no such source. Ask again in the thread and use the new card.")


def on_follow_up(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """A pressed option is a reply in the thread, under the presser's name; the first press counts."""
    ack()
    channel, thread_ts, ts = _place(body)
    card = card_at(services, channel, thread_ts, ts)
    follow_up = card.reply.follow_up
    number = int(action["action_id"].partition(":")[2])
    if follow_up is None or number >= len(follow_up.options):
        raise BotError("This question is over. Write your answer in the thread.")
    if not services.ledger.first_time(f"follow_up:{channel}:{ts}"):
        raise BotError("Someone has answered this already. Write in the thread to change it.")
    person, text = services.people.person(body["user"]["id"]), follow_up.options[number]
    said = f"🙋 *{escape(person.name)}*: {escape(one_line(text, 500))}"
    client.chat_postMessage(channel=channel, thread_ts=thread_ts, text=said)
    ask(services, client, Question(text, person.id, body["team"]["id"], channel, thread_ts))


def on_feedback(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Keeps the thumb at once; a thumb down asks why, and may be left unanswered."""
    ack()
    channel, thread_ts, ts = _place(body)
    good = action.get("value") == "good"
    keep_feedback(
        services.home,
        services.clock(),
        body["user"]["id"],
        ts,
        good,
        card_at(services, channel, thread_ts, ts),
    )
    if not good:
        memory = Memory(channel, thread_ts, ts)
        label = "What was wrong or missing?"
        opening.reason(client, body["trigger_id"], "feedback_reason", "Thank you", label, memory)


def on_job_change(
    services: Services, verb: str, ack: Ack, body: Body, action: Body, client: WebClient
) -> None:
    """Cancel, pause, resume, retry: for the person who launched the job, and admins."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    change_job(services, job, verb, user)


def on_job_details(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    view = details_modal(job, services.ledger.history(job.id))
    client.views_open(trigger_id=body["trigger_id"], view=checked_view(view))


def on_train(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """The button \"Fine-tune on these\" beneath a report that says train: the form with its tickets chosen."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    card = services.datasets.get(job.dataset, services.scopes(channel))
    chosen = {"dataset": card.name, "task": card.kind, "method": "lora"}
    opening.finetune(services, client, body["trigger_id"], Memory(channel), chosen)


def on_approve(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Queues a job that waited for a second person; the request's buttons give way to who agreed."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    if denial := services.policy.denies_approval(services.people.person(user), job, services.people.in_group):
        raise BotError(denial)
    services.ledger.approve(job.id, user)
    services.wake()
    if action.get("block_id") == "approval":
        said = f"✅ {escape(services.people.person(user).name)} approved job {job.id}."
        respond(text=said, blocks=[section(said)], replace_original=True)


def on_reject(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Declining asks for the reason; the right is checked here and again when the reason comes."""
    ack()
    channel, user, _ = where(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    if denial := services.policy.denies_approval(services.people.person(user), job, services.people.in_group):
        raise BotError(denial)
    memory = Memory(channel, None, job.id)
    opening.reason(client, body["trigger_id"], "job_reject", "Decline", "Why not?", memory)


def on_dataset_remove(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    ack()
    channel, user, _ = where(body)
    said = datasets.remove_dataset(services, str(action.get("value")), services.people.person(user), channel)
    respond(text=f"🗑️ {escape(said)}", response_type="ephemeral", replace_original=False)


def on_dataset_add(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    opening.dataset(client, body["trigger_id"], Memory(where(body)[0]))


def on_docs_add(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    opening.documents(client, body["trigger_id"], Memory(where(body)[0]))


def on_home_finetune(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """From the home tab a job's card goes to the person's own conversation with the bot."""
    ack()
    opening.finetune(services, client, body["trigger_id"], Memory(_direct(client, body)))


def on_home_add_dataset(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    opening.dataset(client, body["trigger_id"], Memory(_direct(client, body)))


def on_home_refresh(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    person = services.people.person(body["user"]["id"])
    client.views_publish(
        user_id=person.id, view=checked_view(home_view(services, person, body["team"]["id"]))
    )


def on_recipe_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """A choice in the fine-tune form brings its estimate up to date; what was typed stays."""
    ack()
    view = body.get("view") or {}
    if view.get("callback_id") != "finetune":
        return
    memory = Memory.parse(view["private_metadata"])
    chosen = {k: v for k, v in Filled.of(view).values.items() if k in FINETUNE_FIELDS}
    form = opening.finetune_form(services, memory, chosen)
    client.views_update(view_id=view["id"], hash=view.get("hash"), view=form)


def on_anything(ack: Ack) -> None:
    """Link buttons and leftovers of old cards: acknowledged, so that Slack shows no warning."""
    ack()


def _direct(client: WebClient, body: Body) -> str:
    return str(client.conversations_open(users=[body["user"]["id"]])["channel"]["id"])


def _place(body: Body) -> tuple[str, str, str]:
    """The channel, thread and message of a pressed button."""
    container = body.get("container") or {}
    channel = str(container.get("channel_id") or (body.get("channel") or {}).get("id"))
    ts = str(container.get("message_ts") or (body.get("message") or {}).get("ts"))
    thread = container.get("thread_ts") or (body.get("message") or {}).get("thread_ts") or ts
    return channel, str(thread), ts


def _card(services: Services, body: Body) -> Card:
    return card_at(services, *_place(body))
