"""The button "Try it" under a finished fine-tune: a ticket answered before and after, in the modal it was typed in.

The bot loads no model: a try is a small job of kind `try` in the ledger, signed onto the queue ahead of the
trainings, and its answer is owed to the person like any report. Who closed the modal reads it in their messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.errors import BotError
from bot.slack.delivery.posting import find, send
from bot.slack.failures import guarded, where
from bot.slack.services import Services
from bot.slack.ui.blocks import Block, context, field, modal, mrkdwn, section, text_input
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import Filled, Memory
from bot.slack.ui.job_card import KINDS, recipe
from bot.slack.ui.limits import checked, checked_view, split_text
from bot.submitted import update_submitted
from bot.visible import visible_job
from finetune.errors import FinetuneError
from rag.redact import redact
from worker.jobs.records import TRY, Job, Post
from worker.jobs.states import END_STATES, State

Body = dict[str, Any]
LONGEST = 2000
AT_A_TIME = 3
SHOWN = 1500  # characters of a ticket or an answer
FIELD = 1900  # of a column, escaped


def register(app: App, services: Services) -> None:
    """The button and its form."""
    app.action("job_try")(guarded(services, on_try))
    app.view("try")(guarded(services, on_text))


def on_try(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Opens the form for a person who may see the job."""
    ack()
    channel, user, _ = where(body)
    job = model_job(services, str(action.get("value")), user, channel)
    view = try_modal(job, Memory(channel, None, job.id))
    client.views_open(trigger_id=body["trigger_id"], view=checked_view(view))


def on_text(services: Services, ack: Ack, body: Body, view: Body) -> None:
    """Accepts the ticket into the ledger, then shows that its answer is on the way; the right is checked again."""
    memory, user = Memory.parse(view["private_metadata"]), str(body["user"]["id"])
    text = redact(Filled.of(view).values.get("text", "").strip())[:LONGEST]
    try:
        if not text:
            raise BotError("Type a ticket first.")
        job = model_job(services, memory.about, user, memory.channel)
        _accept(services, job, text, memory.channel, (user, str(body["team"]["id"])), view)
    except (BotError, FinetuneError) as wrong:
        ack(response_action="errors", errors={"text": str(wrong)[:300]})
        return
    ack(response_action="update", view=checked_view(waiting_modal(job, text, services.workers())))
    services.wake()


def model_job(services: Services, job_id: str, user: str, channel: str) -> Job:
    """The finished fine-tune, if this person may see it from this channel; BotError says what is wrong."""
    job = visible_job(services, job_id, user, channel)
    if job.kind != "finetune" or job.state != State.SUCCEEDED:
        raise BotError(f"Job {job.id} left no model to try. Only a finished fine-tune does.")
    return job


def _accept(services: Services, job: Job, text: str, channel: str, who: tuple[str, str], view: Body) -> None:
    """One small job of `who` (user, team); a form that Slack delivers twice is one."""
    user, team = who
    waiting = services.ledger.jobs(set(State) - END_STATES, by=user, kind=TRY)
    if len(waiting) >= AT_A_TIME and not any(one.spec.get("view") == view["id"] for one in waiting):
        raise BotError(f"{len(waiting)} of your tries still wait for their answers. Try again after them.")
    spec = {"model": job.id, "root": job.root, "text": text, "from": channel}
    spec |= {"view": view["id"], "hash": view["hash"]}
    key, name = f"try:{view['id']}:{view['hash']}", services.people.person(user).name
    services.ledger.submit(TRY, spec, job.dataset, user, name, team, "", None, key)


def answer_try(client: WebClient, post: Post, job: Job) -> str:
    """Shows how a try ended where it was asked; the ts of the message when the modal was closed, else ""."""
    form, sent = str(job.spec.get("view")), str(job.spec.get("hash"))
    try:
        update_submitted(client, form, sent, checked_view(ended_modal(job)))
    except SlackApiError as error:
        if error.response.get("error") not in ("not_found", "view_not_found"):
            raise
    else:
        return ""
    direct = str(client.conversations_open(users=[job.by])["channel"]["id"])
    if post.tries and (found := find(client, direct, None, post.dedupe_key)):
        return found
    told = f"The answer of model {job.spec.get('model')} on {escape(one_line(job.dataset, 60))}"
    blocks = [section(f"🧪 *{told}*"), *outcome(job)]
    return send(client, direct, None, told, checked(blocks), post.dedupe_key)


def try_modal(job: Job, memory: Memory, shown: list[Block] | None = None, text: str = "") -> Block:
    """The form: a ticket, and above it the answers of the last one where there are any."""
    about = f"*{KINDS['finetune']} on {escape(one_line(job.dataset, 60))}*  `{job.id}`\n{recipe(job)}"
    typed = text_input("text", text, "My invoice shows the wrong amount", multiline=True, longest=LONGEST)
    hint = "Keys, e-mail addresses, phone and card numbers are taken out before it is sent to the worker."
    ask = field("text", "Another ticket" if shown else "A ticket", typed, hint)
    blocks = [section(about), *(shown or []), ask]
    return modal("try", "Try the model", blocks, "Try it", memory.packed())


def waiting_modal(job: Job, text: str, workers: list[dict[str, Any]]) -> Block:
    """What stands there until the answer comes."""
    if not workers:
        state = "🟠 No worker is up. The answer comes as soon as one is (`trainwise worker`)."
    elif all(worker.get("running") for worker in workers):
        state = "⏳ Every worker is busy; this is next."
    else:
        state = "⏳ The models are being loaded: some seconds."
    later = "You may close this window: then the answer comes to your messages with me."
    return modal("try", "Try the model", [section(_ticket(text)), section(state), context(later)])


def ended_modal(job: Job) -> Block:
    """The form again with both answers, or with the reason why there are none."""
    spec = job.spec
    memory = Memory(str(spec.get("from")), None, str(spec.get("model")))
    about = f"*Model {escape(str(spec.get('model')))} on {escape(one_line(job.dataset, 60))}*"
    typed = text_input("text", "", "Another ticket", multiline=True, longest=LONGEST)
    blocks = [section(about), *outcome(job), field("text", "Another ticket", typed)]
    return modal("try", "Try the model", blocks, "Try it", memory.packed())


def outcome(job: Job) -> list[Block]:
    """The ticket with both answers side by side; a sentence where the try failed."""
    ticket = section(_ticket(str(job.spec.get("text", ""))))
    report = job.report or {}
    if job.state != State.SUCCEEDED or not isinstance(report.get("after"), Mapping):
        return [ticket, section(f"❌ {escape(one_line(job.error or 'It was cancelled.', 600))}")]
    sides = [("Before", report.get("before")), ("After", report["after"])]
    columns = [_side(name, side) for name, side in sides]
    return [ticket, {"type": "section", "fields": [mrkdwn(text) for text in columns]}]


def _side(name: str, side: Any) -> str:
    if not isinstance(side, Mapping):
        return f"*{name}*\nNothing could answer before: this model was trained from scratch."
    head = f"*{name}: {escape(one_line(str(side.get('name', '?')), 80))}*"
    ranked = [pair for pair in side.get("ranked") or [] if isinstance(pair, list) and len(pair) == 2]
    lines = [
        f"{'*' if at == 0 else ''}{escape(one_line(str(label), 80))}{'*' if at == 0 else ''}  {share:.0%}"
        for at, (label, share) in enumerate(ranked)
        if isinstance(share, int | float)
    ]
    said = escape(str(side.get("answer") or "(nothing)")[:SHOWN])
    return split_text(f"{head}\n" + ("\n".join(lines) if lines else said), FIELD)[0]


def _ticket(text: str) -> str:
    quoted = "\n".join(f"> {line}" for line in escape(text[:SHOWN]).splitlines() or [""])
    return split_text(quoted)[0]
