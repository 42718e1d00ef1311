"""Where a team's state lies and which settings it has: the bot's own, with every place below `teams/ID`.

Nothing of a team lies anywhere else, so what was opened from these settings cannot reach another team's rows. The
team "" has the bot's own places: it is the only one of a bot with a token, and later the first one of many.
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

OWN = {
    "TRAINWISE_ADMINS": "admins",
    "TRAINWISE_ASKERS": "askers",
    "TRAINWISE_LAUNCHERS": "launchers",
    "TRAINWISE_APPROVERS": "approvers",
    "TRAINWISE_JOB_BUDGET": "job_budget_usd",
    "TRAINWISE_MONTH_BUDGET": "month_budget_usd",
    "TRAINWISE_JOBS_PER_PERSON": "jobs_per_person",
    "TRAINWISE_KEEP_DAYS": "keep_days",
}
"""The variables that a team may have of its own (`trainwise teams set`), and their fields."""
HELP_DESKS = frozenset(variable.name for source in SOURCES.values() for variable in source.variables)
FILES = (
    *("endpoint.json", "endpoint_spending.json", "keys/endpoint.key", "feedback.jsonl", "forecasts.jsonl"),
    *("index", "documents", "runs", IMPORTS),
)
"""What lies in a team's home beside its ledger, its datasets and its artifacts."""


def settings_of(settings: Settings, team: str, own: Mapping[str, str] | None = None) -> Settings:
    """The settings of a team's bot: its places and what was set for it.

    Who is an admin or approves is said team by team: the environment names them for the first team alone, and its
    files of tickets and its help desks are that one's: nobody else pulls from them.
    """
    fields: dict[str, Any] = {}
    if team:
        fields = {
            "home": settings.home / "teams" / team,
            "database_url": Secret(ledger_of(settings.database_url.reveal(), team)),
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
    return replace(settings, **{**fields, **read_own(own or {})})


def read_own(own: Mapping[str, str]) -> dict[str, Any]:
    """The fields of what a team has of its own; SettingsError names what is wrong."""
    if strangers := sorted(set(own) - set(OWN)):
        raise SettingsError(
            {name: f"is not a team's own. These are: {', '.join(OWN)}." for name in strangers}
        )
    values = load_settings(own)
    return {OWN[name]: getattr(values, OWN[name]) for name in own}


def ledger_of(url: str, team: str) -> str:
    """The team's ledger: a schema of its own on a server, a file of its own beside the first team's."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return address.update_query_dict({"schema": f"team_{team.lower()}"}).render_as_string(False)
    file = Path(address.database or "")
    return address.set(database=place_of(str(file.parent), team) + f"/{file.name}").render_as_string(False)


def holds_data(settings: Settings) -> bool:
    """Whether a bot has worked in this home itself: its ledger has rows (a look by `doctor` makes none), or documents lie there."""
    return holds_rows(settings.database_url.reveal()) or (settings.home / "index" / "index.db").exists()


def hold_home(home: Path, alone: bool = True) -> Callable[[], None]:
    """Marks the home as that of a running bot; gives what lets go. BotError where that cannot be.

    `alone`: the bot of many teams, beside which no other runs here; bots with one token bear each other.
    """
    handle = (home / "teams.lock").open("w")
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        other = "Another bot" if alone else "A bot of many workspaces"
        raise BotError(
            f"{other} runs in {home} already. Stop it first, or set another TRAINWISE_HOME."
        ) from None
    return handle.close


def erase(settings: Settings, team: str) -> None:
    """Erases all of a team's state, with the ledger last, so that a half-done work can be seen and repeated.

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
    """Erases the collections that an index has at a Chroma server."""
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
