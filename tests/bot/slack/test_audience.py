"""Membership of people and external readers of channels, asked from the local workspace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from bot.playground import Playground
from bot.playground.state.seed import ANA, GUS, MAYA, SAM, STELLA
from bot.slack.audience import LIST_FROM, RETRY_S, Audience
from bot.slack.users import GUEST, STRANGER, UNKNOWN, Users
from tests.integration.notifier_harness import MANIFEST

ROOM = "C0GENERAL01"


class Clock:
    """A clock that the test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workspace() -> Iterator[Playground]:
    with Playground(MANIFEST) as running:
        running.set_rates(enforce=False)
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(workspace: Playground, clock: Clock) -> Users:
    client = WebClient(workspace.bot_token, base_url=workspace.api_url, retry_handlers=[])
    return Users(client, clock=clock, admin_ids=frozenset({SAM}))


@pytest.fixture
def audience(users: Users, clock: Clock) -> Audience:
    return Audience(users._client, users, clock=clock)


def test_users_info_tells_members_from_guests_and_strangers(users: Users) -> None:
    """An unknown id is from outside; an admin of the settings is always a member."""
    people = [users.person(user) for user in (MAYA, ANA, GUS, STELLA, SAM, "U0NOBODY", "")]
    assert [person.outside for person in people] == ["", "", GUEST, STRANGER, "", UNKNOWN, UNKNOWN]
    assert [person.admin for person in people] == [False, True, False, False, False, False, False]


def test_a_guest_in_a_channel_is_an_external_reader(workspace: Playground, audience: Audience) -> None:
    """A shared channel always has external readers; after somebody joined the channel is checked again."""
    assert audience.check_external_readers("C0PARTNERS1") is True
    assert audience.check_external_readers(ROOM) is False
    workspace.person(GUS, "gus", channels=[ROOM])
    assert audience.check_external_readers(ROOM) is False
    audience.forget(ROOM)
    assert audience.check_external_readers(ROOM) is True


def test_an_event_marks_a_channel_as_shared(workspace: Playground, audience: Audience) -> None:
    """The mark counts at once, without another call."""
    assert audience.check_external_readers(ROOM) is False
    audience.mark_shared(ROOM)
    assert audience.check_external_readers(ROOM) is True


def test_many_members_cost_one_users_list(workspace: Playground, audience: Audience) -> None:
    """A large channel is checked with one list, not with a call for each member."""
    for number in range(LIST_FROM + 2):
        workspace.person(f"U0MANY{number:04d}", f"many{number}", channels=[ROOM])
    since = workspace.state()["calls"]
    assert audience.check_external_readers(ROOM) is False
    methods = [call["method"] for call in workspace.api_log(since)]
    assert methods.count("users.info") == 0
    assert methods.count("users.list") >= 1


def test_an_unknown_audience_counts_as_external_and_is_asked_again(
    workspace: Playground, audience: Audience, clock: Clock
) -> None:
    """While Slack is down the answer is unknown; a missing permission counts as external; a closed channel does not."""
    workspace.fail("conversations.info", how="500")
    assert (audience.check_external_readers(ROOM), audience.has_external_readers(ROOM)) == (None, True)
    clock.now += RETRY_S + 1
    assert audience.check_external_readers(ROOM) is False
    clock.now += 601
    workspace.fail("conversations.info", how="500")
    assert audience.check_external_readers(ROOM) is False  # as it was known before
    workspace.fail("conversations.info", how="error:missing_scope")
    assert audience.check_external_readers("C0SUPPORTML") is True
    assert audience.check_external_readers("C0NOWHERE") is False


def test_a_known_member_stays_a_member_for_a_day_without_slack(
    workspace: Playground, users: Users, clock: Clock
) -> None:
    """After that day nobody counts as a member."""
    assert users.person(MAYA).outside == ""
    workspace.fail("users.info", times=2)
    clock.now += 3600
    assert users.person(MAYA).outside == ""
    clock.now += 25 * 3600
    assert users.person(MAYA).outside == UNKNOWN
