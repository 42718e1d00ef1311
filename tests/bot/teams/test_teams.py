"""Where a team's state lies, which settings it has, whose token serves a payload: without Slack and without a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from slack_bolt.context import BoltContext
from slack_sdk.oauth.installation_store import Installation

from bot.errors import BotError
from bot.settings import Settings, SettingsError, load_settings
from bot.teams.directory import Directory, TeamRecord, open_engine, require_home_of_one
from bot.teams.runtimes import TeamAuthorize, TeamRuntimes
from bot.teams.team_state import HELP_DESKS, erase_team, has_data, lock_home, settings_of, team_ledger_url
from bot.teams.tokens import EncryptedStore, Tokens
from finetune.data.store import DatasetStore
from worker.ledger.ledger import Ledger

ONE, TWO = "T0NORTHWIND", "T0SOUTHWIND"
POSTGRES = "postgresql://bot:secret@db/trainwise"


def settings(home: Path, **more: str) -> Settings:
    return load_settings(
        {"TRAINWISE_HOME": str(home), "TRAINWISE_ADMINS": "U1", "TRAINWISE_LAUNCHERS": "U2", **more}
    )


@pytest.fixture
def runtimes(tmp_path: Path) -> TeamRuntimes:
    """Two installed teams, one of them of an organisation; no runtime is open."""
    here = settings(tmp_path)
    engine = open_engine(tmp_path, here.database_url.reveal())
    directory, store = Directory(engine), EncryptedStore("1.2", engine, tmp_path / "keys")
    store.save(installation(ONE, "xoxb-one"))
    store.save(installation(None, "xoxb-org", "E0ORG"))
    directory.add(TeamRecord(ONE, "Northwind", "", False, ONE, 1.0))
    tokens = Tokens(store, "1.2", "secret", "http://127.0.0.1:1/api/")
    return TeamRuntimes(here, cast(Any, None), directory, tokens)


def installation(team: str | None, token: str, enterprise: str | None = None) -> Installation:
    return Installation(
        app_id="A1", enterprise_id=enterprise, team_id=team, bot_token=token, bot_id="B1", bot_user_id="UBOT",
        user_id="U1", is_enterprise_install=team is None,
    )  # fmt: skip


def context(team: str, enterprise: str = "", org_wide: bool = False) -> BoltContext:
    return BoltContext(
        {"team_id": team, "enterprise_id": enterprise or None, "is_enterprise_install": org_wide}
    )


def test_teams_share_no_place(tmp_path: Path) -> None:
    """Every place of the second team is below teams/ID; the first team uses the home itself."""
    here = settings(tmp_path)
    assert settings_of(here, "") == here
    two = settings_of(here, TWO)
    for place in (str(two.home), two.database_url.reveal(), two.datasets_url, two.artifacts_url):
        assert f"/teams/{TWO}" in place
    assert settings_of(here, ONE).database_url != two.database_url
    with pytest.raises(ValueError, match="no team"):
        settings_of(here, "T0/../../x")


def test_a_server_has_a_schema_and_a_bucket_a_prefix_for_each_team(tmp_path: Path) -> None:
    """The URL keeps the password."""
    assert team_ledger_url(POSTGRES, TWO) == f"{POSTGRES}?schema=team_t0southwind"
    two = settings_of(settings(tmp_path, TRAINWISE_DATASETS_URL="s3://rows/tw"), TWO)
    assert two.datasets_url == f"s3://rows/tw/teams/{TWO}"


@pytest.mark.parametrize(
    ("own", "budget", "admins"),
    [({}, 500.0, frozenset()), ({"TRAINWISE_MONTH_BUDGET": "7", "TRAINWISE_ADMINS": "U9"}, 7.0, {"U9"})],
)
def test_permissions_are_set_per_team(
    tmp_path: Path, own: Mapping[str, str], budget: float, admins: frozenset[str]
) -> None:
    """The environment's admins have no rights in another team; its restrictions hold everywhere."""
    two = settings_of(settings(tmp_path), TWO, own)
    assert (two.month_budget_usd, two.admins, two.launchers) == (budget, admins, {"U2"})
    assert settings_of(settings(tmp_path), "").admins == {"U1"}


def test_only_the_first_team_has_the_operators_help_desks_and_ticket_files(tmp_path: Path) -> None:
    """Otherwise another team could pull the operator's tickets."""
    desk = sorted(HELP_DESKS)[0]
    here = settings(tmp_path, **{desk: "x", "TRAINWISE_TICKETS_FILES": f"C0SUPPORTML={tmp_path}/t.jsonl"})
    first, two = settings_of(here, ""), settings_of(here, TWO)
    assert first.platform_values[desk].reveal() == "x"
    assert first.ticket_files
    assert {two.platform_values[name].reveal() for name in HELP_DESKS} == {""}
    assert not two.ticket_files


def test_a_setting_that_is_not_per_team_is_refused(tmp_path: Path, runtimes: TeamRuntimes) -> None:
    """Bad values and unknown teams are refused too; an empty value restores the bot's."""
    for values in ({"TRAINWISE_HOME": "/x"}, {"TRAINWISE_KEEP_DAYS": "-1"}):
        with pytest.raises(SettingsError):
            runtimes.directory.set_settings(ONE, values)
    with pytest.raises(BotError, match=f"Teams: {ONE}"):
        runtimes.directory.set_settings("T0NOWHERE", {})
    assert runtimes.directory.set_settings(ONE, {"TRAINWISE_KEEP_DAYS": "9"}).own == {
        "TRAINWISE_KEEP_DAYS": "9"
    }
    assert runtimes.directory.set_settings(ONE, {"TRAINWISE_KEEP_DAYS": ""}).own == {}


def test_a_payload_is_served_with_its_own_teams_token(runtimes: TeamRuntimes) -> None:
    """Unknown and removed teams have none; a workspace of an organisation is added at its first payload."""
    authorize = TeamAuthorize(runtimes)

    def token(of: BoltContext) -> str | None:
        result = authorize(context=of, enterprise_id=None, team_id=None, user_id=None)
        return result.bot_token if result else None

    assert token(context(ONE)) == "xoxb-one"
    assert token(context(TWO)) is None
    assert token(context(TWO, "E0ORG")) is None  # not installed for the organisation, says Slack
    assert token(context(TWO, "E0OTHER", org_wide=True)) is None
    assert token(context("", "E0ORG", org_wide=True)) is None
    runtimes.workspaces["E0ORG"] = (
        float("inf"),
        frozenset({ONE, TWO}),
    )  # as Slack lists them (test_team_runtimes.py)
    assert token(context(TWO, "E0ORG", org_wide=True)) == "xoxb-org"
    assert runtimes.directory.require(TWO).place == TWO
    runtimes.directory.mark_removed(ONE, 5.0)
    assert token(context(ONE)) is None
    assert token(context(ONE, "E0ORG", org_wide=True)) == "xoxb-org"  # it is in the organisation now


def test_tokens_cannot_be_read_with_another_key_file(runtimes: TeamRuntimes, tmp_path: Path) -> None:
    """A copy of the database without the key gives no token."""
    (tmp_path / "keys" / "installations.key").unlink()
    other = EncryptedStore("1.2", runtimes.directory.engine, tmp_path / "keys")
    with pytest.raises(BotError, match="another one"):
        other.find_bot(enterprise_id=None, team_id=ONE)


def test_erasing_a_team_leaves_the_others(tmp_path: Path) -> None:
    """The first team's place holds the other teams' places, and they stay too."""
    here = settings(tmp_path)
    assert not has_data(here)
    for team in ("", ONE, TWO):
        own = settings_of(here, team)
        own.home.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(own.database_url.reveal())
        assert not has_data(own)  # empty, as `trainwise doctor` leaves it
        ledger.save_thread("C1", "1.0", {"team": team})
        ledger.close()
        DatasetStore(own.datasets_url).ensure_samples()
        (own.home / "feedback.jsonl").write_text("{}")
        for folder in ("imports", "runs"):
            (own.home / folder).mkdir()
            (own.home / folder / "part").write_text("a ticket")
        (Path(own.artifacts_url) / "job").mkdir(parents=True)
        (Path(own.artifacts_url) / "job" / "weights").write_text("x")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "bot.key").write_text("k")
    assert has_data(here)
    erase_team(here, "")
    assert not has_data(here)
    assert not (tmp_path / "feedback.jsonl").exists()
    assert not [folder for folder in ("imports", "runs") if (tmp_path / folder).exists()]
    assert (tmp_path / "keys" / "bot.key").exists()
    assert DatasetStore(here.datasets_url).list() == []
    erase_team(here, ONE)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert not [name for name in left if ONE in name]
    two = settings_of(here, TWO)
    assert DatasetStore(two.datasets_url).list()
    assert has_data(two)
    assert (Path(two.artifacts_url) / "job" / "weights").exists()


def test_a_bot_of_many_teams_locks_its_home(tmp_path: Path) -> None:
    """Two such bots would answer every message twice."""
    unlock = lock_home(tmp_path)
    with pytest.raises(BotError, match="runs in"):
        lock_home(tmp_path)
    with pytest.raises(BotError, match="many workspaces runs in"):
        lock_home(tmp_path, exclusive=False)
    unlock()
    lock_home(tmp_path)()
    ends = [lock_home(tmp_path, exclusive=False) for _ in range(2)]  # bots with one token share
    with pytest.raises(BotError, match="Another bot runs in"):
        lock_home(tmp_path)
    for end in ends:
        end()


def test_a_bot_with_one_token_refuses_a_home_of_other_workspaces(tmp_path: Path) -> None:
    """Otherwise other workspaces would get no answers, or answers from another team's state."""
    url = settings(tmp_path).database_url.reveal()
    require_home_of_one(tmp_path, url, ONE)
    assert not (tmp_path / "teams.db").exists()  # a look makes no home of many
    directory = Directory(open_engine(tmp_path, url))
    directory.add(TeamRecord(ONE, "Northwind", "", False, "", 1.0))
    require_home_of_one(tmp_path, url, ONE)
    with pytest.raises(BotError, match=f"many workspaces \\({ONE}\\).*TRAINWISE_SLACK_CLIENT_ID"):
        require_home_of_one(tmp_path, url, TWO)
    directory.add(TeamRecord(TWO, "Southwind", "", False, TWO, 2.0))
    with pytest.raises(BotError, match=TWO):
        require_home_of_one(tmp_path, url, ONE)
    directory.mark_removed(TWO, 3.0)
    require_home_of_one(tmp_path, url, ONE)
    directory.mark_removed(ONE, 3.0)
    with pytest.raises(BotError, match=ONE):  # what lies there is still the other's
        require_home_of_one(tmp_path, url, TWO)
