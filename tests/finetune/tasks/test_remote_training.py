"""A triage training on someone else's machine: the held-out rows stay at home, and the report is the one of a run at home."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from finetune import pipeline
from finetune.artifacts import REPORT, TRAINED
from finetune.data.split import split
from finetune.data.ticket import Tickets
from finetune.errors import CorruptModel, TrainingDataError
from finetune.pricing import Rates
from finetune.reports.finetune import FinetuneReport
from finetune.reports.parts import Score
from finetune.reports.training import TrainingReport
from finetune.spec import Spec, parse_spec
from finetune.tasks import TASKS
from tests.finetune.tiny import save_encoder
from tests.finetune.tiny import tickets as tiny_tickets

pytestmark = pytest.mark.integration
RATES = Rates(3.0)


def triage_rows(count: int) -> Tickets:
    """Tickets with a customer and a date each, which the cut needs and a training does not."""
    rows = [
        replace(row, customer=f"customer-{at}", created_at=datetime(2026, 1, 1 + at % 28, tzinfo=UTC))
        for at, row in enumerate(tiny_tickets(count).rows)
    ]
    return Tickets(tuple(rows), "triage")


def rows_sent(spec: Spec, tickets: Tickets) -> tuple[Tickets, int]:
    """The rows as a container gets them, and how many of them choose."""
    remote = TASKS[spec.task].remote_training
    assert remote is not None
    learning, choosing = remote.sides(spec, tickets)
    return Tickets((*learning.rows, *choosing.rows), "triage"), len(choosing)


def train_there(spec: Spec, tickets: Tickets, folder: Path) -> TrainingReport:
    """What `trainwise remote` does with such an order."""
    rows, choosing = rows_sent(spec, tickets)
    away_spec = replace(spec, digest=rows.digest)
    report = pipeline.train(away_spec, rows, choosing, folder, lambda event: None, lambda: None, RATES)
    (folder / "run.json").unlink()  # as only the model and what training came to are taken
    return TrainingReport.from_json(json.loads(json.dumps(report)))


def test_only_text_and_label_of_the_rows_to_train_and_choose_on_are_sent() -> None:
    """No held-out text, no customer, no date, no id of the team's own."""
    tickets, spec = triage_rows(90), parse_spec({"dataset": "tiny", "method": "linear"})
    rows, choosing = rows_sent(spec, tickets)
    cut = split(tickets, spec.seed)
    texts = [tickets.rows[at].text for at in (*cut.train, *cut.dev)]
    assert ([row.text for row in rows.rows], choosing) == (texts, len(cut.dev))
    assert set(cut.test)
    assert {tuple(row.to_json()) for row in rows.rows} == {("id", "text", "label")}


@pytest.mark.parametrize(("method", "rows"), [("linear", 520), ("full", 90)])
def test_a_local_evaluation_gives_the_report_of_a_local_run(method: str, rows: int, tmp_path: Path) -> None:
    """The same table, answers and verdict, few rows or many, cheap method or network; the cost is the training's."""
    tickets = triage_rows(rows)
    form = {"dataset": "tiny", "digest": tickets.digest, "method": method, "epochs": "1"}
    if method == "full":  # a network of our own making: it trains in seconds
        form["base_model"] = str(save_encoder(tmp_path / "base"))
    spec = parse_spec(form)
    home = pipeline.run(spec, tickets, tmp_path / "home", lambda event: None, lambda: None, RATES)
    training = train_there(spec, tickets, tmp_path / "there")
    report = pipeline.measure(spec, tickets, tmp_path / "there", lambda event: None, lambda: None, training)

    def scores(one: dict[str, Any]) -> list[tuple[str, Score]]:
        return [(line.name, line.scores["accuracy"]) for line in FinetuneReport.from_json(one).systems]

    assert scores(report) == scores(home)
    assert len(scores(report)) > 3
    assert report["answers"] == home["answers"]
    assert report["headline"] == home["headline"]
    assert report["dataset"] == home["dataset"]
    assert report["cost"]["usd"] == pytest.approx(training.spent.usd)
    assert training.spent.usd > 0
    assert report["provenance"]["dataset_sha256"] == tickets.digest
    assert json.loads((tmp_path / "there" / REPORT).read_text())["headline"] == home["headline"]


def test_rows_that_no_evaluation_could_use_are_refused_before_anything_is_sent() -> None:
    """One queue alone, or one ticket a queue: what would be said after a training is said before it."""
    spec = parse_spec({"dataset": "tiny", "method": "linear"})
    rows = tiny_tickets(9).rows
    for labels in (["a"] * 9, [str(at) for at in range(9)]):
        odd = Tickets(tuple(replace(r, label=label) for r, label in zip(rows, labels, strict=True)), "triage")
        with pytest.raises(TrainingDataError):
            rows_sent(spec, odd)


def test_what_came_back_without_a_finished_training_is_refused(tmp_path: Path) -> None:
    """A folder without its last mark would train here instead of measuring."""
    tickets, spec = triage_rows(90), parse_spec({"dataset": "tiny", "method": "linear"})
    with pytest.raises(CorruptModel, match="no finished training"):
        pipeline.measure(spec, tickets, tmp_path, lambda event: None, lambda: None, TrainingReport())


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    """A container that is begun anew in the same folder goes on from its last mark."""
    tickets, spec = triage_rows(90), parse_spec({"dataset": "tiny", "method": "linear"})
    train_there(spec, tickets, tmp_path)
    first = (tmp_path / TRAINED).stat().st_mtime_ns
    train_there(spec, tickets, tmp_path)
    assert (tmp_path / TRAINED).stat().st_mtime_ns == first
