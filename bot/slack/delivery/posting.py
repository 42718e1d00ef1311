"""Sends one message to Slack exactly once, and classifies the errors of Slack's Web API.

A send whose answer was lost (5xx, broken connection, timeout) may have arrived. Each message carries a key in its
metadata; before a retry the message is searched by that key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.slack.ui.blocks import Block, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.limits import validate_message, validate_view, words_of
from bot.slack.ui.model_trials import ended_modal, outcome
from worker.jobs.records import Job, Post

EVENT_TYPE = "trainwise_post"
CLOCK_SKEW_S = 300.0
LONGEST_TEXT = 12_000  # characters of a message without blocks
PAGES = 5  # of 200 messages: how far back the search for an earlier send goes
TOKEN_REFUSED = {
    "account_inactive", "access_denied", "accesslimited", "invalid_auth", "not_allowed_token_type", "not_authed",
    "org_login_required", "team_access_not_granted", "team_added_to_org", "token_expired", "token_revoked",
    "two_factor_setup_required",
}  # fmt: skip
CHANNEL_CLOSED = {
    "cannot_reply_to_message", "channel_is_limited_access", "channel_not_found", "ekm_access_denied", "is_archived",
    "messages_tab_disabled", "method_not_supported_for_channel_type", "no_permission", "not_in_channel",
    "restricted_action", "restricted_action_non_threadable_channel", "restricted_action_read_only_channel",
    "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "slack_connect_canvas_sharing_blocked", "slack_connect_file_link_sharing_blocked",
    "slack_connect_lists_sharing_blocked", "team_not_found", "user_not_found", "user_not_in_channel",
}  # fmt: skip
MESSAGE_GONE = {
    "cant_update_message", "edit_window_closed", "invalid_thread_ts", "message_not_found", "message_not_owned_by_app",
    "thread_not_found",
}  # fmt: skip
INVALID_PAYLOAD = {
    "attachment_payload_limit_exceeded", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "invalid_metadata_format", "invalid_metadata_schema", "metadata_must_be_sent_from_app", "metadata_too_large",
    "msg_blocks_too_long", "msg_too_long", "too_many_attachments", "too_many_contact_cards",
}  # fmt: skip
NOT_THERE = {
    "channel_not_found",
    "is_archived",
    "not_in_channel",
}  # also when reading: posting fails there too
LOOKUP_TRIES = 3  # refusals to look for an earlier send, before the channel counts as closed
SLOW_DOWN = {"message_limit_exceeded", "rate_limited", "ratelimited", "request_timeout"}
UNKNOWN_OUTCOME = {"fatal_error", "internal_error", "no_json", "service_unavailable"}


class FailureKind(Enum):
    """What the caller does after a failure."""

    SLOW_DOWN = "wait as long as Slack says"
    UNSURE = "it may have arrived: look, then repeat"
    TOKEN = "nothing can be sent until a person repairs the token"  # noqa: S105
    CHANNEL = "this channel takes nothing from us: go elsewhere"
    MESSAGE = "the message to change is gone: post a new one"
    PAYLOAD = "Slack cannot draw it: send the text alone"
    OTHER = "try again later"


@dataclass(frozen=True)
class SlackFailure:
    """A failed call: its kind, Slack's error code (or the exception's class), and Slack's Retry-After in seconds."""

    kind: FailureKind
    code: str
    wait_s: float = 0.0


class LookupRefused(SlackClientError):
    """A policy of Slack's forbids to read where an earlier send may stand; `code` names it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def classify_error(error: BaseException, tries: int = 0) -> SlackFailure:
    """The kind of failure that an exception of the Web API client stands for, after so many tries."""
    if isinstance(error, LookupRefused):
        kind = FailureKind.CHANNEL if tries >= LOOKUP_TRIES else FailureKind.OTHER
        return SlackFailure(kind, error.code)
    if not isinstance(error, SlackApiError):
        return SlackFailure(FailureKind.UNSURE, type(error).__name__)
    response: Any = error.response
    code = str(response.get("error") or "no_json")
    status, headers = getattr(response, "status_code", 0), getattr(response, "headers", None) or {}
    if code in SLOW_DOWN or status == 429:
        return SlackFailure(FailureKind.SLOW_DOWN, code, _retry_after(headers))
    if status >= 500 or code in UNKNOWN_OUTCOME:
        return SlackFailure(FailureKind.UNSURE, code)
    kinds = (
        (TOKEN_REFUSED, FailureKind.TOKEN),
        (CHANNEL_CLOSED, FailureKind.CHANNEL),
        (MESSAGE_GONE, FailureKind.MESSAGE),
        (INVALID_PAYLOAD, FailureKind.PAYLOAD),
    )
    return SlackFailure(next((kind for codes, kind in kinds if code in codes), FailureKind.OTHER), code)


def send_message(
    client: WebClient, channel: str, thread: str | None, text: str, blocks: Sequence[Block], key: str
) -> str:
    """Posts the message with its key and returns its ts; as text alone when Slack refuses the blocks."""

    def post(drawable: Sequence[Block] | None, words: str = text) -> str:
        answer = client.chat_postMessage(
            channel=channel,
            thread_ts=thread or None,
            text=words,
            blocks=drawable or None,
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
        )
        return str(answer["ts"])

    try:
        return post(blocks)
    except SlackApiError as error:
        if classify_error(error).kind is not FailureKind.PAYLOAD or not blocks:
            raise
        return post(None, (words_of(blocks) or text)[:LONGEST_TEXT])


def find_message(
    client: WebClient, channel: str, thread: str | None, key: str, since: float | None = None
) -> str | None:
    """The ts of the message with this key, or None; `since` is the time of the first try."""
    for message in _messages(client, channel, thread, since):
        if ((message.get("metadata") or {}).get("event_payload") or {}).get("key") == key:
            return str(message["ts"])
    return None


def find_stream(client: WebClient, channel: str, thread: str, since: float) -> str | None:
    """The ts of our message that is still streaming in the thread and started after `since`; None where there is none."""
    for message in _messages(client, channel, thread, since):
        if message.get("bot_id") and message.get("streaming_state") == "in_progress":
            return str(message["ts"])
    return None


def has_files(client: WebClient, channel: str, thread: str, names: set[str]) -> bool:
    """Whether the thread shows files of all these names."""
    present = {str(f.get("name")) for m in _messages(client, channel, thread) for f in m.get("files") or []}
    return names <= present


def _messages(
    client: WebClient, channel: str, thread: str | None, since: float | None = None
) -> Iterator[dict[str, Any]]:
    """The messages from `since` on (less CLOCK_SKEW_S), page by page; all messages without `since`. LookupRefused by a policy."""
    cursor: str | None = None
    for _ in range(PAGES):
        query: dict[str, Any] = {"channel": channel, "limit": 200, "include_all_metadata": True}
        query |= {"oldest": f"{max(0.0, since - CLOCK_SKEW_S):.6f}"} if since else {}
        query |= {"cursor": cursor} if cursor else {}
        try:
            if thread:
                answer = client.conversations_replies(ts=thread, **query)
            else:
                answer = client.conversations_history(**query)
        except SlackApiError as error:
            failure = classify_error(error)
            if failure.kind is FailureKind.CHANNEL and failure.code not in NOT_THERE:
                raise LookupRefused(failure.code) from error
            raise
        yield from answer.get("messages") or []
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return


def _retry_after(headers: Mapping[str, Any]) -> float:
    wait = next((value for name, value in headers.items() if str(name).lower() == "retry-after"), 1)
    try:
        return max(1.0, float(wait[0] if isinstance(wait, list) else wait))
    except (TypeError, ValueError):
        return 1.0


def deliver_trial(client: WebClient, post: Post, job: Job) -> str:
    """Shows a trial's result in its modal; when that was closed, sends a direct message and returns its ts (else "")."""
    form, view_hash = str(job.spec.get("view")), str(job.spec.get("hash"))
    try:
        update_submitted(client, form, view_hash, validate_view(ended_modal(job)))
    except SlackApiError as error:
        if error.response.get("error") not in ("not_found", "view_not_found"):
            raise
    else:
        return ""
    direct = str(client.conversations_open(users=[job.by])["channel"]["id"])
    if post.tries and (earlier := find_message(client, direct, None, post.dedupe_key, post.sent_at)):
        return earlier
    title = f"The answer of model {job.spec.get('model')} on {escape(one_line(job.dataset, 60))}"
    blocks = [section(f"🧪 *{title}*"), *outcome(job)]
    return send_message(client, direct, None, title, validate_message(blocks), post.dedupe_key)


TRIES, PAUSE_S = 10, 0.3  # together the 3 s that Slack allows for the answer to a submission


def update_submitted(client: WebClient, view_id: str, view_hash: str, view: Block) -> None:
    """Shows `view` in a submitted form; when Slack applies the submission's own answer later, shows `view` again.

    `view_hash` is the `hash` of the submitted form. Raises SlackApiError when the form is closed.
    """
    latest = view_hash
    for _ in range(TRIES):
        try:
            latest = client.views_update(view_id=view_id, hash=latest, view=view)["view"]["hash"]
        except SlackApiError as refused:
            if refused.response.get("error") != "hash_conflict":
                raise
            client.views_update(view_id=view_id, view=view)  # the submission's answer was applied
            return
        time.sleep(PAUSE_S)
