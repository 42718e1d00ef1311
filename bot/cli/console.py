"""Shared by all sub-commands: the console, the settings, a path to read, an error exit."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.markup import escape

from bot.errors import BotError
from finetune.errors import FinetuneError
from rag.errors import RagError
from worker.errors import WorkerError

if TYPE_CHECKING:
    from rich.status import Status

    from bot.settings import Settings

console = Console()
OUR_ERRORS = (BotError, FinetuneError, RagError, WorkerError)


def settings() -> Settings:
    """The settings of the terminal's workspace: the only one, or the one of TRAINWISE_TEAM."""
    settings_ = bot_settings()
    if not settings_.installing.client_id and not settings_.team:
        return settings_
    from bot.teams.directory import Directory, open_engine
    from bot.teams.team_state import settings_of

    directory = Directory(open_engine(settings_.home, settings_.database_url.reveal()))
    records = directory.all()
    if not settings_.team and len(records) != 1:
        names = ", ".join(record.id for record in records) or "none has installed the app yet"
        raise BotError(f"Say which workspace with TRAINWISE_TEAM. There are: {names}.")
    record = directory.require(settings_.team or records[0].id)
    return settings_of(settings_, record.place, record.own)


def bot_settings() -> Settings:
    """The settings from the environment; also sets HF_TOKEN for the hub's library."""
    from bot.settings import load_settings  # slow to import: it loads every platform and source

    settings_ = load_settings(os.environ)
    if settings_.hub_token is not None:
        os.environ["HF_TOKEN"] = settings_.hub_token.reveal()
    return settings_


def existing_path(value: Path) -> Path:
    """The path of an existing file; raises an error otherwise."""
    if not value.is_file():
        raise BotError(f"There is no file {value}. Check the path and try again.")
    return value


def working(what: str) -> Status:
    """A status line on a terminal until the command prints its result; use it as a context manager."""
    return Console(stderr=True).status(f"{what} ...")


def exit_with_error(text: str) -> NoReturn:
    """Prints an error and exits with code 2."""
    Console(stderr=True).print(f"[red]error:[/red] {escape(text)}", highlight=False, soft_wrap=True)
    sys.exit(2)
