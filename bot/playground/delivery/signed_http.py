"""HTTP delivery as Slack does it: one request URL, the v0 signature over timestamp and body, retries by
header."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import httpx

from bot.playground.delivery.delivery import ack_seconds
from bot.playground.errors import NoAck, PlaygroundError
from bot.playground.state.workspace import Json

FORM = "application/x-www-form-urlencoded"


def signature(secret: str, timestamp: str, body: str) -> str:
    """Slack's v0 signature: HMAC-SHA256 over "v0:{timestamp}:{body}"."""
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return f"v0={digest}"


class SignedHttp:
    """Posts signed requests to `target`; a Link (see delivery). 2xx within 3 s is the ack."""

    def __init__(self, target: str, secret: str) -> None:
        self._target = target
        self._secret = secret
        self._client = httpx.AsyncClient(trust_env=False)
        self.deliveries: list[Json] = []

    async def send(self, kind: str, payload: Json, retry: int, reason: str | None) -> Json:
        """Deliver one request and return its JSON answer ({"text": ...} for plain text)."""
        body, content_type = encode(kind, payload)
        headers = {"content-type": content_type, "user-agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        if retry:
            headers |= {"x-slack-retry-num": str(retry), "x-slack-retry-reason": reason or "http_error"}
        answer = await self._post(body, headers)
        self.deliveries.append({"type": kind, "payload": payload, "retry_attempt": retry})
        del self.deliveries[:-2000]
        if not answer.content.strip():
            return {}
        if answer.headers.get("content-type", "").startswith("application/json"):
            data = answer.json()
            return data if isinstance(data, dict) else {}
        return {"text": answer.text}

    async def verify(self) -> None:
        """Slack's url_verification handshake; PlaygroundError when the app does not echo the challenge."""
        body = json.dumps({"type": "url_verification", "challenge": "are-you-there", "token": "local"})
        try:
            answer = await self._post(body, {"content-type": "application/json"})
        except NoAck as error:
            raise PlaygroundError(
                f"{self._target} did not answer ({error.reason}); is the app running?"
            ) from error
        if "are-you-there" not in answer.text:
            raise PlaygroundError(f"{self._target} did not echo the challenge; check its signing secret.")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, body: str, headers: dict[str, str]) -> httpx.Response:
        stamp = str(int(time.time()))
        signed = {
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature(self._secret, stamp, body),
        }
        try:
            answer = await self._client.post(
                self._target, content=body.encode(), headers=headers | signed, timeout=ack_seconds()
            )
        except httpx.TimeoutException as error:
            raise NoAck("http_timeout") from error
        except httpx.HTTPError as error:
            raise NoAck("connection_failed") from error
        if not answer.is_success:
            raise NoAck("http_error", is_final=answer.headers.get("x-slack-no-retry") == "1")
        return answer


def encode(kind: str, payload: Json) -> tuple[str, str]:
    """Body and content type: JSON for events, a form for commands, a form with `payload` for interactions."""
    if kind == "events_api":
        return json.dumps(payload), "application/json"
    if kind == "slash_commands":
        return urlencode(payload), FORM
    return urlencode({"payload": json.dumps(payload)}), FORM
