"""The one place that reads the environment: `load_settings(environ)` gives a frozen `Settings`.

Every problem is reported at once, each naming its variable. A secret comes from `KEY` or from the file named
by `KEY_FILE` (which only its owner may read); it never shows in `repr`, logs or error text.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from bot.errors import BotError
from bot.setting_texts import HELP as TEXTS
from finetune.platforms import PLATFORMS
from finetune.registry import Variable
from finetune.sources import SOURCES
from worker.teams import is_team

SLACK_API = "https://slack.com/api/"
OAUTH_SECRET = "TRAINWISE_SLACK_CLIENT_SECRET"  # noqa: S105  (a variable's name)
SECRET_NAMES = (
    *("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", OAUTH_SECRET),
    *("OPENAI_API_KEY", "HF_TOKEN"),
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
WHERE = {
    "SLACK_BOT_TOKEN": "Copy the xoxb- token from your app's page: OAuth & Permissions, after Install App.",
    "SLACK_APP_TOKEN": "Make an xapp- token with connections:write: Basic Information, App-Level Tokens.",
    OAUTH_SECRET: "Copy the client secret of TRAINWISE_SLACK_CLIENT_ID: Basic Information, App Credentials.",
    "SLACK_SIGNING_SECRET": "HTTP mode checks each request with it: Basic Information, App Credentials.",
}

PLATFORM_VARIABLES = {one.name: one for platform in PLATFORMS.values() for one in platform.variables}
PLATFORM_VARIABLES |= {one.name: one for source in SOURCES.values() for one in source.variables}
HELP = {name: one.purpose for name, one in PLATFORM_VARIABLES.items()} | TEXTS


class SettingsError(BotError):
    """Every problem found in the environment, one per line; `problems` maps variable -> what to do."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        lines = [f"  {name}: {text}" for name, text in self.problems.items()]
        super().__init__("The settings need attention:\n" + "\n".join(lines))


class Secret:
    """A string that prints as asterisks; `reveal()` is called only where it goes on the wire."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class InstallSettings:
    """How many workspaces install the app by OAuth; with `client_id` "" there is one, with its token.

    `allow_list`: ids and domains that may install, empty: all; `leave_days`: until what a departed one left is erased.
    """

    client_id: str
    client_secret: Secret | None
    public_url: str | None
    allow_list: frozenset[str]
    leave_days: float


@dataclass(frozen=True)
class Settings:
    """Everything the bot can be told from outside; no field is read below the wiring."""

    home: Path
    database_url: Secret  # SQLAlchemy URL; it may carry a password
    redis_url: Secret | None  # None: the bot starts the embedded server under `home`
    datasets_url: str
    artifacts_url: str
    chroma_url: str | None
    slack_bot_token: Secret | None
    slack_app_token: Secret | None
    slack_signing_secret: Secret | None
    slack_api_url: str
    installing: InstallSettings
    team: str  # whose state commands of the terminal work on
    slack_mode: str  # "socket" or "http"
    http_host: str
    http_port: int
    tickets_port: int
    tickets_keys: Path | None
    ticket_files: Mapping[str, tuple[Path, ...]]
    promise_reserve: float
    openai_api_key: Secret | None
    openai_base_url: str | None
    hub_token: Secret | None  # for gated base models and `trainwise export --push`
    chat_model: str
    chat_timeout_s: float  # for one question in all, not for one call
    prices_file: Path | None  # None: the table shipped with the bot
    admins: frozenset[str]  # Slack user ids, beside the workspace's own admins
    askers: frozenset[str]  # users, user groups and channels that may ask; empty: everyone, everywhere
    launchers: frozenset[str]  # likewise for launching jobs
    approvers: frozenset[str]  # users and user groups that approve jobs, beside the admins
    job_budget_usd: float  # the most that one job may be given
    month_budget_usd: float  # per workspace and calendar month
    jobs_per_person: int  # unfinished jobs at a time
    keep_days: float  # how long threads, feedback and quoted tickets are kept; 0: for ever
    listener_threads: int
    card_interval_s: float
    log_level: str
    log_format: str  # "text" or "json"
    held_out: str  # where held-out tickets of a job on a platform are: "home", measured here, or "platform"
    platform_values: Mapping[
        str, Secret
    ]  # the settings of platforms to train on and of sources to pull from, by variable

    @property
    def has_chat_model(self) -> bool:
        """Whether a language model may read and phrase: a key, or a server of one's own."""
        return self.openai_api_key is not None or self.openai_base_url is not None

    def secrets(self) -> list[str]:
        """Every token and key, for the one place that keeps them out of the logs (addresses: their passwords)."""
        values = [self.installing.client_secret, *(getattr(self, field.name) for field in fields(self))]
        secrets = [value.reveal() for value in values if isinstance(value, Secret)]
        secrets += [v.reveal() for n, v in self.platform_values.items() if PLATFORM_VARIABLES[n].secret]
        return [value for value in secrets if value and "://" not in value]

    def slack_problems(self) -> dict[str, str]:
        """What is missing to talk to Slack in the chosen mode; empty when `trainwise up` can start."""
        credentials: dict[str, Secret | None] = {}
        if self.installing.client_id:
            credentials[OAUTH_SECRET] = self.installing.client_secret
        else:
            credentials["SLACK_BOT_TOKEN"] = self.slack_bot_token
        if self.slack_mode == "socket":
            credentials["SLACK_APP_TOKEN"] = self.slack_app_token
        else:
            credentials["SLACK_SIGNING_SECRET"] = self.slack_signing_secret
        problems = {
            name: f"is missing. {WHERE[name]}" for name, value in credentials.items() if value is None
        }
        return problems

    def require_slack(self) -> None:
        """Raise SettingsError with every missing Slack credential of the chosen mode."""
        if problems := self.slack_problems():
            raise SettingsError(problems)


def load_settings(environ: Mapping[str, str], reader: type[SettingsReader] | None = None) -> Settings:
    """Settings from `environ` (pass `os.environ`); raises SettingsError with all problems at once.

    `reader` stands in for SettingsReader where the variables themselves are of interest (docs/settings.md).
    """
    read = (reader or SettingsReader)(environ)
    home = Path(read.text("TRAINWISE_HOME", "~/.trainwise")).expanduser().absolute()
    tokens = {name: read.secret(name) for name in SECRET_NAMES}
    read.prefix("SLACK_BOT_TOKEN", tokens["SLACK_BOT_TOKEN"], "xoxb-")
    read.prefix("SLACK_APP_TOKEN", tokens["SLACK_APP_TOKEN"], "xapp-")
    settings = Settings(
        home=home,
        database_url=read.secret("TRAINWISE_DATABASE_URL") or Secret(f"sqlite:///{home / 'ledger.db'}"),
        redis_url=read.redis("TRAINWISE_REDIS_URL"),
        datasets_url=read.text("TRAINWISE_DATASETS_URL", str(home / "datasets")),
        artifacts_url=read.text("TRAINWISE_ARTIFACTS_URL", str(home / "artifacts")),
        chroma_url=read.url("TRAINWISE_CHROMA_URL"),
        slack_bot_token=tokens["SLACK_BOT_TOKEN"],
        slack_app_token=tokens["SLACK_APP_TOKEN"],
        slack_signing_secret=tokens["SLACK_SIGNING_SECRET"],
        slack_api_url=(read.url("SLACK_API_URL", https=True) or SLACK_API).rstrip("/") + "/",
        installing=read.installing(tokens[OAUTH_SECRET]),
        team=read.team("TRAINWISE_TEAM"),
        slack_mode=read.choice("TRAINWISE_SLACK_MODE", ("socket", "http")),
        http_host=read.text("TRAINWISE_HTTP_HOST", "127.0.0.1"),
        http_port=int(read.number("TRAINWISE_HTTP_PORT", 3000, low=0, high=65535, whole=True)),
        tickets_port=int(read.number("TRAINWISE_TICKETS_PORT", 0, low=0, high=65535, whole=True)),
        tickets_keys=read.existing_file("TRAINWISE_TICKETS_KEYS"),
        ticket_files=read.files_by_channel("TRAINWISE_TICKETS_FILES"),
        promise_reserve=read.number("TRAINWISE_PROMISE_RESERVE", 0.25, low=0.0, high=0.9),
        openai_api_key=tokens["OPENAI_API_KEY"],
        openai_base_url=read.url("OPENAI_BASE_URL"),
        hub_token=tokens["HF_TOKEN"],
        chat_model=read.text("TRAINWISE_CHAT_MODEL", "gpt-6-luna"),
        chat_timeout_s=read.number("TRAINWISE_CHAT_TIMEOUT", 12, low=1, high=120),
        prices_file=read.existing_file("TRAINWISE_PRICES"),
        admins=read.slack_ids("TRAINWISE_ADMINS", "UW"),
        askers=read.slack_ids("TRAINWISE_ASKERS", "UWSCG"),
        launchers=read.slack_ids("TRAINWISE_LAUNCHERS", "UWSCG"),
        approvers=read.slack_ids("TRAINWISE_APPROVERS", "UWS"),
        job_budget_usd=read.number("TRAINWISE_JOB_BUDGET", 50, low=0, high=1e6),
        month_budget_usd=read.number("TRAINWISE_MONTH_BUDGET", 500, low=0, high=1e7),
        jobs_per_person=int(read.number("TRAINWISE_JOBS_PER_PERSON", 5, low=1, high=1000, whole=True)),
        keep_days=read.number("TRAINWISE_KEEP_DAYS", 365, low=0, high=36500),
        listener_threads=int(read.number("TRAINWISE_LISTENER_THREADS", 24, low=2, high=256, whole=True)),
        card_interval_s=read.number("TRAINWISE_CARD_INTERVAL", 3, low=0.2, high=60),
        log_level=read.choice("TRAINWISE_LOG_LEVEL", ("info", "debug", "warning", "error")),
        log_format=read.choice("TRAINWISE_LOG_FORMAT", ("text", "json")),
        held_out=read.choice("TRAINWISE_HELD_OUT", ("home", "platform")),
        platform_values={name: read.platform(one) for name, one in PLATFORM_VARIABLES.items()},
    )
    if read.problems:
        raise SettingsError(read.problems)
    return settings


class SettingsReader:
    """Reads one variable at a time and collects problems instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: dict[str, str] = {}

    def text(self, name: str, default: str) -> str:
        return self.environ.get(name, "").strip() or default

    def secret(self, name: str) -> Secret | None:
        if value := self.environ.get(name, "").strip():
            return Secret(value)
        path = self.environ.get(f"{name}_FILE", "").strip()
        return self._secret_file(f"{name}_FILE", Path(path).expanduser()) if path else None

    def _secret_file(self, name: str, path: Path) -> Secret | None:
        try:
            mode = path.stat().st_mode
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.problems[name] = f"names {path}, which cannot be read as text. Check the path and its owner."
            return None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            self.problems[name] = f"names {path}, which others can read. Run: chmod 600 {path}"
            return None
        if not value:
            self.problems[name] = f"names {path}, which is empty."
            return None
        return Secret(value)

    def prefix(self, name: str, secret: Secret | None, prefix: str) -> None:
        if secret is not None and not secret.reveal().startswith(prefix):
            self.problems[name] = f"does not start with {prefix}: it looks like another kind of token."

    def url(self, name: str, https: bool = False) -> str | None:
        value = self.environ.get(name, "").strip()
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self.problems[name] = "is not an http(s) address, for example https://host/path."
        elif https and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            self.problems[name] = "would send tokens in the clear: use https (http only on this machine)."
        return value

    def redis(self, name: str) -> Secret | None:
        secret = self.secret(name)
        if secret and urlsplit(secret.reveal()).scheme not in ("redis", "rediss", "unix"):
            self.problems[name] = "is not a Redis address: redis://host:6379/0, rediss://... or unix:///path."
        return secret

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, choices[0]).lower()
        if value not in choices:
            self.problems[name] = f"is {value!r}; it can be {', '.join(choices)}."
        return value

    def number(self, name: str, default: float, *, low: float, high: float, whole: bool = False) -> float:
        raw = self.environ.get(name, "").strip()
        if not raw:
            return default
        try:
            value = float(int(raw)) if whole else float(raw)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            self.problems[name] = f"is {raw!r}; it must be {kind} from {low:g} to {high:g}."
            return default
        return value

    def existing_file(self, name: str) -> Path | None:
        value = self.environ.get(name, "").strip()
        path = Path(value).expanduser() if value else None
        if path is not None and not path.is_file():
            self.problems[name] = f"names {path}, which is not a file."
        return path

    def files_by_channel(self, name: str) -> dict[str, tuple[Path, ...]]:
        """`C0123ABCD=/path/tickets.jsonl`, comma between; a file may come later, its folder has to be there."""
        files: dict[str, tuple[Path, ...]] = {}
        for part in filter(None, (one.strip() for one in self.environ.get(name, "").split(","))):
            channel, _, text = part.partition("=")
            path = Path(text.strip()).expanduser()
            if not re.fullmatch(r"[CG][A-Z0-9]+", channel) or path.suffix.lower() not in (
                ".jsonl",
                ".ndjson",
            ):
                self.problems[name] = f"has {part}: write CHANNEL=/path/tickets.jsonl, with the channel's id."
            elif not path.parent.is_dir():
                self.problems[name] = f"names {path}, whose folder is not there."
            files[channel] = (*files.get(channel, ()), path)
        return files

    def platform(self, variable: Variable) -> Secret:
        """A setting of a platform; kept as a secret whatever it is, "" where it is not set."""
        if variable.secret:
            return self.secret(variable.name) or Secret("")
        return Secret(self.text(variable.name, variable.default or ""))

    def installing(self, client_secret: Secret | None) -> InstallSettings:
        return InstallSettings(
            client_id=self.text("TRAINWISE_SLACK_CLIENT_ID", ""),
            client_secret=client_secret,
            public_url=self.url("TRAINWISE_PUBLIC_URL", https=True),
            allow_list=self.slack_ids("TRAINWISE_MAY_INSTALL", "TE", r"[a-z0-9.-]+\.slack\.com"),
            leave_days=self.number("TRAINWISE_LEAVE_DAYS", 7, low=0, high=365),
        )

    def team(self, name: str) -> str:
        value = self.text(name, "")
        if not is_team(value):
            self.problems[name] = f"is {value[:40]!r}: give a workspace's id like T0123ABCD."
            return ""
        return value

    def slack_ids(self, name: str, kinds: str, other: str = "(?!)") -> frozenset[str]:
        ids = [part for part in re.split(r"[,\s]+", self.environ.get(name, "")) if part]
        if wrong := [i for i in ids if not re.fullmatch(rf"[{kinds}][A-Z0-9]+|{other}", i)]:
            self.problems[name] = (
                f"has {', '.join(wrong)}: give Slack ids like {kinds[0]}0123ABCD, comma between."
            )
        return frozenset(ids)
