"""`/jobs budget`: what this month's budget has left; an admin sets it for the workspace."""

from __future__ import annotations

from slack_bolt import Respond

from bot.errors import BotError
from bot.slack.services import Services
from bot.slack.ui.blocks import section
from bot.slack.ui.limits import checked
from worker.ledger.budgets import Month, month_of_team, set_budget
from worker.ledger.ledger import month_of

MOST_USD = 1e7


def on_command(services: Services, words: list[str], team: str, user: str, respond: Respond) -> None:
    """`budget` shows it, `budget 300` sets it for this month."""
    if words:
        change(services, words, team, user)
    said = budget_line(this_month(services, team))
    respond(text=said, blocks=checked([section(said)]), response_type="ephemeral")


def change(services: Services, words: list[str], team: str, user: str) -> None:
    """Sets the month's budget in dollars; BotError for what is no amount and for who may not."""
    if denial := services.policy.denies_budget(services.people.person(user)):
        raise BotError(denial)
    try:
        limit = float("".join(words).lstrip("$").replace(",", ""))
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= MOST_USD:
        raise BotError("Write an amount in US dollars, for example `/jobs budget 300`.")
    now = services.clock()
    set_budget(services.ledger.engine, team, month_of(now), limit, user, now)


def this_month(services: Services, team: str) -> Month:
    """Spent, set aside and the limit: the one set for this month, else the workspace's usual one."""
    found = month_of_team(services.ledger.engine, team, month_of(services.clock()))
    limit = services.policy.month_budget_usd if found.limit is None else found.limit
    return Month(limit, found.spent, found.reserved)


def budget_line(month: Month) -> str:
    """What the month's budget has left."""
    kept = f", ${month.reserved:,.2f} set aside for running jobs" if month.reserved else ""
    return f"*Budget this month*  ${month.spent:,.2f} of ${month.limit:,.0f} spent{kept}"
