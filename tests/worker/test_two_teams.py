"""One queue and one worker for two teams: each team's job works in its own stores and is told to its own ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.worker.conftest import WorkerHarness
from worker.dispatch.dispatcher import Dispatcher
from worker.jobs.records import JobRequest
from worker.jobs.states import END_STATES, State
from worker.ledger.ledger import Ledger
from worker.teams import is_team, place_of, run_name, team_of_run
from worker.transport import events
from worker.transport.queue import connect
from worker.transport.signing import Envelope, Refusal, order, read_order

TEAM = "T0SOUTHWIND"


@pytest.mark.integration
def test_jobs_of_two_teams_pass_one_worker_and_stay_apart(harness: WorkerHarness) -> None:
    """Same request key, channel and person; each ledger hears of its own job alone, and none takes the other's events."""
    theirs = Ledger(str(harness.home / "theirs.db"))
    artifacts = Path(place_of(str(harness.home / "artifacts"), TEAM))
    bot = Dispatcher(theirs, harness.redis.url, harness.home / "keys", artifacts, team=TEAM)
    bot.start()
    try:
        request = JobRequest("tiny", {"steps": 3}, "ds", "U1", "maya", "T", "C1", None, "the same")
        mine, other = harness.ledger.submit(request).id, theirs.submit(request).id
        harness.worker()
        assert harness.end_of(mine).state is State.SUCCEEDED
        twin = WorkerHarness.__new__(WorkerHarness)
        twin.ledger = theirs
        assert twin.wait(other, lambda job: job.state in END_STATES).state is State.SUCCEEDED
        assert (artifacts / theirs.job(other).root).is_dir()
        assert not (harness.home / "artifacts" / theirs.job(other).root).exists()
        for ledger, job in ((harness.ledger, mine), (theirs, other)):
            assert [one.id for one in ledger.jobs()] == [job]
            assert [e.what for e in ledger.history(job)].count("leased") == 1
        streams = connect(harness.redis.url).keys("tw:events*")
        assert set(streams) <= {b"tw:events", b"tw:events:T0SOUTHWIND"}  # type: ignore[arg-type]
    finally:
        bot.stop()
        theirs.close()


def test_a_run_names_the_stream_of_its_team() -> None:
    """Also in a file's name, so that a worker that starts again after a crash sends it to the right ledger."""
    assert team_of_run(run_name("0a1b", TEAM)) == TEAM
    assert team_of_run(run_name("0a1b", "")) == ""
    assert team_of_run("0a1b-../../x") == ""
    assert events.stream_of("") == "tw:events"


@pytest.mark.parametrize("name", ["../x", "T1/../T2", "t0lower", "T", "T0 1", "U0PERSON01", "T" + "1" * 40])
def test_nothing_but_a_team_becomes_part_of_a_path(name: str) -> None:
    """A wrong name is refused wherever a harness is made of it, and in an order."""
    assert not is_team(name)
    with pytest.raises(ValueError, match="no team"):
        place_of("/data", name)
    envelope = Envelope("j", 1, "f", "j", "tiny", {}, "d", 2e9, 60, 0.0, None, team=name)
    with pytest.raises(Refusal):
        read_order(json.loads(json.dumps(order(envelope))), "ft-j-1", 1e9)


def test_an_order_of_one_team_is_as_it_was() -> None:
    """A bot with a token signs the same orders as before, so a worker of the last version takes them."""
    envelope = Envelope("j", 1, "f", "j", "tiny", {}, "d", 2e9, 60, 0.0, None)
    assert "team" not in order(envelope)["envelope"]
    assert read_order(order(envelope), "ft-j-1", 1e9) == envelope
