"""What every sub-command shares: the console, the settings, a path to read, a refusal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from bot.errors import BotError
from bot.settings import Settings, load_settings
from finetune.errors import FinetuneError
from rag.errors import RagError
from worker.errors import WorkerError

console = Console()
OUR_ERRORS = (BotError, FinetuneError, RagError, WorkerError)


def settings() -> Settings:
    """The settings of this process's environment; the hub's library reads its token there, a file's too."""
    settings_ = load_settings(os.environ)
    if settings_.hub_token is not None:
        os.environ["HF_TOKEN"] = settings_.hub_token.reveal()
    return settings_


def path_to_read(value: Path) -> Path:
    """A file that exists, or a clear error."""
    if not value.is_file():
        raise BotError(f"There is no file {value}. Check the path and try again.")
    return value


def refuse(text: str) -> NoReturn:
    """Prints what is wrong and what to do, and exits with 2."""
    Console(stderr=True).print(f"[red]error:[/red] {escape(text)}", highlight=False, soft_wrap=True)
    sys.exit(2)
