"""One HTTP client for platforms that have a plain REST interface: JSON out and in, nothing repeated, three ways to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from finetune.platforms.answers import refusal
from finetune.platforms.contract import NoAnswer, NotMade

TIMEOUT_S = 30.0


class Missing(NotMade):
    """The platform does not know what was asked for."""


class JsonClient:
    """Calls below `url` with the headers that `headers()` gives; `label` is the platform's name in errors."""

    def __init__(
        self, label: str, url: str, headers: Callable[[], Mapping[str, str]], timeout_s: float = TIMEOUT_S
    ) -> None:
        import httpx

        self._label, self._headers = label, headers
        self._client = httpx.Client(base_url=url, timeout=timeout_s)

    def call(self, method: str, path: str, **more: Any) -> Answer:
        """The JSON object of an answer ({} for an empty one); Missing for 404, else NotMade, BadKey or NoAnswer."""
        import httpx

        try:
            answer = self._client.request(method, path, headers=dict(self._headers()), **more)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self._label} did not answer ({type(error).__name__}).") from error
        if answer.status_code == 404:
            raise Missing(f"{self._label} does not know it.")
        if answer.status_code >= 300:
            raise refusal(self._label, answer.status_code, answer.reason_phrase, answer.headers)
        if not answer.content:
            return Answer(self._label)
        try:
            value = answer.json()
        except ValueError as error:
            raise NoAnswer(f"{self._label} answered something that is not JSON.") from error
        if not isinstance(value, dict):
            raise NoAnswer(f"{self._label} answered something that is no object.")
        return Answer(self._label, value)


class Answer(dict[str, Any]):
    """An answer whose missing fields count as no answer."""

    def __init__(self, label: str, value: Mapping[str, Any] | None = None) -> None:
        super().__init__(value or {})
        self._label = label

    def __missing__(self, name: str) -> Any:
        raise NoAnswer(f"{self._label}'s answer has no {name}.")
