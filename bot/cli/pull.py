"""`trainwise datasets pull`: tickets from a help desk's API as the next version of a dataset."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console import console, settings
from bot.errors import BotError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from finetune.data.store import DatasetStore
    from finetune.pulls.pull import Order, PullResult
    from finetune.sources.contract import Query, Source


def register(app: typer.Typer) -> None:
    """Adds the command to the group `datasets`."""
    app.command("pull")(pull_tickets)


def pull_tickets(
    source: Annotated[str, typer.Argument(help="zendesk, intercom, freshdesk, jira or github.")],
    project: Annotated[str, typer.Argument(help="Jira: the project's key. GitHub: OWNER/NAME.")] = "",
    name: Annotated[
        str | None, typer.Option(help="Its name here; default: the source's and project's.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Under which terms the team may use it.")] = "internal",
    channel: Annotated[list[str] | None, typer.Option(help="Only for this channel (id).")] = None,
    label_column: Annotated[
        str | None, typer.Option(help="The field of the queue, by the source's name.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="The field of the ticket's text.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only tickets with one of these labels; repeatable.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="First pull: only tickets changed since this day, 2026-01-31.")
    ] = "",
    replies: Annotated[
        bool,
        typer.Option(
            "--replies",
            help="Instead of queues: customers' first messages and the team's public replies, for reply tuning.",
        ),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again: only so deleted tickets are found.")
    ] = False,
) -> None:
    """Pull tickets from a help desk: what changed since the last pull becomes a new version, redacted on arrival.

    Address and token come from the settings (docs/howto/pull-tickets.md). A pull that was ended at any moment goes on from
    there; where nothing is new no version is made.
    """
    from bot.factories import open_datasets, open_ledger, platform_settings, terminal_user
    from bot.pulling import Puller, find_source
    from finetune.data.prepare import prepare
    from finetune.data.store import check_name, suggest_name
    from finetune.pulls.pull import Order, check_origin

    config, help_desk = settings(), find_source(source)
    values = platform_settings(config)
    help_desk.check(values, project)
    dataset = check_name(name or suggest_name(f"{source} {project}"))
    store, engine = open_datasets(config), open_ledger(config).engine
    check_origin(store, dataset, source, project)  # before a schedule of it is changed
    columns = {"label": label_column, "text": text_column}
    columns_given = {field: column for field, column in columns.items() if column}
    query = help_desk.query(project, columns_given, tuple(label or ()), check_day(since), replies)
    if not (columns_given or label or since or replies):
        query = earlier_query(store, dataset, help_desk, query)
    scopes = frozenset(f"channel:{one}" for one in channel) if channel else frozenset({"workspace"})
    order = Order(dataset, query, terminal_user(), scopes, licence, full)
    holder = f"{terminal_user()} on {socket.gethostname()}, process {os.getpid()}"[:120]
    puller = Puller(store, engine, values, holder)
    with console.status("asking ...") as status:
        result = run_under_lease(
            engine, help_desk, order, holder, lambda: puller.run(help_desk, order, prepare, status.update)
        )
    print_result(result)


def check_day(text: str) -> str:
    """Returns the day, or "" for none; raises BotError for anything else."""
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise BotError(f"--since {text[:40]!r} is no day: write it as 2026-01-31.") from None


def earlier_query(store: DatasetStore, dataset: str, source: Source, query: Query) -> Query:
    """The query of the dataset's last pull, if source and project are the same; else the given query."""
    from finetune.sources.contract import Query

    state = store.pulls.state(dataset)
    if state is None or state["source"] != source.name or not store.versions(dataset):
        return query
    earlier = Query.from_json(state["asked"])
    return earlier if earlier.project == query.project else query


def run_under_lease(
    engine: Engine, source: Source, order: Order, holder: str, run: Callable[[], PullResult]
) -> PullResult:
    """Enters the pull in the ledger, holds its lease during `run`, and records the outcome."""
    from finetune.pulls.change_report import change_lines
    from worker.ledger.pulls import Pull, end_pull, pull_of, set_pull, stop_pull, take_lease

    now, existing = time.time(), pull_of(engine, order.dataset)
    if existing is None:
        scopes = tuple(sorted(order.scopes))
        words = (order.dataset, source.name, order.query.to_json(), scopes, order.licence, order.by)
        set_pull(engine, Pull(*words, channel="", every_s=0.0, created_at=now))
    elif existing.lease_until > now and not is_dead_holder(existing.lease_by):
        raise BotError(
            f"{order.dataset} is being pulled right now by {existing.lease_by}. Wait for its end; where that one was killed, "
            f"{existing.lease_until - now:.0f} seconds."
        )
    elif existing.source == source.name:
        set_pull(engine, replace(existing, query=order.query.to_json()))
    if existing is not None and is_dead_holder(existing.lease_by):
        end_pull(engine, order.dataset, existing.lease_by, {})
    if not take_lease(engine, order.dataset, holder, now):
        raise BotError(f"{order.dataset} is being pulled right now by another process. Wait for its end.")
    is_done = False
    try:
        result = run()
        is_done = True
    finally:
        if not is_done:
            end_pull(engine, order.dataset, holder, {})
            if existing is None:
                stop_pull(engine, order.dataset)
    end: dict[str, object] = {"last": change_lines(result.change)[0], "last_at": time.time()}
    if result.change.version is not None:
        end["version"] = result.change.version
    end_pull(engine, order.dataset, holder, end)
    return result


def is_dead_holder(holder: str) -> bool:
    """Whether a lease's holder is a command on this machine whose process has ended."""
    match = re.search(r" on (?P<host>\S+), process (?P<pid>\d+)$", holder)
    if match is None or match["host"] != socket.gethostname():
        return False
    import psutil

    return not psutil.pid_exists(int(match["pid"]))


def print_result(result: PullResult) -> None:
    """Prints the changes, and the card of a new version."""
    from bot.cli.datasets import print_card
    from finetune.pulls.change_report import change_lines

    for line in change_lines(result.change):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if result.change.version is not None:
        print_card(result.card)
