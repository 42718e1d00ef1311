"""The month's budget of each team, held in the ledger; who may do what is bot/slack/permissions.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, delete, func, insert, select

from finetune.pricing import money
from worker.errors import WorkerError
from worker.ledger.database import reading, writing
from worker.ledger.tables import budgets, jobs


class OverBudget(WorkerError):
    """The rest of the team's month does not cover the job; nothing was launched."""


@dataclass(frozen=True)
class Month:
    """One team's month in dollars; `limit` None means no budget was set."""

    limit: float | None
    spent_usd: float
    reserved_usd: float

    @property
    def left(self) -> float | None:
        """The unreserved rest of the budget; None without a budget."""
        return None if self.limit is None else self.limit - self.spent_usd - self.reserved_usd


def month_of_team(engine: Engine, team: str, month: str) -> Month:
    """What the team has reserved and spent in `month` (YYYY-MM); reservations end with their jobs."""
    mine = (jobs.c.team == team) & (jobs.c.month == month)
    sums = select(
        func.coalesce(func.sum(jobs.c.spent_usd), 0.0), func.coalesce(func.sum(jobs.c.reserved_usd), 0.0)
    )
    limit = select(budgets.c.limit_usd).where((budgets.c.team == team) & (budgets.c.month == month))
    with reading(engine) as connection:
        cost, reserve = connection.execute(sums.where(mine)).one()
        return Month(connection.execute(limit).scalar_one_or_none(), float(cost), float(reserve))


def enforce_budget(connection: Connection, team: str, month: str, limit_usd: float) -> None:
    """Raises OverBudget when what the team has spent and reserved, this job included, is above its month.

    Runs in the transaction that reserves, so that two launches at once cannot both reserve the last dollar.
    A budget set with `set_budget` counts in place of `limit_usd`.
    """
    own = select(budgets.c.limit_usd).where((budgets.c.team == team) & (budgets.c.month == month))
    limit = connection.execute(own).scalar_one_or_none()
    limit = limit_usd if limit is None else limit
    total = select(func.coalesce(func.sum(jobs.c.spent_usd + jobs.c.reserved_usd), 0.0))
    used = connection.execute(total.where((jobs.c.team == team) & (jobs.c.month == month))).scalar_one()
    if used > limit + 0.005:
        raise OverBudget(
            f"With this job {money(used)} of this month's {money(limit)} would be spent or set aside. Give it a "
            "smaller budget, wait for a running job to release what it does not use, or ask an admin for more."
        )


def set_budget(
    engine: Engine, team: str, month: str, limit_usd: float | None, by: str, now: float
) -> float | None:
    """Sets the team's budget for one month (None: the usual one again); what had been set before."""
    mine = (budgets.c.team == team) & (budgets.c.month == month)
    with writing(engine) as connection:
        before = connection.execute(select(budgets.c.limit_usd).where(mine)).scalar_one_or_none()
        connection.execute(delete(budgets).where(mine))
        if limit_usd is None:
            return before
        row = {"team": team, "month": month, "limit_usd": limit_usd, "set_by": by, "set_at": now}
        connection.execute(insert(budgets).values(row))
    return before


def month_of(now: float) -> str:
    """The calendar month (UTC) that a job's cost counts into, as YYYY-MM."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
