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
from bot.teams.install import States
from bot.teams.runtimes import TeamAuthorize, TeamRuntimes, adopt
from bot.teams.tokens import SealedStore
from tests.bot.teams.conftest import ORG, Slack
from tests.bot.teams.test_teams import ONE, TWO, context, installation
from worker.jobs.records import JobRequest
from worker.ledger.ledger import Ledger

STRANGER = "T0STRANGER"


def of_org(team: str) -> BoltContext:
    return context(team, ORG, org_wide=True)


def present(runtimes: TeamRuntimes) -> set[str]:
    return {record.id for record in runtimes.directory.all() if record.left_at is None}


def test_a_strangers_workspace_does_not_enter_an_organisation(runtimes: TeamRuntimes, slack: Slack) -> None:
    """What a stranger presses in a shared channel names the stranger's team: Slack's own list decides, asked once a minute."""
    assert runtimes.record_of(of_org(STRANGER)) is None
    assert runtimes.record_of(of_org(STRANGER)) is None
    assert slack.calls == ["auth.teams.list"] * 2  # two pages, once
    assert runtimes.record_of(of_org(TWO)) is not None
    assert present(runtimes) == {ONE, TWO}


def test_nobody_enters_while_slack_does_not_list_the_organisation(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """The next word asks again."""
    slack.refusals["xoxb-org", ""] = "internal_error"
    assert runtimes.record_of(of_org(TWO)) is None
    slack.refusals.clear()
    assert runtimes.record_of(of_org(TWO)) is not None


def test_an_event_of_an_organisation_has_its_team_beside_the_authorizations(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """There Slack writes null for the team."""
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


def test_a_token_that_is_not_kept_is_no_proof_of_a_removal(runtimes: TeamRuntimes) -> None:
    """Another TRAINWISE_SLACK_CLIENT_ID finds no token: every team's jobs would have been stopped and its state erased."""
    runtimes.tokens.store.client_id = "another"
    runtimes.next_upkeep = 0.0
    runtimes.try_open = lambda record: None  # type: ignore[method-assign]
    runtimes.upkeep()
    assert present(runtimes) == {ONE}
    runtimes.check(context(ONE))
    assert present(runtimes) == set()


def test_tokens_of_another_key_hold_up_no_upkeep(runtimes: TeamRuntimes, tmp_path: Path) -> None:
    """The team stays, and the other runtimes' upkeep goes on."""
    (tmp_path / "keys" / "installations.key").unlink()
    runtimes.tokens.store = SealedStore("1.2", runtimes.directory.engine, tmp_path / "keys")
    runtimes.leave_if_gone(runtimes.directory.known(ONE))
    assert present(runtimes) == {ONE}


def test_one_workspace_leaves_its_organisation_and_the_token_stays(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """The token goes with the last of them."""
    slack.teams.append("T0THREE")
    for team in (TWO, "T0THREE"):
        assert runtimes.record_of(of_org(team)) is not None
    slack.refusals["xoxb-org", TWO] = "team_access_not_granted"
    runtimes.check(of_org(TWO))
    assert present(runtimes) == {ONE, "T0THREE"}
    assert runtimes.tokens.bot(runtimes.directory.known("T0THREE")) is not None
    slack.refusals["xoxb-org", ""] = "token_revoked"
    runtimes.check(of_org(TWO))
    assert present(runtimes) == {ONE}
    assert runtimes.tokens.bot(runtimes.directory.known("T0THREE")) is None


def test_a_team_that_comes_back_while_the_list_is_gone_through_is_not_erased(
    runtimes: TeamRuntimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its grace was over when the list was read."""
    runtimes.directory.leave(ONE, 0.0)
    old = runtimes.directory.all()
    runtimes.directory.add(old[0])
    monkeypatch.setattr(runtimes.directory, "all", lambda: old)
    runtimes.next_upkeep = float("inf")
    place = tmp_path / "teams" / ONE
    place.mkdir(parents=True)
    runtimes.upkeep()
    assert place.exists()


def test_a_state_that_cannot_be_erased_holds_up_nobody(
    runtimes: TeamRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hourly work is done all the same."""
    runtimes.directory.leave(ONE, 0.0)
    monkeypatch.setattr(runtimes_module, "erase", lambda *_: (_ for _ in ()).throw(OSError("bucket away")))
    runtimes.upkeep()
    assert runtimes.next_upkeep > time.time()
    assert runtimes.directory.find(ONE) is not None


def test_nothing_is_erased_under_a_job_that_is_stopping(
    runtimes: TeamRuntimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an hour at most: a worker that is gone for good never says that it has stopped."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.submit(JobRequest("tiny", {}, "ours", "U1", "ravi", "T", "C1", None, "k1"))
    runtime = SimpleNamespace(ledger=ledger, speaks=False, stop=lambda: None, close=lambda: None)
    runtimes.runtimes[ONE] = cast(Any, runtime)
    places: list[str] = []
    monkeypatch.setattr(runtimes_module, "erase", lambda _settings, place: places.append(place))
    runtimes.directory.leave(ONE, 0.0)
    runtimes.next_upkeep = float("inf")
    runtimes.upkeep()
    assert places == []
    now = time.time()
    runtimes.clock = lambda: now + 3601
    runtimes.upkeep()
    assert places == [ONE]
    ledger.close()


def test_a_workspace_closed_to_the_organisations_app_leaves_within_the_hour_and_stays_out(
    runtimes: TeamRuntimes, slack: Slack
) -> None:
    """Without a word of Slack's; another install of the organisation does not bring it back."""
    assert runtimes.record_of(of_org(TWO)) is not None
    slack.teams.remove(TWO)
    slack.refusals["xoxb-org", TWO] = "team_access_not_granted"
    runtimes.leave_if_gone(runtimes.directory.known(TWO))
    assert runtimes.record_of(of_org(TWO)) is None
    assert runtimes.welcome(installation(None, "xoxb-org", ORG)) == []
    assert present(runtimes) == {ONE}


def test_states_that_nobody_came_back_with_are_dropped(runtimes: TeamRuntimes) -> None:
    """Whoever opens the page of installing makes one."""
    states = States(-1, runtimes.directory.engine)
    states.create_tables()
    for _ in range(3):
        states.issue()
    with runtimes.directory.engine.connect() as connection:
        assert len(connection.execute(states.oauth_states.select()).all()) == 1
    fresh = States(60, runtimes.directory.engine)
    one, other = fresh.issue(), fresh.issue()
    assert (fresh.consume(one), fresh.consume(one), fresh.consume(other)) == (True, False, True)


def test_a_runtime_that_did_not_open_at_the_start_opens_later(runtimes: TeamRuntimes) -> None:
    """Its database was away; nobody has to say a word first."""
    attempts: list[str] = []
    runtimes.try_open = lambda record: attempts.append(record.id)  # type: ignore[method-assign]
    runtimes.next_upkeep = float("inf")
    runtimes.upkeep()
    assert attempts == [ONE]


def test_nobody_waits_for_the_runtime_of_another_team(runtimes: TeamRuntimes) -> None:
    """Opening one takes a second, closing one several: Slack gives three."""

    class Open:
        speaks = True

    runtimes.runtimes[ONE] = cast(Any, Open())
    answers: list[object] = []
    asks = threading.Thread(
        target=lambda: answers.append(runtimes.runtime(runtimes.directory.known(ONE))), daemon=True
    )
    with runtimes.lock:
        asks.start()
        asks.join(10)
    assert answers == [runtimes.runtimes[ONE]]


def test_a_renewed_token_outlives_a_database_that_takes_nothing(
    runtimes: TeamRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refresh token is spent: without the new one the workspace would be locked out."""
    store, record = runtimes.tokens.store, runtimes.directory.known(ONE)
    old = installation(ONE, "xoxe.xoxb-old")
    old.bot_refresh_token, old.bot_token_expires_at = "xoxe-1-old", int(time.time()) + 60
    runtimes.tokens.install(old)

    def full(_bot: object) -> None:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_bot", full)
        assert runtimes.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
        runtimes.tokens.look_again(record)
        assert runtimes.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
    runtimes.tokens.look_again(record)
    assert runtimes.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
    assert store.find_bot(enterprise_id=None, team_id=ONE).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]


def test_a_home_is_not_given_to_a_team_with_a_place_of_its_own(runtimes: TeamRuntimes, slack: Slack) -> None:
    """It was said to be taken over, shown nowhere, and the next start without the token was refusals."""
    with pytest.raises(BotError, match="another folder"):
        adopt(runtimes.directory, runtimes.tokens, WebClient("xoxb-one", base_url=slack.url))
