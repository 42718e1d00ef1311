"""Channels (created, renamed, left, archived), scheduled messages, webhooks, and sockets that are asked to reconnect."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import httpx
import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.playground import Person, Playground
from bot.playground.errors import PlaygroundError
from bot.playground.state.seed import BOT_USER, MAYA
from tests.bot.playground.conftest import MANIFEST, until
from tests.bot.playground.test_people_and_codes import code_of

ROOM = "C0SUPPORTML"
EVENTS = (
    "channel_archive",
    "channel_unarchive",
    "channel_rename",
    "channel_left",
    "channel_created",
    "member_left_channel",
)


@pytest.fixture
def playground() -> Any:
    """An app with the scopes to manage channels, and a webhook."""
    manifest = deepcopy(MANIFEST)
    manifest["oauth_config"]["scopes"]["bot"] += ["channels:manage", "groups:write", "incoming-webhook"]
    manifest["settings"]["event_subscriptions"]["bot_events"] += [*EVENTS, "member_joined_channel"]
    with Playground(manifest) as running:
        yield running


def kinds(playground: Playground) -> list[str]:
    """The types of the events sent so far."""
    return [event["type"] for event in playground.state()["events"]]


def test_the_life_of_a_channel(playground: Playground, client: WebClient) -> None:
    """Made by the app, joined, renamed, archived, restored and left, with Slack's words for what is not possible."""
    channel = client.conversations_create(name="rollout")["channel"]["id"]
    assert code_of(client.conversations_create, name="rollout") == "name_taken"
    assert code_of(client.conversations_create, name="") == "invalid_name_required"
    assert code_of(client.conversations_create, name="x" * 81) == "invalid_name_maxlength"
    assert code_of(client.conversations_create, name="What now") == "invalid_name_specials"
    client.conversations_invite(channel=channel, users=[MAYA])
    assert code_of(client.conversations_invite, channel=channel, users=[MAYA]) == "already_in_channel"
    client.conversations_rename(channel=channel, name="roll-out")
    assert client.conversations_info(channel=channel)["channel"]["name"] == "roll-out"
    with pytest.raises(PlaygroundError, match="name_taken"):
        playground.control("channel", channel=channel, do="rename", name="general")
    playground.control("channel", channel=channel, do="leave", person="maya")
    assert client.conversations_members(channel=channel)["members"] == [BOT_USER]
    client.conversations_archive(channel=channel)
    assert code_of(client.conversations_archive, channel=channel) == "already_archived"
    assert code_of(client.chat_postMessage, channel=channel, text="x") == "is_archived"
    client.conversations_unarchive(channel=channel)
    client.conversations_leave(channel=channel)
    assert client.conversations_leave(channel=channel)["not_in_channel"] is True
    assert code_of(client.conversations_archive, channel="C0GENERAL01") in (
        "cant_archive_general",
        "not_in_channel",
    )
    types = [kind for kind in kinds(playground) if kind != "message"]
    assert types == [
        "channel_created",
        "member_joined_channel",
        "channel_rename",
        "member_left_channel",
        "channel_archive",
        "channel_unarchive",
        "channel_left",
    ]
    playground.channel(ROOM, "remove")
    assert kinds(playground).count("channel_left") == 2
    playground.channel(ROOM, "invite")
    assert client.chat_postMessage(channel=ROOM, text="back")["ok"]


def test_a_scheduled_message_is_posted_at_its_time_or_deleted(
    playground: Playground, client: WebClient
) -> None:
    """On the workspace's clock."""
    now = float(client.chat_postMessage(channel=ROOM, text="now")["ts"])
    assert (
        code_of(client.chat_scheduleMessage, channel=ROOM, post_at=int(now) - 5, text="x") == "time_in_past"
    )
    assert (
        code_of(client.chat_scheduleMessage, channel=ROOM, post_at=int(now) + 11_000_000, text="x")
        == "time_too_far"
    )
    assert code_of(client.chat_scheduleMessage, channel=ROOM, post_at="nan", text="x") == "time_in_past"
    first = client.chat_scheduleMessage(channel=ROOM, post_at=int(now) + 60, text="in a minute")
    second = client.chat_scheduleMessage(channel=ROOM, post_at=int(now) + 61, text="never")
    rows = client.chat_scheduledMessages_list()["scheduled_messages"]
    assert [row["text"] for row in rows] == ["in a minute", "never"]
    client.chat_deleteScheduledMessage(channel=ROOM, scheduled_message_id=second["scheduled_message_id"])
    assert (
        code_of(
            client.chat_deleteScheduledMessage,
            channel=ROOM,
            scheduled_message_id=second["scheduled_message_id"],
        )
        == "invalid_scheduled_message_id"
    )
    playground.advance(70)

    def texts() -> list[str]:
        return [message["text"] for message in client.conversations_history(channel=ROOM)["messages"]]

    until(lambda: "in a minute" in texts())
    assert "never" not in texts()
    assert client.chat_scheduledMessages_list()["scheduled_messages"] == []
    assert first["message"]["type"] == "delayed_message"


def test_an_incoming_webhook_posts_to_its_channel(playground: Playground, client: WebClient) -> None:
    """With Slack's plain words for what it does not take."""
    url = playground.control("channel", channel=ROOM, do="webhook")["webhook"]["url"]

    def post(address: str, **body: Any) -> tuple[int, str]:
        answer = httpx.post(address, trust_env=False, **body)
        return answer.status_code, answer.text

    assert post(url, json={"text": "the build is red"}) == (200, "ok")
    assert client.conversations_history(channel=ROOM)["messages"][0]["text"] == "the build is red"
    assert post(url, data={"payload": '{"text": "by form"}'}) == (200, "ok")
    assert post(url, json={}) == (400, "no_text")
    assert post(url, content=b"no json") == (400, "invalid_payload")
    assert post(url + "x", json={"text": "x"}) == (404, "no_service")
    playground.channel(ROOM, "archive")
    assert post(url, json={"text": "x"}) == (410, "channel_is_archived")


def test_the_old_socket_serves_until_its_successor_is_there(
    playground: Playground, app: App, connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the new socket is open the old one still receives envelopes, so none is lost or late."""
    texts: list[str] = []
    app.event("message")(lambda event: texts.append(event["text"]))
    app.event("app_mention")(lambda event: texts.append(event["text"]))
    handler = connect()
    monkeypatch.setattr(handler.client, "connect_to_new_endpoint", lambda **_: None)  # it takes its time
    playground.disconnect("warning")
    assert playground.state()["sockets"] == 0
    Person(playground.url, "maya").say(ROOM, "still there?")
    until(lambda: "still there?" in texts)


def test_a_deleted_root_becomes_a_tombstone_and_a_broadcast_shows_its_root(
    playground: Playground, client: WebClient
) -> None:
    """The tombstone keeps the thread; a broadcast carries its root; a later broadcast cannot change the text."""
    root = client.chat_postMessage(channel=ROOM, text="root")["ts"]
    reply = client.chat_postMessage(channel=ROOM, text="reply", thread_ts=root, reply_broadcast=True)
    assert reply["message"]["root"]["text"] == "root"
    assert (
        code_of(client.chat_update, channel=ROOM, ts=reply["ts"], text="x", reply_broadcast=True)
        == "no_dual_broadcast_content_update"
    )
    client.chat_delete(channel=ROOM, ts=root)
    thread = client.conversations_replies(channel=ROOM, ts=root)["messages"]
    assert [(one.get("subtype"), one["text"]) for one in thread] == [
        ("tombstone", "This message was deleted."),
        ("thread_broadcast", "reply"),
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "colour": "red"},
        {
            "type": "actions",
            "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "size": 1}],
        },
        {"type": "actions", "elements": [{"type": "datepicker", "initial_date": "2026-13-01"}]},
        {"type": "actions", "elements": [{"type": "timepicker", "initial_time": "25:00"}]},
        {
            "type": "table",
            "rows": [[{"type": "raw_text", "text": "a"}], [{"type": "raw_text", "text": "a"}] * 2],
        },
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "blink", "text": "x"}]}],
        },
        {
            "type": "actions",
            "elements": [
                {
                    "type": "checkboxes",
                    "options": [{"text": {"type": "plain_text", "text": t}, "value": "same"} for t in "ab"],
                }
            ],
        },
    ],
    ids=["section", "button", "date", "time", "table", "rich_text", "checkboxes"],
)
def test_blocks_that_slack_refuses(playground: Playground, client: WebClient, block: dict[str, Any]) -> None:
    """Unknown properties, moments that are none, twins, rows of unequal length."""
    assert code_of(client.chat_postMessage, channel=ROOM, text="x", blocks=[block]) == "invalid_blocks"
