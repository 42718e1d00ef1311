"""The button "Erase the model" below the report of a hosted model, for the job's requester and admins.

The platform may take minutes, so a thread calls it and tells the person the result. The report stays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from slack_bolt import Ack, App, Respond

from bot.errors import BotError
from bot.slack.failures import wrap_listener
from bot.slack.launch import model_job
from bot.slack.payload import Body, origin_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.escape import escape, one_line
from bot.slack.users import Person
from finetune.errors import FinetuneError
from finetune.reports import FinetuneReport, read_report
from worker.errors import WorkerError
from worker.jobs.records import Job
from worker.ledger.hosted_models import REQUEST, note_erasure

log = logging.getLogger("trainwise")


class Erasures:
    """The models that are being erased, by team, so that a second press erases nothing twice."""

    def __init__(self) -> None:
        self._lock, self._keys = threading.Lock(), set[tuple[str, str]]()

    @contextmanager
    def claim(self, services: Services, model: str) -> Iterator[bool]:
        """Whether nobody else of this team is erasing the model; claims it until the end of the block."""
        key = (str(services.home), model)
        with self._lock:
            is_first = key not in self._keys
            self._keys.add(key)
        try:
            yield is_first
        finally:
            if is_first:
                with self._lock:
                    self._keys.discard(key)


ERASURES = Erasures()


def register(app: App, teams: Teams) -> None:
    """Registers the button, which has a confirmation dialog."""
    app.action("model_erase")(wrap_listener(teams, on_erase))


def on_erase(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Confirms the start and erases the model in a thread."""
    ack()
    channel, user, _ = origin_of(body)
    job = model_job(services, str(action.get("value")), user, channel)
    person = services.users.person(user)
    if denial := services.permissions.denies_change(person, job, "erase the model of"):
        raise BotError(denial)
    model = hosted_model(job)
    respond(
        text=f"Erasing {escape(model)} there. I will say when it is done.",
        response_type="ephemeral",
        replace_original=False,
    )
    work = (services, job, model, person, respond)
    threading.Thread(target=erase, args=work, name="erase-model", daemon=True).start()


def hosted_model(job: Job) -> str:
    """The model's name at the job's platform; raises BotError when it is not hosted."""
    report = read_report(job.report)
    if not isinstance(report, FinetuneReport) or not report.hosted_model or not job.platform:
        raise BotError(f"No platform hosts a model of job {job.id}.")
    return report.hosted_model


def erase(services: Services, job: Job, model: str, person: Person, respond: Respond) -> None:
    """Erases the model once, however often the button is pressed, and tells the person the result."""
    text = f"{escape(model)} is being erased already: whoever asked for that first is told how it ends."
    with ERASURES.claim(services, f"{job.platform} {model}") as is_first:
        if is_first:
            text = erase_now(services, job, model, person)
    respond(text=text, response_type="ephemeral", replace_original=False)


def erase_now(services: Services, job: Job, model: str, person: Person) -> str:
    """Erases the model at its platform and records it in the job's history; returns the result as text."""
    try:
        left = services.erase_model(str(job.platform), model)
        if left:
            raise BotError(f"Not erased: {'; '.join(left)}.")
        words = f"The model {model} was erased at its platform{REQUEST}{person.name}."
        note_erasure(services.ledger.engine, job.id, person.id, words, services.clock())
        return f"🗑️ {escape(model)} is erased there: nobody can ask it any more. The report stays."
    except (FinetuneError, WorkerError, BotError) as error:
        return f"{escape(one_line(str(error), 500))} Press the button again later; what is gone already is no error."
    except Exception:  # the edge of this thread
        log.exception("the model of %s could not be erased", job.id)
        return (
            "The model could not be erased, and the bot's log has the reason. Press the button again later."
        )
