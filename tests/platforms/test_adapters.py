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
from tests.platforms.harness import PlatformHarness, standalone_harness
from tests.platforms.runpod_server import GPU, WIRE
from tests.platforms.standin import KEY, Answer
from tests.platforms.wires import WIRES

pytestmark = pytest.mark.integration


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRE)


def test_a_pod_s_seconds_are_those_of_runpod_s_clock(harness: PlatformHarness) -> None:
    """Ours may jump by a day: nobody is charged for that and no job ends of it."""
    adapter = harness.adapter
    pod = adapter.create(Submission("tw-abcdef-x-1", GPU, 600.0, {}, "key"))
    harness.standin.start(harness.standin.jobs[pod])
    harness.clock[0] += 1800.0
    assert adapter.find("tw-abcdef-x-1")[0].ran_s == pytest.approx(1800.0, abs=1.0)


def test_an_offer_bears_the_day_on_which_its_price_was_told(harness: PlatformHarness) -> None:
    """It may be shown long after, while the platform does not answer."""
    assert harness.adapter.offers()[0].as_of == datetime.now(UTC).date().isoformat()


def test_a_refusal_says_the_platform_s_reason_and_never_the_key(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RunPod's 400 means a broken rule or no capacity: only its sentence tells which."""

    def refuse(request: Any) -> Answer:
        return Answer(400, {"error": {"message": f"no capacity in EU-RO-1 for {KEY}"}})

    monkeypatch.setattr(type(harness.standin), "answer", lambda self, request: refuse(request))
    with pytest.raises(NotMade, match="no capacity in EU-RO-1") as refusal:
        harness.adapter.create(Submission("tw-abcdef-x-1", GPU, 600.0, {}, "key"))
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


def test_a_pod_is_deleted_before_its_result_is_fetched(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bills on until then, and what it left lies in the volume."""

    def result(reference: Any, folder: Path) -> Any:
        raise NoAnswer("The volume is slow today.")

    monkeypatch.setattr(harness.adapter, "result", result)
    harness.submit()
    harness.step(1.0)
    (pod,) = harness.standin.jobs.values()
    harness.advance(pod, "start")
    harness.step(20.0)
    harness.advance(pod, "finish")
    harness.step(20.0)
    harness.step(20.0)
    assert harness.standin.running() == []


@pytest.mark.parametrize("name", [name for name, wire in WIRES.items() if wire.platform.gives == "weights"])
def test_a_lora_can_be_launched_on_each_machine_that_is_offered(name: str) -> None:
    """Memory that a platform does not tell is no reason to refuse, and a GPU of unknown memory is a GPU."""
    for harness in standalone_harness(WIRES[name]):
        places = [PlaceOffer(harness.wire.platform, offer) for offer in harness.adapter.offers()]
        assert places
        for place in places:
            recipes = ["lora", *(["qlora"] if place.offer.gpu else [])]
            for method in recipes:
                spec = parse_spec({"dataset": "few", "method": method, "budget_usd": "5"})
                estimate = RunEstimate(ModelSize(23e6, "catalogue"), memory_gib=2.1)
                assert refusal(spec, estimate, [machine_of(place)]) == {}
