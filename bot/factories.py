"""Builds the domain objects that the bot and the command line share, from the settings."""

from __future__ import annotations

import getpass
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from bot.endpoint import EndpointError, EndpointStore
from bot.extras import missing_modules
from bot.settings import Settings
from bot.slack.feedback_log import redact_feedback
from bot.slack.services import models_trained_on
from finetune.data.erase import mention_of
from finetune.data.importing import IMPORTS
from finetune.data.languages import forget_identifier
from finetune.data.prepare import prepare as prepare_rows
from finetune.data.store import DatasetStore, Prepare
from finetune.errors import FinetuneError
from worker.ledger.ledger import Ledger
from worker.ledger.retention import forget_person
from worker.transport.signing import bot_key

if TYPE_CHECKING:
    from finetune.hosted import Endpoint
    from finetune.llm import Llm
    from finetune.llm_access import LlmAccount
    from finetune.platforms.contract import Host
    from rag.adviser import Adviser
    from rag.index import Index
    from rag.llm import LanguageModel
    from worker.dispatch.remote_controller import Connection, RemoteController

ENDPOINT_TIMEOUT_S = 60.0  # of one prompt
JOB_LLM_USD = 0.5  # for the prompts of one job, where OPENAI_* name the model
log = logging.getLogger("trainwise")
PRICES = Path(__file__).parent / "prices.yaml"


def platform_settings(settings: Settings) -> dict[str, str]:
    """The settings of platforms and sources in plain text, tokens included."""
    return {name: value.reveal() for name, value in settings.platform_values.items()}


def connect_platforms(settings: Settings) -> dict[str, Connection]:
    """The adapters of the configured platforms by name; an unusable one is left out with a warning."""
    from finetune.platforms import PLATFORMS
    from worker.dispatch.remote_controller import Connection

    values = platform_settings(settings)
    connections = {}
    for name, platform in PLATFORMS.items():
        if not platform.is_configured(values):
            continue
        try:
            adapter = platform.connect(values)
        except (ImportError, FinetuneError, ValueError) as error:  # also what a client says of an address
            log.warning("%s cannot be used: %s", platform.label, error)
            continue
        connections[name] = Connection(platform, adapter, getattr(adapter, "runs", None))
    return connections


def hosting_platform(settings: Settings, card: Mapping[str, Any]) -> Host:
    """The connected platform that hosts the card's model; raises FinetuneError with the missing settings."""
    from finetune.hosted import no_endpoint
    from finetune.platforms import PLATFORMS

    values = {name: value.reveal() for name, value in settings.platform_values.items()}
    platform = PLATFORMS.get(str(card.get("platform")))
    if platform is None or platform.gives != "hosted" or not platform.is_configured(values):
        no_endpoint(card)
    host: Any = platform.connect(values)
    return cast("Host", host)


def hosted_endpoint(settings: Settings, card: Mapping[str, Any]) -> Endpoint:
    """The endpoint of a hosted model, by its card."""
    return hosting_platform(settings, card).endpoint(
        str(card.get("base_model")), str(card.get("hosted_model"))
    )


def open_controller(
    settings: Settings,
    ledger: Ledger,
    artifacts: Path,
    on_change: Callable[[], None],
    signer: tuple[Path, str],
) -> RemoteController:
    """The controller for jobs on platforms; without a configured platform it only finishes jobs of earlier settings.

    `signer` is the folder of the bot's keys, and the team.
    """
    from worker.dispatch.packing import Packer
    from worker.dispatch.remote_controller import RemoteController

    datasets = open_datasets(settings)
    keys, team = signer
    gap = measuring_gap(settings)
    at_home = settings.held_out == "home"
    packer = Packer(bot_key(keys), datasets.tickets, load_prices(settings), team, at_home, gap)
    return RemoteController(
        ledger,
        connect_platforms(settings),
        packer,
        artifacts,
        per_user=settings.jobs_per_person,
        on_change=on_change,
        find_llm=partial(measurement_llm_account, settings),
    )


def measuring_gap(settings: Settings) -> str:
    """What to do where this machine cannot measure what a platform has trained; "" where it can."""
    if not missing_modules("train"):
        return ""
    text = "What a platform trains is measured where the bot runs: pip install 'trainwise[train]' there, then launch it again."
    if settings.held_out == "home":
        text += " For a platform that gives weights TRAINWISE_HELD_OUT=platform has its container measure, on held-out tickets that go along."
    return text


def terminal_user() -> str:
    """The name of the terminal's user, for the ledger and cards."""
    return f"terminal:{getpass.getuser()}"


def load_prices(settings: Settings) -> dict[str, Any]:
    """The dated price table: the team's own file where one is set, else the shipped one."""
    text = (settings.prices_file or PRICES).read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def artifacts_folder(settings: Settings) -> Path:
    """The folder of weights and checkpoints."""
    from worker.runtime.options import local_folder

    return local_folder(settings.artifacts_url)


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of jobs; the folder of an SQLite file is made."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return Ledger(settings.database_url.reveal())


def open_datasets(settings: Settings, prepare: Prepare = prepare_rows) -> DatasetStore:
    """The team's datasets, with the bundled sample among them; `prepare` cleans and redacts what is added."""
    store = DatasetStore(settings.datasets_url, prepare=prepare)
    store.offer_samples()
    forget_identifier()  # describing them has read it; the bot seldom needs it afterwards
    return store


@contextmanager
def open_index(settings: Settings) -> Iterator[Index]:
    """The index of documents, with the guide in it."""
    from rag.index import Index
    from rag.search.embedding import load_embedder

    embed = load_embedder(settings.home / "cache")
    with Index.open(settings.home / "index", embed, settings.chroma_url) as index:
        index.ensure_guide()
        yield index


def chat_model(settings: Settings) -> LanguageModel | None:
    """The configured language model with its time budget, or None: then the embedded reader answers."""
    if not settings.has_chat_model:
        return None
    from rag.llm import ChatClient, LanguageModel

    key = settings.openai_api_key.reveal() if settings.openai_api_key else None
    client = ChatClient(settings.chat_model, key, settings.openai_base_url)
    return LanguageModel(client, settings.chat_timeout_s)


def measurement_llm_account(settings: Settings, most_usd: float = JOB_LLM_USD) -> LlmAccount | None:
    """The language model for prompts in a job: the one of this machine's OPENAI_* variables, else the connected one.

    `most_usd` is the limit for one job. None without a model, or when the month's cap is used up.
    """
    from finetune.llm_access import LlmAccess, LlmAccount

    if most_usd <= 0:
        return None
    if settings.has_chat_model:
        key = settings.openai_api_key.reveal() if settings.openai_api_key else None
        address, seconds = settings.openai_base_url, settings.chat_timeout_s
        return LlmAccount(LlmAccess(settings.chat_model, key, address, seconds, most_usd), lambda usd: None)
    store = EndpointStore(settings.home)
    try:
        endpoint, key = store.load(), store.api_key()
    except EndpointError:
        log.warning("the connected language model cannot be read: prompts are not measured")
        return None
    if endpoint is None:
        return None
    allowance = store.allowance_usd(endpoint, time.time())
    free = endpoint.location == "local"
    if not free and allowance <= 0:
        log.info("the month's cap for the connected language model is used up: prompts are not measured")
        return None
    access = LlmAccess(endpoint.model, key, endpoint.base_url, ENDPOINT_TIMEOUT_S, allowance, free)
    return LlmAccount(access, lambda usd: store.record_spending(usd, time.time()))


def open_measurement_llm(settings: Settings, most_usd: float = JOB_LLM_USD) -> Llm | None:
    """The client of `measurement_llm_account`'s model; it records its spending."""
    account = measurement_llm_account(settings, most_usd)
    return account.access.open({}, account.record) if account else None


@contextmanager
def open_adviser(settings: Settings) -> Iterator[Adviser]:
    """The adviser on the index, with the configured language model if there is one."""
    from rag.adviser import Adviser

    with open_index(settings) as index:
        yield Adviser(index, index.embed, load_prices(settings), chat=chat_model(settings))


def forget_requester(settings: Settings, requester: str) -> list[str]:
    """Erases a customer's rows and mentions everywhere; returns lines on what was erased and what could not be."""
    store, ledger, mention = open_datasets(settings), open_ledger(settings), mention_of(requester)
    removals = store.forget(requester, terminal_user(), models_trained_on(ledger))
    shutil.rmtree(settings.home / IMPORTS, ignore_errors=True)
    digests = frozenset(digest for removal in removals for digest in removal.erased)
    blanks = forget_person(ledger.engine, requester, digests, time.time())
    blanks += redact_feedback(settings.home, mention)
    if not removals and not blanks:
        columns = {card.columns["customer"] for card in store.list() if "customer" in card.columns}
        hint = f" Give it as the files have it in {', '.join(sorted(columns))}." if columns else ""
        return [f"No dataset, job, thread or rating holds {requester}.{hint}"]
    lines = []
    for removal in removals:
        left = (
            f"version {removal.new.version} holds the other {removal.new.rows:,}"
            if removal.new
            else "nothing is left"
        )
        lines.append(
            f"{removal.name}: {removal.rows} rows erased from {len(removal.erased)} versions; {left}."
        )
        if removal.models:
            lines.append(f"  Trained on them, and cannot forget: {', '.join(removal.models)}.")
            lines.append("  Delete those models and train again.")
    if blanks:
        lines.append(
            f"Quotes and words blanked in {blanks:,} jobs, threads and ratings. Slack's own messages stay: delete "
            "them there."
        )
    return lines
