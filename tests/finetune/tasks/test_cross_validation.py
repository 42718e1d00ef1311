"""Few tickets: the cheap systems are cross-validated, the report says which, and nothing is scored on what it saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.data.ticket import Ticket, Tickets
from finetune.evaluation.baselines import LOGISTIC, CheapMethods, score_baselines
from finetune.evaluation.predictions import Predictions
from finetune.evaluation.verdict import judge
from finetune.pipeline import run
from finetune.progress import silent
from finetune.spec import parse_spec
from finetune.tasks.triage.data import prepare
from finetune.tasks.triage.prompts import PromptAnswers
from finetune.tasks.triage.run import Answers, compare_best
from finetune.training.embedding import FrozenEmbedder
from tests.finetune.measurement.measuring import sample_rows, tickets

pytestmark = pytest.mark.integration


def few(rows: int = 150) -> Tickets:
    """So many of the bundled tickets."""
    return tickets(sample_rows()[:rows])


def ran(dataset: Tickets, folder: Path, **form: Any) -> dict[str, Any]:
    spec = parse_spec({"dataset": "few", **form})
    return run(spec, dataset, folder, lambda _: None, lambda: None)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a `linear` run on 150 tickets."""
    return ran(few(), tmp_path_factory.mktemp("linear"), method="linear")


def test_every_system_of_a_linear_run_is_scored_on_every_ticket(linear: dict[str, Any]) -> None:
    """The tuned one is cheap too: 150 tickets held out once each, and the split says so."""
    data = linear["dataset"]
    assert data["test"] >= 140
    assert "cross-validated over 5 folds" in data["split"]
    assert data["split"].endswith(f"each of the {data['test']} tickets is held out once")
    assert [s["role"] for s in linear["systems"]] == ["floor", "lookup", "trained", "tuned"]
    assert linear["difference"]["rows"] == data["test"]
    assert f"{data['test']} held-out tickets" in linear["headline"]


def test_a_cross_validated_score_is_no_score_on_training_rows(tmp_path: Path) -> None:
    """With labels drawn at random nothing can be learned: every cheap system stays near one in three."""
    rng = np.random.default_rng(0)
    rows = [Ticket(str(at), row.text, f"queue {rng.integers(3)}") for at, row in enumerate(few().rows)]
    spec = parse_spec({"dataset": "few", "method": "linear"})
    sample = prepare(spec, Tickets(tuple(rows), "triage"), FrozenEmbedder(), tmp_path, silent())
    assert len(set(sample.test_rows.tolist())) == sample.held_out
    for system in score_baselines(sample, CheapMethods(sample), "accuracy", silent())[0]:
        assert abs(float((system.labels == sample.truth).mean()) - 1 / 3) < 0.15


def test_the_same_seed_gives_the_same_report_twice(linear: dict[str, Any], tmp_path: Path) -> None:
    """Scores, difference and headline are equal to the last digit."""
    again = ran(few(), tmp_path, method="linear")

    def figures(report: dict[str, Any]) -> str:
        systems = [{k: v for k, v in s.items() if k != "seconds"} for s in report["systems"]]
        return json.dumps([systems, report["difference"], report["headline"], report["confused"]])

    assert figures(linear) == figures(again)


def test_a_job_on_few_tickets_tells_the_cheap_methods_figure_of_a_measurement(tmp_path: Path) -> None:
    """Answers of a model trained once, to one fold: the headline's rival is cross-validated, as in a measurement's headline."""
    spec = parse_spec({"dataset": "few", "method": "lora"})
    sample = prepare(spec, few(), FrozenEmbedder(), tmp_path, silent())
    ladder, best = score_baselines(sample, CheapMethods(sample), "accuracy", silent())
    labels = sample.labels[sample.once.test].copy()
    labels[0] = (labels[0] + 1) % len(sample.names)
    answers = Answers(sample, ladder, Predictions("Tuned with LoRA", "tuned", labels, 1.0), PromptAnswers())
    truth = sample.labels[answers.test_rows]
    rival, ours, gap, rows = compare_best(answers, truth)
    everywhere = float((best.labels == sample.truth).mean())
    level, expected = rival.overall("accuracy"), ours.overall("accuracy")
    assert level is not None
    assert expected is not None
    assert level.value == pytest.approx(everywhere)
    assert level.value != rival.scores["accuracy"].value
    assert expected.value == pytest.approx(min(1.0, everywhere + gap.difference.value))
    assert f"gets {100 * everywhere:.0f}. Tested on {rows} tickets" in judge(rival, ours, gap, rows).headline


@pytest.mark.slow
def test_a_trained_network_is_tested_on_one_fold_beside_cross_validated_baselines(tmp_path: Path) -> None:
    """One training only: its difference is paired on that fold, the baselines also carry all folds' scores."""
    report = ran(few(), tmp_path, method="lora", epochs=1)
    data, baselines = report["dataset"], report["systems"][:-1]
    assert 20 <= data["test"] <= 40
    assert "where only a large difference shows" in data["split"]
    assert all(s["cross_validated"]["rows"] > 3 * data["test"] for s in baselines)
    assert "cross_validated" not in report["systems"][-1]
    assert report["difference"]["against"] == LOGISTIC
    assert report["difference"]["rows"] == data["test"]
