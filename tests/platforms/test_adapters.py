"""What single adapters hold beside the contract: seconds by the platform's clock, prices with a date, reasons in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.slack.ui.machine_choice import machine_of
from finetune.estimate import RunEstimate, refusal
from finetune.model_size import ModelSize
from finetune.platforms.aws import sort
from finetune.platforms.contract import NoAnswer, NotMade, PlaceOffer, PlatformError, Submission
from finetune.platforms.machine_prices import prices_of
from finetune.spec import parse_spec
from tests.platforms.runpod_server import GPU, WIRE
from tests.platforms.standin import KEY, Answer
from tests.platforms.wires import WIRES
from tests.platforms.world import World, open_before

pytestmark = pytest.mark.integration


@pytest.fixture
def world() -> Iterator[World]:
    yield from open_before(WIRE)


def test_a_pod_s_seconds_are_those_of_runpod_s_clock(world: World) -> None:
    """Ours may jump by a day: nobody is charged for that and no job ends of it."""
    adapter = world.adapter
    pod = adapter.create(Submission("tw-abcdef-x-1", GPU, 600.0, {}, "key"))
    world.standin.start(world.standin.jobs[pod])
    world.clock[0] += 1800.0
    assert adapter.find("tw-abcdef-x-1")[0].ran_s == pytest.approx(1800.0, abs=1.0)


def test_an_offer_bears_the_day_on_which_its_price_was_told(world: World) -> None:
    """It may be shown long after, while the platform does not answer."""
    assert world.adapter.offers()[0].as_of == datetime.now(UTC).date().isoformat()


def test_a_refusal_says_the_platform_s_reason_and_never_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RunPod's 400 means a broken rule or no capacity: only its sentence tells which."""

    def refuse(request: Any) -> Answer:
        return Answer(400, {"error": {"message": f"no capacity in EU-RO-1 for {KEY}"}})

    monkeypatch.setattr(type(world.standin), "answer", lambda self, request: refuse(request))
    with pytest.raises(NotMade, match="no capacity in EU-RO-1") as refusal:
        world.adapter.create(Submission("tw-abcdef-x-1", GPU, 600.0, {}, "key"))
    assert KEY not in str(refusal.value)


def test_a_quota_of_aws_is_told_in_its_words() -> None:
    """The commonest first failure: the account may not have this machine."""
    fault = {"Code": "ResourceLimitExceeded", "Message": "The limit 'ml.g5.xlarge' is 0 Instances."}
    error = sort("Amazon SageMaker", {"Error": fault, "ResponseMetadata": {"HTTPStatusCode": 400}})
    assert "'ml.g5.xlarge' is 0 Instances" in str(error)


@pytest.mark.parametrize("text", ["ml.g5=nan", "ml.g5=-1", "ml.g5=0", "ml.g5=inf", "=1.4", "ml.g5"])
def test_a_price_that_limits_nothing_is_refused(text: str) -> None:
    """The budget divided by the price is the time limit: without a price above 0 there is none."""
    with pytest.raises(PlatformError, match="dollars an hour"):
        prices_of(text, "MACHINES")


def test_a_half_configured_platform_names_what_is_missing(tmp_path: Path) -> None:
    """The image is every platform's: it alone means nothing."""
    standin: Any = type("Here", (), {"url": "http://127.0.0.1:1"})()
    values = WIRE.values(standin, str(tmp_path))
    assert WIRE.platform.gaps({"TRAINWISE_IMAGE": "x"}) == []
    assert WIRE.platform.gaps(values) == []
    assert WIRE.platform.gaps({**values, "RUNPOD_API_KEY": ""}) == ["RUNPOD_API_KEY"]


def test_a_pod_is_deleted_before_its_result_is_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It bills on until then, and what it left lies in the volume."""

    def result(reference: Any, folder: Path) -> Any:
        raise NoAnswer("The volume is slow today.")

    monkeypatch.setattr(world.adapter, "result", result)
    world.submit()
    world.step(1.0)
    (pod,) = world.standin.jobs.values()
    world.advance(pod, "start")
    world.step(20.0)
    world.advance(pod, "finish")
    world.step(20.0)
    world.step(20.0)
    assert world.standin.running() == []


@pytest.mark.parametrize("name", [name for name, wire in WIRES.items() if wire.platform.gives == "weights"])
def test_a_lora_can_be_launched_on_each_machine_that_is_offered(name: str) -> None:
    """Memory that a platform does not tell is no reason to refuse, and a GPU of unknown memory is a GPU."""
    for world in open_before(WIRES[name]):
        places = [PlaceOffer(world.wire.platform, offer) for offer in world.adapter.offers()]
        assert places
        for place in places:
            recipes = ["lora", *(["qlora"] if place.offer.gpu else [])]
            for method in recipes:
                spec = parse_spec({"dataset": "few", "method": method, "budget_usd": "5"})
                estimate = RunEstimate(ModelSize(23e6, "catalogue"), memory_gib=2.1)
                assert refusal(spec, estimate, [machine_of(place)]) == {}
