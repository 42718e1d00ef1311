"""One HTTP client for help desks' APIs: waits where the API says so, repeats what was not answered, and never tells the token."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from finetune.sources.contract import AskedToWait, BadToken, Missing, NoAnswer, Refusal, SourceError, Wait

TIMEOUT_S = 60.0
TRIES = 4  # of one request that is not answered, with pauses of 2, 4 and 8 seconds
MAX_WAITS = 12  # that one request is told to wait
LONGEST_WAIT_S = 900.0  # beyond, the pull ends and goes on later
USUAL_WAIT_S = 30.0  # where a 429 does not say how long
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Login:
    """How a source is told who asks: a header's value, and the names of the settings for address and token."""

    authorization: str
    url_setting: str
    token_setting: str

    @classmethod
    def of_person(cls, person: str, token: str, url_setting: str, token_setting: str) -> Login:
        """With a person (the name before the colon) the token is that person's API token, without one an OAuth token."""
        basic = base64.b64encode(f"{person}:{token}".encode()).decode()
        return cls(f"Basic {basic}" if person else f"Bearer {token}", url_setting, token_setting)


@dataclass(frozen=True)
class Reply:
    """A JSON answer with its headers' `Link` for the next page, "" where there is none."""

    value: Any
    next_link: str = ""

    def object(self) -> dict[str, Any]:
        """The answer as an object; {} where it is none."""
        return self.value if isinstance(self.value, dict) else {}

    def rows(self, name: str = "") -> list[dict[str, Any]]:
        """The objects of the answer, or of the list under a name."""
        rows = self.object().get(name) if name else self.value
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


class ApiClient:
    """Calls below `url`; `wait` is asked for every pause. A redirect to another host goes without the token."""

    def __init__(
        self, label: str, url: str, login: Login, wait: Wait, more: Mapping[str, str] | None = None
    ) -> None:
        import httpx

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceError(f"{login.url_setting} is no address such as https://company.example.com.")
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise SourceError(f"{login.url_setting} would send the token in the clear: use https.")
        self._label, self._login, self._wait = label, login, wait
        headers = {"Authorization": login.authorization, "Accept": "application/json", **(more or {})}
        base = url.rstrip("/")
        self._client = httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_S, follow_redirects=True)

    def get(self, path: str, **params: str | int) -> Reply:
        """The answer to a GET."""
        return self._call("GET", path, params=params or None)

    def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """The answer to a POST that only reads: it is repeated like a GET."""
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **more: Any) -> Reply:
        import httpx

        tries = waits = 0
        while True:
            try:
                answer = self._client.request(method, path, **more)
            except httpx.HTTPError as error:
                why = f"{self._label} did not answer ({type(error).__name__})"
            else:
                pause = pause_of(answer.status_code, answer.headers)
                if pause is not None:
                    waits += 1
                    self._wait_as_asked(pause, waits)
                    continue
                if answer.status_code < 500 and answer.status_code != 408:
                    return self._read(answer)
                why = f"{self._label} answered HTTP {answer.status_code}"
            tries += 1
            if tries >= TRIES:
                raise NoAnswer(
                    f"{why}, {TRIES} times. Check {self._login.url_setting} and the network; what was pulled is kept, and the "
                    "next pull goes on from there."
                )
            self._wait(2.0**tries, why)

    def _wait_as_asked(self, pause: float, waits: int) -> None:
        why = f"{self._label} asks to wait {pause:.0f} s"
        if pause > LONGEST_WAIT_S or waits > MAX_WAITS:
            raise AskedToWait(f"{why}: what was pulled is kept, and the next pull goes on from there.", pause)
        self._wait(pause, why)

    def _read(self, answer: Any) -> Reply:
        """The value of an answer that is not an error; SourceError says what an error means."""
        status = answer.status_code
        if status >= 300:
            raise self._error(status, self._detail(answer.text[:4000]))
        try:
            value = answer.json()
        except ValueError:
            raise SourceError(
                f"{self._label} answered something that is not JSON: check that {self._login.url_setting} is its address."
            ) from None
        return Reply(value, str(answer.links.get("next", {}).get("url", "")))

    def _error(self, status: int, detail: str) -> SourceError:
        words = f" ({detail[:300]})" if detail else ""
        if status == 401:
            return BadToken(
                f"{self._label} does not take the token{words}: it is wrong, expired or withdrawn. Set a new one in "
                f"{self._login.token_setting} (or its _FILE) and pull again; what was pulled is kept."
            )
        if status == 403:
            return BadToken(
                f"{self._label} does not let this token read the tickets{words}. Give it the right to read them, or set another "
                f"in {self._login.token_setting}."
            )
        if status in (404, 410):
            return Missing(f"{self._label} does not know what was asked for{words}.")
        return Refusal(f"{self._label} refuses the request: HTTP {status}{words}.", detail)

    def _detail(self, text: str) -> str:
        """The sentences in an error's body, without a word of our login."""
        try:
            sentences = list(_sentences(json.loads(text)))
        except ValueError:
            return ""
        detail = "; ".join(dict.fromkeys(sentences))
        for word in self._login.authorization.split():
            detail = detail.replace(word, "***")
        return detail


_SAYING = ("message", "description", "detail", "error", "errorMessages", "errors", "title")


def _sentences(value: Any) -> list[str]:
    """What an error's JSON says, in the words under the usual names."""
    if isinstance(value, str):
        return [" ".join(value.split())] if value.strip() else []
    if isinstance(value, list):
        return [text for one in value for text in _sentences(one)]
    if isinstance(value, dict):
        return [text for name in _SAYING if name in value for text in _sentences(value[name])]
    return []


def pause_of(status: int, headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait; None where it is no such answer.

    Retry-After in seconds or as a date, else a reset time by the server's own clock (Unix seconds, or seconds from now).
    """
    is_limit = status == 429 or (
        status == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
    )
    if not is_limit:
        return None
    now = _date(headers.get("date", "")) or time.time()
    if after := headers.get("retry-after", ""):
        if after.strip().replace(".", "", 1).isdigit():
            return max(1.0, float(after))
        when = _date(after)
        return max(1.0, when - now) if when else USUAL_WAIT_S
    reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
    if reset.replace(".", "", 1).isdigit():
        seconds = float(reset)
        return max(1.0, seconds - now if seconds > 1e9 else seconds)
    return USUAL_WAIT_S


def _date(header: str) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError):
        return None


def seconds_of(value: Any) -> float | None:
    """A time as Unix seconds: a number, or ISO 8601 (UTC where it names no zone); None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def iso_of(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def newest(rows: list[dict[str, Any]], name: str = "updated_at") -> float | None:
    """The latest time under a name."""
    times = [at for row in rows if (at := seconds_of(row.get(name))) is not None]
    return max(times, default=None)
