"""How teams come, stay and leave, against a loopback server that speaks Slack's auth and OAuth methods; never run live."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from slack_bolt import BoltRequest
from slack_bolt.context import BoltContext
from slack_sdk import WebClient
from sqlalchemy.exc import OperationalError

from bot.errors import BotError
from bot.slack.app import build_app, slack_client
from bot.teams import runtimes as runtimes_module
from bot.teams.install import OAuthStates
from bot.teams.runtimes import TeamAuthorize, TeamRuntimes, assign_home
from bot.teams.tokens import EncryptedStore
from tests.bot.teams.conftest import ORG, Slack
from tests.bot.teams.test_teams import ONE, TWO, context, installation
from worker.jobs.records import JobRequest
from worker.ledger.ledger import Ledger

STRANGER = "T0STRANGER"


def of_org(team: str) -> BoltContext:
    return context(team, ORG, org_wide=True)


def present(runtimes: TeamRuntimes) -> set[str]:
    return {record.id for record in runtimes.directory.all() if record.left_at is None}


def test_a_strangers_workspace_is_not_added_to_an_organisation(runtimes: TeamRuntimes, slack: Slack) -> None:
    """A stranger's button in a shared channel names the stranger's team; Slack's list decides, fetched once a minute."""
    assert runtimes.record_of(of_org(STRANGER)) is None
    assert runtimes.record_of(of_org(STRANGER)) is None
    assert slack.calls == ["auth.teams.list"] * 2  # two pages, once
    assert runtimes.record_of(of_org(TWO)) is not None
    assert present(runtimes) == {ONE, TWO}


def test_no_workspace_is_added_while_slack_does_not_list_the_organisation(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """The next payload asks Slack again."""
    slack.refusals["xoxb-org", ""] = "internal_error"
    assert runtimes.record_of(of_org(TWO)) is None
    slack.refusals.clear()
    assert runtimes.record_of(of_org(TWO)) is not None


def test_an_event_of_an_organisation_names_its_team_outside_the_authorizations(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """In `authorizations` Slack writes null for the team."""
    ids: list[str | None] = []

    class Recorder:
        def services(self, of: BoltContext) -> None:
            ids.append(of.team_id)

    app = build_app(slack_client("", slack.url), Recorder(), 1, "s", (), TeamAuthorize(runtimes))
    authorizations = [
        {
            "enterprise_id": ORG,
            "team_id": None,
            "user_id": "UBOT",
            "is_bot": True,
            "is_enterprise_install": True,
        }
    ]
    event = {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.0", "text": "hi"}
    body = {
        "type": "event_callback",
        "team_id": TWO,
        "event": event,
        "authorizations": authorizations,
        "event_id": "Ev1",
    }
    app.dispatch(BoltRequest(body=json.dumps(body), mode="socket_mode"))
    assert ids == [TWO]


def test_a_missing_token_is_no_proof_of_a_removal(runtimes: TeamRuntimes) -> None:
    """A wrong TRAINWISE_SLACK_CLIENT_ID finds no token; no team's jobs may be cancelled for that."""
    runtimes.tokens.store.client_id = "another"
    runtimes.next_maintenance = 0.0
    runtimes.open_safely = lambda record: None  # type: ignore[method-assign]
    runtimes.run_maintenance()
    assert present(runtimes) == {ONE}
    runtimes.check_removal(context(ONE))
    assert present(runtimes) == set()


def test_unreadable_tokens_do_not_stop_the_maintenance(runtimes: TeamRuntimes, tmp_path: Path) -> None:
    """A team whose tokens were encrypted with another key stays, and the other runtimes are maintained."""
    (tmp_path / "keys" / "installations.key").unlink()
    runtimes.tokens.store = EncryptedStore("1.2", runtimes.directory.engine, tmp_path / "keys")
    runtimes.remove_if_revoked(runtimes.directory.require(ONE))
    assert present(runtimes) == {ONE}


def test_the_organisations_token_stays_when_one_workspace_is_removed(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """The token is deleted with the last workspace."""
    slack.teams.append("T0THREE")
    for team in (TWO, "T0THREE"):
        assert runtimes.record_of(of_org(team)) is not None
    slack.refusals["xoxb-org", TWO] = "team_access_not_granted"
    runtimes.check_removal(of_org(TWO))
    assert present(runtimes) == {ONE, "T0THREE"}
    assert runtimes.tokens.bot(runtimes.directory.require("T0THREE")) is not None
    slack.refusals["xoxb-org", ""] = "token_revoked"
    runtimes.check_removal(of_org(TWO))
    assert present(runtimes) == {ONE}
    assert runtimes.tokens.bot(runtimes.directory.require("T0THREE")) is None


def test_a_team_that_installs_again_during_the_maintenance_is_not_erased(
    runtimes: TeamRuntimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its grace period was over when the list was read."""
    runtimes.directory.mark_removed(ONE, 0.0)
    old = runtimes.directory.all()
    runtimes.directory.add(old[0])
    monkeypatch.setattr(runtimes.directory, "all", lambda: old)
    runtimes.next_maintenance = float("inf")
    place = tmp_path / "teams" / ONE
    place.mkdir(parents=True)
    runtimes.run_maintenance()
    assert place.exists()


def test_a_failed_erasure_does_not_stop_the_maintenance(
    runtimes: TeamRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hourly work is done anyway."""
    runtimes.directory.mark_removed(ONE, 0.0)
    monkeypatch.setattr(
        runtimes_module, "erase_team", lambda *_: (_ for _ in ()).throw(OSError("bucket away"))
    )
    runtimes.run_maintenance()
    assert runtimes.next_maintenance > time.time()
    assert runtimes.directory.find(ONE) is not None


def test_a_team_with_open_jobs_is_not_erased_yet(
    runtimes: TeamRuntimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for an hour at most, since a lost worker never reports that its job has stopped."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.submit(JobRequest("tiny", {}, "ours", "U1", "ravi", "T", "C1", None, "k1"))
    runtime = SimpleNamespace(ledger=ledger, is_active=False, stop=lambda: None, close=lambda: None)
    runtimes.runtimes[ONE] = cast(Any, runtime)
    places: list[str] = []
    monkeypatch.setattr(runtimes_module, "erase_team", lambda _settings, place: places.append(place))
    runtimes.directory.mark_removed(ONE, 0.0)
    runtimes.next_maintenance = float("inf")
    runtimes.run_maintenance()
    assert places == []
    now = time.time()
    runtimes.clock = lambda: now + 3601
    runtimes.run_maintenance()
    assert places == [ONE]
    ledger.close()


def test_a_workspace_that_an_organisation_closed_is_removed_within_the_hour(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """Slack sends no event for it; a new installation of the organisation does not add it again."""
    assert runtimes.record_of(of_org(TWO)) is not None
    slack.teams.remove(TWO)
    slack.refusals["xoxb-org", TWO] = "team_access_not_granted"
    runtimes.remove_if_revoked(runtimes.directory.require(TWO))
    assert runtimes.record_of(of_org(TWO)) is None
    assert runtimes.add_installation(installation(None, "xoxb-org", ORG)) == []
    assert present(runtimes) == {ONE}


def test_expired_oauth_states_are_deleted(runtimes: TeamRuntimes) -> None:
    """Each visit of the install page creates one."""
    states = OAuthStates(-1, runtimes.directory.engine)
    states.create_tables()
    for _ in range(3):
        states.issue()
    with runtimes.directory.engine.connect() as connection:
        assert len(connection.execute(states.oauth_states.select()).all()) == 1
    fresh = OAuthStates(60, runtimes.directory.engine)
    one, other = fresh.issue(), fresh.issue()
    assert (fresh.consume(one), fresh.consume(one), fresh.consume(other)) == (True, False, True)


def test_a_runtime_that_did_not_open_at_the_start_opens_later(runtimes: TeamRuntimes) -> None:
    """Its database was down; the maintenance opens it without a payload."""
    attempts: list[str] = []
    runtimes.open_safely = lambda record: attempts.append(record.id)  # type: ignore[method-assign]
    runtimes.next_maintenance = float("inf")
    runtimes.run_maintenance()
    assert attempts == [ONE]


def test_no_team_waits_while_another_runtime_opens(runtimes: TeamRuntimes) -> None:
    """Opening takes a second and closing several, but Slack allows three seconds for an ack."""

    class Open:
        is_active = True

    runtimes.runtimes[ONE] = cast(Any, Open())
    answers: list[object] = []
    asks = threading.Thread(
        target=lambda: answers.append(runtimes.runtime(runtimes.directory.require(ONE))), daemon=True
    )
    with runtimes.lock:
        asks.start()
        asks.join(10)
    assert answers == [runtimes.runtimes[ONE]]


def test_a_renewed_token_survives_a_failing_database(
    runtimes: TeamRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old refresh token is used up, so a lost new token would lock the workspace out."""
    store, record = runtimes.tokens.store, runtimes.directory.require(ONE)
    old = installation(ONE, "xoxe.xoxb-old")
    old.bot_refresh_token, old.bot_token_expires_at = "xoxe-1-old", int(time.time()) + 60
    runtimes.tokens.install(old)

    def full(_bot: object) -> None:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_bot", full)
        assert runtimes.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
        runtimes.tokens.invalidate(record)
        assert runtimes.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
    runtimes.tokens.invalidate(record)
    assert runtimes.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
    assert store.find_bot(enterprise_id=None, team_id=ONE).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]


def test_a_home_is_not_given_to_a_team_with_a_place_of_its_own(runtimes: TeamRuntimes, slack: Slack) -> None:
    """`assign_home` refuses it instead of losing the home's state."""
    with pytest.raises(BotError, match="another folder"):
        assign_home(runtimes.directory, runtimes.tokens, WebClient("xoxb-one", base_url=slack.url))
