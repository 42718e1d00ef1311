"""Error messages for people: what to do, and an error id; never the text of a foreign exception.

Our own errors carry a sentence that is safe to show; every other exception goes to the log under its error id.
"""

from __future__ import annotations

import errno
import inspect
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slack_bolt import Ack
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlalchemy.exc import OperationalError

from bot.errors import OURS, BotError
from bot.extras import advise_missing
from bot.slack.form_ack import FormAck, is_submission
from bot.slack.form_client import FormClient
from bot.slack.payload import Body, origin_of
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import Block, modal, section
from bot.slack.ui.escape import escape
from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.limits import split_text

if TYPE_CHECKING:
    from slack_bolt import Args, Respond

    from bot.slack.services import Services
    from bot.slack.teams import Teams

SLACK_HINTS = {
    "not_in_channel": "I am not in this channel. Invite me with `/invite @trainwise` and try again.",
    "channel_not_found": "I cannot see this channel. Invite me with `/invite @trainwise` and try again.",
    "is_archived": "This channel is archived. Try again in another one.",
    "missing_scope": "The app lacks a permission. Ask an admin to reinstall it from manifest.yml.",
    "ratelimited": "Slack asked me to slow down. Please try again in a minute.",
}
LATE, ARRIVAL = "trainwise_late", "trainwise_arrival"  # in Bolt's context
ACK_WITHIN_S = 2.0  # of Slack's three, from the payload's arrival on
log = logging.getLogger(__name__)


def error_text(error: BaseException) -> str:
    """The sentence for the person; a foreign exception is logged with its traceback under an error id."""
    if isinstance(error, OURS):
        log.info("an error was shown to a person: %s", type(error).__name__)
        return str(error) if isinstance(error, BotError) else escape(str(error))
    if missing := advise_missing(error):
        log.warning("a package is missing: %s", error)
        return missing
    error_id = secrets.token_hex(4)
    log.error("error %s", error_id, exc_info=error)
    if isinstance(error, SlackApiError) and (hint := SLACK_HINTS.get(str(error.response.get("error")))):
        return f"{hint} (error {error_id})"
    if _is_disk_full(error):
        return f"My disk is full, so nothing was changed. Ask an admin to free space. (error {error_id})"
    if isinstance(error, OperationalError) and "disk i/o" in str(error.orig).lower():
        return (
            f"My disk takes no more, so nothing was changed. Ask an admin to look at it. (error {error_id})"
        )
    return (
        f"Something went wrong on my side. Try again; if it stays, give an admin the error id `{error_id}`."
    )


def wrap_listener(teams: Teams, listener: Callable[..., None]) -> Callable[[Args], None]:
    """Wraps a listener: passes the services of the payload's team as first argument and shows errors to the person.

    The wrapper lets no exception reach Bolt: an exception soon after `ack()` makes Bolt drop the ack, and Slack then
    shows a timeout beside our message.
    """
    parameters = list(inspect.signature(listener).parameters.values())[1:]
    arguments = [one.name for one in parameters if one.default is one.empty]

    def run(args: Args) -> None:
        services = teams.services(args.context)
        if services is None:  # the gate has already answered
            args.ack()
            return
        form = _form_ack(services, args) if is_submission(args.body) else None
        more = {"ack": form} if form is not None else {}
        try:
            listener(services, **{name: more.get(name, getattr(args, name)) for name in arguments})
        except Exception as error:  # the edge for every listener
            text = error_text(error)
            if form is not None and form.give_back(text):
                return
            if args.ack.response is None:
                args.ack()
            tell(text, args.body, args.client, args.respond)
        finally:
            if isinstance(args.client, FormClient):
                args.client.finish()
            if form is not None:
                form.end()

    run.__name__ = getattr(listener, "__name__", "listener")
    return run


def _form_ack(services: Services, args: Args) -> FormAck:
    """The ack of a form that was sent, for what is left of the time since it arrived."""
    left_s = ACK_WITHIN_S - (time.monotonic() - args.context.get(ARRIVAL, time.monotonic()))
    is_late = bool(args.context.get(LATE))
    view = args.body["view"]
    return FormAck(args.ack, args.client, view, services.submissions, max(0.05, left_s), is_late)


def send_error(
    client: WebClient, error: BaseException, channel: str, user: str, thread_ts: str | None = None
) -> None:
    """Shows an error to one person only: as an ephemeral message in the channel, else as a direct message."""
    send_ephemeral(client, error_text(error), channel, user, thread_ts)


def send_ephemeral(
    client: WebClient,
    text: str,
    channel: str,
    user: str,
    thread_ts: str | None = None,
    respond: Respond | None = None,
    mark: str = "⚠️",
) -> None:
    """Sends an ephemeral message; when Slack refuses, uses the response_url, then a direct message, then the log.

    `respond` reaches channels that the bot is not in.
    """
    blocks = [section(f"{mark} {piece}") for piece in split_text(text, 2900)][:10]
    short = text[:2900]

    def in_channel() -> None:
        client.chat_postEphemeral(channel=channel, user=user, text=short, blocks=blocks, thread_ts=thread_ts)

    def in_answer() -> None:
        if respond is None or not respond.response_url:
            raise SlackClientError("no response_url")
        answer = respond(text=short, blocks=blocks, response_type="ephemeral", replace_original=False)
        if answer.status_code != 200:
            raise SlackClientError(f"response_url: {answer.status_code}")

    def directly() -> None:
        client.chat_postMessage(channel=user, text=short, blocks=blocks)

    for way in (in_channel, in_answer, directly):
        try:
            way()
        except SLACK_ERRORS as refused:
            log.info("could not send %s: %s", way.__name__, type(refused).__name__)
        else:
            return
    log.warning("a private message was not delivered: every way failed")


def send_direct_message(client: WebClient, user: str, text: str, blocks: list[Block]) -> bool:
    """Sends a direct message; logs and returns False when Slack refuses."""
    try:
        client.chat_postMessage(channel=user, text=text[:2900], blocks=blocks)
    except SLACK_ERRORS as refused:
        log.warning("a direct message was not sent: %s", type(refused).__name__)
        return False
    return True


def handle_error(
    error: Exception, body: dict[str, Any], client: WebClient, respond: Respond | None = None
) -> None:
    """Shows an error to the person who sent the payload; also registered as Bolt's error handler."""
    tell(error_text(error), body, client, respond)


def tell(text: str, body: dict[str, Any], client: WebClient, respond: Respond | None = None) -> None:
    """Tells whoever sent the payload: in the form that waits, over the home tab, else in an ephemeral message."""
    channel, user, thread_ts = origin_of(body)
    if isinstance(client, FormClient) and client.show_text(text):
        return
    if user and not show_error_over_home(body, client, text):
        send_ephemeral(client, text, channel or user, user, thread_ts, respond)


def show_error_over_home(body: dict[str, Any], client: WebClient, text: str) -> bool:
    """Shows `text` in a modal when the payload came from the home tab, which has no channel; whether it did."""
    if (body.get("view") or {}).get("type") != "home" or "trigger_id" not in body:
        return False
    pieces = [
        section(f"🔒 {piece}" if number == 0 else piece)
        for number, piece in enumerate(split_text(text, 2900))
    ]
    try:
        client.views_open(trigger_id=body["trigger_id"], view=modal("note", "Not now", pieces[:10]))
    except SLACK_ERRORS as refused:
        log.info("no form over the home tab: %s", type(refused).__name__)
        return False
    return True


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    return isinstance(error, OperationalError) and "full" in str(error.orig).lower()


class PrivateErrorReport:
    """A context manager for forms: shows an error of its block to the person as an ephemeral message.

    With `ack` the form closes after the block, so a job whose form closed is in the ledger even if the bot is killed in
    between. (Slack then sends the same form again, which is the same job.)
    """

    def __init__(
        self, client: WebClient, metadata: FormMetadata, body: Body, ack: Ack | FormAck | None = None
    ) -> None:
        self.client, self.metadata, self.user = client, metadata, str(body["user"]["id"])
        self.ack = ack

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        text = error_text(error) if isinstance(error, Exception) else ""
        if text and isinstance(self.ack, FormAck) and self.ack.give_back(text):
            return True
        if self.ack is not None:
            self.ack()
        if text:
            send_ephemeral(self.client, text, self.metadata.channel, self.user, self.metadata.thread_ts)
        return bool(text)
