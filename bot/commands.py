"""The slash commands: acknowledged at once, then parsed, done and answered so that only the asker sees it."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot import money, opening
from bot.datacard import dataset_card
from bot.errors import BotError
from bot.slack.failures import guarded
from bot.slack.features import channel_settings, compare, documents, home, measure
from bot.slack.features import datasets as intake
from bot.slack.features.answering import Question, ask, check_asker, check_question
from bot.slack.features.finetune import Place, finetune_spec, launch, typed_form
from bot.slack.features.label_check import check_labels
from bot.slack.services import Services
from bot.slack.ui.blocks import actions, button, section
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.forms import Memory
from bot.slack.ui.job_card import job_card
from bot.slack.ui.limits import checked
from bot.slack.users import Person
from bot.visible import visible_job
from finetune.spec import SpecError
from worker.jobs.records import Job
from worker.jobs.states import END_STATES, State

Command = dict[str, Any]
HELP = (
    "*Should we train a model?* Tell me what the model shall do and what goes wrong today, with numbers where "
    "you have them:\n• `/should-i-train our help center changes every week, should we fine-tune on it?`\n"
    "• `/should-i-train route 40,000 tickets a month to 8 queues; 6,000 are labelled`\n"
    "Or mention me, write to me directly, or use *Ask Trainwise about this* on a message. `/finetune` trains, "
    "`/datasets` shows the tickets, `/jobs` what runs."
)
FILTERS = {
    "running": frozenset(State) - END_STATES,
    "queued": frozenset({State.QUEUED, State.RETRY_WAIT}),
    "done": END_STATES,
    "failed": frozenset({State.FAILED, State.BUDGET_STOPPED}),
}


def register(app: App, services: Services) -> None:
    """One plain function per command of the manifest."""
    app.command("/should-i-train")(guarded(services, should_i_train))
    app.command("/finetune")(guarded(services, finetune))
    app.command("/jobs")(guarded(services, jobs))
    app.command("/datasets")(guarded(services, datasets))
    app.command("/docs")(guarded(services, docs))


def should_i_train(
    services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond
) -> None:
    """Puts the question in the channel under the asker's name and answers it in its thread; or measures; or helps."""
    typed = question_of(command.get("text", ""))
    if measure.is_order(services, typed, command["channel_id"]):
        measure.on_command(services, ack, command, client, respond)
        return
    ack()
    if not typed:
        respond(text=HELP, blocks=[section(HELP)], response_type="ephemeral")
        return
    check_asker(services, command["user_id"], command["channel_id"])
    text = check_question(typed)
    person = services.people.person(command["user_id"])
    asked = f"🙋 *{escape(person.name)}* asks: {escape(one_line(text, 3000))}"
    sent = client.chat_postMessage(
        channel=command["channel_id"], text=asked, unfurl_links=False, unfurl_media=False
    )
    place = (command["user_id"], command["team_id"], command["channel_id"], str(sent["ts"]))
    ask(services, client, Question(text, *place))


def finetune(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Opens the form; with arguments it launches at once, and acknowledges a job that is in the ledger."""
    typed = question_of(command.get("text", ""))
    channel = command["channel_id"]
    if not typed:
        ack()
        opening.finetune(services, client, command["trigger_id"], Memory(channel))
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


def jobs(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Lists, filters, opens, cancels, retries; and what the channel is told."""
    ack()
    words = question_of(command.get("text", "")).split()
    first = words[0].lower() if words else "list"
    if len(words) <= 1 and first in ("list", "mine", "all", *FILTERS):
        found, title = _list(services, command, first)
        respond(text=home.jobs_text(found), blocks=checked(home.jobs_message(found, title)))
        return
    if first == "budget":
        money.on_command(services, words[1:], command["team_id"], command["user_id"], respond)
        return
    if first in ("notify", "digest"):
        asked = [word.lower() for word in words]
        channel_settings.on_command(
            services, asked, command["channel_id"], command["user_id"], client, respond
        )
        return
    if first in ("compare", "count") and len(words) == 2:
        act = compare.begin if first == "compare" else compare.end
        said = act(services, words[1], command["user_id"], command["channel_id"])
        respond(text=said, response_type="ephemeral")
        return
    if first in ("open", *CHANGES) and len(words) != 2:
        raise BotError(f"Which job? Write `/jobs {first} JOB`; `/jobs` lists them with their ids.")
    verb, job_id = ("open", words[0]) if len(words) == 1 else (first, words[1])
    if verb not in ("open", *CHANGES):
        raise BotError(
            f"I do not know `/jobs {escape(one_line(verb, 40))}`. There is `/jobs`, `/jobs mine`, "
            "`/jobs running`, `/jobs done`, `/jobs notify`, `/jobs budget`, `/jobs JOB`, and `/jobs cancel`, `pause`, `resume` "
            "or `retry` with a job's id; `/jobs compare JOB` and `/jobs count JOB`."
        )
    job = visible_job(services, job_id, command["user_id"], command["channel_id"])
    if verb == "open":
        blocks = job_card(job, services.clock(), redis_down=not services.queue_up())
        respond(text=home.jobs_text([job]), blocks=checked(blocks))
    else:
        changed = change_job(services, job, verb, command["user_id"])
        respond(text=f"{CHANGES[verb]}: {home.jobs_text([changed])}", response_type="ephemeral")


CHANGES = {"cancel": "Cancelling", "pause": "Pausing", "resume": "Back in line", "retry": "Started again"}


def change_job(services: Services, job: Job, verb: str, user: str, why: str = "") -> Job:
    """The job after cancel, pause, resume or retry by a person who may; BotError with the reason otherwise."""
    person = services.people.person(user)
    if denial := services.policy.denies_change(person, job, verb):
        raise BotError(denial)
    ledger = services.ledger
    if verb == "cancel":
        changed = ledger.request_cancel(job.id, user, why or f"cancelled by {person.name}")
    elif verb == "pause":
        changed = ledger.request_pause(job.id, user, why)
    elif verb == "resume":
        changed = ledger.resume(job.id, user, why)
    else:
        changed = _retried(services, job, person)
    services.wake()
    return changed


def _retried(services: Services, job: Job, person: Person) -> Job:
    """The job that repeats this one; BotError when one does already, so that two clicks are one."""
    again = [one for one in services.ledger.jobs(channel=job.channel, limit=200) if one.retry_of == job.id]
    if going := [one for one in again if one.state not in END_STATES]:
        raise BotError(f"Job {job.id} runs again already, as {going[0].id}.")
    approval = services.policy.needs_approval(float(job.spec.get("budget_usd") or 0))
    key = f"retry:{job.id}:{len(again)}"
    month = services.policy.month_budget_usd
    return services.ledger.retry(job.id, person.id, person.name, key, approval, month)


def datasets(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Lists, adds, removes."""
    ack()
    words = question_of(command.get("text", "")).split()
    channel, person = command["channel_id"], services.people.person(command["user_id"])
    if not words or words[0].lower() == "list":
        cards = services.datasets.list(services.scopes(channel))
        admin = services.policy.is_admin(person)
        removable = frozenset(c.name for c in cards if admin or c.added_by == person.id)
        add = actions([button("Add tickets", "dataset_add", style="primary")], block_id="datasets")
        blocks = [*home.dataset_list(cards, removable, "Datasets here"), add]
        respond(text="Datasets", blocks=checked(blocks), response_type="ephemeral")
    elif words[0].lower() == "add":
        opening.dataset(client, command["trigger_id"], Memory(channel))
    elif words[0].lower() == "remove" and len(words) == 2:
        said = intake.remove_dataset(services, words[1], person, channel)
        respond(text=escape(said), response_type="ephemeral")
    elif words[0].lower() == "check" and len(words) == 2:
        card = services.datasets.get(words[1].strip("`"), services.scopes(channel))
        check_labels(services, client, card, person, channel)
        said = f"Checking the labels of {escape(card.name)}. I will send you those that look wrong."
        respond(text=said, response_type="ephemeral")
    elif len(words) == 1 or (words[0].lower() == "card" and len(words) == 2):
        card = services.datasets.get(words[-1].strip("`"), services.scopes(channel))
        respond(text=f"Dataset {card.name}", blocks=checked(dataset_card(card)), response_type="ephemeral")
    else:
        raise BotError(
            "I know `/datasets`, `/datasets NAME`, `/datasets add`, `/datasets check NAME` and `/datasets remove NAME`."
        )


def docs(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Lists, adds, syncs, removes the documents that answers may cite."""
    ack()
    words = question_of(command.get("text", "")).split()
    channel, person = command["channel_id"], services.people.person(command["user_id"])
    verb = words[0].lower() if words else "list"
    if verb == "list":
        lines = [documents.document_line(d) for d in services.index.documents(services.scopes(channel))]
        add = actions([button("Add documents", "docs_add", style="primary")], block_id="docs")
        blocks = [*documents.document_blocks(lines), add]
        respond(text="Documents", blocks=checked(blocks), response_type="ephemeral")
    elif verb == "add" and len(words) == 1:
        opening.documents(client, command["trigger_id"], Memory(channel))
    elif verb == "add":
        links = [documents.web_address(word) for word in words[1:6]]
        documents.add_documents(services, client, list(links), "channel", person, channel)
        respond(text="Reading it; the result comes here in the channel.", response_type="ephemeral")
    elif verb == "sync":
        documents.sync_documents(services, client, person, channel)
        respond(text="Syncing; the result comes here in the channel.", response_type="ephemeral")
    elif verb == "remove" and len(words) == 2:
        said = documents.remove_document(services, words[1], person, channel)
        respond(text=escape(said), response_type="ephemeral")
    elif verb == "share" and len(words) == 3:
        said = documents.share_document(services, words[1], words[2].lower(), person, channel)
        respond(text=escape(said), response_type="ephemeral")
    else:
        raise BotError(
            "I know `/docs`, `/docs add`, `/docs add LINK`, `/docs sync`, `/docs remove ID` and "
            "`/docs share ID everyone|here`."
        )


def _list(services: Services, command: Command, word: str) -> tuple[list[Job], str]:
    """The jobs of this channel by default; `mine` those of the asker from everywhere; `all` for admins."""
    channel, user = command["channel_id"], command["user_id"]
    if word == "mine":
        return services.ledger.jobs(by=user, limit=home.JOBS_SHOWN), "Your jobs"
    if word == "all":
        person = services.people.person(user)
        if not services.policy.is_admin(person):
            raise BotError("Only admins see the jobs of every channel. `/jobs mine` shows yours.")
        return services.ledger.jobs(limit=home.JOBS_SHOWN), "All jobs"
    states = FILTERS.get(word)
    found = services.ledger.jobs(states=states, channel=channel, limit=home.JOBS_SHOWN)
    return found, f"Jobs here{' · ' + word if states else ''}"
