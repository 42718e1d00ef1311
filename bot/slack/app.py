"""Builds the Slack app: one Bolt `App` with every listener registered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from slack_bolt import Ack, App, BoltResponse
from slack_bolt.authorization.authorize import Authorize
from slack_bolt.context import BoltContext
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
    dataset_pull,
    dataset_runs,
    datasets,
    deploy,
    documents,
    duty_corrections,
    duty_retrain,
    finetune,
    home,
    hosted_model,
    jobs,
    language_model,
    measure,
    outsiders,
    questions,
    reading,
    removal,
    repair,
    sharing,
    triage_duty,
    try_model,
)
from bot.slack.gate import gate
from bot.slack.payload import Body
from bot.slack.teams import Teams
from bot.slack.thread_start import start_threads
from bot.slack.ui.lists import feature_list


class Feature(Protocol):
    """One feature of the bot in Slack: a file with its command, buttons and form.

    `SUMMARY`, where a feature begins with a command, is the line about it for home and `/COMMAND help` (mrkdwn).
    """

    def register(self, app: App, teams: Teams) -> None:
        """Adds the feature's listeners to the app."""


FEATURES: tuple[Feature, ...] = (
    language_model,  # before questions: `/should-i-train connect` is no question
    outsiders,  # before documents: `/docs outsiders`
    sharing,  # before documents and datasets: `/docs share`, `/datasets share`
    removal,  # before datasets: `/datasets remove`
    repair,  # before datasets: `/datasets repair`
    dataset_pull,  # before datasets: `/datasets pull`
    questions,
    reading,
    measure,
    finetune,
    jobs,
    datasets,
    dataset_runs,
    documents,
    try_model,
    deploy,
    triage_duty,
    duty_corrections,
    duty_retrain,
    compare,
    channel_settings,
    home,
    hosted_model,
)
"""What people can do in Slack; a new feature is one file and one more name here (docs/howto/add-a-slack-feature.md)."""
NOT_REPEATABLE = ("chat.postMessage", "chat.startStream", "files.completeUploadExternal")


def repeatable(request: HttpRequest) -> bool:
    """Whether the call is idempotent; a message whose answer was lost may already be posted."""
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
    """A client that waits after a 429 and retries idempotent calls after 5xx and broken connections."""
    client = WebClient(token, base_url=base_url, timeout=20)
    client.retry_handlers = [
        RetryBrokenConnection(max_retry_count=2),
        RateLimitErrorRetryHandler(max_retry_count=3),
        RetryServerError(max_retry_count=2),
    ]
    return client


def posting_client(token: str, base_url: str) -> WebClient:
    """The notifier's client: it never waits or retries inside a call, because the notifier schedules retries."""
    return WebClient(token, base_url=base_url, timeout=20, retry_handlers=[])


def summaries(features: Sequence[Feature] = FEATURES) -> tuple[str, ...]:
    """One line on each feature that begins with a command, in the registry's order; branches of a command come last."""
    lines = [str(feature.SUMMARY) for feature in features if hasattr(feature, "SUMMARY")]
    return tuple(sorted(lines, key=lambda line: " " in line.split("`")[1]))


def build_app(
    client: WebClient,
    teams: Teams,
    threads: int,
    signing_secret: str,
    features: Sequence[Feature] = FEATURES,
    authorize: Authorize | None = None,
) -> App:
    """The app with all listeners behind the gate; `signing_secret` is checked in HTTP mode only (Socket Mode has none).

    `authorize` finds the token of a payload's team in a bot of many teams; without it every call uses the client's token.
    """
    app = App(
        client=client,
        authorize=authorize,  # type: ignore[arg-type]  # None where the app is not installed, as Authorize has it
        before_authorize=name_team if authorize is not None else None,
        signing_secret=signing_secret,
        token_verification_enabled=False,
        listener_executor=start_threads(ThreadPoolExecutor(threads, thread_name_prefix="listener"), threads),
    )
    app.use(gate(teams, app.dispatch))
    app.use(help_middleware(summaries(features)))
    register(app, teams, features)
    return app


def name_team(body: Body, context: BoltContext, next: Callable[[], None]) -> None:
    """Sets the team of an event from an organisation-wide installation, where `authorizations` may hold a null team."""
    if not context.team_id and context.is_enterprise_install:
        context["team_id"] = body.get("context_team_id") or body.get("team_id")
    next()


def help_middleware(lines: Sequence[str]) -> Callable[..., BoltResponse | None]:
    """Answers `/COMMAND help` of every command with the list of features; passes every other payload on."""
    blocks = feature_list(lines)

    def answer_help(body: Body, ack: Ack, next: Callable[[], None]) -> BoltResponse | None:
        if "command" in body and str(body.get("text")).strip().lower() == "help":
            return ack(text="\n".join(lines), blocks=blocks, response_type="ephemeral")
        next()
        return None

    return answer_help


def register(app: App, teams: Teams, features: Sequence[Feature] = FEATURES) -> None:
    """Registers every listener, then catch-alls that acknowledge the rest, since Slack redelivers unacknowledged payloads."""
    for feature in features:
        feature.register(app, teams)
    app.action(re.compile(".*"))(acknowledge)
    app.event(re.compile(".+"))(acknowledge)
    app.error(handle_error)


def acknowledge(ack: Ack) -> None:
    """Acknowledges payloads that need no work: link buttons, buttons of old cards, events that no feature uses."""
    ack()
