"""A version to serve: it answers as the evaluated model does, keeps its promise, and abstains on what it cannot know."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finetune.errors import CorruptModel, ExportError
from finetune.serving.backends import backend_for
from finetune.serving.classifier import ServedTriage
from finetune.serving.deploy import load_version, make_version
from finetune.serving.held_out import held_out, report_of
from finetune.serving.predict import load
from tests.finetune.serving.conftest import TunedJob
from tests.finetune.tiny import tickets

pytestmark = pytest.mark.integration
GERMAN = "Meine Rechnung ist leider falsch und ich möchte bitte mein Geld zurück bekommen."


@pytest.fixture(scope="module")
def model(tuned_job: TunedJob) -> ServedTriage:
    """The version, loaded under a promise of 10%."""
    model = load_version(tuned_job.place / "d" / "versions" / "v1", 0.1)
    assert isinstance(model, ServedTriage)
    return model


def test_what_is_served_is_what_the_report_scored(tuned_job: TunedJob, model: ServedTriage) -> None:
    """Averaged with linear as the evaluated model, the same answer on 99 of 100 tickets, probabilities close."""
    assert model.network is not None
    assert model.linear is not None
    fresh = tickets(100, seed=9).texts
    reference = load(tuned_job.folder).probabilities(fresh)
    ours = np.stack([model.score(text)[0] for text in fresh])
    assert (ours.argmax(1) == reference.argmax(1)).mean() >= 0.99
    assert np.abs(ours - reference).max() < 0.1


def test_the_loaded_model_carries_no_adapter(tuned_job: TunedJob) -> None:
    """Trying, scoring and exporting use the merged form."""
    assert not [name for name, _ in load(tuned_job.folder).body.named_parameters() if "lora" in name]


def test_the_model_card_tells_the_served_form(tuned_job: TunedJob, model: ServedTriage) -> None:
    """Accuracy of every form, the change of probabilities, and a threshold for each promise."""
    card = (tuned_job.place / "d" / "versions" / "v1" / "MODEL_CARD.md").read_text()
    assert "## As it is served" in card
    assert f"| {model.card['form']} |" in card
    assert "| 1% | none | 0 | |" in card
    accuracy = model.card["measured"]["accuracy"]
    drop = accuracy["float32"] - accuracy["int8"]
    assert (model.card["form"] == "int8") == (drop <= 0.003)


def test_the_threshold_stands_on_the_served_scores(tuned_job: TunedJob, model: ServedTriage) -> None:
    """The calibration rows are the run's held-out tickets, scored by the code that serves."""
    _, report = report_of(tuned_job.folder)
    rows = held_out(report, lambda digest: tuned_job.rows)
    confidences = [float(model.score(text)[0].max()) for text in rows.texts]
    assert np.allclose(confidences, model.confidences, atol=1e-5)
    assert not set(rows.texts) & set(rows.training)


@pytest.mark.parametrize(
    ("ticket", "reason"),
    [
        ("", "no words"),
        (" \n 12345 !!", "no words"),
        (GERMAN, "German"),
        ("Out of office: I am away until Monday. This is an automatic reply.", "automatic reply"),
    ],
)
def test_it_abstains_on_unknown_input_with_a_reason(model: ServedTriage, ticket: str, reason: str) -> None:
    """No queue, three likeliest ones, and the reason."""
    answer = model.answer(ticket)
    assert answer.queue is None
    assert reason in answer.reason
    assert len(answer.likeliest) == 3


def test_a_ticket_of_50000_characters_is_read_by_its_beginning(model: ServedTriage) -> None:
    """It is answered as its first words are, in the time of a long ticket."""
    text = "Hello, I cannot sign in again and again. " * 1_250
    assert len(text) > 50_000
    assert model.answer(text).likeliest[0][0] == "login"


def test_a_promise_that_cannot_be_kept_abstains_on_everything(tuned_job: TunedJob) -> None:
    """48 calibration tickets prove no 1%, so not even the surest answer stands alone."""
    strict = load_version(tuned_job.place / "d" / "versions" / "v1", 0.01)
    answer = strict.answer("cannot sign in")
    assert answer.queue is None
    assert "promised" in answer.reason


def test_serving_loads_no_torch(tuned_job: TunedJob) -> None:
    """The server's process stays small."""
    code = (
        "import sys; from pathlib import Path; from finetune.serving.deploy import load_version;"
        f"load_version(Path({str(tuned_job.place / 'd' / 'versions' / 'v1')!r}), 0.1).answer('cannot sign in');"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_a_job_without_weights_is_refused(tuned_job: TunedJob, tmp_path: Path) -> None:
    """A folder without a finished model names the way out, and leaves no version behind."""
    shutil.copytree(tuned_job.folder, tmp_path / "job")
    shutil.rmtree(tmp_path / "job" / "model")
    with pytest.raises(ExportError, match="run the job again"):
        make_version(tmp_path / "job", "v1", tmp_path / "serving", lambda digest: tuned_job.rows)
    assert not (tmp_path / "serving").exists()


def test_a_task_without_a_backend_is_refused(tuned_job: TunedJob, tmp_path: Path) -> None:
    """The sentence names what can be model."""
    shutil.copytree(tuned_job.folder, tmp_path / "job")
    report = json.loads((tmp_path / "job" / "report.json").read_text()) | {"task": "poetry"}
    (tmp_path / "job" / "report.json").write_text(json.dumps(report))
    with pytest.raises(ExportError, match=r"`poetry` cannot be served here; what can be: .*triage"):
        backend_for(tmp_path / "job")


def test_a_damaged_version_is_refused(tuned_job: TunedJob, tmp_path: Path) -> None:
    """A graph cut short does not load, and the sentence says what to do."""
    versions = tuned_job.copy_place(tmp_path / "serving")
    graph = versions.folder_of("v1") / "network.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(CorruptModel, match="make it anew"):
        load_version(versions.folder_of("v1"), 0.1)
