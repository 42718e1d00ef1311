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
from bot.teams import offices as offices_module
from bot.teams.install import States
from bot.teams.offices import Offices, TeamAuthorize, adopt
from bot.teams.tokens import SealedStore
from tests.bot.teams.conftest import ORG, Slack
from tests.bot.teams.test_teams import ONE, TWO, context, installation
from worker.jobs.records import JobRequest
from worker.ledger.ledger import Ledger

STRANGER = "T0STRANGER"


def of_org(team: str) -> BoltContext:
    return context(team, ORG, org_wide=True)


def present(offices: Offices) -> set[str]:
    return {record.id for record in offices.directory.all() if record.left_at is None}


def test_a_strangers_workspace_does_not_enter_an_organisation(offices: Offices, slack: Slack) -> None:
    """What a stranger presses in a shared channel names the stranger's team: Slack's own list decides, asked once a minute."""
    assert offices.record_of(of_org(STRANGER)) is None
    assert offices.record_of(of_org(STRANGER)) is None
    assert slack.calls == ["auth.teams.list"] * 2  # two pages, once
    assert offices.record_of(of_org(TWO)) is not None
    assert present(offices) == {ONE, TWO}


def test_nobody_enters_while_slack_does_not_list_the_organisation(offices: Offices, slack: Slack) -> None:
    """The next word asks again."""
    slack.refusals["xoxb-org", ""] = "internal_error"
    assert offices.record_of(of_org(TWO)) is None
    slack.refusals.clear()
    assert offices.record_of(of_org(TWO)) is not None


def test_an_event_of_an_organisation_has_its_team_beside_the_authorizations(
    offices: Offices, slack: Slack
) -> None:
    """There Slack writes null for the team."""
    ids: list[str | None] = []

    class Recorder:
        def services(self, of: BoltContext) -> None:
            ids.append(of.team_id)

    app = build_app(slack_client("", slack.url), Recorder(), 1, "s", (), TeamAuthorize(offices))
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


def test_a_token_that_is_not_kept_is_no_proof_of_a_removal(offices: Offices) -> None:
    """Another TRAINWISE_SLACK_CLIENT_ID finds no token: every team's jobs would have been stopped and its state erased."""
    offices.tokens.store.client_id = "another"
    offices.next_upkeep = 0.0
    offices.try_open = lambda record: None  # type: ignore[method-assign]
    offices.upkeep()
    assert present(offices) == {ONE}
    offices.check(context(ONE))
    assert present(offices) == set()


def test_tokens_of_another_key_hold_up_no_upkeep(offices: Offices, tmp_path: Path) -> None:
    """The team stays, and the other offices' upkeep goes on."""
    (tmp_path / "keys" / "installations.key").unlink()
    offices.tokens.store = SealedStore("1.2", offices.directory.engine, tmp_path / "keys")
    offices.leave_if_gone(offices.directory.known(ONE))
    assert present(offices) == {ONE}


def test_one_workspace_leaves_its_organisation_and_the_token_stays(offices: Offices, slack: Slack) -> None:
    """The token goes with the last of them."""
    slack.teams.append("T0THREE")
    for team in (TWO, "T0THREE"):
        assert offices.record_of(of_org(team)) is not None
    slack.refusals["xoxb-org", TWO] = "team_access_not_granted"
    offices.check(of_org(TWO))
    assert present(offices) == {ONE, "T0THREE"}
    assert offices.tokens.bot(offices.directory.known("T0THREE")) is not None
    slack.refusals["xoxb-org", ""] = "token_revoked"
    offices.check(of_org(TWO))
    assert present(offices) == {ONE}
    assert offices.tokens.bot(offices.directory.known("T0THREE")) is None


def test_a_team_that_comes_back_while_the_list_is_gone_through_is_not_erased(
    offices: Offices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its grace was over when the list was read."""
    offices.directory.leave(ONE, 0.0)
    old = offices.directory.all()
    offices.directory.add(old[0])
    monkeypatch.setattr(offices.directory, "all", lambda: old)
    offices.next_upkeep = float("inf")
    place = tmp_path / "teams" / ONE
    place.mkdir(parents=True)
    offices.upkeep()
    assert place.exists()


def test_a_state_that_cannot_be_erased_holds_up_nobody(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hourly work is done all the same."""
    offices.directory.leave(ONE, 0.0)
    monkeypatch.setattr(offices_module, "erase", lambda *_: (_ for _ in ()).throw(OSError("bucket away")))
    offices.upkeep()
    assert offices.next_upkeep > time.time()
    assert offices.directory.find(ONE) is not None


def test_nothing_is_erased_under_a_job_that_is_stopping(
    offices: Offices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an hour at most: a worker that is gone for good never says that it has stopped."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.submit(JobRequest("tiny", {}, "ours", "U1", "ravi", "T", "C1", None, "k1"))
    office = SimpleNamespace(ledger=ledger, speaks=False, stop=lambda: None, close=lambda: None)
    offices.offices[ONE] = cast(Any, office)
    places: list[str] = []
    monkeypatch.setattr(offices_module, "erase", lambda _settings, place: places.append(place))
    offices.directory.leave(ONE, 0.0)
    offices.next_upkeep = float("inf")
    offices.upkeep()
    assert places == []
    now = time.time()
    offices.clock = lambda: now + 3601
    offices.upkeep()
    assert places == [ONE]
    ledger.close()


def test_a_workspace_closed_to_the_organisations_app_leaves_within_the_hour_and_stays_out(
    offices: Offices, slack: Slack
) -> None:
    """Without a word of Slack's; another install of the organisation does not bring it back."""
    assert offices.record_of(of_org(TWO)) is not None
    slack.teams.remove(TWO)
    slack.refusals["xoxb-org", TWO] = "team_access_not_granted"
    offices.leave_if_gone(offices.directory.known(TWO))
    assert offices.record_of(of_org(TWO)) is None
    assert offices.welcome(installation(None, "xoxb-org", ORG)) == []
    assert present(offices) == {ONE}


def test_states_that_nobody_came_back_with_are_dropped(offices: Offices) -> None:
    """Whoever opens the page of installing makes one."""
    states = States(-1, offices.directory.engine)
    states.create_tables()
    for _ in range(3):
        states.issue()
    with offices.directory.engine.connect() as connection:
        assert len(connection.execute(states.oauth_states.select()).all()) == 1
    fresh = States(60, offices.directory.engine)
    one, other = fresh.issue(), fresh.issue()
    assert (fresh.consume(one), fresh.consume(one), fresh.consume(other)) == (True, False, True)


def test_an_office_that_did_not_open_at_the_start_opens_later(offices: Offices) -> None:
    """Its database was away; nobody has to say a word first."""
    attempts: list[str] = []
    offices.try_open = lambda record: attempts.append(record.id)  # type: ignore[method-assign]
    offices.next_upkeep = float("inf")
    offices.upkeep()
    assert attempts == [ONE]


def test_nobody_waits_for_the_office_of_another_team(offices: Offices) -> None:
    """Opening one takes a second, closing one several: Slack gives three."""

    class Open:
        speaks = True

    offices.offices[ONE] = cast(Any, Open())
    answers: list[object] = []
    asks = threading.Thread(
        target=lambda: answers.append(offices.office(offices.directory.known(ONE))), daemon=True
    )
    with offices.lock:
        asks.start()
        asks.join(10)
    assert answers == [offices.offices[ONE]]


def test_a_renewed_token_outlives_a_database_that_takes_nothing(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refresh token is spent: without the new one the workspace would be locked out."""
    store, record = offices.tokens.store, offices.directory.known(ONE)
    old = installation(ONE, "xoxe.xoxb-old")
    old.bot_refresh_token, old.bot_token_expires_at = "xoxe-1-old", int(time.time()) + 60
    offices.tokens.install(old)

    def full(_bot: object) -> None:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_bot", full)
        assert offices.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
        offices.tokens.look_again(record)
        assert offices.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
    offices.tokens.look_again(record)
    assert offices.tokens.bot(record).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]
    assert store.find_bot(enterprise_id=None, team_id=ONE).bot_token == "xoxe.xoxb-new"  # type: ignore[union-attr]


def test_a_home_is_not_given_to_a_team_with_a_place_of_its_own(offices: Offices, slack: Slack) -> None:
    """It was said to be taken over, shown nowhere, and the next start without the token was refusals."""
    with pytest.raises(BotError, match="another folder"):
        adopt(offices.directory, offices.tokens, WebClient("xoxb-one", base_url=slack.url))
