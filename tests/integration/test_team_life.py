"""The life cycle of a workspace in a bot of many: from one token, token rotation, removal, return, erasure."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from typer.testing import CliRunner

from bot.cli.app import app as cli
from bot.cli.app import register
from bot.errors import BotError
from bot.playground.state.seed import ANA, OTHER_TEAM, RAVI, TEAM_ID
from bot.settings import load_settings
from bot.slack.delivery.label_check import check_labels
from bot.teams.directory import Directory
from bot.teams.runtime import TeamRuntime
from bot.wiring import build
from finetune.data.importing import IMPORTS
from tests.homes import home_with_graphs
from tests.integration.conftest import MENTION, few_tickets, until
from tests.integration.two_teams import BOTH, TwoTeams, two_teams
from worker.jobs.records import JobRequest
from worker.jobs.states import State

pytestmark = pytest.mark.integration
ONE_WORKSPACE = ("TRAINWISE_SLACK_CLIENT_ID", "TRAINWISE_SLACK_CLIENT_SECRET")


@pytest.fixture
def two(tmp_path: Path, embed_cache: Path) -> Iterator[TwoTeams]:
    """Two workspaces and a bot of many teams, in a home that a bot with one token has used."""
    with two_teams(home_with_graphs(tmp_path, embed_cache), run=False) as running:
        yield running


def keep_something(two: TwoTeams, runtime: TeamRuntime) -> None:
    """A dataset, a thread and a job in a runtime's stores."""
    file = runtime.settings.home / "few.csv"
    file.write_bytes(few_tickets(40))
    runtime.services.datasets.add(file, "ours", RAVI, frozenset({"workspace"}), "ours")
    runtime.ledger.save_thread("C0SUPPORTML", "1.0", {"kept": runtime.team or "first"})
    runtime.ledger.submit(JobRequest("tiny", {}, "ours", RAVI, "ravi", "T", "C0SUPPORTML", None, "k1"))


def answers(two: TwoTeams, team: str) -> bool:
    """Whether the bot answers a mention in this workspace."""
    maya = two.slack(team).person("maya")
    message = maya.say("#support-ml", f"{MENTION} our help center changes weekly, should we fine-tune on it?")
    return bool(until(lambda: maya.messages("#support-ml", message["ts"])[1:]))


def test_the_state_of_a_bot_with_one_token_is_assigned_to_its_team(
    two: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token names the team; an interrupted start is repeated; no file moves; the second workspace sees nothing of it."""
    token = {"SLACK_BOT_TOKEN": two.workspace.bot_token}
    one = {name: value for name, value in two.env.items() if name not in ONE_WORKSPACE} | token
    bot = build(load_settings(one))
    assert isinstance(bot.runtime, TeamRuntime)
    bot.start()
    keep_something(two, bot.runtime)
    with pytest.raises(BotError, match="Another bot runs in"):
        build(load_settings({**two.env, **token}))
    bot.stop()

    with pytest.raises(BotError, match="without SLACK_BOT_TOKEN I cannot tell"):
        build(load_settings(two.env))
    add = Directory.add
    monkeypatch.setattr(Directory, "add", lambda *_: (_ for _ in ()).throw(OSError("pulled plug")))
    with pytest.raises(OSError, match="pulled plug"):
        build(load_settings({**two.env, **token}))
    monkeypatch.setattr(Directory, "add", add)
    two.start({**two.env, **token})
    two.stop()
    two.start()  # from now on without the old token

    first = two.slack(TEAM_ID).services
    assert first.home == load_settings(two.env).home
    assert first.datasets.get("ours").rows == 40
    assert first.ledger.thread("C0SUPPORTML", "1.0") == {"kept": "first"}
    assert len(first.ledger.jobs(kind="tiny")) == 1
    assert two.install(OTHER_TEAM).status_code == 200
    second = two.slack(OTHER_TEAM).services
    assert second.ledger.thread("C0SUPPORTML", "1.0") is None
    assert [card.name for card in second.datasets.list() if card.added_by != "trainwise"] == []
    assert all(answers(two, team) for team in BOTH)
    two.stop()
    with pytest.raises(BotError, match=f"home of a bot of many workspaces .*{OTHER_TEAM}"):
        build(load_settings(one))


def test_tokens_are_encrypted_at_rest_and_renewed_before_they_end(two: TwoTeams) -> None:
    """The first token has expired at Slack, and the bot works on."""
    theirs = two.workspace.other
    theirs.control("rotation", seconds=3600)
    two.start()
    assert two.install(OTHER_TEAM).status_code == 200
    record = two.runtimes.directory.require(OTHER_TEAM)
    first = two.runtimes.tokens.bot(record)
    assert first is not None
    two.workspace.advance(3500)
    two.runtimes.tokens.invalidate(record)
    assert two.runtimes.connection(record).client.auth_test()["team_id"] == OTHER_TEAM
    two.workspace.advance(200)
    with pytest.raises(SlackApiError, match="token_expired"):
        WebClient(first.bot_token, base_url=two.workspace.api_url).auth_test()
    assert answers(two, OTHER_TEAM)
    home = load_settings(two.env).home
    kept = b"".join(path.read_bytes() for path in home.glob("teams.db*"))
    assert b"fernet:" in kept
    assert b"xoxe" not in kept
    assert b"xoxb" not in kept
    assert (home / "keys" / "installations.key").stat().st_mode & 0o077 == 0


def test_a_workspace_that_removes_the_app_stops_comes_back_and_is_erased(two: TwoTeams) -> None:
    """Its jobs are cancelled and its payloads refused, while the other workspace works; it keeps its state if it installs
    again in time, and loses it after the grace period."""
    two.start()
    for team in BOTH:
        assert two.install(team).status_code == 200
        keep_something(two, two.runtimes.runtime(two.runtimes.directory.require(team)))
    theirs, directory = two.workspace.other, two.runtimes.directory
    ledger = two.slack(OTHER_TEAM).services.ledger

    events = theirs.control("uninstall")["events"]
    until(lambda: directory.require(OTHER_TEAM).left_at is not None)
    until(lambda: [job.state for job in ledger.jobs(kind="tiny")] == [State.CANCELLED])
    slack = two.slack(TEAM_ID)
    assert [job.state for job in slack.services.ledger.jobs(kind="tiny")] == [State.QUEUED]
    calls = theirs.state()["calls"]
    slack.send(slack.command(ANA, "/jobs", "all", "C0SUPPORTML", OTHER_TEAM))
    assert "no longer available" in until(lambda: two.answers and two.answers[-1])
    assert theirs.state()["calls"] == calls
    assert answers(two, TEAM_ID)

    assert two.install(OTHER_TEAM).status_code == 200
    two.harnesses.pop(OTHER_TEAM)
    for event in events:  # late and repeated: they are of the time before
        theirs.redeliver(event)
    until(lambda: theirs.state()["waiting"] == 0)
    assert directory.require(OTHER_TEAM).left_at is None
    assert two.slack(OTHER_TEAM).services.datasets.get("ours").rows == 40
    assert answers(two, OTHER_TEAM)

    theirs.control("revoke")  # without a word: the bot was down when Slack told it
    two.runtimes.next_maintenance = 0.0
    two.runtimes.run_maintenance()
    assert directory.require(OTHER_TEAM).left_at is not None
    two.runtimes.run_maintenance()
    assert directory.find(OTHER_TEAM) is not None  # the grace is not over
    assert directory.require(TEAM_ID).left_at is None
    directory.expire_grace(OTHER_TEAM)
    two.runtimes.run_maintenance()
    home = load_settings(two.env).home
    assert directory.find(OTHER_TEAM) is None
    assert [path for path in home.rglob("*") if OTHER_TEAM in str(path)] == []
    assert two.slack(TEAM_ID).services.datasets.get("ours").rows == 40

    parts = two.slack(TEAM_ID).services.home / IMPORTS / "cut-off"  # nobody goes on with them
    parts.mkdir(parents=True)
    os.utime(parts, (0, 0))
    two.runtimes.next_maintenance = 0.0
    two.runtimes.run_maintenance()
    assert not parts.exists()


def test_labels_are_checked_in_the_teams_own_datasets_and_a_cut_off_removal_goes_on(
    two: TwoTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check runs in a child process that gets the team; the bot was killed before it cancelled the jobs."""
    two.start()
    for team in BOTH:
        assert two.install(team).status_code == 200
    runtime = two.runtimes.runtime(two.runtimes.directory.require(OTHER_TEAM))
    keep_something(two, runtime)
    card, person = runtime.services.datasets.get("ours"), runtime.services.users.person(RAVI)
    for name, value in two.env.items():
        monkeypatch.setenv(name, value)
    names: list[str] = []
    client = two.runtimes.connection(two.runtimes.directory.require(OTHER_TEAM)).client
    check_labels(
        runtime.services, client, card, person, "C0SUPPORTML", lambda fresh: names.append(fresh.name)
    )
    assert until(lambda: names) == ["ours"]

    two.runtimes.directory.mark_removed(OTHER_TEAM, time.time())
    two.stop()
    two.start()
    ledger = two.slack(OTHER_TEAM).services.ledger
    assert until(lambda: [job.state for job in ledger.jobs(kind="tiny")] == [State.CANCELLED])


def test_the_terminal_lists_sets_and_purges(two: TwoTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace's own budget and admins hold there only; a purge erases its state at once."""
    two.start()
    for team in BOTH:
        assert two.install(team).status_code == 200
    keep_something(two, two.runtimes.runtime(two.runtimes.directory.require(OTHER_TEAM)))
    for name, value in two.env.items():
        monkeypatch.setenv(name, value)
    register()

    def trainwise(*words: str) -> str:
        result = CliRunner().invoke(cli, list(words))
        return result.output if result.exception is None else f"{result.output}{result.exception}"

    assert "Northwind" in trainwise("teams", "list")
    assert "TRAINWISE_MONTH_BUDGET" in trainwise("teams", "set", OTHER_TEAM, "TRAINWISE_MONTH_BUDGET=much")
    assert "not a team's own" in trainwise("teams", "set", OTHER_TEAM, "OPENAI_API_KEY=x")
    trainwise("teams", "set", OTHER_TEAM, "TRAINWISE_MONTH_BUDGET=77", f"TRAINWISE_ADMINS={RAVI}")
    assert "TRAINWISE_TEAM" in trainwise("datasets", "list")
    monkeypatch.setenv("TRAINWISE_TEAM", OTHER_TEAM)
    assert "ours" in trainwise("datasets", "list")
    monkeypatch.setenv("TRAINWISE_TEAM", TEAM_ID)
    assert "ours" not in trainwise("datasets", "list")
    assert "removes the app in Slack first" in trainwise("teams", "purge", OTHER_TEAM)
    two.stop()
    two.start()
    rules = {team: two.slack(team).services.permissions for team in BOTH}
    assert (rules[OTHER_TEAM].month_budget_usd, rules[OTHER_TEAM].admins) == (77.0, frozenset({RAVI}))
    assert (rules[TEAM_ID].month_budget_usd, rules[TEAM_ID].admins) == (500.0, frozenset())
    two.workspace.other.control("uninstall")
    until(lambda: two.runtimes.directory.require(OTHER_TEAM).left_at is not None)
    assert "within a minute" in trainwise("teams", "purge", OTHER_TEAM)
    two.stop()
    assert "is erased" in trainwise("teams", "purge", OTHER_TEAM)
    assert OTHER_TEAM not in trainwise("teams", "list")
