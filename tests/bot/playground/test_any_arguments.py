"""Whatever a client sends, the workspace answers as Slack does: a JSON object with `ok`, never a broken call."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from bot.playground import Playground
from bot.playground.state.seed import BOT_USER, MAYA
from bot.playground.web_api.api import METHODS
from tests.bot.playground.conftest import MANIFEST

pytestmark = pytest.mark.integration
ROOM = "C0SUPPORTML"
EACH = 24  # calls of each method
ENDING = {"auth.revoke", "apps.uninstall", "oauth.v2.access", "conversations.archive", "conversations.leave"}
"""They would leave nothing to try the others on."""
NAMES = (
    "access_level", "attachments", "blocks", "bookmark_id", "canvas_id", "changes", "channel", "channel_id", "channels",
    "chunks", "criteria", "cursor", "document_content", "email", "emoji", "event_context", "external_id",
    "external_unique_id", "external_url", "file", "filename", "files", "handle", "hash", "id", "is_private", "join_url",
    "created_by", "latest", "length", "limit", "link", "loading_messages", "markdown_text", "message", "message_ts",
    "metadata", "name", "oldest", "post_at", "presence", "prompts", "purpose", "recipient_team_id",
    "recipient_user_id", "reply_broadcast", "scheduled_message_id", "session_status", "status", "text", "thread_ts",
    "timestamp", "title", "topic", "trigger_id", "ts", "type", "types", "unfurls", "user", "user_id", "user_ids",
    "usergroup", "username", "users", "view", "view_id", "count", "page", "initial_comment",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 3.5, 10**30, "", " ", "x", "nan", "inf", "1e999", "-1", "\x00", "x" * 5000, "💥", "[", "{}",
    "[1]", '{"a": [1]}', ROOM, MAYA, BOT_USER, "T0NORTHWIND", "1.000001", "link", "modal", "https://example.com/",
    [], [None], [1], [[]], [{}], ["x"], {}, {"type": []}, {"type": "modal", "blocks": [[]]}, {"type": "markdown"},
    [{"type": "section"}], [{"type": "section", "text": 3}], [{"type": "section", "fields": 3}], [{"type": []}],
    [{"type": "actions", "elements": {}}], [{"type": "actions", "elements": [3, {"type": "button"}]}],
    [{"type": "input", "element": [], "label": "x"}], [{"type": "table", "rows": [3, [3]]}],
    [{"type": "context", "elements": [3]}], [{"type": "rich_text", "elements": [{"type": "rich_text_section"}]}],
    [{"type": "data_visualization", "title": "x", "chart": {"type": "bar", "series": [3], "axis_config": 3}}],
    [{"type": "data_table", "caption": "x", "rows": [[], 3]}], [{"type": "plan", "title": "x", "tasks": [3]}],
    [{"type": "card", "title": 3, "actions": 3}], [{"type": "container", "title": "x", "child_blocks": [3]}],
    [{"type": "actions", "elements": [{"type": "static_select", "options": [3], "option_groups": 3}]}],
    [{"type": "actions", "elements": [{"type": "checkboxes", "options": 3, "confirm": 3}]}],
    [{"type": "markdown_text", "text": 3}], [{"type": "task_update", "id": [], "title": "x", "details": 3}],
    [{"type": "blocks", "blocks": 3}], [{"operation": []}], {"event_type": "x", "event_payload": {}},
)  # fmt: skip


@pytest.fixture(scope="module")
def playground() -> Iterator[Playground]:
    """An app with every scope that any method asks for."""
    manifest = deepcopy(MANIFEST)
    manifest["oauth_config"]["scopes"]["bot"] = sorted(
        {s for method in METHODS.values() for s in method.scopes}
    )
    with Playground(manifest) as running:
        running.set_rates(enforce=False)
        yield running


def test_no_arguments_break_a_call(playground: Playground) -> None:
    """Each method, by JSON and by form, with values of every kind for arguments of every name."""
    draw, failures = random.Random(7), []
    token = {"authorization": f"Bearer {playground.bot_token}"}
    with httpx.Client(base_url=playground.api_url, trust_env=False, headers=token) as client:
        ts = client.post("chat.postMessage", json={"channel": ROOM, "text": "root"}).json()["ts"]
        for method in sorted(METHODS.keys() - ENDING):
            for turn in range(EACH):
                args = {name: draw.choice(VALUES) for name in draw.sample(NAMES, draw.randint(0, 12))}
                if turn % 2:  # past the first checks
                    args |= {"channel": ROOM, "channel_id": ROOM, "thread_ts": ts, "ts": ts, "timestamp": ts}
                    args |= {"recipient_user_id": MAYA, "recipient_team_id": "T0NORTHWIND", "user_id": MAYA}
                if turn % 3:
                    answer = client.post(method, json=args)
                else:
                    text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in args.items()}
                    answer = client.post(method, data=text)
                if answer.status_code != 200 or "ok" not in answer.json():
                    failures.append((method, args))
    assert failures == []


@pytest.mark.parametrize("body", [b"", b"null", b"3", b"[]", b'"x"', b"{", b"\xff\xfe", b'{"a": 1'])
def test_a_body_that_is_no_object_is_said(playground: Playground, body: bytes) -> None:
    """By Slack's word."""
    headers = {"authorization": f"Bearer {playground.bot_token}", "content-type": "application/json"}
    answer = httpx.post(f"{playground.api_url}users.list", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["ok"] is (body == b"")


@pytest.mark.parametrize(
    ("kind", "code", "warning"),
    [
        ("text/plain", "invalid_post_type", None),
        ("", "missing_post_type", None),
        ("application/json", None, "missing_charset"),
        ("application/json; charset=utf-8", None, None),
        ("application/x-www-form-urlencoded; charset=utf-8", None, "superfluous_charset"),
        ("application/x-www-form-urlencoded", None, None),
    ],
)
def test_content_types_are_remarked_on(
    playground: Playground, kind: str, code: str | None, warning: str | None
) -> None:
    """As Slack does: what it cannot read is refused, what it reads all the same is warned of."""
    headers = {"authorization": f"Bearer {playground.bot_token}"} | ({"content-type": kind} if kind else {})
    body = b"{}" if "json" in kind else b"limit=3"
    answer = httpx.post(
        f"{playground.api_url}users.list", content=body, headers=headers, trust_env=False
    ).json()
    assert (answer.get("error"), answer.get("warning")) == (code, warning)


@pytest.mark.parametrize("header", ["Basic !!!", "Basic", "Bearer", "Bearer x y", "Basic eHg6"])
def test_a_broken_authorization_is_none(playground: Playground, header: str) -> None:
    """Neither a fault nor a way in."""
    answer = httpx.post(f"{playground.api_url}auth.test", headers={"authorization": header}, trust_env=False)
    assert answer.json()["error"] in ("not_authed", "invalid_auth")
