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
from tests.platforms.standin import CANCELLED, SUCCEEDED, Answer, PlatformJob, Request
from tests.platforms.world import World, open_world
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
def world(shared: tuple[BedrockServer, list[float]]) -> Iterator[World]:
    here = open_world(WIRE, *shared)
    yield here
    assert shared[0].violations == []
    here.close()


def job_at_aws(world: World) -> tuple[str, PlatformJob]:
    """A job that AWS trains."""
    job = world.submit()
    world.step(1.0)
    (theirs,) = world.standin.jobs.values()
    world.advance(theirs, "start")
    world.step(20.0)
    return job, theirs


def test_a_job_without_details_runs_and_is_billed(
    world: World, server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS promises them for distillation alone: such a job neither waits for ever nor was it free when it is stopped."""
    whole = server.show

    def show(job: PlatformJob) -> dict[str, Any]:
        return {name: value for name, value in whole(job).items() if name != "statusDetails"}

    monkeypatch.setattr(server, "show", show)
    _, theirs = job_at_aws(world)
    reference = Reference(theirs.tag, theirs.tag)
    assert world.adapter.look(reference).stage is Stage.RUNNING
    server.end(theirs, CANCELLED)
    bill = world.adapter.bill(reference)
    assert bill is not None
    assert bill.usd > 0


def test_a_model_whose_deployment_does_not_come_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS bills its storage: the reason holds its name and how to erase it."""
    monkeypatch.setattr(bedrock_server, "DEPLOYING_S", math.inf)
    job, theirs = job_at_aws(world)
    world.advance(theirs, "finish")
    for _ in range(20):
        world.step(60.0)
    row = world.ledger.job(job)
    (arn,) = world.standin.models  # type: ignore[attr-defined]
    assert row.state is State.FAILED
    assert f"trainwise erase-model {arn}" in (row.error or "")


def test_a_model_that_cannot_go_yet_is_not_said_to_be_gone(
    world: World, server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS refuses by its status, which is no sign that it is not there."""
    arn = f"{HOME}:custom-model/{BASE}/abcdef000001"
    server.models[arn], server.names["tw-abcdef-x-9"] = {}, arn
    host: Any = world.adapter
    whole = server.on_models

    def refuse(request: Request, name: str) -> Answer:
        if request.method != "DELETE":
            return whole(request, name)
        body = {"message": "The model cannot be deleted in its present status."}
        return Answer(400, body, headers={"x-amzn-errortype": "ValidationException"})

    monkeypatch.setattr(server, "on_models", refuse)
    with pytest.raises(NoAnswer, match="still deleting"):
        host.erase_model(arn)


def test_a_model_of_somebody_else_is_left_alone(world: World, server: BedrockServer) -> None:
    """A name that was typed wrong erases nothing; what runs in the account besides is none of ours."""
    arn = f"{HOME}:custom-model/{BASE}/abcdef000002"
    server.models[arn], server.names["production"] = {}, arn
    host: Any = world.adapter
    (words,) = host.erase_model(arn)
    assert "no job of Trainwise" in words
    assert arn in server.models


def test_a_loss_that_is_no_number_is_left_out() -> None:
    """A report holds none: no database takes it."""
    table = b"step_number,epoch_number,training_loss\n0,0,nan\n1,0,1.5\n"
    assert losses_of(table) == [{"step": 2, "loss": 1.5}]


def test_a_stop_that_comes_too_late_is_no_error(world: World) -> None:
    """The job has ended: the next look says so."""
    _, theirs = job_at_aws(world)
    world.standin.end(theirs, SUCCEEDED)
    world.adapter.cancel(Reference(theirs.tag, theirs.tag))
    assert world.adapter.look(Reference(theirs.tag, theirs.tag)).stage is Stage.SUCCEEDED
