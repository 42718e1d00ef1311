"""The language model that an admin connected from Slack for measuring prompts: address, spending caps, API key.

The settings are in `endpoint.json` in the home folder. The API key in it is encrypted (Fernet) with the key in
`keys/endpoint.key`, which only its owner may read. Neither is in the database, so a copy of the database or of
`endpoint.json` alone gives no access. A worker on this machine shares the home folder; a remote worker needs its own
OPENAI_API_KEY and OPENAI_BASE_URL.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.errors import BotError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

LOCATIONS = {"eu": "in the EU", "local": "on our own machines", "elsewhere": "elsewhere"}
MAX_CAP_USD = 10_000.0
LONGEST_URL, LONGEST_MODEL = 300, 120
PRIVATE_MODE = 0o600


class EndpointError(BotError):
    """The fields that are wrong, each with what to do."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = dict(problems)


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server with its spending caps in US dollars; `by` connected it at `at`."""

    base_url: str
    model: str
    location: str
    measurement_cap_usd: float
    month_cap_usd: float
    by: str = ""
    at: float = 0.0

    @property
    def host(self) -> str:
        """The server's name, for people."""
        return urlsplit(self.base_url).hostname or ""


def read_endpoint(form: Mapping[str, Any], by: str, at: float) -> Endpoint:
    """The endpoint that a form describes; EndpointError with a sentence for each wrong field.

    Only admins can submit the form, so this machine and private networks are allowed. Link-local addresses, which return a
    cloud machine's credentials, are refused.
    """
    problems: dict[str, str] = {}
    url = str(form.get("base_url") or "").strip().rstrip("/")
    if why := _wrong_address(url):
        problems["base_url"] = why
    model = str(form.get("model") or "").strip()
    if not 0 < len(model) <= LONGEST_MODEL or any(ord(sign) < 32 for sign in model):
        problems["model"] = "Give the model's name as the server knows it, for example llama3.1:8b."
    location = str(form.get("location") or "")
    if location not in LOCATIONS:
        problems["location"] = "Choose where the server runs."
    caps = {name: _dollars(form.get(name)) for name in ("measurement_cap_usd", "month_cap_usd")}
    for name, value in caps.items():
        if value is None:
            problems[name] = f"Give dollars from 0.01 to {MAX_CAP_USD:,.0f}."
    measurement, month = caps["measurement_cap_usd"], caps["month_cap_usd"]
    if measurement is not None and month is not None and month < measurement:
        problems["month_cap_usd"] = "A month's cap cannot be below that of one measurement."
    if problems or measurement is None or month is None:
        raise EndpointError(problems)
    return Endpoint(url, model, location, measurement, month, by, at)


def _wrong_address(url: str) -> str:
    """What is wrong with an address, or nothing."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "This is no address. Give one like https://api.example.eu/v1."
    if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST_URL:
        return "Give an http(s) address like https://api.example.eu/v1 or http://127.0.0.1:11434/v1."
    if parts.username or parts.password or parts.query or parts.fragment:
        return "Give the address alone; the key has a field of its own."
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None and (address.is_link_local or address.is_multicast or address.is_unspecified):
        return "This address belongs to the machine's network itself. Give the model server's own."
    if parts.scheme == "http" and address is None and host != "localhost" and "." in host:
        return "A key and tickets would travel in the clear: use https, or an address in your own network."
    return ""


def _dollars(value: Any) -> float | None:
    try:
        number = float(str(value).strip().lstrip("$").replace(",", ""))
    except ValueError:
        return None
    return number if 0.01 <= number <= MAX_CAP_USD else None


class EndpointStore:
    """The connected endpoint in a home folder: the bot writes it, workers on this machine read it."""

    def __init__(self, home: Path) -> None:
        self._file, self._spending = home / "endpoint.json", home / "endpoint_spending.json"
        self._key_file = home / "keys" / "endpoint.key"

    def load(self) -> Endpoint | None:
        """The endpoint, or None; raises EndpointError when its file cannot be read."""
        body = self._read()
        if body is None:
            return None
        try:
            return Endpoint(**body["endpoint"])
        except (KeyError, TypeError):
            raise EndpointError({"": self._unreadable()}) from None

    def api_key(self) -> str | None:
        """The decrypted API key, for requests only; None when the server needs none."""
        from cryptography.fernet import Fernet, InvalidToken

        body = self._read()
        if body is None or not body.get("key"):
            return None
        try:
            return Fernet(self._key_file.read_bytes()).decrypt(body["key"].encode()).decode()
        except (OSError, InvalidToken, ValueError):
            raise EndpointError({"": self._unreadable()}) from None

    def save(self, endpoint: Endpoint, api_key: str | None) -> None:
        """Saves the endpoint and replaces an earlier one; writes the file atomically."""
        token = self._cipher().encrypt(api_key.encode()).decode() if api_key else None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        _write_private(self._file, json.dumps({"endpoint": asdict(endpoint), "key": token}).encode())

    def remove(self) -> bool:
        """Deletes endpoint and key; returns whether there was one."""
        there = self._file.exists()
        for path in (self._file, self._key_file):
            path.unlink(missing_ok=True)
        return there

    def spent_usd(self, now: float) -> float:
        """Dollars that prompts at the endpoint have cost in this calendar month (UTC)."""
        with self._locked_spending() as months:
            return float(months.get(_month(now), 0.0))

    def record_spending(self, usd: float, now: float) -> None:
        """Adds to this month's dollars; safe for several workers on this machine."""
        with self._locked_spending() as months:
            months[_month(now)] = round(months.get(_month(now), 0.0) + usd, 8)

    def allowance_usd(self, endpoint: Endpoint, now: float) -> float:
        """The dollars that one measurement may spend now: its cap, or the rest of the month's cap."""
        return max(0.0, min(endpoint.measurement_cap_usd, endpoint.month_cap_usd - self.spent_usd(now)))

    def _cipher(self) -> Fernet:
        return private_cipher(self._key_file)

    def _read(self) -> dict[str, Any] | None:
        try:
            body = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise EndpointError({"": self._unreadable()}) from None
        return body if isinstance(body, dict) else {}

    def _unreadable(self) -> str:
        return "The connected language model cannot be read. Connect it again with /should-i-train connect."

    @contextmanager
    def _locked_spending(self) -> Iterator[dict[str, float]]:
        """The dollars by month under a lock; writes back the block's changes."""
        self._spending.parent.mkdir(parents=True, exist_ok=True)
        with self._spending.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            try:
                months = json.loads(file.read() or "{}")
            except ValueError:
                months = {}
            before = dict(months)
            yield months
            if months != before:
                file.seek(0)
                file.truncate()
                file.write(json.dumps(months))


def private_cipher(file: Path) -> Fernet:
    """The cipher of a key file, which is created on first use and readable by its owner only."""
    from cryptography.fernet import Fernet

    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_private(file, Fernet.generate_key())
    return Fernet(file.read_bytes())


def _month(now: float) -> str:
    return time.strftime("%Y-%m", time.gmtime(now))


def _write_private(path: Path, content: bytes) -> None:
    """Writes a file atomically, readable by its owner only."""
    draft = path.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
