"""The manifest and the code agree, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from bot.playground.web_api.api import METHODS
from bot.slack.ui.prompts import PROMPTS

ROOT = Path(__file__).parents[2]
MANIFEST = yaml.safe_load((ROOT / "manifest.yml").read_text())
CODE = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py") if "playground" not in path.parts)


def test_every_command_and_shortcut_has_a_listener_and_no_other_is_there() -> None:
    """Slash commands and message shortcuts of the manifest are those that the code registers."""
    commands = {command["command"] for command in MANIFEST["features"]["slash_commands"]}
    shortcuts = {shortcut["callback_id"] for shortcut in MANIFEST["features"]["shortcuts"]}
    assert commands == set(re.findall(r'app\.command\("(/[^"]+)"\)', CODE))
    assert shortcuts == set(re.findall(r'app\.(?:shortcut|message_shortcut)\("([^"]+)"\)', CODE))


def test_the_suggested_prompts_are_those_that_the_code_offers() -> None:
    """Slack shows the manifest's before the bot sets its own: each has a test of its answer."""
    assert MANIFEST["features"]["agent_view"]["suggested_prompts"] == PROMPTS


def test_every_event_has_a_listener_and_no_other_is_there() -> None:
    """Events subscribed to are those listened to; `message` stands for its three channel types."""
    target = {event.split(".")[0] for event in MANIFEST["settings"]["event_subscriptions"]["bot_events"]}
    assert target == set(re.findall(r'app\.event\("([^"]+)"\)', CODE))


# The scopes that Slack asks for, by method (docs.slack.dev, autumn 2026): one of them is enough; none: every token may.
SCOPES: dict[str, set[str]] = {
    "apps_uninstall": set(),
    "agents_sessions_setStatus": {"chat:write"},
    "assistant_threads_setSuggestedPrompts": {"assistant:write"},
    "auth_teams_list": set(),
    "auth_test": set(),
    "chat_appendStream": {"chat:write"},
    "chat_delete": {"chat:write"},
    "chat_postEphemeral": {"chat:write"},
    "chat_postMessage": {"chat:write"},
    "chat_startStream": {"chat:write"},
    "chat_stopStream": {"chat:write"},
    "chat_update": {"chat:write"},
    "conversations_history": {"channels:history", "groups:history", "im:history", "mpim:history"},
    "conversations_info": {"channels:read", "groups:read", "im:read", "mpim:read"},
    "conversations_members": {"channels:read", "groups:read", "im:read", "mpim:read"},
    "conversations_open": {"im:write"},
    "conversations_replies": {"channels:history", "groups:history", "im:history", "mpim:history"},
    "files_info": {"files:read"},
    "files_upload_v2": {"files:write"},
    "reactions_add": {"reactions:write"},
    "usergroups_users_list": {"usergroups:read"},
    "users_info": {"users:read"},
    "users_list": {"users:read"},
    "views_open": set(),
    "views_publish": set(),
    "views_update": set(),
}
EVENT_SCOPES = {
    "app_mention": {"app_mentions:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
    "member_joined_channel": {"channels:read", "groups:read"},
}
BESIDE = {"commands"}  # a manifest with commands has to have it
CALL = re.compile(r"(?:client|_quick|_client)\.((?:agents|apps|assistant|auth|bots|chat|conversations|files|pins|reactions|team|"
                  r"usergroups|users|views)_[A-Za-z_2]+)\(")  # fmt: skip


def test_every_call_has_its_scope_and_every_scope_a_call() -> None:
    """The methods that the code calls, and the events that it hears, ask for just the scopes of the manifest."""
    scopes = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    calls = set(re.findall(CALL, CODE)) - {"chat_stream"}
    assert calls <= set(SCOPES), "say above which scopes the new call needs"
    assert [call for call in sorted(calls) if SCOPES[call] and not SCOPES[call] & scopes] == []
    events = set(MANIFEST["settings"]["event_subscriptions"]["bot_events"])
    needs = set().union(*(SCOPES[call] for call in calls), *(EVENT_SCOPES.get(one, set()) for one in events))
    assert scopes - needs - BESIDE == set()
    assert [one for one in events if EVENT_SCOPES.get(one, set()) - scopes] == []


IN_TWO = {"files_upload_v2": ("files.getUploadURLExternal", "files.completeUploadExternal")}
NOT_HERE = {"auth_teams_list"}  # an organisation's; tests/bot/teams/conftest.py speaks it


def wire_names(call: str) -> tuple[str, ...]:
    """The methods of the Web API that a call of the client is."""
    return IN_TWO.get(call, (call.replace("_", "."),))


def test_the_workspace_asks_each_call_of_the_tests_for_the_scopes_that_slack_does() -> None:
    """It refuses what the manifest has no scope for, so whatever stands in a test's log of calls had its scope."""
    by_call = {
        call: {scope for name in wire_names(call) for scope in METHODS[name].scopes}
        for call in SCOPES
        if call not in NOT_HERE
    }
    assert {call: scopes for call, scopes in by_call.items() if not SCOPES[call] <= scopes} == {}
    needy = {call for call, scopes in by_call.items() if bool(scopes) != bool(SCOPES[call])}
    assert needy == set()
