"""What the command line opens: the same domain objects as the bot's, from the same settings."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bot.settings import Settings
from finetune.store import DatasetStore
from rag.reply import Reply
from worker.ledger import Ledger

if TYPE_CHECKING:
    from rag.index import Index

PRICES = Path(__file__).parent / "prices.yaml"


def person() -> str:
    """Who sits at this terminal, as the ledger and the cards name them."""
    return f"terminal:{getpass.getuser()}"


def load_prices(settings: Settings) -> dict[str, Any]:
    """The dated price table: the team's own file where one is set, else the shipped one."""
    text = (settings.prices_file or PRICES).read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of jobs; the folder of an SQLite file is made."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return Ledger(settings.database_url.reveal())


def open_datasets(settings: Settings) -> DatasetStore:
    """The team's datasets, with the bundled samples among them."""
    store = DatasetStore(settings.datasets_url)
    store.ensure_sample()
    return store


@contextmanager
def open_index(settings: Settings) -> Iterator[Index]:
    """The index of documents, with the guide in it."""
    from rag.embed import load_embedder
    from rag.index import Index

    embed = load_embedder(settings.home / "cache")
    with Index.open(settings.home / "index", embed, settings.chroma_url) as index:
        index.ensure_guide()
        yield index


def chat_model(settings: Settings) -> Any | None:
    """The configured language model, or None: then the embedded reader answers."""
    if not settings.has_chat_model:
        return None
    from rag.chat import chat_model as make

    key = settings.openai_api_key.reveal() if settings.openai_api_key else None
    return make(settings.chat_model, key, settings.openai_base_url, settings.chat_timeout_s)


@contextmanager
def asking(settings: Settings) -> Iterator[Callable[..., Reply]]:
    """`ask(question, state=...)` over the index, with the language model where one is configured."""
    from rag.ask import Adviser

    with open_index(settings) as index:
        yield Adviser(index, index.embed, load_prices(settings), chat=chat_model(settings)).ask


def forget_requester(settings: Settings, requester: str) -> list[str]:
    """Erases a requester's rows everywhere and tells, line by line, what was erased and what cannot be."""
    ledger, store = open_ledger(settings), open_datasets(settings)

    def models_of(digest: str) -> list[str]:
        return [job.id for job in ledger.jobs(limit=10_000) if job.spec.get("digest") == digest]

    lines = []
    for gone in store.forget(requester, person(), models_of):
        lines.append(f"{gone.name}: {gone.rows} rows erased.")
        if gone.models:
            lines.append(
                f"  Trained on them, and cannot forget: {', '.join(gone.models)}. Train these again."
            )
    return lines or [f"No dataset holds rows of {requester}."]
