"""Gemini and Bedrock, which tune by themselves: what leaves the house, what it costs, what answers, what goes and what stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.cli.doctor import platforms
from bot.settings import load_settings
from bot.slack.ui.machine_choice import machine_text
from finetune.data.split import split
from finetune.estimate import RunEstimate
from finetune.llm import EndpointFailure
from finetune.model_size import ModelSize
from finetune.platforms import PLATFORMS
from finetune.platforms.contract import (
    Bill,
    NoAnswer,
    NotMade,
    PlaceOffer,
    PlatformError,
    Reference,
    Result,
    Submission,
)
from finetune.platforms.hosted_models import erase_hosted, host_of_name
from tests.platforms import bedrock_server, gemini_server
from tests.platforms.harness import ROWS, SPEC, PlatformHarness, Wire, standalone_harness
from tests.platforms.sagemaker_server import KEY_ID
from tests.platforms.standin import KEY, SUCCEEDED
from worker.dispatch.local_evaluation import HostedRun
from worker.jobs.states import State

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-x-1"
WIRES = {"gemini": gemini_server.WIRE, "bedrock": bedrock_server.WIRE}


@pytest.fixture(params=list(WIRES))
def wire(request: Any) -> Wire:
    return WIRES[request.param]


@pytest.fixture
def harness(wire: Wire) -> Iterator[PlatformHarness]:
    yield from standalone_harness(wire)


@pytest.fixture
def gemini() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRES["gemini"])


@pytest.fixture
def bedrock() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRES["bedrock"])


def submission(harness: PlatformHarness, budget_usd: float | None = 50.0, **recipe: Any) -> Submission:
    """The harness's rows as the platform's files."""
    spec = {**SPEC, "epochs": 3, **recipe}
    files = harness.wire.platform.training_files(ROWS, spec)
    return Submission(TAG, harness.wire.machine, 3600.0, files, recipe=spec, budget_usd=budget_usd)


def standin(harness: PlatformHarness) -> Any:
    """The platform's side, with its files, models and questions."""
    return harness.standin


def tuned(harness: PlatformHarness) -> Any:
    """A job that was tuned, measured and closed."""
    job = harness.submit()
    harness.step(1.0)
    (theirs,) = harness.standin.jobs.values()
    harness.advance(theirs, "start")
    harness.step(35.0)
    harness.advance(theirs, "finish")
    for _ in range(8):
        harness.step(20.0)
    return harness.ledger.job(job)


def test_held_out_tickets_are_in_no_file_and_an_upload_is_repeatable(harness: PlatformHarness) -> None:
    """Rows to train on go up, at Google also those to choose on; no test row does, and a second upload replaces the first."""
    for _ in range(2):
        harness.adapter.upload(submission(harness))
    files = standin(harness).files
    assert all(TAG in name for name in files)
    text = "".join(file["data"].decode() for file in files.values())
    cut = split(ROWS, 7)
    there = {n for n, row in enumerate(ROWS.rows) if json.dumps(row.text)[1:-1] in text}
    wanted = {*cut.train, *cut.dev} if len(files) == 2 else {*cut.train}
    assert (there, harness.standin.violations) == (wanted, [])


def test_a_budget_that_does_not_pay_is_refused_before_anything_leaves(harness: PlatformHarness) -> None:
    """By the bytes of the rows, rather too dear than too cheap."""
    with pytest.raises(NotMade, match="fewer epochs"):
        harness.adapter.upload(submission(harness, budget_usd=0.005, epochs=5))
    assert standin(harness).files == {}


def test_a_tuned_model_is_billed_answers_and_is_erased_where_it_is(harness: PlatformHarness) -> None:
    """Its name stands in the report with what it costs; its files go at the end, the model when somebody asks for that."""
    row, adapter = tuned(harness), standin(harness)
    assert row.state is State.SUCCEEDED, row.error
    assert not [name for name in adapter.files if TAG in name or "tw-" in name]
    model = (row.report or {})["hosted_model"]
    assert list(adapter.models) == [model]
    notes = " ".join((row.report or {})["notes"])
    assert "erase-model" in notes
    assert harness.wire.platform.upkeep in notes
    assert 0 < row.spent_usd < 0.1
    host: Any = harness.adapter
    endpoint = host.endpoint(harness.wire.machine, model)
    assert KEY not in repr(endpoint)
    answer = endpoint.ask()(ROWS.rows[0].text)
    assert (answer.text in ("a", "b"), answer.tokens_in, answer.tokens_out) == (True, 4, 3)
    assert endpoint.ask_once(ROWS.rows[1].text) in ("a", "b")
    assert erase_hosted(host, model, harness_sleep(harness)) == []
    assert adapter.models == {}
    assert host.erase_model(model) == []
    with pytest.raises(EndpointFailure, match="erased there"):
        endpoint.ask_once("Is anybody there?")
    assert harness.problems == []
    assert harness.standin.violations == []


def harness_sleep(harness: PlatformHarness) -> Any:
    """Waiting moves the test's clock."""

    def sleep(seconds: float) -> None:
        harness.clock[0] += seconds

    return sleep


@pytest.mark.parametrize("lag_s", [0.0, 3600.0])
def test_a_model_that_nobody_waits_for_any_more_is_deleted(harness: PlatformHarness, lag_s: float) -> None:
    """It was ready just before the cancel came in; a list that does not show its job yet hides nothing."""
    harness.standin.lag_s = lag_s
    job = harness.submit()
    harness.step(1.0)
    (theirs,) = harness.standin.jobs.values()
    harness.advance(theirs, "start")
    harness.step(35.0)
    harness.ledger.request_cancel(job, "U1", "enough")
    harness.standin.end(theirs, SUCCEEDED)
    for _ in range(12):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.CANCELLED
    assert (standin(harness).models, standin(harness).files) == ({}, {})


def test_the_form_shows_the_price_with_its_day_and_what_it_costs_afterwards(harness: PlatformHarness) -> None:
    """Before launch: dollars by the token, what leaves the house, what an idle model costs."""
    place = PlaceOffer(harness.wire.platform, harness.adapter.offers()[0])
    text = machine_text(place, RunEstimate(ModelSize(1e6, "catalog"), tokens=2_000_000.0))
    assert "price of 2026-11-29" in text
    assert "Held-out tickets are not uploaded" in text
    assert harness.wire.platform.upkeep in text


def test_doctor_asks_for_a_job_and_reads_the_place_of_the_rows(
    harness: PlatformHarness, tmp_path: Any
) -> None:
    """With read-only calls; a key that is refused is told as that, and none of it is shown."""
    values = harness.wire.values(harness.standin, "")
    settings = load_settings({"TRAINWISE_HOME": str(tmp_path), **values})
    finding = next(one for one in platforms(settings) if one.name == harness.wire.platform.label)
    assert (str(finding.level), harness.wire.machine in finding.detail) == ("ok", True), finding
    harness.standin.is_key_good = False
    finding = next(one for one in platforms(settings) if one.name == harness.wire.platform.label)
    assert "refuse" in finding.detail
    assert KEY not in finding.detail


def test_a_model_s_platform_is_known_by_its_name() -> None:
    """Whoever could not be measured is erased by name alone."""
    values = dict.fromkeys((v.name for one in PLATFORMS.values() for v in one.variables), "x")
    names = {
        "projects/1/locations/us-central1/endpoints/9": "gemini",
        "arn:aws:bedrock:us-east-1:1:custom-model/a/b": "bedrock",
        "ft:gpt-4.1-nano:northwind:tw-x:1": "openai",
    }
    for name, platform in names.items():
        host = host_of_name(name, PLATFORMS.values(), values)
        assert host is not None
        assert host.name == platform
    assert host_of_name("ft:x", PLATFORMS.values(), {}) is None


def test_what_google_keeps_is_named(gemini: PlatformHarness) -> None:
    """The job's record with sample rows, and a bucket whose soft delete keeps what was deleted."""
    standin(gemini).soft_delete_s = 604_800
    notes = " ".join((tuned(gemini).report or {})["notes"])
    assert "no call to delete it" in notes
    assert "recoverable for 7 days" in notes


def test_a_base_that_refuses_a_thinking_budget_is_asked_without_one(gemini: PlatformHarness) -> None:
    """The refusal names it; it is left out from then on."""
    model = (tuned(gemini).report or {})["hosted_model"]
    host: Any = gemini.adapter
    standin(gemini).knows_thinking = False
    ask = host.endpoint(gemini.wire.machine, model).ask()
    before = gemini.standin.requests
    assert {ask(ROWS.rows[n].text).text for n in range(2)} <= {"a", "b"}
    assert gemini.standin.requests - before == 4  # a token, a refusal, two answers


def test_an_endpoint_of_somebody_else_is_left_alone(gemini: PlatformHarness) -> None:
    """A name that was typed wrong erases nothing of what answers in the project besides."""
    name = "projects/northwind/locations/us-central1/endpoints/77"
    standin(gemini).resources[name] = {"deployedModels": [{"id": "1", "model": "projects/x/models/1"}]}
    host: Any = gemini.adapter
    (words,) = host.erase_model(name)
    assert "no job of Trainwise" in words
    assert standin(gemini).resources[name]["deployedModels"]
    assert host.erase_model(name[:-1]) == []


def test_questions_get_what_all_attempts_leave_of_the_budget(gemini: PlatformHarness) -> None:
    """An earlier attempt that was lost has cost too; a tenth is there in any case."""
    host: Any = gemini.adapter
    place = host.endpoint(gemini.wire.machine, "projects/x"), "gemini", gemini.wire.machine
    parts = Bill(1.0, True, "tokens"), Result({}), gemini.home
    run = HostedRun({"budget_usd": 5.0}, ROWS, *place, *parts, spent_usd=3.0)
    assert run.spend_usd == pytest.approx(1.0)
    assert replace(run, spent_usd=4.9).spend_usd == pytest.approx(0.5)


def test_bedrock_s_limits_are_told_before_anything_is_made() -> None:
    """A base that needs Provisioned Throughput is billed by the hour; Nova takes five epochs at most."""
    values = {**bedrock_server.WIRE.values(type("S", (), {"url": "http://127.0.0.1:1"})(), "")}
    with pytest.raises(PlatformError, match="billed by the hour"):
        PLATFORMS["bedrock"].connect({**values, "TRAINWISE_BEDROCK_MODELS": "meta.llama3-3-70b=1/1/1"})
    adapter = PLATFORMS["bedrock"].connect(values)
    rows = {"train.jsonl": b"{}\n" * 12}
    with pytest.raises(NotMade, match="5 times at most"):
        adapter.upload(Submission(TAG, bedrock_server.BASE, 3600.0, rows, recipe={"epochs": 6}))


def test_bedrock_s_jobs_and_files_stand_before_moto() -> None:
    """The same calls against a stand-in that others wrote: rows up, created once, found, stopped, every version erased."""
    from moto import mock_aws

    with mock_aws():
        import boto3

        keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": KEY}
        store = boto3.client("s3", region_name="us-east-1", **keys)
        store.create_bucket(Bucket=bedrock_server.BUCKET)
        kept = {"Bucket": bedrock_server.BUCKET, "VersioningConfiguration": {"Status": "Enabled"}}
        store.put_bucket_versioning(**kept)
        values = bedrock_server.WIRE.values(type("S", (), {"url": ""})(), "")
        adapter = PLATFORMS["bedrock"].connect({**values, "timeout_s": "5"})
        rows = PLATFORMS["bedrock"].training_files(ROWS, SPEC)
        order = Submission(TAG, bedrock_server.BASE, 3600.0, rows, recipe=SPEC)
        assert adapter.offers()[0].name == bedrock_server.BASE
        for _ in range(2):
            adapter.upload(order)
        assert adapter.create(order) == TAG
        assert adapter.create(order) == TAG
        (status,) = adapter.find(TAG)
        assert status.remote_id == TAG
        assert [one.remote_id for one in adapter.find("tw-abcdef-")] == [TAG]
        reference = Reference(TAG, TAG)
        adapter.cancel(reference)
        assert adapter.look(reference).word == "Stopped"
        bill = adapter.bill(reference)
        assert bill is not None
        assert bill.is_final
        with_versions = store.list_object_versions(Bucket=bedrock_server.BUCKET)
        assert len(with_versions["Versions"]) == 2
        assert adapter.erase(Reference(TAG, TAG, keeps_model=True)) == []  # moto has no deployments
        after = store.list_object_versions(Bucket=bedrock_server.BUCKET)
        assert ("Versions" in after, "DeleteMarkers" in after) == (False, False)
        assert adapter.look(Reference(TAG, "nobody-1")).stage == "gone"


def test_a_deployment_that_takes_its_time_is_waited_for(bedrock: PlatformHarness) -> None:
    """NoAnswer while AWS is at it, so that the controller comes again; then the model's ARN and the losses of AWS's table."""
    adapter, server = bedrock.adapter, bedrock.standin
    adapter.upload(submission(bedrock))
    job = adapter.create(submission(bedrock))
    (theirs,) = server.jobs.values()
    server.end(theirs, SUCCEEDED)
    reference = Reference(TAG, job)
    for _ in range(2):
        with pytest.raises(NoAnswer, match="still deploying"):
            adapter.result(reference, bedrock.home)
    bedrock.clock[0] += 120.0
    result = adapter.result(reference, bedrock.home)
    assert result.model in standin(bedrock).models
    assert [one["loss"] for one in result.report["loss"]] == [2.0, 1.0]
