"""Access rules: who may ask, launch, change, approve and see. A denial is a sentence with the reason and a contact. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.slack.users import Person
from finetune.pricing import money
from worker.jobs.records import Job

Denial = str
InGroup = Callable[[str, frozenset[str]], bool]


@dataclass(frozen=True)
class Permissions:
    """The workspace's rules from the settings; `admins` are added to the workspace's own admins."""

    admins: frozenset[str] = frozenset()
    launchers: frozenset[str] = (
        frozenset()
    )  # ids of users, user groups, channels; empty: everyone, everywhere
    job_budget_usd: float = 50
    month_budget_usd: float = 500
    jobs_per_person: int = 5
    askers: frozenset[str] = frozenset()
    approvers: frozenset[str] = frozenset()  # users and user groups, beside the admins

    def is_admin(self, person: Person) -> bool:
        return not person.outside and (person.admin or person.id in self.admins)

    def denies_outsider(self, person: Person) -> Denial | None:
        """The denial for a person from outside, or None; the gate (bot/slack/gate.py) refuses them first."""
        return f"This is for members of this workspace. Ask {self._contact()}." if person.outside else None

    def denies_question(self, person: Person, channel: str, in_group: InGroup) -> Denial | None:
        """Why this person may not ask from this channel, or None."""
        if self._is_listed(self.askers, person, channel, in_group):
            return None
        where = (
            "" if person.outside else self._channel_hint(self.askers)
        )  # no channel is named to people from outside
        return f"I answer only some people and channels here{where}. Ask {self._contact()}."

    def denies_launch(
        self, person: Person, active: int, in_group: InGroup, channel: str = ""
    ) -> Denial | None:
        """Why this person may not launch a job from this channel now, or None."""
        if denial := self.denies_outsider(person):
            return denial
        if not self._is_listed(self.launchers, person, channel, in_group):
            where = self._channel_hint(self.launchers)
            return f"Only some people may launch jobs here, and you are not on the list{where}. Ask {self._contact()}."
        if active >= self.jobs_per_person:
            return (
                f"You have {active} unfinished jobs, and {self.jobs_per_person} is the most at a time. "
                "Wait for one to end, or cancel one with `/jobs mine`."
            )
        return None

    def denies_change(self, person: Person, job: Job, verb: str) -> Denial | None:
        """Why this person may not cancel, pause, resume or retry the job, or None."""
        if denial := self.denies_outsider(person):
            return denial
        if person.id == job.by or self.is_admin(person):
            return None
        return f"Only {job.by_name or 'the person who launched it'} or an admin can {verb} job {job.id}."

    def denies_approval(self, person: Person, job: Job, in_group: InGroup) -> Denial | None:
        """Why this person may not approve or decline the job, or None."""
        if denial := self.denies_outsider(person):
            return denial
        if person.id == job.by:
            return "You launched this job, so someone else has to approve it."
        if self.is_admin(person) or (
            self.approvers and self._is_listed(self.approvers, person, "", in_group)
        ):
            return None
        who = "an admin or an approver" if self.approvers else "an admin"
        return f"Only {who} can approve jobs. Ask {self._contact()}."

    def denies_budget(self, person: Person) -> Denial | None:
        """Why this person may not set the month's budget, or None."""
        if denial := self.denies_outsider(person):
            return denial
        return None if self.is_admin(person) else f"Only an admin sets the budget. Ask {self._contact()}."

    def denies_notices(self, person: Person, creator: str | None) -> Denial | None:
        """Why this person may not change what a channel is told, or None; `creator` made the channel."""
        if denial := self.denies_outsider(person):
            return denial
        if person.id == creator or self.is_admin(person):
            return None
        whom = f"<@{creator}>, who made this channel, or {self._contact()}" if creator else self._contact()
        return f"Only admins and whoever made the channel change what it is told. Ask {whom}."

    def denies_repair(self, person: Person, name: str, owner: str) -> Denial | None:
        """Why this person may not change the labels and rows of a dataset, or None; `owner` added it."""
        if denial := self.denies_outsider(person):
            return denial
        if person.id == owner or self.is_admin(person):
            return None
        whom = (
            f"<@{owner}>, who added it, or {self._contact()}"
            if owner.startswith(("U", "W"))
            else self._contact()
        )
        return f"Only the person who added {name} or an admin can repair it. Ask {whom}."

    def denies_view(self, person: Person, job: Job, channel: str) -> Denial | None:
        """Why this person may not open the job from this channel, or None."""
        if denial := self.denies_outsider(person):
            return denial
        if job.channel == channel or person.id == job.by or self.is_admin(person):
            return None
        return f"Job {job.id} belongs to another channel. Open it there, or ask {self._contact()}."

    def needs_approval(self, budget_usd: float) -> str | None:
        """Why a second person must agree first, or None."""
        if budget_usd <= self.job_budget_usd:
            return None
        return f"Its budget of {money(budget_usd)} is above {money(self.job_budget_usd)}, so an admin must approve it."

    def _is_listed(self, members: frozenset[str], person: Person, channel: str, in_group: InGroup) -> bool:
        """Whether the list is empty or names the person, one of their groups, or the channel; always True for admins."""
        if not members or person.id in members or channel in members or self.is_admin(person):
            return True
        groups = frozenset(one for one in members if one.startswith("S"))
        return bool(groups) and in_group(person.id, groups)

    def _channel_hint(self, members: frozenset[str]) -> str:
        channels = [f"<#{one}>" for one in sorted(members) if one.startswith(("C", "G"))]
        return f"; in {' and '.join(channels[:3])} everyone may" if channels else ""

    def _contact(self) -> str:
        return " or ".join(f"<@{user}>" for user in sorted(self.admins)[:3]) or "a workspace admin"
