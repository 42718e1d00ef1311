"""What unmodified clients call beside messages and views: pins, bookmarks, groups, canvases, calls, files elsewhere, people."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import pytest
from slack_sdk import WebClient

from bot.playground import Person, Playground
from bot.playground.state.seed import BOT_USER, MAYA, RAVI, TEAM_ID
from bot.playground.web_api.api import METHODS
from bot.playground.web_api.method_names import OF_PEOPLE, RETIRED
from tests.bot.playground.conftest import MANIFEST
from tests.bot.playground.test_people_and_codes import code_of

pytestmark = pytest.mark.integration
ROOM = "C0SUPPORTML"
EVENTS = ("pin_added", "pin_removed", "subteam_created", "subteam_updated", "user_change", "team_join", "file_deleted",
          "message_metadata_posted", "link_shared")  # fmt: skip


@pytest.fixture(scope="module")
def playground() -> Iterator[Playground]:
    """An app with every scope that any method asks for."""
    manifest = deepcopy(MANIFEST)
    scopes = {scope for method in METHODS.values() for scope in method.scopes}
    manifest["oauth_config"]["scopes"]["bot"] = sorted(scopes)
    manifest["settings"]["event_subscriptions"]["bot_events"] += EVENTS
    manifest["features"]["unfurl_domains"] = ["example.com"]
    with Playground(manifest) as running:
        running.set_rates(enforce=False)
        yield running


def kinds(playground: Playground) -> list[str]:
    """The types of the events sent so far."""
    return [event["type"] for event in playground.state()["events"]]


def test_messages_are_pinned(playground: Playground, client: WebClient) -> None:
    """Once, in their channel, and the app hears of it."""
    ts = client.chat_postMessage(channel=ROOM, text="the plan")["ts"]
    client.pins_add(channel=ROOM, timestamp=ts)
    assert code_of(client.pins_add, channel=ROOM, timestamp=ts) == "already_pinned"
    assert code_of(client.pins_add, channel=ROOM) == "no_item_specified"
    assert code_of(client.pins_add, channel=ROOM, timestamp="soon") == "bad_timestamp"
    (item,) = client.pins_list(channel=ROOM)["items"]
    assert (item["message"]["text"], item["created_by"]) == ("the plan", BOT_USER)
    client.pins_remove(channel=ROOM, timestamp=ts)
    assert code_of(client.pins_remove, channel=ROOM, timestamp=ts) == "no_pin"
    assert client.pins_list(channel=ROOM)["items"] == []
    assert [kind for kind in kinds(playground) if "pin" in kind] == ["pin_added", "pin_removed"]


def test_bookmarks(client: WebClient) -> None:
    """Made, changed, listed and taken away."""
    to: dict[str, Any] = {"channel_id": ROOM, "title": "Wiki", "type": "link", "link": "https://example.com/"}
    key = client.bookmarks_add(**to)["bookmark"]["id"]
    assert code_of(client.bookmarks_add, **to | {"link": "wiki"}) == "invalid_link"
    assert code_of(client.bookmarks_add, **to | {"type": "file"}) == "invalid_bookmark_type"
    client.bookmarks_edit(bookmark_id=key, channel_id=ROOM, title="Our wiki")
    assert [one["title"] for one in client.bookmarks_list(channel_id=ROOM)["bookmarks"]] == ["Our wiki"]
    client.bookmarks_remove(bookmark_id=key, channel_id=ROOM)
    assert client.bookmarks_list(channel_id=ROOM)["bookmarks"] == []
    assert code_of(client.bookmarks_remove, bookmark_id=key, channel_id=ROOM) == "not_found"


def test_user_groups(client: WebClient) -> None:
    """Members are shown only where they are asked for; names and handles are nobody else's."""
    assert "users" not in client.usergroups_list()["usergroups"][0]
    assert MAYA in client.usergroups_list(include_users=True)["usergroups"][0]["users"]
    key = client.usergroups_create(name="Night shift", handle="night")["usergroup"]["id"]
    assert code_of(client.usergroups_create, name="Night shift") == "name_already_exists"
    assert code_of(client.usergroups_create, name="Others", handle="night") == "handle_already_exists"
    client.usergroups_users_update(usergroup=key, users=[MAYA, RAVI])
    assert client.usergroups_users_list(usergroup=key)["users"] == [MAYA, RAVI]
    assert code_of(client.usergroups_users_update, usergroup=key, users=["U0X"]) == "invalid_users"
    client.usergroups_update(usergroup=key, name="Late shift")
    client.usergroups_disable(usergroup=key)
    assert key not in {one["id"] for one in client.usergroups_list()["usergroups"]}
    assert key in {one["id"] for one in client.usergroups_list(include_disabled=True)["usergroups"]}
    client.usergroups_enable(usergroup=key)
    assert code_of(client.usergroups_enable, usergroup="S0NONE") == "no_such_subteam"


def test_canvases_keep_sections(client: WebClient) -> None:
    """They are looked up by heading and word, changed one by one, and a channel has one of its own."""
    text = {"type": "markdown", "markdown": "# Plan\nFirst we measure.\n\n## Later\nThen we train."}
    key = client.canvases_create(title="Plan", document_content=text)["canvas_id"]
    (section,) = client.canvases_sections_lookup(canvas_id=key, criteria={"section_types": ["h2"]})[
        "sections"
    ]
    more = {"operation": "insert_after", "section_id": section["id"]}
    more["document_content"] = {"type": "markdown", "markdown": "And we look."}  # type: ignore[assignment]
    client.canvases_edit(canvas_id=key, changes=[more])
    assert (
        len(client.canvases_sections_lookup(canvas_id=key, criteria={"contains_text": "we look"})["sections"])
        == 1
    )
    client.canvases_access_set(canvas_id=key, access_level="read", user_ids=[MAYA])
    client.canvases_access_delete(canvas_id=key, user_ids=[MAYA])
    client.canvases_delete(canvas_id=key)
    assert code_of(client.canvases_delete, canvas_id=key) == "canvas_not_found"
    client.conversations_canvases_create(channel_id=ROOM, document_content=text)
    assert (
        code_of(client.conversations_canvases_create, channel_id=ROOM, document_content=text)
        == "channel_canvas_already_exists"
    )


def test_calls_and_files_that_live_elsewhere(playground: Playground, client: WebClient) -> None:
    """An app makes them known, changes them and ends them."""
    call = client.calls_add(external_unique_id="1", join_url="https://calls.example/1", created_by=MAYA)[
        "call"
    ]
    client.calls_participants_add(id=call["id"], users=[{"slack_id": MAYA}])
    assert code_of(client.calls_participants_add, id=call["id"], users=[{"slack_id": MAYA}]) == "bad_users"
    client.calls_update(id=call["id"], title="Standup")
    assert client.calls_info(id=call["id"])["call"]["title"] == "Standup"
    client.calls_participants_remove(id=call["id"], users=[{"slack_id": MAYA}])
    client.calls_end(id=call["id"])
    assert code_of(client.calls_end, id=call["id"]) == "inactive_call"
    assert code_of(client.calls_info, id="R0NONE") == "invalid_call_id"

    client.files_remote_add(external_id="a1", external_url="https://files.example/1", title="Spec")
    client.files_remote_update(external_id="a1", title="Spec 2")
    assert client.files_remote_info(external_id="a1")["file"]["title"] == "Spec 2"
    client.files_remote_share(external_id="a1", channels=[ROOM])
    assert Person(playground.url, "maya").messages(ROOM)[-1]["files"][0]["title"] == "Spec 2"
    assert [one["external_id"] for one in client.files_remote_list()["files"]] == ["a1"]
    client.files_remote_remove(external_id="a1")
    assert code_of(client.files_remote_info, external_id="a1") == "file_not_found"


def test_people(playground: Playground, client: WebClient) -> None:
    """Slackbot is there, addresses are found, presence is known, and a change is heard of."""
    assert client.users_info(user="USLACKBOT")["user"]["is_bot"] is False
    assert "USLACKBOT" in {one["id"] for one in client.users_list()["members"]}
    mail = client.users_info(user=MAYA)["user"]["profile"]["email"]
    assert client.users_lookupByEmail(email=mail)["user"]["id"] == MAYA
    assert code_of(client.users_lookupByEmail, email="nobody@example.com") == "users_not_found"
    assert client.users_profile_get(user=MAYA)["profile"]["display_name"] == "maya"
    assert client.users_getPresence(user=MAYA)["presence"] == "active"
    client.users_setPresence(presence="away")
    assert client.users_getPresence(user=BOT_USER)["manual_away"] is True
    assert code_of(client.users_setPresence, presence="asleep") == "invalid_presence"
    assert client.dnd_info(user=MAYA)["dnd_enabled"] is False
    assert set(client.dnd_teamInfo(users=[MAYA, RAVI])["users"]) == {MAYA, RAVI}
    assert client.auth_teams_list()["teams"][0]["id"] == TEAM_ID
    playground.person("U0NEW000001", "nora")
    playground.person("U0NEW000001", "nora", deleted=True)
    assert [kind for kind in kinds(playground) if kind in ("team_join", "user_change")] == [
        "team_join",
        "user_change",
    ]


def test_channels_are_described_and_people_sent_out(client: WebClient) -> None:
    """Purpose, reading mark, closing and removal, with Slack's refusals."""
    channel = client.conversations_create(name="night")["channel"]["id"]
    client.conversations_invite(channel=channel, users=[MAYA])
    assert client.conversations_setPurpose(channel=channel, purpose="Nights")["purpose"] == "Nights"
    assert code_of(client.conversations_setTopic, channel=channel, topic="x" * 251) == "too_long"
    assert client.conversations_history(channel=channel)["messages"][0]["subtype"] == "channel_purpose"
    client.conversations_kick(channel=channel, user=MAYA)
    assert code_of(client.conversations_kick, channel=channel, user=MAYA) == "not_in_channel"
    assert code_of(client.conversations_kick, channel=channel, user=BOT_USER) == "cant_kick_self"
    assert code_of(client.conversations_close, channel=channel) == "method_not_supported_for_channel_type"
    client.conversations_close(channel=client.conversations_open(users=[MAYA])["channel"]["id"])
    client.conversations_mark(channel=channel, ts="1.000001")
    assert code_of(client.conversations_mark, channel=channel, ts="now") == "invalid_timestamp"
    client.conversations_archive(channel=channel)
    names = {one["name"] for one in client.conversations_list(exclude_archived=True)["channels"]}
    assert "night" not in names
    assert code_of(client.conversations_list, limit=1001) == "invalid_limit"
    assert code_of(client.conversations_open, users=[f"U{n}" for n in range(9)]) == "too_many_users"


def test_links_metadata_and_third_person(playground: Playground, client: WebClient) -> None:
    """A link of a domain of ours is told and can be unfurled; so is metadata; the app speaks of itself."""
    message = Person(playground.url, "maya").say(ROOM, "see https://docs.example.com/a?b=1&c=2 please")
    assert "link_shared" in kinds(playground)
    url = "https://docs.example.com/a?b=1&c=2"
    client.chat_unfurl(channel=ROOM, ts=message["ts"], unfurls={url: {"text": "A page"}})
    rows = [
        one for one in client.conversations_history(channel=ROOM)["messages"] if one["ts"] == message["ts"]
    ]
    assert rows[0]["attachments"][0]["from_url"] == url
    assert (
        code_of(client.chat_unfurl, channel=ROOM, ts=message["ts"], unfurls={"https://x.example": {}})
        == "cannot_unfurl_url"
    )
    data = {"event_type": "x", "event_payload": {}}
    client.chat_postMessage(channel=ROOM, text="with data", metadata=data)
    assert "message_metadata_posted" in kinds(playground)
    client.chat_meMessage(channel=ROOM, text="waves")
    assert client.conversations_history(channel=ROOM, limit=1)["messages"][0]["subtype"] == "me_message"
    ts = client.chat_postMessage(channel=ROOM, text="liked")["ts"]
    client.reactions_add(channel=ROOM, timestamp=ts, name="eyes")
    assert [one["message"]["ts"] for one in client.reactions_list()["items"]] == [ts]


def test_blocks_are_validated_without_a_message(client: WebClient) -> None:
    """What is wrong is named by place."""
    good = [{"type": "section", "text": {"type": "mrkdwn", "text": "x"}}]
    assert client.blocks_validate(blocks=good)["ok"]
    assert code_of(client.blocks_validate, blocks=[{"type": "nonsense"}]) == "invalid_blocks"
    assert code_of(client.blocks_validate, view={"type": "modal", "blocks": []}) == "invalid_view"
    assert (
        code_of(client.blocks_validate, message={"blocks": [{"type": "divider"}] * 51}) == "invalid_message"
    )
    assert code_of(client.blocks_validate) == "invalid_arguments"


def test_a_group_message_takes_a_file(playground: Playground, client: WebClient) -> None:
    """As a private place does."""
    channel = client.conversations_open(users=[MAYA, RAVI])["channel"]["id"]
    client.files_upload_v2(channel=channel, content=b"a", filename="a.txt")
    assert Person(playground.url, "ravi").messages(channel)[-1]["files"][0]["groups"] == [channel]
    (record,) = client.files_list(channel=channel)["files"]
    client.files_delete(file=record["id"])
    assert code_of(client.files_info, file=record["id"]) == "file_deleted"
    assert "file_deleted" in kinds(playground)


def test_a_code_counts_once_and_for_its_address(playground: Playground, client: WebClient) -> None:
    """As oauth.v2.access words it."""
    app = playground.workspace.tokens
    bare = WebClient(base_url=playground.api_url)
    back = "https://bot.example/slack/oauth_redirect"
    form = {"redirect_uri": back, "state": "s", "team": TEAM_ID}
    answer = httpx.post(f"{playground.url}/oauth/v2/allow", data=form, trust_env=False)
    code = parse_qs(urlparse(answer.headers["location"]).query)["code"][0]
    to = {"client_id": app["client_id"], "client_secret": app["client_secret"], "code": code}
    assert code_of(bare.oauth_v2_access, **to | {"client_secret": "x"}) == "bad_client_secret"
    assert code_of(bare.oauth_v2_access, **to, redirect_uri=back + "x") == "bad_redirect_uri"
    assert code_of(bare.oauth_v2_access, **to, grant_type="password") == "invalid_grant_type"
    client.token = bare.oauth_v2_access(**to, redirect_uri=back)["access_token"]
    assert client.auth_test()["team_id"] == TEAM_ID
    assert code_of(bare.oauth_v2_access, **to) == "code_already_used"
    assert code_of(bare.oauth_v2_access, **to | {"code": "x"}) == "invalid_code"


def test_what_cannot_be_posted(playground: Playground, client: WebClient) -> None:
    """Under a message that one person alone sees, as a person, and thirty times for the same minutes."""
    client.token = playground.bot_token
    whisper = client.chat_postEphemeral(channel=ROOM, user=MAYA, text="psst")["message_ts"]
    assert (
        code_of(client.chat_postMessage, channel=ROOM, text="x", thread_ts=whisper)
        == "cannot_reply_to_message"
    )
    assert code_of(client.chat_postMessage, channel=ROOM, text="x", as_user=True) == "as_user_not_supported"
    at = int(float(whisper)) + 3600
    for _ in range(30):
        client.chat_scheduleMessage(channel=ROOM, post_at=at, text="later")
    assert code_of(client.chat_scheduleMessage, channel=ROOM, post_at=at, text="x") == "restricted_too_many"
    manifest = deepcopy(MANIFEST)
    manifest["features"]["app_home"]["messages_tab_enabled"] = False
    with Playground(manifest) as quiet:
        bot = WebClient(quiet.bot_token, base_url=quiet.api_url)
        assert code_of(bot.chat_postMessage, channel=MAYA, text="x") == "messages_tab_disabled"


@pytest.mark.parametrize(
    ("names", "code"),
    [(OF_PEOPLE, "not_allowed_token_type"), (RETIRED, "method_deprecated"), ({"x.y"}, "unknown_method")],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of the retired ones, by slack_sdk
def test_methods_that_a_bot_cannot_call_are_told_apart(client: WebClient, names: set[str], code: str) -> None:
    """Those of people, those of the past, and those that never were."""
    assert {code_of(client.api_call, api_method=name) for name in names} == {code}
    assert names.isdisjoint(METHODS)
