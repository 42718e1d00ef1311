"""Who reads along in a channel and who is a member, asked from the local workspace as from Slack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from bot.playground import Playground
from bot.playground.state.seed import ANA, GUS, MAYA, SAM, STELLA
from bot.slack.audience import AGAIN_S, MANY, Audience
from bot.slack.users import GUEST, STRANGER, UNKNOWN, Users
from tests.integration.notifier_harness import MANIFEST

ROOM = "C0GENERAL01"


class Clock:
    """Seconds that the test moves."""

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
    return Users(client, clock=clock, insiders=frozenset({SAM}))


@pytest.fixture
def audience(users: Users, clock: Clock) -> Audience:
    return Audience(users._client, users, clock=clock)


def test_members_guests_strangers_and_nobody(users: Users) -> None:
    """By users.info; whom the settings name is a member in any case."""
    people = [users.person(user) for user in (MAYA, ANA, GUS, STELLA, SAM, "U0NOBODY", "")]
    assert [person.outside for person in people] == ["", "", GUEST, STRANGER, "", UNKNOWN, UNKNOWN]
    assert [person.admin for person in people] == [False, True, False, False, False, False, False]


def test_a_channel_is_overheard_when_a_guest_reads_there(workspace: Playground, audience: Audience) -> None:
    """Asked again when somebody joins; shared channels always."""
    assert audience.overhears("C0PARTNERS1") is True
    assert audience.overhears(ROOM) is False
    workspace.person(GUS, "gus", channels=[ROOM])
    assert audience.overhears(ROOM) is False
    audience.forget(ROOM)
    assert audience.overhears(ROOM) is True


def test_a_channel_that_becomes_shared(workspace: Playground, audience: Audience) -> None:
    """As soon as an event says so."""
    assert audience.overhears(ROOM) is False
    audience.mark_shared(ROOM)
    assert audience.overhears(ROOM) is True


def test_many_members_cost_one_list(workspace: Playground, audience: Audience) -> None:
    """Not a call for each."""
    for number in range(MANY + 2):
        workspace.person(f"U0MANY{number:04d}", f"many{number}", channels=[ROOM])
    since = workspace.state()["calls"]
    assert audience.overhears(ROOM) is False
    methods = [call["method"] for call in workspace.api_log(since)]
    assert methods.count("users.info") == 0
    assert methods.count("users.list") >= 1


def test_what_cannot_be_asked_counts_as_overheard_and_is_asked_again(
    workspace: Playground, audience: Audience, clock: Clock
) -> None:
    """While Slack is away; a refusal for want of a right stays; a channel that is closed to us is not ours to judge."""
    workspace.fail("conversations.info", how="500")
    assert (audience.overhears(ROOM), audience.is_overheard(ROOM)) == (None, True)
    clock.now += AGAIN_S + 1
    assert audience.overhears(ROOM) is False
    clock.now += 601
    workspace.fail("conversations.info", how="500")
    assert audience.overhears(ROOM) is False  # as it was known before
    workspace.fail("conversations.info", how="error:missing_scope")
    assert audience.overhears("C0SUPPORTML") is True
    assert audience.overhears("C0NOWHERE") is False


def test_who_was_known_stays_known_for_a_day_without_slack(
    workspace: Playground, users: Users, clock: Clock
) -> None:
    """Then nobody is a member any more."""
    assert users.person(MAYA).outside == ""
    workspace.fail("users.info", times=2)
    clock.now += 3600
    assert users.person(MAYA).outside == ""
    clock.now += 25 * 3600
    assert users.person(MAYA).outside == UNKNOWN
