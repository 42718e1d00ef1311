"""The settings and the places of a team's state: the bot's settings, with every place below `teams/ID`.

A team has no state elsewhere, so stores that are opened from these settings cannot reach another team's rows. The team ""
uses the bot's own places: it is the only team of a bot with one token, and the first of a bot of many.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from bot.errors import BotError
from bot.settings import Secret, Settings, SettingsError, load_settings
from finetune.data.importing import IMPORTS
from finetune.sources import SOURCES
from worker.ledger.database import erase_database, holds_rows
from worker.teams import place_of

TEAM_SETTINGS = {
    "TRAINWISE_ADMINS": "admins",
    "TRAINWISE_ASKERS": "askers",
    "TRAINWISE_LAUNCHERS": "launchers",
    "TRAINWISE_APPROVERS": "approvers",
    "TRAINWISE_JOB_BUDGET": "job_budget_usd",
    "TRAINWISE_MONTH_BUDGET": "month_budget_usd",
    "TRAINWISE_JOBS_PER_PERSON": "jobs_per_person",
    "TRAINWISE_KEEP_DAYS": "keep_days",
}
"""The variables that can be set per team (`trainwise teams set`), and their fields."""
HELP_DESKS = frozenset(variable.name for source in SOURCES.values() for variable in source.variables)
FILES = (
    *("endpoint.json", "endpoint_spending.json", "keys/endpoint.key", "feedback.jsonl", "forecasts.jsonl"),
    *("index", "documents", "runs", IMPORTS),
)
"""The files in a team's home besides its ledger, datasets and artifacts."""


def settings_of(settings: Settings, team: str, own: Mapping[str, str] | None = None) -> Settings:
    """The settings of one team: its places and its own values.

    Admins and approvers are set per team: those of the environment, its ticket files and its help desks belong to the first
    team only.
    """
    fields: dict[str, Any] = {}
    if team:
        fields = {
            "home": settings.home / "teams" / team,
            "database_url": Secret(team_ledger_url(settings.database_url.reveal(), team)),
            "datasets_url": place_of(settings.datasets_url, team),
            "artifacts_url": place_of(settings.artifacts_url, team),
            "admins": frozenset(),
            "approvers": frozenset(),
            "ticket_files": {},
            "platform_values": {
                name: Secret("") if name in HELP_DESKS else value
                for name, value in settings.platform_values.items()
            },
        }
    return replace(settings, **{**fields, **parse_team_settings(own or {})})


def parse_team_settings(own: Mapping[str, str]) -> dict[str, Any]:
    """Parses a team's own settings into fields; raises SettingsError with the problems."""
    if strangers := sorted(set(own) - set(TEAM_SETTINGS)):
        raise SettingsError(
            {name: f"is not a team's own. These are: {', '.join(TEAM_SETTINGS)}." for name in strangers}
        )
    values = load_settings(own)
    return {TEAM_SETTINGS[name]: getattr(values, TEAM_SETTINGS[name]) for name in own}


def team_ledger_url(url: str, team: str) -> str:
    """The URL of the team's ledger: its own schema on a server, or its own file beside the first team's."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return address.update_query_dict({"schema": f"team_{team.lower()}"}).render_as_string(False)
    file = Path(address.database or "")
    return address.set(database=place_of(str(file.parent), team) + f"/{file.name}").render_as_string(False)


def has_data(settings: Settings) -> bool:
    """Whether a bot has used this home itself: its ledger has rows, or it has documents."""
    return holds_rows(settings.database_url.reveal()) or (settings.home / "index" / "index.db").exists()


def lock_home(home: Path, exclusive: bool = True) -> Callable[[], None]:
    """Locks the home for a running bot; returns the function that unlocks it. Raises BotError when it is locked.

    `exclusive`: for the bot of many teams, which runs alone; bots with one token share the lock.
    """
    handle = (home / "teams.lock").open("w")
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        other = "Another bot" if exclusive else "A bot of many workspaces"
        raise BotError(
            f"{other} runs in {home} already. Stop it first, or set another TRAINWISE_HOME."
        ) from None
    return handle.close


def erase_team(settings: Settings, team: str) -> None:
    """Erases a team's state, the ledger last, so that an interrupted run can be repeated.

    Covers ledger, index, documents, datasets, artifacts and keys; does not cover backups and what platforms keep.
    """
    from finetune.data.filesystem import Files

    own = settings_of(settings, team)
    if own.chroma_url and (own.home / "index" / "index.db").exists():
        erase_vectors(own.home / "index", own.chroma_url)
    for name in FILES:
        _remove(own.home / name)
    for url in (own.datasets_url, own.artifacts_url):
        Files(url).erase_all(skip="" if team else "teams/")
    erase_database(own.database_url.reveal())
    if team:
        _remove(own.home)


def erase_vectors(folder: Path, chroma_url: str) -> None:
    """Erases the collections of an index from a Chroma server."""
    from rag.search.store import Store
    from rag.search.vectors import drop_collections

    store = Store(folder / "index.db")
    drop_collections(store.store_id, chroma_url)
    store.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
