"""One message in Slack, sent once; and what a refusal of Slack's means for whoever sent it.

A send whose answer was lost (5xx, broken connection, timeout) may have arrived: it carries a key in its
metadata and is looked for by that key before it is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.ui.blocks import Block, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.limits import validate_message, validate_view, words_of
from bot.slack.ui.model_trials import ended_modal, outcome
from worker.jobs.records import Job, Post

EVENT_TYPE = "trainwise_post"
CLOCKS_APART_S = 300.0
MESSAGE_MOST = 12_000  # characters of a message that stands in for blocks
PAGES = 5  # of 200 messages: how far back a lost send is looked for
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
UNDRAWABLE = {
    "attachment_payload_limit_exceeded", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "invalid_metadata_format", "invalid_metadata_schema", "metadata_must_be_sent_from_app", "metadata_too_large",
    "msg_blocks_too_long", "msg_too_long", "too_many_attachments", "too_many_contact_cards",
}  # fmt: skip
SLOW_DOWN = {"message_limit_exceeded", "rate_limited", "ratelimited", "request_timeout"}
LOST = {"fatal_error", "internal_error", "no_json", "service_unavailable"}


class Trouble(Enum):
    """What to do after a refusal."""

    SLOW_DOWN = "wait as long as Slack says"
    UNSURE = "it may have arrived: look, then repeat"
    TOKEN = "nothing can be sent until a person repairs the token"  # noqa: S105
    CHANNEL = "this channel takes nothing from us: go elsewhere"
    MESSAGE = "the message to change is gone: post a new one"
    PAYLOAD = "Slack cannot draw it: send the text alone"
    OTHER = "try again later"


@dataclass(frozen=True)
class Refusal:
    """Slack's code (or the failure's class) and how long Slack wants to be left alone, in seconds."""

    trouble: Trouble
    code: str
    wait_s: float = 0.0


def refusal(error: BaseException) -> Refusal:
    """What kind of trouble an error of the Web API client is."""
    if not isinstance(error, SlackApiError):
        return Refusal(Trouble.UNSURE, type(error).__name__)
    response: Any = error.response
    code = str(response.get("error") or "no_json")
    status, headers = getattr(response, "status_code", 0), getattr(response, "headers", None) or {}
    if code in SLOW_DOWN or status == 429:
        return Refusal(Trouble.SLOW_DOWN, code, _retry_after(headers))
    if status >= 500 or code in LOST:
        return Refusal(Trouble.UNSURE, code)
    kinds = (
        (TOKEN_REFUSED, Trouble.TOKEN),
        (CHANNEL_CLOSED, Trouble.CHANNEL),
        (MESSAGE_GONE, Trouble.MESSAGE),
        (UNDRAWABLE, Trouble.PAYLOAD),
    )
    return Refusal(next((kind for codes, kind in kinds if code in codes), Trouble.OTHER), code)


def send(
    client: WebClient, channel: str, thread: str | None, text: str, blocks: Sequence[Block], key: str
) -> str:
    """Posts the message with its key and gives its ts; one that Slack cannot draw says the same as text alone."""

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
        if refusal(error).trouble is not Trouble.PAYLOAD or not blocks:
            raise
        return post(None, (words_of(blocks) or text)[:MESSAGE_MOST])


def find(
    client: WebClient, channel: str, thread: str | None, key: str, since: float | None = None
) -> str | None:
    """The ts of the message that carries this key, if a send of it did arrive; `since` is when it was first tried."""
    for message in _messages(client, channel, thread, since):
        if ((message.get("metadata") or {}).get("event_payload") or {}).get("key") == key:
            return str(message["ts"])
    return None


def find_stream(client: WebClient, channel: str, thread: str, since: float) -> str | None:
    """The ts of a message of ours that is still being streamed in the thread, started since."""
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
    """The messages from `since` on (some minutes earlier: two clocks), in pages; all of them without it."""
    cursor: str | None = None
    for _ in range(PAGES):
        query: dict[str, Any] = {"channel": channel, "limit": 200, "include_all_metadata": True}
        query |= {"oldest": f"{max(0.0, since - CLOCKS_APART_S):.6f}"} if since else {}
        query |= {"cursor": cursor} if cursor else {}
        if thread:
            answer = client.conversations_replies(ts=thread, **query)
        else:
            answer = client.conversations_history(**query)
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


def answer_try(client: WebClient, post: Post, job: Job) -> str:
    """Shows how a try ended where it was asked; the ts of the message when the modal was closed, else ""."""
    form, view_hash = str(job.spec.get("view")), str(job.spec.get("hash"))
    try:
        update_submitted(client, form, view_hash, validate_view(ended_modal(job)))
    except SlackApiError as error:
        if error.response.get("error") not in ("not_found", "view_not_found"):
            raise
    else:
        return ""
    direct = str(client.conversations_open(users=[job.by])["channel"]["id"])
    if post.tries and (earlier := find(client, direct, None, post.dedupe_key, post.sent_at)):
        return earlier
    title = f"The answer of model {job.spec.get('model')} on {escape(one_line(job.dataset, 60))}"
    blocks = [section(f"🧪 *{title}*"), *outcome(job)]
    return send(client, direct, None, title, validate_message(blocks), post.dedupe_key)


TRIES, PAUSE_S = 10, 0.3  # together the 3 s in which Slack takes an answer to a submission


def update_submitted(client: WebClient, view_id: str, view_hash: str, view: Block) -> None:
    """Shows `view` in a submitted form to stay: where it comes before the submission's answer, again after it.

    `sent` is the `hash` of the form as it was submitted. SlackApiError where the form is closed.
    """
    latest = view_hash
    for _ in range(TRIES):
        try:
            latest = client.views_update(view_id=view_id, hash=latest, view=view)["view"]["hash"]
        except SlackApiError as refused:
            if refused.response.get("error") != "hash_conflict":
                raise
            client.views_update(view_id=view_id, view=view)  # the answer is there
            return
        time.sleep(PAUSE_S)
