"""What happens when a form is sent: field errors stay on the form, the rest is done after the ack."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import BotError
from bot.measure_form import FIELDS as MEASURE_FIELDS
from bot.measure_form import measure_spec
from bot.slack.failures import apologise, guarded
from bot.slack.features import datasets, documents
from bot.slack.features.answering import card_at
from bot.slack.features.channel_settings import say_where
from bot.slack.features.finetune import Place, finetune_spec, launch
from bot.slack.feedback_log import keep_feedback
from bot.slack.files import SlackFile, look_up
from bot.slack.services import Services
from bot.slack.ui.column_form import Upload, column_errors
from bot.slack.ui.forms import FINETUNE_FIELDS, Filled, Memory, note_modal, recipe_of
from bot.slack.ui.limits import checked_view
from finetune.data.store import check_name
from finetune.data.ticket import DatasetError
from finetune.spec import SpecError

Body = dict[str, Any]
View = dict[str, Any]
READING = "Reading the columns … You will be asked which is which; nothing is added before that."


def register(app: App, services: Services) -> None:
    """One plain function per form, and an ack for whatever else is closed or sent."""
    app.view("finetune")(guarded(services, on_finetune))
    app.view("measure")(guarded(services, on_measure))
    app.view("dataset_add")(guarded(services, on_dataset))
    app.view("dataset_columns")(guarded(services, on_columns))
    app.view("docs_add")(guarded(services, on_documents))
    app.view("feedback_reason")(guarded(services, on_feedback_reason))
    app.view("job_reject")(guarded(services, on_reject))


def on_finetune(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    memory, filled = Memory.parse(view["private_metadata"]), Filled.of(view)
    try:
        spec, card = finetune_spec(services, recipe_of(filled.values), memory.channel)
    except SpecError as wrong:
        problems = dict(wrong.problems)
        if filled.values.get("hub_model", "").strip() and "base_model" in problems:
            problems["hub_model"] = problems.pop("base_model")
        ack(response_action="errors", errors=_on_fields(problems, FINETUNE_FIELDS))
        return
    job = None
    with _telling(client, memory, body, ack):
        job = launch(services, "finetune", spec.to_json(), _place(memory, body, view), card)
    say_where(client, job)


def on_measure(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    memory, filled = Memory.parse(view["private_metadata"]), Filled.of(view)
    try:
        spec = measure_spec(services, filled.values, memory.channel)
    except SpecError as wrong:
        ack(response_action="errors", errors=_on_fields(wrong.problems, MEASURE_FIELDS))
        return
    job = None
    with _telling(client, memory, body, ack):
        job = launch(services, "measure", spec, _place(memory, body, view))
    say_where(client, job)


def on_dataset(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    memory, filled = Memory.parse(view["private_metadata"]), Filled.of(view)
    try:
        check_name(filled.values.get("name", ""))
    except DatasetError as wrong:
        ack(response_action="errors", errors={"name": str(wrong)[:300]})
        return
    files = filled.files.get("file", ()) or ((memory.about,) if memory.about else ())
    if not files:
        ack(response_action="errors", errors={"file": "Add the file with your tickets."})
        return
    told = (filled.values.get(field, "") for field in ("name", "scope", "licence"))
    upload = Upload(memory.channel, files[0], *told)
    ack(response_action="update", view=checked_view(note_modal("Add tickets", READING)))
    with _telling(client, memory, body):
        datasets.ask_columns(services, client, upload, body["user"]["id"], view)


def on_columns(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    upload, filled = Upload.parse(view["private_metadata"]), Filled.of(view)
    if errors := column_errors(filled.values):
        ack(response_action="errors", errors=errors)
        return
    ack()
    with _telling(client, Memory(upload.channel), body):
        person = services.people.person(body["user"]["id"])
        datasets.add_dataset(services, client, upload, filled.values, person)


def on_documents(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    memory, filled = Memory.parse(view["private_metadata"]), Filled.of(view)
    sources: list[SlackFile | str] = []
    try:
        if link := filled.values.get("link", "").strip():
            sources.append(documents.web_address(link))
    except BotError as wrong:
        ack(response_action="errors", errors={"link": str(wrong)})
        return
    files = filled.files.get("file", ())
    if not files and not sources:
        ack(response_action="errors", errors={"link": "Add a file above, or a link here."})
        return
    ack()
    with _telling(client, memory, body):
        user = body["user"]["id"]
        sources += [look_up(client, one, user, memory.channel) for one in files]
        person = services.people.person(user)
        scope = filled.values.get("scope", "channel")
        documents.add_documents(services, client, sources, scope, person, memory.channel)


def on_feedback_reason(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    ack()
    memory, reason = Memory.parse(view["private_metadata"]), Filled.of(view).values.get("reason", "")
    if not reason.strip():
        return
    card = card_at(services, memory.channel, str(memory.thread_ts), memory.about)
    keep_feedback(
        services.home, services.clock(), body["user"]["id"], memory.about, False, card, reason[:1000]
    )


def on_reject(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    ack()
    memory, reason = Memory.parse(view["private_metadata"]), Filled.of(view).values.get("reason", "")
    with _telling(client, memory, body):
        person, job = services.people.person(body["user"]["id"]), services.ledger.job(memory.about)
        if denial := services.policy.denies_approval(person, job, services.people.in_group):
            raise BotError(denial)
        services.ledger.reject(job.id, person.id, f"{person.name}: {reason[:1000]}")
        services.wake()


class _telling:
    """A failure that belongs to no field is told in the channel, to the person alone.

    With `ack`, the form closes only after the block: a job whose form closed is in the ledger, also when the
    bot is killed in between (sent again, the same form is the same job).
    """

    def __init__(self, client: WebClient, memory: Memory, body: Body, ack: Ack | None = None) -> None:
        self.client, self.memory, self.user = client, memory, str(body["user"]["id"])
        self.ack = ack

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if self.ack is not None:
            self.ack()
        if not isinstance(error, Exception):
            return False
        apologise(self.client, error, self.memory.channel, self.user, self.memory.thread_ts)
        return True


def _place(memory: Memory, body: Body, view: View) -> Place:
    """Slack sends the same view id when it delivers a submission twice: one job either way."""
    key = f"view:{view['id']}"
    return Place(body["user"]["id"], body["team"]["id"], memory.channel, memory.thread_ts, key)


def _on_fields(problems: dict[str, str], fields: tuple[str, ...]) -> dict[str, str]:
    """Problems by field of the form; what belongs to no field goes under the first."""
    errors = {name: text[:300] for name, text in problems.items() if name in fields}
    other = " ".join(text for name, text in problems.items() if name not in fields)
    return errors | ({fields[0]: other[:300]} if other and fields[0] not in errors else {})
