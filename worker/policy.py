"""Who may launch what, for how much: pure decisions, and the month's budget in the ledger.

Covers budgets per team and month, a second person's approval, jobs per person. Does not cover who may use
the bot at all: that is Slack's membership and the bot's own lists.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, insert, select

from worker.database import reading, writing
from worker.errors import WorkerError
from worker.tables import budgets, jobs


class OverBudget(WorkerError):
    """The team's month does not have room for the job; nothing was launched."""


@dataclass(frozen=True)
class Rules:
    """A team's limits; None means no limit. `ask` is whom a person is sent to."""

    approval_above_usd: float | None = None
    waiting_per_user: int | None = None
    ask: str = "your workspace's admin"


@dataclass(frozen=True)
class Month:
    """One team's month in dollars; `limit` None means no budget was set."""

    limit: float | None
    spent: float
    reserved: float

    @property
    def left(self) -> float | None:
        """What may still be promised, or None without a budget."""
        return None if self.limit is None else self.limit - self.spent - self.reserved


@dataclass(frozen=True)
class Allowed:
    """Launch it now."""


@dataclass(frozen=True)
class NeedsApproval:
    """A second person must agree first; `reason` is what both read."""

    reason: str


@dataclass(frozen=True)
class Denied:
    """Not now; `reason` says why and whom to ask."""

    reason: str


def decide_launch(
    estimate_usd: float, month: Month, open_jobs: int, rules: Rules
) -> Allowed | NeedsApproval | Denied:
    """Whether a job of `estimate_usd` may be launched by a person who has `open_jobs` unfinished ones."""
    if rules.waiting_per_user is not None and open_jobs >= rules.waiting_per_user:
        return Denied(
            f"You have {open_jobs} unfinished jobs and may have {rules.waiting_per_user}. Cancel one or wait."
        )
    if month.left is not None and estimate_usd > month.left:
        return Denied(
            f"This costs about ${estimate_usd:.2f}; of this month's ${month.limit:.2f} only "
            f"${max(month.left, 0):.2f} is left. Ask {rules.ask} for more, or choose a smaller run."
        )
    if rules.approval_above_usd is not None and estimate_usd > rules.approval_above_usd:
        return NeedsApproval(
            f"It costs about ${estimate_usd:.2f}; above ${rules.approval_above_usd:.2f} a second person "
            "must agree."
        )
    return Allowed()


def month_of_team(engine: Engine, team: str, month: str) -> Month:
    """What the team has promised and spent in `month` (YYYY-MM); reservations end with their jobs."""
    mine = (jobs.c.team == team) & (jobs.c.month == month)
    sums = select(
        func.coalesce(func.sum(jobs.c.spent_usd), 0.0), func.coalesce(func.sum(jobs.c.reserved_usd), 0.0)
    )
    limit = select(budgets.c.limit_usd).where((budgets.c.team == team) & (budgets.c.month == month))
    with reading(engine) as connection:
        spent, reserved = connection.execute(sums.where(mine)).one()
        return Month(connection.execute(limit).scalar_one_or_none(), float(spent), float(reserved))


def hold_to_budget(connection: Connection, team: str, month: str, limit_usd: float) -> None:
    """Raises OverBudget when what the team has spent and reserved, this job included, is above its month.

    Called in the transaction that reserves, so that two launches at once cannot both have the last dollar.
    A budget set with `set_budget` counts in place of `limit_usd`.
    """
    own = select(budgets.c.limit_usd).where((budgets.c.team == team) & (budgets.c.month == month))
    limit = connection.execute(own).scalar_one_or_none()
    limit = limit_usd if limit is None else limit
    total = select(func.coalesce(func.sum(jobs.c.spent_usd + jobs.c.reserved_usd), 0.0))
    used = connection.execute(total.where((jobs.c.team == team) & (jobs.c.month == month))).scalar_one()
    if used > limit + 0.005:
        raise OverBudget(
            f"With this job ${used:,.2f} of this month's ${limit:,.2f} would be spent or set aside. Give it a "
            "smaller budget, wait for a running job to release what it does not use, or ask an admin for more."
        )


def set_budget(engine: Engine, team: str, month: str, limit_usd: float, by: str, now: float) -> None:
    """Sets the team's budget for one month, in place of what was set before."""
    mine = (budgets.c.team == team) & (budgets.c.month == month)
    with writing(engine) as connection:
        connection.execute(delete(budgets).where(mine))
        row = {"team": team, "month": month, "limit_usd": limit_usd, "set_by": by, "set_at": now}
        connection.execute(insert(budgets).values(row))
