"""A model that a platform hosts, measured at home by the real process, and asked like any other: never run live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.split import split
from finetune.data.store import SAMPLE_REPLIES, DatasetStore
from finetune.data.ticket import Tickets
from finetune.errors import FinetuneError
from finetune.hosted import PROMPTS, Endpoint, measuring_usd
from finetune.llm import spent_in
from finetune.llm_access import LlmAccess
from finetune.measurement.evidence import evidence_of
from finetune.platforms.chats import TRAIN, chat_files
from finetune.platforms.contract import Bill, Result
from finetune.reports import read_report
from finetune.reports.finetune import FinetuneReport
from finetune.serving.deploy import make_version
from finetune.serving.export import export
from finetune.serving.predict import try_both
from finetune.spec import parse_spec
from finetune.tasks.triage.hosted import question
from tests.integration.conftest import add_dataset
from tests.platforms.openai_server import BASE, OpenAiServer
from tests.platforms.standin import KEY, SUCCEEDED
from worker.dispatch.local_evaluation import HostedRun, evaluate_locally

pytestmark = pytest.mark.integration
BILL = Bill(0.25, True, "166,667 trained tokens, price of 2026-11-29")


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    running = OpenAiServer(lambda: 1_800_000_000.0)
    yield running
    running.close()


def run_of(server: OpenAiServer, tickets: Tickets, spec: dict[str, object], folder: Path) -> HostedRun:
    """A model that the stand-in has tuned on the training rows."""
    server.files["file-1"] = {
        "filename": TRAIN,
        "purpose": "fine-tune",
        "data": chat_files(tickets, spec)[TRAIN],
    }
    body = {"training_file": "file-1", "model": BASE, "suffix": "tw-x"}
    server.end(server.make("tw-x", body), SUCCEEDED)
    (name,) = server.models
    endpoint = Endpoint("OpenAI", name, KEY, f"{server.url}/v1", 0.2, 0.8)
    loss = {"loss": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]}
    return HostedRun(dict(spec), tickets, endpoint, "openai", BASE, BILL, Result(loss, model=name), folder)


def rows_of(folder: Path) -> Tickets:
    """Sixty tickets of two queues."""
    add_dataset(folder / "datasets", "few")
    store = DatasetStore(str(folder / "datasets"))
    return store.tickets(store.get("few").digest)


def test_a_hosted_triage_model_is_measured_tried_and_listed_like_any_other(
    server: OpenAiServer, tmp_path: Path
) -> None:
    """Held-out tickets are asked once each, without their labels; what needs weights is refused in words."""
    tickets = rows_of(tmp_path)
    spec = parse_spec(
        {"dataset": "few", "digest": tickets.digest, "budget_usd": 5, "method": "linear"}
    ).to_json()
    run = run_of(server, tickets, spec, tmp_path / "job" / "attempt")
    result = evaluate_locally(run, lambda: False)
    report = read_report(result.report)
    assert isinstance(report, FinetuneReport)
    assert (report.hosted_model, result.model) == (run.endpoint.model, run.endpoint.model)
    assert report.tuned is not None
    assert report.tuned.name == f"{BASE}, tuned at OpenAI"
    assert report.tuned.scores["accuracy"].value > 0.6
    assert len(server.questions) == report.dataset.test
    assert not any("named no queue" in note for note in report.notes)
    held_out = [tickets.rows[at].text for at in split(tickets, 7).test]
    assert sorted(server.questions) == sorted(map(question, held_out))
    assert 0.25 < report.spent.usd < 0.3
    assert report.latency.usd_per_1000
    assert result.plots.keys() >= {"scores.png", "loss.png"}
    (evidence,) = evidence_of(result.report, "job1")
    assert (evidence.model_there, evidence.usd_per_1000) == (report.hosted_model, report.latency.usd_per_1000)
    sides = try_both(tmp_path / "job", tickets.rows[0].text, find_endpoint=lambda card: run.endpoint)
    assert sides.after.answer in {row.label for row in tickets.rows}
    assert sides.before is not None
    try_both(tmp_path / "job", "Write to ada@example.org, please", find_endpoint=lambda card: run.endpoint)
    assert "ada@example.org" not in server.questions[-1]
    assert "<EMAIL>" in server.questions[-1]
    with pytest.raises(FinetuneError, match="not connected"):
        try_both(tmp_path / "job", "hello")
    with pytest.raises(FinetuneError, match="cannot be exported"):
        export(tmp_path / "job", tmp_path / "out")
    with pytest.raises(FinetuneError, match="cannot be served"):
        make_version(tmp_path / "job", "v1", tmp_path / "serving", lambda digest: tickets)
    before = len(server.questions)
    evaluate_locally(run, lambda: False)
    assert len(server.questions) == before


def test_a_hosted_reply_model_has_pairs_to_compare_blind(server: OpenAiServer, tmp_path: Path) -> None:
    """Against the best other, on the held-out tickets; a language model's prompts stand beside it and it judges the pairs."""
    store = DatasetStore(str(tmp_path / "datasets"))
    store.ensure_samples()
    rows = store.tickets(store.get(SAMPLE_REPLIES).digest).rows
    tickets = Tickets(rows[:80], "reply")
    spec = parse_spec({"dataset": "r", "digest": tickets.digest, "task": "reply", "budget_usd": 5}).to_json()
    run = run_of(server, tickets, spec, tmp_path / "job")
    server.models["plain"] = {"which is better": "A"}
    access = LlmAccess("plain", KEY, f"{server.url}/v1", 30.0, 0.5)
    prices = {"api_per_million": {"plain": {"in": 1.0, "out": 2.0}}}
    run = replace(run, llm=access, prices=prices)
    report = read_report(evaluate_locally(run, lambda: False).report)
    assert isinstance(report, FinetuneReport)
    assert "Prompting was not measured: too few test tickets." in report.notes
    assert report.judge is not None
    usd = measuring_usd(run.folder)
    assert 0 < spent_in(run.folder / PROMPTS) < usd
    assert report.spent.usd == pytest.approx(BILL.usd + usd, abs=1e-4)
    assert KEY not in repr(access)
    assert (report.measure, report.pairs.tuned) == ("chrf", f"{BASE}, tuned at OpenAI")
    assert report.pairs.rows
    answer = try_both(tmp_path / "job", tickets.rows[0].text, find_endpoint=lambda card: run.endpoint)
    assert answer.after.answer
    assert answer.before is None


def test_a_platform_that_does_not_answer_is_asked_again_later(server: OpenAiServer, tmp_path: Path) -> None:
    """The key is in no sentence."""
    tickets = rows_of(tmp_path)
    spec = parse_spec({"dataset": "few", "digest": tickets.digest, "budget_usd": 5}).to_json()
    run = run_of(server, tickets, spec, tmp_path / "job")
    server.models.clear()
    with pytest.raises(FinetuneError, match="could not be measured") as error:
        evaluate_locally(run, lambda: False)
    assert error.value.retryable
    assert KEY not in str(error.value)
