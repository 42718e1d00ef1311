"""One HTTP client for platforms that have a plain REST interface: JSON out and in, nothing repeated, three ways to fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import IO, Any

from finetune.platforms.answers import Missing, refusal
from finetune.platforms.contract import NoAnswer

TIMEOUT_S = 30.0
DETAIL_CHARS = 4000


class JsonClient:
    """Calls below `url` with the headers that `headers()` gives; `label` is the platform's name in errors."""

    def __init__(
        self, label: str, url: str, headers: Callable[[], Mapping[str, str]], timeout_s: float = TIMEOUT_S
    ) -> None:
        import httpx

        self._label, self._headers = label, headers
        self._client = httpx.Client(base_url=url, timeout=timeout_s)

    def call(
        self, method: str, path: str, more_headers: Mapping[str, str] | None = None, **more: Any
    ) -> Answer:
        """The JSON object of an answer ({} for an empty one); Missing for 404, else NotMade, BadKey or NoAnswer."""
        value, at = self._json(method, path, more_headers, **more)
        if not isinstance(value, dict):
            raise NoAnswer(f"{self._label} answered something that is no object.")
        return Answer(self._label, value, at)

    def rows(self, path: str, **more: Any) -> list[Answer]:
        """The objects of an answer that is a list of them; it fails as `call` does."""
        value, at = self._json("GET", path, **more)
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise NoAnswer(f"{self._label} answered something that is no list.")
        return [Answer(self._label, row, at) for row in value]

    def _json(
        self, method: str, path: str, more_headers: Mapping[str, str] | None = None, **more: Any
    ) -> tuple[Any, float | None]:
        import httpx

        headers = {**self._headers(), **(more_headers or {})}
        try:
            answer = self._client.request(method, path, headers=headers, **more)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self._label} did not answer ({type(error).__name__}).") from error
        if answer.status_code == 404:
            raise Missing(f"{self._label} does not know it: check the names in its settings.")
        if answer.status_code >= 300:
            detail = self._detail(answer.text[:DETAIL_CHARS]) or answer.reason_phrase
            raise refusal(self._label, answer.status_code, detail, answer.headers)
        at = time_of(answer.headers.get("date", ""))
        if not answer.content:
            return {}, at
        try:
            return answer.json(), at
        except ValueError as error:
            raise NoAnswer(f"{self._label} answered something that is not JSON.") from error

    def download(self, url: str, stream: IO[bytes], most: int) -> None:
        """Write what lies at an address into `stream`; NoAnswer where it is more than `most` bytes or does not come whole.

        The login goes along to the platform's own host alone.
        """
        import httpx

        is_own = httpx.URL(url).host == self._client.base_url.host
        try:
            with self._client.stream(
                "GET", url, headers=dict(self._headers()) if is_own else {}, follow_redirects=False
            ) as answer:
                if answer.status_code >= 300:
                    raise NoAnswer(f"{self._label} does not give a result: HTTP {answer.status_code}.")
                for piece in answer.iter_bytes():
                    most -= stream.write(piece)
                    if most < 0:
                        raise NoAnswer(
                            f"{self._label} gives a result that is larger than one of ours can be."
                        )
        except httpx.HTTPError as error:
            raise NoAnswer(
                f"{self._label} broke off while a result was fetched ({type(error).__name__})."
            ) from error

    def _detail(self, text: str) -> str:
        """The sentence in an error's body, without any word of our login; "" where there is none."""
        try:
            value = json.loads(text)
        except ValueError:
            return ""
        fault = value.get("error", value) if isinstance(value, dict) else ""
        words = (fault.get("message") or fault.get("detail")) if isinstance(fault, dict) else fault
        detail = words if isinstance(words, str) else ""
        for secret in " ".join(self._headers().values()).split():
            detail = detail.replace(secret, "***")
        return detail


class Answer(dict[str, Any]):
    """An answer whose missing fields count as no answer; `at` is its date by the platform's clock, None: undated."""

    def __init__(self, label: str, value: Mapping[str, Any] | None = None, at: float | None = None) -> None:
        super().__init__(value or {})
        self._label, self.at = label, at

    def __missing__(self, name: str) -> Any:
        raise NoAnswer(f"{self._label}'s answer has no {name}.")


def time_of(header: str) -> float | None:
    """A Date header as Unix seconds; None where there is none that can be read."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError):
        return None
