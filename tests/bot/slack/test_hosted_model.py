"""The button that erases a hosted model: confirmation, permission of owner and admins, and the reported result."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import BotError
from bot.slack.features.hosted_model import on_erase
from bot.slack.permissions import Permissions
from bot.slack.services import refuse_erasure
from bot.slack.ui.report import final_report
from bot.slack.users import Person
from tests.platforms.harness import PlatformHarness, standalone_harness
from tests.platforms.openai_server import WIRE, OpenAiServer
from tests.platforms.standin import SUCCEEDED
from worker.errors import WorkerError
from worker.jobs.records import Job

pytestmark = pytest.mark.integration


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRE)


@pytest.fixture
def job(harness: PlatformHarness) -> Job:
    """A fine-tune that the platform has tuned and keeps; U1 launched it."""
    number = harness.submit()
    harness.step(1.0)
    (theirs,) = harness.standin.jobs.values()
    harness.advance(theirs, "start")
    harness.step(35.0)
    harness.standin.end(theirs, SUCCEEDED)
    for _ in range(4):
        harness.step(20.0)
    return harness.ledger.job(number)


def press(harness: PlatformHarness, job: Job, user: str, erase: Any = None) -> list[str]:
    """The replies to a person who confirmed the button, after the erasing thread has ended."""
    answers: list[str] = []
    services: Any = SimpleNamespace(
        ledger=harness.ledger,
        permissions=Permissions(frozenset({"UADMIN"}), frozenset(), 5.0, 100.0, 3),
        users=SimpleNamespace(person=lambda user: Person(user, user.lower(), False)),
        clock=harness.wall,
        home=Path("home"),
        erase_model=erase or harness.controllers[0].erase_model,
    )
    body = {"channel": {"id": "C1"}, "user": {"id": user}}
    respond: Any = lambda text, **more: answers.append(text)  # noqa: E731
    on_erase(services, lambda **_: None, body, {"value": job.id}, respond)  # type: ignore[arg-type]
    for thread in threading.enumerate():
        if thread.name == "erase-model":
            thread.join(20)
    return answers


def test_the_report_of_a_hosted_model_has_the_button_and_it_asks_before(job: Job) -> None:
    """The platform is named, and that it cannot be taken back; a model that lies here has no such button."""
    buttons = [one for block in final_report(job)[1] for one in block.get("elements", [])]
    (own,) = [one for one in buttons if one.get("action_id") == "model_erase"]
    assert "at OpenAI" in own["confirm"]["text"]["text"]
    assert "cannot be brought back" in own["confirm"]["text"]["text"]
    here = replace(job, report={**(job.report or {}), "hosted_model": ""})
    assert "model_erase" not in str(final_report(here)[1])


@pytest.mark.parametrize("user", ["U1", "UADMIN"])
def test_the_owner_or_an_admin_erases_it_where_it_is(harness: PlatformHarness, job: Job, user: str) -> None:
    """It is gone at the platform; history and report say who asked for that; again is no error."""
    server = harness.standin
    assert isinstance(server, OpenAiServer)
    model = (job.report or {})["hosted_model"]
    first, last = press(harness, job, user)
    assert first.startswith("Erasing")
    assert "is erased there" in last
    assert server.models == {}
    after = harness.ledger.job(job.id)
    assert f"{model} was erased at its platform on request of {user.lower()}" in str(after.report)
    assert "hosted model erased" in [line.what for line in harness.ledger.history(job.id)]
    assert "is erased there" in press(harness, job, user)[-1]
    assert str(harness.ledger.job(job.id).report).count("was erased at its platform") == 1


def test_a_second_press_during_an_erasure_is_refused(harness: PlatformHarness, job: Job) -> None:
    """The platform is called once; the second person is told that the erasure is running."""
    calls: list[str] = []
    is_asked, may_end = threading.Event(), threading.Event()

    def erase(platform: str, model: str) -> list[str]:
        calls.append(model)
        is_asked.set()
        may_end.wait(20)
        return []

    first = threading.Thread(target=press, args=(harness, job, "U1", erase))
    first.start()
    assert is_asked.wait(20)
    threading.Timer(0.3, may_end.set).start()
    assert "being erased already" in " ".join(press(harness, job, "UADMIN", erase))
    first.join(20)
    assert len(calls) == 1


def test_other_people_may_not_erase_it(harness: PlatformHarness, job: Job) -> None:
    """They are told who may, and the model stays."""
    with pytest.raises(BotError, match=r"Only maya or an admin can erase the model"):
        press(harness, job, "U2")
    assert len(harness.standin.models) == 1  # type: ignore[attr-defined]


def test_a_failure_is_told_with_what_to_do(harness: PlatformHarness, job: Job) -> None:
    """The platform is away, not connected any more, or refuses: nothing is said to be erased."""
    harness.standin.is_key_good = False
    assert "Press the button again later" in press(harness, job, "U1")[-1]
    assert "not connected here" in press(harness, job, "U1", refuse_erasure)[-1]
    with pytest.raises(WorkerError, match="give the bot its settings"):
        harness.controllers[0].erase_model("bedrock", "arn:x")

    def refuse(platform: str, model: str) -> list[str]:
        return [f"the model {model}, whose deletion needs an owner of the account"]

    assert "needs an owner" in press(harness, job, "U1", refuse)[-1]
    assert "was erased" not in str(harness.ledger.job(job.id).report)
