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
from bot.teams.place import HELP_DESKS, erase, hold_home, holds_data, ledger_of, settings_of
from bot.teams.runtimes import TeamAuthorize, TeamRuntimes
from bot.teams.tokens import SealedStore, Tokens
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
    """Two installed teams, one of an organisation with one token; nothing is opened."""
    here = settings(tmp_path)
    engine = open_engine(tmp_path, here.database_url.reveal())
    directory, store = Directory(engine), SealedStore("1.2", engine, tmp_path / "keys")
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


def test_no_place_of_a_team_is_anothers(tmp_path: Path) -> None:
    """Each place of the second team lies below teams/ID; the first's are the home's own."""
    here = settings(tmp_path)
    assert settings_of(here, "") == here
    two = settings_of(here, TWO)
    for place in (str(two.home), two.database_url.reveal(), two.datasets_url, two.artifacts_url):
        assert f"/teams/{TWO}" in place
    assert settings_of(here, ONE).database_url != two.database_url
    with pytest.raises(ValueError, match="no team"):
        settings_of(here, "T0/../../x")


def test_a_server_has_a_schema_and_a_bucket_a_prefix_for_each_team(tmp_path: Path) -> None:
    """The password stays in the address."""
    assert ledger_of(POSTGRES, TWO) == f"{POSTGRES}?schema=team_t0southwind"
    two = settings_of(settings(tmp_path, TRAINWISE_DATASETS_URL="s3://rows/tw"), TWO)
    assert two.datasets_url == f"s3://rows/tw/teams/{TWO}"


@pytest.mark.parametrize(
    ("own", "budget", "admins"),
    [({}, 500.0, frozenset()), ({"TRAINWISE_MONTH_BUDGET": "7", "TRAINWISE_ADMINS": "U9"}, 7.0, {"U9"})],
)
def test_rights_are_said_team_by_team(
    tmp_path: Path, own: Mapping[str, str], budget: float, admins: frozenset[str]
) -> None:
    """The environment's admins are nobody in another team; its restrictions hold everywhere."""
    two = settings_of(settings(tmp_path), TWO, own)
    assert (two.month_budget_usd, two.admins, two.launchers) == (budget, admins, {"U2"})
    assert settings_of(settings(tmp_path), "").admins == {"U1"}


def test_the_operators_help_desks_and_files_are_the_first_teams(tmp_path: Path) -> None:
    """Another team could pull the operator's own tickets otherwise."""
    desk = sorted(HELP_DESKS)[0]
    here = settings(tmp_path, **{desk: "x", "TRAINWISE_TICKETS_FILES": f"C0SUPPORTML={tmp_path}/t.jsonl"})
    first, two = settings_of(here, ""), settings_of(here, TWO)
    assert first.platform_values[desk].reveal() == "x"
    assert first.ticket_files
    assert {two.platform_values[name].reveal() for name in HELP_DESKS} == {""}
    assert not two.ticket_files


def test_what_is_no_teams_own_is_refused(tmp_path: Path, runtimes: TeamRuntimes) -> None:
    """Also a bad value, and a team that is not there; an empty value goes back to the bot's."""
    for values in ({"TRAINWISE_HOME": "/x"}, {"TRAINWISE_KEEP_DAYS": "-1"}):
        with pytest.raises(SettingsError):
            runtimes.directory.set_own(ONE, values)
    with pytest.raises(BotError, match=f"Teams: {ONE}"):
        runtimes.directory.set_own("T0NOWHERE", {})
    assert runtimes.directory.set_own(ONE, {"TRAINWISE_KEEP_DAYS": "9"}).own == {"TRAINWISE_KEEP_DAYS": "9"}
    assert runtimes.directory.set_own(ONE, {"TRAINWISE_KEEP_DAYS": ""}).own == {}


def test_a_payload_is_served_with_its_own_teams_token(runtimes: TeamRuntimes) -> None:
    """Unknown and departed teams have none; a workspace of an organisation enters with its first word."""
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
    assert runtimes.directory.known(TWO).place == TWO
    runtimes.directory.leave(ONE, 5.0)
    assert token(context(ONE)) is None
    assert token(context(ONE, "E0ORG", org_wide=True)) == "xoxb-org"  # it is in the organisation now


def test_another_key_file_is_told_and_not_taken_for_tokens(runtimes: TeamRuntimes, tmp_path: Path) -> None:
    """A copy of the database without the key gives no token."""
    (tmp_path / "keys" / "installations.key").unlink()
    other = SealedStore("1.2", runtimes.directory.engine, tmp_path / "keys")
    with pytest.raises(BotError, match="another one"):
        other.find_bot(enterprise_id=None, team_id=ONE)


def test_erasing_a_team_leaves_the_others(tmp_path: Path) -> None:
    """Also the first one's, whose place holds the others' places."""
    here = settings(tmp_path)
    assert not holds_data(here)
    for team in ("", ONE, TWO):
        own = settings_of(here, team)
        own.home.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(own.database_url.reveal())
        assert not holds_data(own)  # empty, as `trainwise doctor` leaves it
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
    assert holds_data(here)
    erase(here, "")
    assert not holds_data(here)
    assert not (tmp_path / "feedback.jsonl").exists()
    assert not [folder for folder in ("imports", "runs") if (tmp_path / folder).exists()]
    assert (tmp_path / "keys" / "bot.key").exists()
    assert DatasetStore(here.datasets_url).list() == []
    erase(here, ONE)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert not [name for name in left if ONE in name]
    two = settings_of(here, TWO)
    assert DatasetStore(two.datasets_url).list()
    assert holds_data(two)
    assert (Path(two.artifacts_url) / "job" / "weights").exists()


def test_one_bot_of_many_holds_a_home(tmp_path: Path) -> None:
    """Two would answer everything twice."""
    let_go = hold_home(tmp_path)
    with pytest.raises(BotError, match="runs in"):
        hold_home(tmp_path)
    with pytest.raises(BotError, match="many workspaces runs in"):
        hold_home(tmp_path, alone=False)
    let_go()
    hold_home(tmp_path)()
    ends = [hold_home(tmp_path, alone=False) for _ in range(2)]  # bots with one token share
    with pytest.raises(BotError, match="Another bot runs in"):
        hold_home(tmp_path)
    for end in ends:
        end()


def test_a_bot_with_one_token_goes_back_only_to_a_home_that_is_all_its_own(tmp_path: Path) -> None:
    """Otherwise other workspaces would get no answer, or its answers would come from another's state."""
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
    directory.leave(TWO, 3.0)
    require_home_of_one(tmp_path, url, ONE)
    directory.leave(ONE, 3.0)
    with pytest.raises(BotError, match=ONE):  # what lies there is still the other's
        require_home_of_one(tmp_path, url, TWO)
