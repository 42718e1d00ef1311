"""Which jobs a person may see from where they stand."""

from __future__ import annotations

from bot.errors import BotError
from bot.slack.services import Services
from worker.jobs.records import Job


def visible_job(services: Services, job_id: str, user: str, channel: str) -> Job:
    """The job, if this person may see it from this channel; the id is never trusted."""
    job = services.ledger.job(job_id.strip("`")[:32])
    person = services.people.person(user)
    if denial := services.policy.denies_sight(person, job, channel):
        raise BotError(denial)
    return job
