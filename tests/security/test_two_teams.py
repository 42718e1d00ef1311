"""Two workspaces in one bot, with equal channel, user and message ids and equal names: nothing of the one is in the other.

The doors are those of test_outsiders.py, read from the code; here members and admins of the other workspace use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.playground.state.seed import ANA, MAYA, OTHER_TEAM, RAVI, TEAM_ID
from tests.homes import home_with_graphs
from tests.integration.conftest import until
from tests.integration.two_teams import BOTH, TwoTeams, two_teams
from tests.security.test_outsiders import (
    OUTSIDE,
    PLACE,
    SECRETS,
    Plants,
    ask_everywhere,
    doors,
    leaks,
    plant,
    use,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, embed_cache: Path) -> Iterator[TwoTeams]:
    """The bot, installed in both."""
    with two_teams(home_with_graphs(tmp_path_factory.mktemp("two"), embed_cache)) as running:
        for team in BOTH:
            assert running.install(team).status_code == 200
        yield running


@pytest.fixture(scope="module")
def plants(two: TwoTeams) -> Plants:
    """The secrets lie in the first workspace; the second has a dataset of the same name."""
    theirs = two.slack(OTHER_TEAM).services
    rows = [f"where is my {a} {b},{'late' if n % 2 else 'lost'}" for n, (a, b) in enumerate(PAIRS)]
    (theirs.home / "t.csv").write_text("text,label\n" + "\n".join(rows))
    theirs.datasets.add(
        theirs.home / "t.csv", SECRETS["dataset name"], RAVI, frozenset({"workspace"}), "ours"
    )
    return plant(two.slack(TEAM_ID))


PAIRS = [(a, b) for a in ("red", "blue", "grey", "gold", "pink") for b in ("box", "bag", "pot", "hat", "pen")]


@pytest.mark.parametrize("user", [ANA, RAVI])
def test_nothing_of_a_workspace_is_found_in_the_other(two: TwoTeams, plants: Plants, user: str) -> None:
    """Every payload with the first workspace's ids, sent in the second by an admin and by members with the same ids."""
    ours, theirs = two.slack(TEAM_ID), two.slack(OTHER_TEAM)
    before = {job.id: (job.state, job.version) for job in ours.services.ledger.jobs(limit=500)}
    ours.settle()  # what planting the secrets makes the bot say comes at Slack's pace
    since, threads = ours.calls(), ours.services.ledger.thread(*plants.wide[:2])
    results = use(theirs, user, doors(theirs, plants, user)) | ask_everywhere(theirs, user, plants)
    secrets = [pair for pair in leaks(results) if pair[1] != "dataset name"]  # both have one of that name
    assert secrets == []
    assert {job.id: (job.state, job.version) for job in ours.services.ledger.jobs(limit=500)} == before
    assert ours.calls() == since  # and not a word was said in the first
    assert ours.services.ledger.thread(*plants.wide[:2]) == threads
    assert ours.services.datasets.get(SECRETS["dataset name"]).classes == (("falconry", 12), ("parcels", 12))


def test_the_first_workspace_finds_its_secrets_through_the_same_payloads(
    two: TwoTeams, plants: Plants
) -> None:
    """Otherwise the matrix could not fail."""
    ours = two.slack(TEAM_ID)
    names = [
        (n, b) for n, b in doors(ours, plants, RAVI) if n.startswith(("/jobs", "/datasets show", "/docs"))
    ]
    visible = {name for _, name in leaks(use(ours, RAVI, names))}
    assert {"job headline", "document title", "dataset name", "name of a colleague"} <= visible


def test_people_from_outside_stay_outside_in_each(two: TwoTeams, plants: Plants) -> None:
    """A person's membership in one workspace does not count in the other."""
    assert two.slack(OTHER_TEAM).services.users.person(next(iter(OUTSIDE))).outside
    assert two.slack(TEAM_ID).services.users.person(MAYA).outside == ""
    assert two.slack(OTHER_TEAM).services.users.person("U0NOBODY001").outside == "unknown"


def test_a_payload_of_a_team_without_the_app_is_refused(two: TwoTeams) -> None:
    """A command is answered with why, an event is acknowledged, and nothing is done."""
    slack = two.slack(OTHER_TEAM)
    for team in BOTH:
        two.slack(team).settle()
    since = [two.slack(team).calls() for team in BOTH]
    slack.send(slack.command(ANA, "/jobs", "all", PLACE, "T0NOWHERE01"))
    assert "no longer available" in until(lambda: two.answers and two.answers[-1])
    own = [{"team_id": "T0NOWHERE01", "user_id": "U0TRAINWISE", "is_bot": True, "enterprise_id": None}]
    event = {
        "type": "app_mention",
        "user": MAYA,
        "channel": PLACE,
        "text": "hello",
        "ts": "1.1",
        "event_ts": "1.1",
    }
    slack.send(slack.event(event, authorizations=own, team_id="T0NOWHERE01"))
    slack.settle()
    calls = [
        one["method"]
        for team, start in zip(BOTH, since, strict=True)
        for one in two.slack(team).workspace.api_log(start)
    ]
    acts = [one for one in calls if one.startswith(("chat.post", "views.", "reactions.", "files."))]
    assert acts == [], "an upkeep may ask auth.test and an earlier card may change; nothing new is said"
