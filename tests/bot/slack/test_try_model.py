"""Who may try a model, and how its answer is drawn: checked on the server, within limits, pinging nobody."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import BotError
from bot.slack.launch import model_job
from bot.slack.permissions import Permissions
from bot.slack.ui.limits import texts_of, validate_view
from bot.slack.ui.model_trials import ended_modal
from bot.slack.users import Person
from tests.bot.slack.test_job_card import NASTY, job
from worker.jobs.records import JobRequest
from worker.jobs.states import State
from worker.ledger.ledger import Ledger


@pytest.fixture
def services(tmp_path: Path) -> Any:
    """A real ledger and permissions; people have no rights of their own."""
    ledger = Ledger(str(tmp_path / "l.db"))
    users = SimpleNamespace(person=lambda user: Person(user, user, False))
    permissions = Permissions(frozenset(), frozenset(), 5.0, 100.0, 3)
    return SimpleNamespace(ledger=ledger, permissions=permissions, users=users)


def test_a_try_needs_a_finished_fine_tune_that_the_person_may_see(services: Any) -> None:
    """An unfinished job has no model; another channel's is not shown; an unknown id is no job."""
    job = services.ledger.submit(JobRequest("finetune", {}, "d", "U1", "ravi", "T1", "C1", None, "k"))
    with pytest.raises(BotError, match="left no model"):
        model_job(services, job.id, "U2", "C1")
    with pytest.raises(BotError, match="another channel"):
        model_job(services, job.id, "U2", "C2")
    with pytest.raises(Exception, match="nosuch"):
        model_job(services, "nosuch", "U2", "C1")


def test_tries_neither_fill_lists_nor_keep_anyone_from_launching(services: Any) -> None:
    """They are listed where they are asked for, and count as no unfinished job."""
    services.ledger.submit(JobRequest("try", {}, "d", "U1", "ravi", "T1", "", None, "k"))
    assert services.ledger.jobs(by="U1") == []
    assert services.ledger.open_job_count("U1") == 0
    assert len(services.ledger.jobs(by="U1", kind="try")) == 1


@pytest.mark.parametrize(
    "report",
    [
        None,
        {"after": "odd"},
        {"before": None, "after": {"name": NASTY, "answer": NASTY * 10, "ranked": []}},
        {"before": {"name": "base", "ranked": [[NASTY, 0.5]]}, "after": {"ranked": [["a", "x"], 3]}},
    ],
)
def test_whatever_a_worker_answers_fits_the_modal_and_pings_nobody(report: Any) -> None:
    """Escaped and cut; a failed try shows its reason."""
    state = State.SUCCEEDED if report else State.FAILED
    spec = {"model": "abcdefgh", "text": NASTY * 10, "from": "C1"}
    view = validate_view(ended_modal(job(kind="try", spec=spec, report=report, state=state, error=NASTY)))
    text = "\n".join(texts_of(view["blocks"]))
    assert "<!channel>" not in text
    assert "<https" not in text
