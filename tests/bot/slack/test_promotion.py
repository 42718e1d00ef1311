"""The old and the new model are compared on tickets that nobody chose, and the channel is told the result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert

from bot.slack.delivery import promotion
from bot.slack.retraining import LEAST_FRESH, JudgedTicket
from finetune.serving.answers import Answer
from finetune.serving.versions import SERVED, Versions
from worker.jobs.states import State
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Watch
from worker.ledger.duty_tables import duty_tickets
from worker.ledger.ledger import Ledger

FRESH_KEYS = [key for key in (f"C1:{n}" for n in range(400)) if JudgedTicket(key, "", "", "", 0.0).is_fresh]


def model(queue: str) -> Any:
    """A model that answers every ticket with one queue."""
    return SimpleNamespace(answer=lambda text: Answer(queue, 0.9, ((queue, 0.9),)))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A live watch of `old1`, which is served; its successor `new1` is trained and has a version."""
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
        duty=SimpleNamespace(versions_folder=tmp_path / "serving"),
        clock=lambda: 9.0,
    )
    monkeypatch.setattr(promotion, "load_version", lambda folder, error_rate: model("network"))
    return SimpleNamespace(services=services, engine=ledger.engine, watch=watch, versions=versions)


def judge(case: Any, count: int, is_audit: bool) -> None:
    """Enters `count` fresh answers of the old model; a person corrects each to `network`."""
    tickets = [DutyTicket(case.watch.id, key, key[3:], "words", duty.ANSWERED, 1.0) for key in FRESH_KEYS]
    with case.engine.begin() as connection:
        for one in tickets[:count]:
            row = {**vars(one), "likeliest": [["billing", 0.9]], "is_audit": is_audit, "settled_at": 1.0}
            connection.execute(insert(duty_tickets).values(row))
    for one in tickets[:count]:
        duty.label(case.engine, case.watch.id, one.key, "U2", "network", 2.0)


def follow(case: Any) -> str:
    """The note about the successor."""
    return promotion.promote_successor(case.services, case.watch, model("billing"))


def test_chosen_corrections_do_not_count_for_a_comparison(case: Any) -> None:
    """100 corrections of answers that were not drawn: the note says what is missing, and the old model stays."""
    judge(case, 100, is_audit=False)
    text = follow(case)
    assert f"there are 0, so {LEAST_FRESH} are missing" in text
    assert "old1 stays on duty" in text
    watch = duty.find_watch(case.engine, case.watch.id)
    assert (watch.version, watch.successor) == ("old1", None)


def test_enough_drawn_tickets_let_the_better_model_take_over(case: Any) -> None:
    """Only the new model is right on the 30 drawn tickets: it goes on duty."""
    judge(case, LEAST_FRESH, is_audit=True)
    assert (
        "Model new1 takes over from old1 in this channel: 100% right against 0% on 30 fresh tickets"
        in follow(case)
    )
    watch = duty.find_watch(case.engine, case.watch.id)
    assert (watch.version, watch.successor) == ("new1", None)


def test_a_promotion_in_a_channel_does_not_change_the_served_version(case: Any) -> None:
    """The pointer of the HTTP server stays, and the note names the command that moves it."""
    before = case.versions.pointer()
    judge(case, LEAST_FRESH, is_audit=True)
    assert "`trainwise versions support --use new1`" in follow(case)
    assert case.versions.pointer() == before
