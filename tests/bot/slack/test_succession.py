"""Old and new model meet on tickets that nobody picked, and the channel is told what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert

from bot.slack.delivery import succession
from bot.slack.retraining import LEAST_FRESH, Lesson
from finetune.serving.answers import Answer
from finetune.serving.versions import SERVED, Versions
from worker.jobs.states import State
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Watch
from worker.ledger.duty_tables import duty_tickets
from worker.ledger.ledger import Ledger

FRESH_KEYS = [key for key in (f"C1:{n}" for n in range(400)) if Lesson(key, "", "", "", 0.0).is_fresh]


def model(queue: str) -> Any:
    """A model that says one queue to everything."""
    return SimpleNamespace(answer=lambda text: Answer(queue, 0.9, ((queue, 0.9),)))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A live watch of `old1` whose successor `new1` is trained and has its version; `old1` is the one that is served."""
    ledger = Ledger(str(tmp_path / "ledger.db"))
    request = Watch(
        "", "C1", "T1", "old1", "d", "old1", 0.1, duty.LIVE, duty.LIVE, "everyone", "U1", 1.0, 1.0, "0"
    )
    watch = duty.open_watch(ledger.engine, replace(request, successor="new1"))
    versions = Versions(tmp_path / "serving", "support")
    for version in ("old1", "new1"):
        versions.add(version, lambda out: (out / SERVED).write_text("{}"))
    versions.use("old1", "the first")
    job = SimpleNamespace(id="new1", state=State.SUCCEEDED)
    services = SimpleNamespace(
        ledger=SimpleNamespace(engine=ledger.engine, job=lambda job_id: job),
        duty=SimpleNamespace(place=tmp_path / "serving"),
        clock=lambda: 9.0,
    )
    monkeypatch.setattr(succession, "load_version", lambda folder, error_rate: model("network"))
    return SimpleNamespace(services=services, engine=ledger.engine, watch=watch, versions=versions)


def judge(case: Any, count: int, is_audit: bool) -> None:
    """So many fresh answers of the old model, each of which a person moved to `network`."""
    tickets = [DutyTicket(case.watch.id, key, key[3:], "words", duty.ANSWERED, 1.0) for key in FRESH_KEYS]
    with case.engine.begin() as connection:
        for one in tickets[:count]:
            row = {**vars(one), "likeliest": [["billing", 0.9]], "is_audit": is_audit, "settled_at": 1.0}
            connection.execute(insert(duty_tickets).values(row))
    for one in tickets[:count]:
        duty.label(case.engine, case.watch.id, one.key, "U2", "network", 2.0)


def follow(case: Any) -> str:
    """What the channel is told of the successor."""
    return succession.follow(case.services, case.watch, model("billing"))


def test_corrections_that_people_picked_show_no_better_model(case: Any) -> None:
    """100 corrections of answers that nobody drew: what is missing is said, and the old model stays."""
    judge(case, 100, is_audit=False)
    text = follow(case)
    assert f"there are 0, so {LEAST_FRESH} are missing" in text
    assert "old1 stays on duty" in text
    watch = duty.watch_by(case.engine, case.watch.id)
    assert (watch.version, watch.successor) == ("old1", None)


def test_enough_drawn_tickets_let_the_better_model_take_over(case: Any) -> None:
    """30 drawn ones, all of which only the new model has right: it is on duty from now on."""
    judge(case, LEAST_FRESH, is_audit=True)
    assert (
        "Model new1 takes over from old1 in this channel: 100% right against 0% on 30 fresh tickets"
        in follow(case)
    )
    watch = duty.watch_by(case.engine, case.watch.id)
    assert (watch.version, watch.successor) == ("new1", None)


def test_a_takeover_in_a_channel_leaves_the_served_version_alone(case: Any) -> None:
    """Nobody agreed to other answers over HTTP: the pointer stays, and the note names the command that moves it."""
    before = case.versions.pointer()
    judge(case, LEAST_FRESH, is_audit=True)
    assert "`trainwise versions support --use new1`" in follow(case)
    assert case.versions.pointer() == before
