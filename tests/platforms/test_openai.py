"""OpenAI's tuning wire: what leaves the house, what it costs, until when, and what becomes of the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bot.cli.doctor import Finding, platforms
from bot.settings import load_settings
from bot.slack.ui.job_card import job_card
from bot.slack.ui.machine_choice import label_of, machine_text
from finetune.data.ticket import DatasetError
from finetune.estimate import RunEstimate
from finetune.llm import SPENT_FILE
from finetune.model_size import ModelSize
from finetune.platforms.chats import chat_files, tokens_of
from finetune.platforms.contract import NotMade, PlaceOffer, PlatformError, Reference, Submission
from finetune.platforms.machine_prices import token_prices_of
from finetune.platforms.openai import MODELS, Tunings
from finetune.platforms.openai_jobs import LABEL, URL
from finetune.platforms.token_prices import PriceList, TokenPrice
from tests.platforms.harness import ROWS, SPEC, PlatformHarness, standalone_harness
from tests.platforms.openai_server import BASE, WIRE, OpenAiServer, settings_for
from tests.platforms.standin import CANCELLED, KEY, SUCCEEDED, Answer
from worker.dispatch.local_evaluation import HostedRun, MeasuringFailure
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-x-1"


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRE)


def server_of(harness: PlatformHarness) -> OpenAiServer:
    """The stand-in with its own fields."""
    assert isinstance(harness.standin, OpenAiServer)
    return harness.standin


def submission(budget_usd: float | None = 50.0, **recipe: Any) -> Submission:
    """The harness's rows as chat files."""
    spec = {**SPEC, "epochs": 3, **recipe}
    return Submission(TAG, BASE, 3600.0, chat_files(ROWS, spec), recipe=spec, budget_usd=budget_usd)


def tunings(harness: PlatformHarness, url: str, today: str) -> Tunings:
    """The adapter with another address in its name and another day."""
    adapter: Any = harness.adapter
    prices = PriceList(LABEL, MODELS, {BASE: TokenPrice(1.5, 0.2, 0.8)}, "2026-11-29")
    return Tunings(adapter._client, prices, (url, KEY), lambda: date.fromisoformat(today))


def trained_job(harness: PlatformHarness) -> tuple[str, Any]:
    """A job that is being tuned, and the platform's side of it."""
    job = harness.submit()
    harness.step(1.0)
    (theirs,) = harness.standin.jobs.values()
    harness.advance(theirs, "start")
    harness.step(35.0)
    return job, theirs


def test_what_a_quick_job_wrote_is_erased_though_the_list_does_not_show_it_yet(
    harness: PlatformHarness,
) -> None:
    """Its id is known: 400 runs of the contract met one that had ended before its listing's lag (seed 5252)."""
    harness.standin.lag_s = 3600.0
    job, theirs = trained_job(harness)
    harness.finish(theirs)
    for _ in range(4):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.SUCCEEDED
    assert server_of(harness).files == {}


def test_held_out_tickets_are_in_no_file_and_the_cut_is_the_evaluation_s(harness: PlatformHarness) -> None:
    """The rows to train and choose on go up, redacted as the dataset is, with an expiry; no test row does."""
    from finetune.data.split import split

    harness.adapter.upload(submission())
    text = "".join(file["data"].decode() for file in server_of(harness).files.values())
    cut = split(ROWS, 7)
    test = set(cut.test)
    assert test
    assert {n for n, row in enumerate(ROWS.rows) if json.dumps(row.text)[1:-1] in text} == {
        *cut.train,
        *cut.dev,
    }
    assert harness.standin.violations == []


def test_an_upload_that_is_repeated_leaves_one_file_of_each_name(harness: PlatformHarness) -> None:
    """Its answer may have been lost."""
    server_of(harness).read_faults += ["", "cut"]
    with pytest.raises(PlatformError):
        harness.adapter.upload(submission())
    for _ in range(2):
        harness.adapter.upload(submission())
    names = [file["filename"] for file in server_of(harness).files.values()]
    assert sorted(names) == [f"{TAG}-dev.jsonl", f"{TAG}-train.jsonl"]


def test_every_file_of_a_name_is_erased(harness: PlatformHarness) -> None:
    """An upload that was repeated before the first was listed has left two."""
    harness.adapter.upload(submission())
    files = server_of(harness).files
    files |= {f"{number}-again": dict(file) for number, file in list(files.items())}
    assert harness.adapter.erase(Reference(TAG, "")) == []
    assert files == {}


@pytest.mark.parametrize(
    ("text", "least"), [("請求書が二重に届きました", 12), ("Die Rechnung", 4), ("счёт", 2)]
)
def test_every_script_is_priced_rather_too_dear(text: str, least: float) -> None:
    """A sign of Chinese or Japanese is about a token, a letter a quarter."""
    assert tokens_of(text.encode(), 1) >= least


def test_a_budget_that_does_not_pay_for_it_is_refused_before_anything_leaves(
    harness: PlatformHarness,
) -> None:
    """By the bytes of the rows, rather too dear than too cheap."""
    with pytest.raises(NotMade, match="fewer epochs"):
        harness.adapter.upload(submission(budget_usd=0.01, epochs=100))
    assert server_of(harness).files == {}


def test_the_loss_is_shown_and_the_report_is_made_at_home(harness: PlatformHarness) -> None:
    """Steps with loss on the card; then the model's name, the bill from trained tokens, no file left, the model kept."""
    job, theirs = trained_job(harness)
    assert harness.ledger.job(job).progress["loss"] == pytest.approx(2.0 / 3, abs=1e-3)
    assert "epochs" in str(
        job_card(replace(harness.ledger.job(job), spec={**SPEC, "epochs": 3}), harness.wall())
    )
    harness.advance(theirs, "finish")
    for _ in range(4):
        harness.step(20.0)
    row = harness.ledger.job(job)
    assert row.state is State.SUCCEEDED
    model = (row.report or {})["hosted_model"]
    assert list(server_of(harness).models) == [model]
    assert any("erase-model" in note for note in (row.report or {})["notes"])
    assert row.spent_usd == pytest.approx(theirs.body["tokens"] / 1e6 * 1.5)
    assert server_of(harness).files == {}
    adapter: Any = harness.adapter
    assert (adapter.erase_model(model), adapter.erase_model(model)) == ([], [])
    assert server_of(harness).models == {}


def test_what_a_cancelled_job_trained_is_billed_by_its_steps_and_its_model_goes(
    harness: PlatformHarness,
) -> None:
    """The platform tells no count of a cancelled job; a model that nobody waits for any more is deleted."""
    job, theirs = trained_job(harness)
    harness.ledger.request_cancel(job, "U1", "enough")
    harness.standin.end(theirs, SUCCEEDED)  # it was ready just before the cancel came in
    for _ in range(4):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.CANCELLED
    assert (server_of(harness).models, server_of(harness).files) == ({}, {})
    other, theirs = "", None
    other = harness.submit()
    harness.step(1.0)
    theirs = list(harness.standin.jobs.values())[-1]
    harness.advance(theirs, "start")
    harness.step(150.0)
    harness.standin.end(theirs, CANCELLED)
    bill = harness.adapter.bill(Reference(remotes_of(harness.ledger.engine, other)[0].tag, theirs.id))
    assert bill is not None
    assert (bill.is_final, bill.usd > 0, "estimated: 50%" in bill.basis) == (True, True, True)


def test_a_model_that_cannot_be_measured_is_kept_and_named(harness: PlatformHarness) -> None:
    """It has been paid for, as have the questions that it answered before."""

    def fail(run: HostedRun, should_stop: Callable[[], bool]) -> Any:
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / SPENT_FILE).write_text(json.dumps({"usd": 0.75}))
        raise MeasuringFailure("scikit-learn is not installed where the bot runs.")

    job, theirs = trained_job(harness)
    harness.controllers[0].measure = fail
    harness.advance(theirs, "finish")
    for _ in range(8):
        harness.step(20.0)
    row = harness.ledger.job(job)
    (model,) = server_of(harness).models
    assert row.state is State.FAILED
    assert model in (row.error or "")
    assert "stays at OpenAI" in (row.error or "")
    assert f"erase-model {model}" in (row.error or "")
    assert row.spent_usd == pytest.approx(theirs.body["tokens"] / 1e6 * 1.5 + 0.75)
    assert server_of(harness).files == {}


def test_a_status_that_nobody_knows_ends_nothing(harness: PlatformHarness) -> None:
    """`paused` exists in the client and in no type of a status: the job counts as running, and the card says the word."""
    job, theirs = trained_job(harness)
    theirs.odd_word = "paused"
    for _ in range(4):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.RUNNING
    assert "paused" in str(job_card(harness.ledger.job(job), harness.wall()))
    assert harness.problems == []


def test_rows_that_are_erased_before_the_measurement_end_the_job_in_words(harness: PlatformHarness) -> None:
    """Somebody asked to be forgotten while the platform tuned: nobody tries for ever, and the model is named."""

    def rows(digest: str) -> Any:
        raise DatasetError("These rows were erased.")

    job, theirs = trained_job(harness)
    harness.controllers[0].packer = replace(harness.controllers[0].packer, rows=rows)
    harness.advance(theirs, "finish")
    harness.step(20.0)
    for _ in range(8):
        harness.step(20.0)
    error = harness.ledger.job(job).error or ""
    assert ("These rows were erased" in error, "stays at OpenAI" in error) == (True, True)


def test_openai_takes_no_new_job_from_its_last_day_on(harness: PlatformHarness) -> None:
    """The offer says until when; from that day on offers, create and doctor say so; a gateway follows its own list."""
    last = tunings(harness, URL, "2027-01-05")
    assert last.offers()[0].label == f"{BASE} (jobs until 2027-01-06)"
    over = tunings(harness, URL, "2027-01-06")
    for call in (over.offers, lambda: over.create(submission())):
        with pytest.raises(NotMade, match="no new fine-tuning jobs since 2027-01-06"):
            call()
    gateway = tunings(harness, "https://gateway.example/v1", "2027-03-01")
    assert gateway.offers()[0].label == BASE
    server_of(harness).bases[BASE] = "2027-02-01"
    with pytest.raises(NotMade, match="since 2027-02-01"):
        gateway.offers()
    assert harness.standin.jobs == {}


def test_a_job_is_found_by_its_suffix_where_a_gateway_drops_metadata(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both bear the tag."""
    harness.adapter.upload(submission())
    number = harness.adapter.create(submission())
    show = OpenAiServer.show

    def without(self: OpenAiServer, job: Any) -> dict[str, Any]:
        return {**show(self, job), "metadata": None, "user_provided_suffix": job.body["suffix"]}

    monkeypatch.setattr(OpenAiServer, "show", without)
    monkeypatch.setattr(OpenAiServer, "visible_jobs", lambda self: list(self.jobs.values()))
    assert [one.remote_id for one in harness.adapter.find(TAG)] == [number]
    assert [one.tag for one in harness.adapter.find("tw-abcdef-")] == [TAG]
    assert harness.adapter.find("tw-abcdef-x-2") == []


def test_a_refusal_says_why_without_the_key(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An organisation that is new to fine-tuning gets a 403 with a sentence."""
    harness.adapter.upload(submission())
    fault = {"message": f"New organizations may not fine-tune ({KEY}).", "type": "x", "code": None}
    answer = OpenAiServer.answer

    def refuse(self: OpenAiServer, request: Any) -> Answer:
        return Answer(403, {"error": fault}) if self.is_create(request) else answer(self, request)

    monkeypatch.setattr(OpenAiServer, "answer", refuse)
    with pytest.raises(NotMade, match="New organizations") as refusal:
        harness.adapter.create(submission())
    assert KEY not in str(refusal.value)


def test_the_form_shows_the_price_by_tokens_and_what_leaves_the_house(harness: PlatformHarness) -> None:
    """Dollars a million tokens with their date, and that held-out tickets are asked without their answers."""
    place = PlaceOffer(WIRE.platform, harness.adapter.offers()[0])
    assert label_of(place).endswith("$1.50 a million trained tokens")
    text = machine_text(place, RunEstimate(ModelSize(1e6, "catalog"), tokens=2_000_000.0))
    assert "2,000,000 tokens, $3" in text
    assert "price of 2026-11-29" in text
    assert "Held-out tickets are not uploaded" in text


@pytest.mark.parametrize("text", ["gpt=1.5", "gpt=1/2", "=1/2/3", "gpt=0/1/1", "gpt=a/b/c", "gpt=1/nan/1"])
def test_a_price_of_tokens_that_is_no_price_is_refused(text: str) -> None:
    """Its sentence shows how one looks."""
    with pytest.raises(PlatformError, match=r"1\.50/0\.20/0\.80"):
        token_prices_of(text, "MODELS")


def test_doctor_names_the_models_or_what_stands_in_the_way(harness: PlatformHarness, tmp_path: Any) -> None:
    """With a read-only call; a chat key alone does not mean that tuning is wanted."""

    def findings(values: dict[str, str]) -> list[Finding]:
        return platforms(load_settings({"TRAINWISE_HOME": str(tmp_path), **values}))

    values = settings_for(harness.standin, "")
    (finding,) = findings(values)
    assert (str(finding.level), BASE in finding.detail) == ("ok", True)
    assert [one.name for one in findings({"OPENAI_API_KEY": KEY})] == ["platforms"]
    (half,) = findings({**values, "TRAINWISE_OPENAI_KEY": ""})
    assert "TRAINWISE_OPENAI_KEY" in half.detail
    harness.standin.is_key_good = False
    (refusal,) = findings(values)
    assert "refuses the key" in refusal.detail
