"""Who may launch, stop, approve and see; every refusal is a sentence with the reason and whom to ask. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.people import Person
from worker.records import Job
from worker.states import END_STATES

Denial = str


@dataclass(frozen=True)
class Policy:
    """The workspace's rules, from the settings; `admins` come on top of the workspace's own admins."""

    admins: frozenset[str] = frozenset()
    launchers: frozenset[str] = frozenset()  # user or user-group ids; empty: everyone
    job_budget_usd: float = 50
    month_budget_usd: float = 500
    jobs_per_person: int = 5

    def is_admin(self, person: Person) -> bool:
        return person.admin or person.id in self.admins

    def denies_launch(
        self, person: Person, unfinished: int, in_group: Callable[[str, frozenset[str]], bool]
    ) -> Denial | None:
        """Why this person may not launch a job now, or None."""
        if not self._may_launch(person, in_group):
            return f"Only some people may launch jobs here, and you are not on the list. Ask {self._whom()}."
        if unfinished >= self.jobs_per_person:
            return (
                f"You have {unfinished} unfinished jobs, and {self.jobs_per_person} is the most at a time. "
                "Wait for one to end, or cancel one with `/jobs mine`."
            )
        return None

    def denies_change(self, person: Person, job: Job, verb: str) -> Denial | None:
        """Why this person may not cancel, pause, resume or retry the job, or None."""
        if person.id == job.by or self.is_admin(person):
            return None
        return f"Only {job.by_name or 'the person who launched it'} or an admin can {verb} job {job.id}."

    def denies_approval(self, person: Person, job: Job) -> Denial | None:
        """Why this person may not approve or decline the job, or None."""
        if person.id == job.by:
            return "You launched this job, so someone else has to approve it."
        if not self.is_admin(person):
            return f"Only an admin can approve jobs. Ask {self._whom()}."
        return None

    def denies_notices(self, person: Person, creator: str | None) -> Denial | None:
        """Why this person may not change what a channel is told, or None; `creator` made the channel."""
        if person.id == creator or self.is_admin(person):
            return None
        whom = f"<@{creator}>, who made this channel, or {self._whom()}" if creator else self._whom()
        return f"Only admins and whoever made the channel change what it is told. Ask {whom}."

    def denies_sight(self, person: Person, job: Job, channel: str) -> Denial | None:
        """Why this person may not open the job from this channel, or None."""
        if job.channel == channel or person.id == job.by or self.is_admin(person):
            return None
        return f"Job {job.id} belongs to another channel. Open it there, or ask {self._whom()}."

    def needs_approval(self, budget_usd: float) -> str | None:
        """Why a second person must agree first, or None."""
        if budget_usd <= self.job_budget_usd:
            return None
        return (
            f"Its budget of ${budget_usd:g} is above ${self.job_budget_usd:g}, so an admin must approve it."
        )

    def _may_launch(self, person: Person, in_group: Callable[[str, frozenset[str]], bool]) -> bool:
        if not self.launchers or person.id in self.launchers or self.is_admin(person):
            return True
        groups = frozenset(one for one in self.launchers if one.startswith("S"))
        return bool(groups) and in_group(person.id, groups)

    def _whom(self) -> str:
        return " or ".join(f"<@{user}>" for user in sorted(self.admins)[:3]) or "a workspace admin"


def unfinished(jobs: list[Job]) -> int:
    """How many of the jobs have not ended."""
    return sum(job.state not in END_STATES for job in jobs)
