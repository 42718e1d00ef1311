"""The Slack app: one Bolt `App` with every listener registered, and nothing else."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.http_retry import HttpRequest
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)

from bot.slack.failures import handle_error
from bot.slack.features import (
    channel_settings,
    compare,
    datasets,
    documents,
    finetune,
    home,
    jobs,
    measure,
    questions,
    try_model,
)
from bot.slack.services import Services

FEATURES = (
    questions,
    measure,
    finetune,
    jobs,
    datasets,
    documents,
    try_model,
    compare,
    channel_settings,
    home,
)
"""What people can do in Slack, one file each with `register(app, services)`; a new feature is one more name here."""
NOT_REPEATABLE = ("chat.postMessage", "chat.startStream", "files.completeUploadExternal")


def repeatable(request: HttpRequest) -> bool:
    """Whether sending the call twice is as good as once; a message whose answer was lost may stand already."""
    return not request.url.endswith(NOT_REPEATABLE)


class RetryBrokenConnection(ConnectionErrorRetryHandler):
    """Slack's handler, for calls that may be repeated."""

    def _can_retry(self, *, request: HttpRequest, **context: Any) -> bool:
        return repeatable(request) and super()._can_retry(request=request, **context)


class RetryServerError(ServerErrorRetryHandler):
    """Slack's handler, for calls that may be repeated."""

    def _can_retry(self, *, request: HttpRequest, **context: Any) -> bool:
        return repeatable(request) and super()._can_retry(request=request, **context)


def slack_client(token: str, base_url: str) -> WebClient:
    """A client that waits when Slack says 429 and repeats what may be repeated on 5xx and broken connections."""
    client = WebClient(token, base_url=base_url, timeout=20)
    client.retry_handlers = [
        RetryBrokenConnection(max_retry_count=2),
        RateLimitErrorRetryHandler(max_retry_count=3),
        RetryServerError(max_retry_count=2),
    ]
    return client


def posting_client(token: str, base_url: str) -> WebClient:
    """The notifier's client: it never waits or repeats inside a call, the notifier decides when."""
    return WebClient(token, base_url=base_url, timeout=20, retry_handlers=[])


def build_app(client: WebClient, services: Services, threads: int, signing_secret: str) -> App:
    """The app with all listeners; `signing_secret` is checked in HTTP mode only (Socket Mode has none)."""
    app = App(
        client=client,
        signing_secret=signing_secret,
        token_verification_enabled=False,
        listener_executor=ThreadPoolExecutor(threads, thread_name_prefix="listener"),
    )
    register(app, services)
    return app


def register(app: App, services: Services) -> None:
    """Every listener of the manifest, then the catch-alls: Slack redelivers what nobody acknowledges."""
    for feature in FEATURES:
        feature.register(app, services)
    app.event("app_context_changed")(acknowledge)
    app.action(re.compile(".*"))(acknowledge)
    app.event(re.compile(".+"))(acknowledge)
    app.error(handle_error)


def acknowledge(ack: Ack) -> None:
    """Accepted; there is nothing to do: link buttons, leftovers of old cards, events that are none of our business."""
    ack()
