"""Who is from outside, and which access request a payload makes. Slack's own objects, no network."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.gate import OPEN_TO_OUTSIDERS, read_access_request
from bot.slack.permissions import Permissions
from bot.slack.users import BOT, DEACTIVATED, GUEST, STRANGER, UNKNOWN, Person, Team, outside_reason

OWN = Team("T1", "E1")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"is_admin": True}, ""),
        ({"team_id": "T2"}, STRANGER),
        ({"is_stranger": True}, STRANGER),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T2", "T1"]}}, ""),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T2"]}}, STRANGER),
        ({"team_id": "E1"}, STRANGER),
        ({"is_restricted": True}, GUEST),
        ({"is_restricted": True, "is_ultra_restricted": True, "is_admin": True}, GUEST),
        ({"is_bot": True}, BOT),
        ({"deleted": True, "is_admin": True}, DEACTIVATED),
        ({"team_id": ""}, UNKNOWN),
        ({"team_id": None}, UNKNOWN),
    ],
)
def test_the_user_object_decides_who_is_from_outside(fields: dict[str, Any], why: str) -> None:
    """A person whom Slack does not describe counts as from outside."""
    assert outside_reason({"id": "U1", "team_id": "T1", **fields}, OWN) == why


def test_everybody_is_from_outside_while_our_own_team_is_unknown() -> None:
    """Slack could not be asked which team the bot belongs to."""
    assert outside_reason({"id": "U1", "team_id": "T1"}, Team("")) == UNKNOWN


@pytest.mark.parametrize(
    ("body", "name", "user"),
    [
        ({"command": "/jobs", "user_id": "U1"}, "command:/jobs", "U1"),
        ({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "cite:3"}]}, "action:cite", "U1"),
        ({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "why"}, {"action_id": "job_cancel"}]},
         "action:job_cancel,why", "U1"),
        ({"type": "block_actions", "actions": []}, "action:None", ""),
        ({"type": "view_submission", "user": {"id": "U1"}, "view": {"callback_id": "try"}}, "view:try", "U1"),
        ({"type": "message_action", "user": {"id": "U1"}, "callback_id": "x"}, "shortcut:x", "U1"),
        ({"type": "block_suggestion", "user": {"id": "U1"}}, "other:block_suggestion", "U1"),
        ({"event": {"type": "app_mention", "user": "U1"}}, "event:app_mention", "U1"),
        ({"event": {"type": "message", "bot_id": "B1", "user": "U1"}}, "event:message", ""),
        ({"event": {"type": "message", "message": {"user": "U1"}}}, "event:message", "U1"),
        ({}, "other:None", ""),
    ],
)  # fmt: skip
def test_a_payload_becomes_an_access_request(body: dict[str, Any], name: str, user: str) -> None:
    """A payload with two buttons, or of an unknown kind, is not open to people from outside."""
    access = read_access_request(body)
    assert (access.name, access.user) == (name, user)
    assert (access.name in OPEN_TO_OUTSIDERS) == (name in OPEN_TO_OUTSIDERS)


def test_the_permissions_deny_everything_to_people_from_outside() -> None:
    """Neither Slack's admin flag nor a list of launchers helps; only the admins of the settings count as members."""
    guest = Person("UG", "gus", admin=True, outside=GUEST)
    rules = Permissions(launchers=frozenset({"UG"}), approvers=frozenset({"UG"}))
    job: Any = type("J", (), {"by": "UG", "id": "j", "channel": "C1", "by_name": "gus"})
    in_group = lambda user, groups: True  # noqa: E731
    assert not rules.is_admin(guest)
    for denial in (
        rules.denies_launch(guest, 0, in_group, "C1"),
        rules.denies_change(guest, job, "cancel"),
        rules.denies_approval(guest, job, in_group),
        rules.denies_budget(guest),
        rules.denies_notices(guest, "UG"),
        rules.denies_view(guest, job, "C1"),
    ):
        assert denial is not None
