"""Random requests to the HTTP endpoint: 10,000 requests without a 500, and no body read beyond its limit."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.cli.doctor import header_skew
from bot.playground import Playground
from bot.playground.delivery.signed_http import signature
from bot.slack.http import LARGEST_BODY, PATH, build_site, clock_skew
from tests.integration.notifier_harness import MANIFEST

pytestmark = pytest.mark.integration
SECRET = "s3cret"
STAMPS = ("", "abc", "-1", "1e9", "nan", "9" * 40, "12.5", " 17", "१२३", "\u00b2", "0x10", "None", "1\t2")
KINDS = ("application/json", "application/x-www-form-urlencoded", "text/plain", "", "multipart/form-data; boundary=x",
         "application/json; charset=utf-99")  # fmt: skip
SHAPES = ('{"type":"url_verification","challenge":"c"}', "{", "[]", "null", "7", '"x"', "payload=", "payload=%7B", "payload=[]",
          "payload=null", "a=b&a=c", "payload=%ff", '{"event":null}', '{"event":{"type":3}}', '{"type":"event_callback"}',
          "command=/jobs", "ssl_check=1", "{}", "payload={}", '{"event":[]}', "payload=%7B%22type%22%3A3%7D")  # fmt: skip


@pytest.fixture(scope="module")
def door() -> Iterator[App]:
    """A Bolt app on the local workspace."""
    logging.getLogger("slack_bolt").setLevel(logging.CRITICAL)
    with Playground(MANIFEST) as workspace:
        workspace.set_rates(enforce=False)
        yield bare_app(WebClient(workspace.bot_token, base_url=workspace.api_url))


def bare_app(client: WebClient) -> App:
    """A Bolt app with one listener."""
    app = App(client=client, signing_secret=SECRET, token_verification_enabled=False)
    app.event("app_mention")(lambda ack: ack())
    return app


def some_request(draw: random.Random) -> tuple[str, dict[bytes, bytes], bytes]:
    """A random method, headers and body; a third of them carry a valid signature."""
    body = draw.choice([draw.choice(SHAPES).encode(), draw.randbytes(draw.randrange(60))])
    stamp = draw.choice([*STAMPS, str(int(time.time()) - draw.randrange(-900, 900))])
    right = draw.random() < 0.33
    headers = {b"content-type": draw.choice(KINDS).encode()}
    if draw.random() < 0.9:
        headers[b"x-slack-request-timestamp"] = stamp.encode()
    if right:
        headers[b"x-slack-signature"] = signature(SECRET, stamp, body.decode("utf-8", "replace")).encode()
    elif draw.random() < 0.8:
        headers[b"x-slack-signature"] = draw.randbytes(draw.randrange(20)).hex().encode() or b"v0=\xff\xfe"
    if draw.random() < 0.1:
        headers[b"content-length"] = draw.choice([b"-5", b"abc", b"", b"99999999999", b"1e3"])
    return draw.choice(["POST"] * 9 + ["GET"]), headers, body


async def send_all(app: App, number: int, draw: random.Random) -> Counter[int]:
    """Sends `count` requests straight into the ASGI site, which raises its exceptions here."""
    site = build_site(app, SECRET)
    statuses: Counter[int] = Counter()
    for _ in range(number):
        method, headers, body = some_request(draw)
        scope = {
            **{
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": method,
                "path": PATH,
            },
            **{
                "raw_path": PATH.encode(),
                "query_string": b"",
                "headers": list(headers.items()),
                "scheme": "http",
            },
            **{"server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9), "root_path": ""},
        }
        parts = iter(
            [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
        )

        async def receive(parts=parts):  # type: ignore[no-untyped-def]
            return next(parts)

        async def keep(message):  # type: ignore[no-untyped-def]
            if message["type"] == "http.response.start":
                statuses[message["status"]] += 1

        await site(scope, receive, keep)
    return statuses


def test_ten_thousand_requests_and_no_500(door: App) -> None:
    """Random headers, timestamps, signatures and bodies; validly signed requests reach the app."""
    statuses = asyncio.run(send_all(door, 10_000, random.Random(19)))
    assert sum(statuses.values()) == 10_000
    assert max(statuses) < 500, statuses
    assert {200, 401, 405, 413} <= set(statuses)


def test_a_chunked_body_is_read_to_the_limit_only(door: App) -> None:
    """A body without Content-Length is refused as soon as it is too large."""
    size = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal size
        for _ in range(100):
            size += 2**20
            yield b"x" * 2**20

    async def run() -> int:
        transport = httpx.ASGITransport(app=build_site(door, SECRET))
        async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
            return (await client.post(PATH, content=flood())).status_code

    assert asyncio.run(run()) == 413
    assert size <= LARGEST_BODY + 2 * 2**20


def test_a_wrong_clock_is_logged() -> None:
    """Only a request with Slack's signature shows it; `trainwise doctor` reads it from Slack's answers."""
    from slack_sdk.signature import SignatureVerifier

    verifier, body = SignatureVerifier(SECRET), json.dumps({"a": 1})
    headers = {"x-slack-request-timestamp": "1000", "x-slack-signature": signature(SECRET, "1000", body)}
    assert clock_skew(verifier, body.encode(), headers, now=1900.0) == 900.0
    assert clock_skew(verifier, body.encode(), headers, now=1100.0) == 0.0
    assert clock_skew(verifier, b"other", headers, now=1900.0) == 0.0
    assert header_skew({"Date": "Sun, 29 Nov 2026 11:00:00 GMT"}, 1_795_950_090.0) == 90.0
    assert header_skew({"date": "yesterday"}, 5.0) == 0.0
