"""`trainwise teams`: the workspaces that installed the app, their own settings, and erasing those that left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.console import bot_settings, console
from bot.errors import BotError

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.teams.directory import Directory

app = typer.Typer(
    no_args_is_help=True, help="The workspaces that installed the app (TRAINWISE_SLACK_CLIENT_ID)."
)


@app.command("list")
def list_teams() -> None:
    """List the workspaces with their state and their own settings."""
    directory, settings = _directory()
    table = Table("id", "name", "organisation", "since", "state", "own settings", box=None)
    for record in directory.all():
        since = time.strftime("%Y-%m-%d", time.localtime(record.added_at))
        own = " ".join(f"{name}={value}" for name, value in sorted(record.own.items()))
        state = "installed"
        if record.left_at is not None:
            end = record.left_at + settings.installing.leave_days * 86400
            state = f"left, erased {time.strftime('%Y-%m-%d %H:%M', time.localtime(end)) if end > time.time() else 'next'}"
        table.add_row(record.id, escape(record.name), record.enterprise, since, state, escape(own))
    console.print(table)


@app.command("set")
def set_own(
    team: Annotated[str, typer.Argument(help="The workspace's id, as `trainwise teams list` has it.")],
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...", help="Such as TRAINWISE_MONTH_BUDGET=200; nothing after = goes back."
        ),
    ],
) -> None:
    """Give a workspace settings of its own: admins, lists, budgets, days of keeping. The bot takes them at its next start."""
    pairs = dict(value.partition("=")[::2] for value in values)
    if wrong := [value for value in values if "=" not in value]:
        raise BotError(f"{wrong[0][:60]!r} is no NAME=VALUE.")
    record = _directory()[0].set_settings(team, pairs)
    own = ", ".join(f"{name}={value}" for name, value in sorted(record.own.items())) or "nothing of its own"
    console.print(f"{record.id}: {own}. The bot takes it at its next start.", highlight=False)


@app.command("purge")
def purge(
    team: Annotated[str, typer.Argument(help="The id of a workspace that removed the app.")],
) -> None:
    """Erase what a workspace left behind now, without waiting for TRAINWISE_LEAVE_DAYS."""
    from bot.teams.team_state import erase_team, lock_home

    directory, settings = _directory()
    directory.expire_grace(team)
    place = directory.require(team).place
    try:
        # a shared lock: bots with one token erase nothing of another team
        unlock = lock_home(settings.home, exclusive=False)
    except BotError:
        console.print(f"The running bot erases the state of {team} within a minute.", highlight=False)
        return
    if not place:  # the home itself is the team's
        unlock()
        unlock = lock_home(settings.home)
    erase_team(settings, place)
    directory.delete(team)
    unlock()
    console.print(
        f"The state of {team} is erased. Backups and Slack's own messages are not.", highlight=False
    )


def _directory() -> tuple[Directory, Settings]:
    from bot.teams.directory import Directory, open_engine

    settings = bot_settings()
    return Directory(open_engine(settings.home, settings.database_url.reveal())), settings
