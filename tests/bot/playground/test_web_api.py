"""The Web API refuses what Slack refuses, with Slack's codes, and does what slack_sdk expects of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.playground import Person, Playground
from tests.bot.playground.conftest import MANIFEST

pytestmark = pytest.mark.integration
ROOM = "C0SUPPORTML"


def error_of(call: Any, **args: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as error:
        call(**args)
    return dict(error.value.response.data)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"channel": ROOM}, "no_text"),
        ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": "C0RANDOM001", "text": "x"}, "not_in_channel"),
        ({"channel": "G0MLLEADS01", "text": "x"}, "channel_not_found"),
        ({"channel": ROOM, "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": ROOM, "text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"channel": ROOM, "text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"channel": ROOM, "text": "x", "metadata": {"event_type": 3}}, "invalid_metadata_schema"),
        ({"channel": ROOM, "text": "x", "thread_ts": "yesterday"}, "invalid_thread_ts"),
        ({"channel": ROOM, "text": "x", "username": "someone"}, "missing_scope"),
    ],
)
def test_postmessage_refuses_with_slacks_codes(client, args, code):
    """Each bad message has its own code."""
    assert error_of(client.chat_postMessage, **args)["error"] == code


def test_bad_blocks_are_named_by_place(client):
    """response_metadata.messages says what is wrong and where."""
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 3001}}]
    answer = error_of(client.chat_postMessage, channel=ROOM, text="x", blocks=blocks)
    problem = "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert answer["response_metadata"]["messages"] == [problem]


def test_tokens_are_checked(playground, client):
    """Wrong, missing, wrong kind of, and revoked tokens each have their code."""
    assert (
        error_of(WebClient(token="xoxb-no", base_url=playground.api_url).auth_test)["error"] == "invalid_auth"
    )
    assert error_of(WebClient(base_url=playground.api_url).auth_test)["error"] == "not_authed"
    app_token = WebClient(token=playground.app_token, base_url=playground.api_url)
    assert error_of(app_token.auth_test)["error"] == "not_allowed_token_type"
    playground.revoke("bot")
    assert error_of(client.auth_test)["error"] == "token_revoked"
    playground.revoke("none")
    assert client.auth_test()["bot_id"] == "B0TRAINWISE"


def test_a_scope_that_the_manifest_lacks_is_named():
    """missing_scope says what is needed and what there is."""
    poor = deepcopy(MANIFEST)
    poor["oauth_config"]["scopes"]["bot"] = ["channels:read"]
    with Playground(poor) as playground:
        client = WebClient(token=playground.bot_token, base_url=playground.api_url)
        answer = error_of(client.chat_postMessage, channel=ROOM, text="x")
        assert (answer["error"], answer["needed"], answer["provided"]) == (
            "missing_scope",
            "chat:write",
            "channels:read",
        )
        assert error_of(client.conversations_history, channel=ROOM)["error"] == "missing_scope"


def test_the_sixth_message_in_a_second_is_rate_limited_with_retry_after(client, playground):
    """About one message a second in a channel, with a burst of five; the clock brings it back."""
    for _ in range(5):
        client.chat_postMessage(channel=ROOM, text="x")
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=ROOM, text="x")
    assert error.value.response.status_code == 429
    assert error.value.response.headers["Retry-After"] == "1"
    playground.advance(2)
    assert client.chat_postMessage(channel=ROOM, text="x")["ok"]


def test_the_sdks_retry_handler_gets_through_a_rate_limit(client, playground):
    """Retry-After is what RateLimitErrorRetryHandler waits for."""
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    playground.set_rates({"chat.update": 60})
    ts = client.chat_postMessage(channel=ROOM, text="x")["ts"]
    playground.set_rates({"users.info": 60})
    assert client.chat_update(channel=ROOM, ts=ts, text="y")["ok"]


@pytest.mark.parametrize(
    ("how", "stays"), [("500", 0), ("drop", 0), ("accepted_500", 1), ("accepted_drop", 1)]
)
def test_planned_faults_fail_the_call_before_or_after_it_took_effect(playground, client, maya, how, stays):
    """An accepted call that was answered with nothing has happened all the same."""
    playground.fail("chat.postMessage", how=how)
    client.retry_handlers.clear()
    with pytest.raises(Exception, match=r".*"):
        client.chat_postMessage(channel=ROOM, text="x")
    assert len(maya.messages(ROOM)) == stays
    assert client.chat_postMessage(channel=ROOM, text="y")["ok"]


def test_a_stream_grows_and_dies_after_five_minutes(playground, client, maya):
    """appendStream after expiry is message_not_in_streaming_state; the text so far stays."""
    root = maya.say(ROOM, "question")["ts"]
    to = {"recipient_team_id": "T0NORTHWIND", "recipient_user_id": "U0MAYA00001"}
    ts = client.chat_startStream(channel=ROOM, thread_ts=root, markdown_text="**a", **to)["ts"]
    client.chat_appendStream(channel=ROOM, ts=ts, markdown_text="b**")
    assert (
        error_of(client.chat_startStream, channel=ROOM, thread_ts=root)["error"]
        == "missing_recipient_team_id"
    )
    playground.advance(301)
    error_body = error_of(client.chat_appendStream, channel=ROOM, ts=ts, markdown_text="c")
    assert error_body["error"] == "message_not_in_streaming_state"
    assert client.chat_update(channel=ROOM, ts=ts, text="rolled over")["ok"]
    assert maya.messages(ROOM, root)[-1]["text"] == "rolled over"


def test_files_upload_v2_round_trip(playground, client, maya):
    """Upload, share, download with the token; without it Slack's sign-in page, which is HTML."""
    shared = client.files_upload_v2(channel=ROOM, content=b"a,b\n1,2\n", filename="t.csv", title="T")
    message = maya.wait_message(ROOM, lambda m: bool(m.get("files")))
    assert message["files"][0]["id"] == shared["file"]["id"]
    assert maya.file(shared["file"]["id"]) == b"a,b\n1,2\n"
    url = client.files_info(file=shared["file"]["id"])["file"]["url_private"]
    token = {"authorization": f"Bearer {playground.bot_token}"}
    assert httpx.get(url, headers=token, trust_env=False).content == b"a,b\n1,2\n"
    assert "Sign in" in httpx.get(url, follow_redirects=True, trust_env=False).text


def test_a_response_url_takes_five_posts_within_half_an_hour(playground):
    """The sixth is used_url; after 30 minutes it is expired_url."""
    link = playground.workspace
    from bot.playground.delivery.links import Links
    from bot.playground.errors import ApiError

    links = Links(link.clock)
    key = links.response(ROOM, "U0MAYA00001").rsplit("/", 1)[-1]
    for _ in range(5):
        links.use_response(key)
    with pytest.raises(ApiError, match="used_url"):
        links.use_response(key)
    late = links.response(ROOM, "U0MAYA00001").rsplit("/", 1)[-1]
    playground.advance(1801)
    with pytest.raises(ApiError, match="expired_url"):
        links.use_response(late)


def test_a_trigger_lasts_three_seconds_of_this_machine_s_time(playground):
    """Once; on a machine with a fourth of a core for us, four times as long by the clock."""
    from bot.playground.delivery.links import Links
    from bot.playground.errors import ApiError

    clock = playground.workspace.clock
    idle, busy = Links(clock, lambda: 1.0), Links(clock, lambda: 0.25)
    keys = [(links, links.trigger("U0MAYA00001")) for links in (idle, busy)]
    again = busy.trigger("U0MAYA00001")
    playground.advance(4)
    with pytest.raises(ApiError, match="expired_trigger_id"):
        idle.redeem(keys[0][1])
    assert busy.redeem(keys[1][1]).user == "U0MAYA00001"
    with pytest.raises(ApiError, match="exchanged_trigger_id"):
        busy.redeem(keys[1][1])
    playground.advance(9)
    with pytest.raises(ApiError, match="expired_trigger_id"):
        busy.redeem(again)


def test_history_hides_ephemeral_messages_and_pages(client, maya):
    """What only one person saw is not in the channel's history."""
    client.chat_postEphemeral(channel=ROOM, user="U0MAYA00001", text="psst")
    for number in range(3):
        maya.say(ROOM, f"m{number}")
    first = client.conversations_history(channel=ROOM, limit=2)
    assert [m["text"] for m in first["messages"]] == ["m2", "m1"]
    rest = client.conversations_history(channel=ROOM, cursor=first["response_metadata"]["next_cursor"])
    assert [m["text"] for m in rest["messages"]] == ["m0"]
    assert maya.messages(ROOM)[0]["is_ephemeral"]


def test_every_call_is_logged_without_its_token(client, maya):
    """The log holds method, arguments and answer of each call."""
    client.chat_postMessage(channel=ROOM, text="logged")
    entry = maya.api_log()[-1]
    assert (entry["method"], entry["params"]["text"], entry["response"]["ok"]) == (
        "chat.postMessage",
        "logged",
        True,
    )
    assert "token" not in entry["params"]


def test_a_killed_workspace_comes_back_with_its_messages_tokens_and_files(tmp_path):
    """`store` keeps everything that was acknowledged, without a clean shutdown."""
    first = Playground(MANIFEST, store=tmp_path).start()
    client = WebClient(token=first.bot_token, base_url=first.api_url)
    client.chat_postMessage(channel=ROOM, text="kept")
    record = Person(first.url).upload("#general", "a.txt", b"content")["file"]
    with Playground(MANIFEST, store=tmp_path) as second:  # beside the first, which was never stopped
        assert second.bot_token == first.bot_token
        person = Person(second.url)
        assert [m["text"] for m in person.messages(ROOM)] == ["kept"]
        assert person.file(record["id"]) == b"content"
    first.stop()


def test_other_web_pages_cannot_act_for_the_person(playground):
    """A foreign Origin is refused (a site the developer visits must not reach the workspace)."""
    body = {"user": "maya", "channel": ROOM, "text": "x"}
    foreign = {"origin": "https://evil.example"}
    assert (
        httpx.post(f"{playground.url}/client/say", json=body, headers=foreign, trust_env=False).status_code
        == 404
    )
