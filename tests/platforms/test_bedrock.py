"""What Bedrock's adapter holds where AWS tells little: no details of a job, a deployment that does not come, another's model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from finetune.platforms.bedrock_jobs import losses_of
from finetune.platforms.contract import NoAnswer, Reference, Stage
from tests.platforms import bedrock_server
from tests.platforms.bedrock_server import BASE, HOME, WIRE, BedrockServer
from tests.platforms.harness import PlatformHarness, open_harness
from tests.platforms.standin import CANCELLED, SUCCEEDED, Answer, PlatformJob, Request
from worker.jobs.states import State

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[BedrockServer, list[float]]]:
    clock = [1_800_000_000.0]
    server = BedrockServer(lambda: clock[0])
    yield server, clock
    server.close()


@pytest.fixture
def server(shared: tuple[BedrockServer, list[float]]) -> BedrockServer:
    return shared[0]


@pytest.fixture
def harness(shared: tuple[BedrockServer, list[float]]) -> Iterator[PlatformHarness]:
    here = open_harness(WIRE, *shared)
    yield here
    assert shared[0].violations == []
    here.close()


def job_at_aws(harness: PlatformHarness) -> tuple[str, PlatformJob]:
    """A job that AWS trains."""
    job = harness.submit()
    harness.step(1.0)
    (theirs,) = harness.standin.jobs.values()
    harness.advance(theirs, "start")
    harness.step(20.0)
    return job, theirs


def test_a_job_without_details_runs_and_is_billed(
    harness: PlatformHarness, server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS promises them for distillation alone: such a job neither waits for ever nor was it free when it is stopped."""
    whole = server.show

    def show(job: PlatformJob) -> dict[str, Any]:
        return {name: value for name, value in whole(job).items() if name != "statusDetails"}

    monkeypatch.setattr(server, "show", show)
    _, theirs = job_at_aws(harness)
    reference = Reference(theirs.tag, theirs.tag)
    assert harness.adapter.look(reference).stage is Stage.RUNNING
    server.end(theirs, CANCELLED)
    bill = harness.adapter.bill(reference)
    assert bill is not None
    assert bill.usd > 0


def test_a_model_whose_deployment_does_not_come_is_named(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS bills its storage: the reason holds its name and how to erase it."""
    monkeypatch.setattr(bedrock_server, "DEPLOYING_S", math.inf)
    job, theirs = job_at_aws(harness)
    harness.advance(theirs, "finish")
    for _ in range(20):
        harness.step(60.0)
    row = harness.ledger.job(job)
    (arn,) = harness.standin.models  # type: ignore[attr-defined]
    assert row.state is State.FAILED
    assert f"trainwise erase-model {arn}" in (row.error or "")


def test_a_model_that_cannot_go_yet_is_not_said_to_be_gone(
    harness: PlatformHarness, server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS refuses by its status, which is no sign that it is not there."""
    arn = f"{HOME}:custom-model/{BASE}/abcdef000001"
    server.models[arn], server.names["tw-abcdef-x-9"] = {}, arn
    host: Any = harness.adapter
    whole = server.on_models

    def refuse(request: Request, name: str) -> Answer:
        if request.method != "DELETE":
            return whole(request, name)
        body = {"message": "The model cannot be deleted in its present status."}
        return Answer(400, body, headers={"x-amzn-errortype": "ValidationException"})

    monkeypatch.setattr(server, "on_models", refuse)
    with pytest.raises(NoAnswer, match="still deleting"):
        host.erase_model(arn)


def test_a_model_of_somebody_else_is_left_alone(harness: PlatformHarness, server: BedrockServer) -> None:
    """A name that was typed wrong erases nothing; what runs in the account besides is none of ours."""
    arn = f"{HOME}:custom-model/{BASE}/abcdef000002"
    server.models[arn], server.names["production"] = {}, arn
    host: Any = harness.adapter
    (words,) = host.erase_model(arn)
    assert "no job of Trainwise" in words
    assert arn in server.models


def test_a_loss_that_is_no_number_is_left_out() -> None:
    """A report holds none: no database takes it."""
    table = b"step_number,epoch_number,training_loss\n0,0,nan\n1,0,1.5\n"
    assert losses_of(table) == [{"step": 2, "loss": 1.5}]


def test_a_stop_that_comes_too_late_is_no_error(harness: PlatformHarness) -> None:
    """The job has ended: the next look says so."""
    _, theirs = job_at_aws(harness)
    harness.standin.end(theirs, SUCCEEDED)
    harness.adapter.cancel(Reference(theirs.tag, theirs.tag))
    assert harness.adapter.look(Reference(theirs.tag, theirs.tag)).stage is Stage.SUCCEEDED
