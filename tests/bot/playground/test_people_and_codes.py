"""The workspace's external people, group DMs and rarer error codes of Slack."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.playground import Person, Playground
from bot.playground.errors import PlaygroundError
from bot.playground.state.seed import BOT_USER, GUS, MAYA, OTHER_TEAM, SAM, STELLA
from tests.integration.notifier_harness import MANIFEST

ROOM, SHARED = "C0SUPPORTML", "C0PARTNERS1"


def code_of(call: Any, **args: Any) -> str:
    """Slack's word for the refusal."""
    with pytest.raises(SlackApiError) as error:
        call(**args)
    return str(error.value.response["error"])


def test_guests_and_strangers_look_as_slack_shows_them(client: WebClient) -> None:
    """users.info and conversations.info carry the marks by which an app tells them."""
    people = {user: client.users_info(user=user)["user"] for user in (MAYA, GUS, SAM, STELLA)}
    assert [people[u]["is_restricted"] for u in (MAYA, GUS, SAM, STELLA)] == [False, True, True, False]
    assert [people[u]["is_ultra_restricted"] for u in (MAYA, GUS, SAM)] == [False, False, True]
    assert (people[STELLA]["team_id"], people[STELLA]["is_stranger"]) == (OTHER_TEAM, True)
    channel = client.conversations_info(channel=SHARED)["channel"]
    assert (channel["is_ext_shared"], OTHER_TEAM in channel["shared_team_ids"]) == (True, True)
    assert client.conversations_info(channel=ROOM)["channel"]["is_ext_shared"] is False


def test_people_from_outside_find_only_their_channels(playground: Playground) -> None:
    """Nor can they write elsewhere."""
    stella = Person(playground.url, "stella")
    names = {c.get("name") for c in stella._do("boot")["channels"]}
    assert "partners" in names
    assert names.isdisjoint({"support-ml", "general", "random"})
    assert stella.say("#partners", "hello")["ts"]
    with pytest.raises(PlaygroundError, match="private"):
        stella.say("#support-ml", "hello")


def test_a_group_dm_is_there_for_those_in_it() -> None:
    """The app reads it by its own scopes, which the bot's manifest has."""
    with Playground(MANIFEST) as workspace:
        client = WebClient(workspace.bot_token, base_url=workspace.api_url)
        channel = workspace.group("maya", "ravi")
        message = Person(workspace.url, "maya").say(channel, "shall we?")
        assert client.conversations_info(channel=channel)["channel"]["is_mpim"] is True
        assert client.conversations_history(channel=channel)["messages"][0]["ts"] == message["ts"]
        with pytest.raises(PlaygroundError, match="private"):
            Person(workspace.url, "ana").say(channel, "me too")


def test_rare_refusals(playground: Playground, client: WebClient) -> None:
    """As Slack words them."""
    ts = client.chat_postMessage(channel=ROOM, text="x")["ts"]
    big = {"event_type": "x", "event_payload": {"a": "y" * 9000}}
    assert code_of(client.chat_update, channel=ROOM, ts=ts, text="x" * 4001) == "msg_too_long"
    assert code_of(client.chat_postMessage, channel=ROOM, text="x", metadata=big) == "metadata_too_large"
    many = [{"text": "a"}] * 101
    assert (
        code_of(client.chat_postMessage, channel=ROOM, text="x", attachments=many) == "too_many_attachments"
    )
    long = [{"type": "section", "text": {"type": "mrkdwn", "text": "z" * 2900}}] * 5
    assert code_of(client.chat_postMessage, channel=ROOM, text="x", blocks=long) == "msg_blocks_too_long"
    assert code_of(client.reactions_add, channel=ROOM, timestamp="yesterday", name="eyes") == "bad_timestamp"
    assert code_of(client.reactions_add, channel=ROOM, timestamp=ts, name="no such name!") == "invalid_name"
    assert code_of(client.reactions_add, channel="", timestamp="", name="eyes") == "no_item_specified"
    assert code_of(client.conversations_history, channel=ROOM, oldest="soon") == "invalid_ts_oldest"
    assert code_of(client.conversations_open, users=[BOT_USER]) == "cannot_dm_bot"


def test_stop_is_pressed_only_while_the_app_works(playground: Playground, client: WebClient) -> None:
    """And what was streaming says so from then on."""
    maya = Person(playground.url, "maya")
    root = maya.say(ROOM, "question")["ts"]
    to = {"recipient_team_id": "T0NORTHWIND", "recipient_user_id": MAYA}
    with pytest.raises(PlaygroundError, match="no Stop button"):
        maya.stop_agent(ROOM, root)
    client.agents_sessions_setStatus(channel_id=ROOM, thread_ts=root, status="processing")
    assert (
        code_of(client.chat_startStream, channel=ROOM, thread_ts=root, **{**to, "recipient_user_id": "U0X"})
        == "user_not_found"
    )
    assert (
        code_of(client.chat_startStream, channel=ROOM, thread_ts=root, **{**to, "recipient_team_id": "T0X"})
        == "team_not_found"
    )
    ts = client.chat_startStream(channel=ROOM, thread_ts=root, markdown_text="a", **to)["ts"]
    assert maya.stop_agent(ROOM, root)["streams"] == [ts]
    assert code_of(client.chat_appendStream, channel=ROOM, ts=ts, markdown_text="b") == "stopped_by_user"
    assert client.chat_update(channel=ROOM, ts=ts, text="stopped")["ok"]
