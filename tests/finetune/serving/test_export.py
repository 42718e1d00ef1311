"""A finished model for elsewhere: before and after, adapter and merged weights that answer alike, a card."""

import json

import numpy as np
import pytest

from finetune.errors import CorruptModel, ExportError
from finetune.pipeline import run
from finetune.pricing import Rates
from finetune.serving.export import export, push
from finetune.serving.predict import load, try_both
from finetune.spec import parse_spec
from tests.finetune.tiny import save_encoder, tickets

pytestmark = pytest.mark.integration

TEXTS = ["I was charged twice", "cannot sign in", "parcel is late"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The folder of a finished LoRA job that kept its linear half."""
    base = save_encoder(tmp_path_factory.mktemp("bert"))
    folder = tmp_path_factory.mktemp("job")
    form = {"dataset": "d", "base_model": str(base), "epochs": 2, "learning_rate": 5e-3, "max_length": 64}
    report = run(parse_spec(form), tickets(60), folder, lambda _: None, lambda: None, Rates(0.5))
    assert report["systems"][-1]["name"] == "Tuned with LoRA, averaged with linear"
    return folder


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_an_exported_model_answers_as_the_job_s_model_does(job, tmp_path, form):
    """Both forms give the job's probabilities, hold no pickle, and carry the card under both names."""
    files = export(job, tmp_path / "out", form)
    names = {path.name for path in files}
    assert {"MODEL_CARD.md", "README.md", "trainwise.json"} <= names
    assert ("adapter_model.safetensors" in names) == (form == "adapter")
    assert ("model.safetensors" in names) == (form == "merged")
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    ours, theirs = load(tmp_path / "out").probabilities(TEXTS), load(job).probabilities(TEXTS)
    assert np.abs(ours - theirs).max() < 0.01


def test_before_and_after_stand_side_by_side(job):
    """The kept baseline and the tuned model answer the same ticket, likeliest queue first."""
    sides = try_both(job, TEXTS[0])
    assert sides.before is not None
    assert sides.before.name == "Linear SVM on words and embeddings"
    for side in (sides.before, sides.after):
        assert side.answer == side.ranked[0][0]
        assert sum(share for _, share in side.ranked) == pytest.approx(1, abs=1e-3)


def test_the_newest_attempt_of_a_job_is_found(job, tmp_path):
    """A worker keeps a folder per attempt: the job's folder itself is enough to find the model."""
    import shutil

    shutil.copytree(job, tmp_path / "root" / "attempt-2")
    (tmp_path / "root" / "attempt-1").mkdir()
    assert load(tmp_path / "root").classes == load(job).classes


def test_a_linear_job_keeps_the_logistic_model_as_before(tmp_path):
    """The cheapest method has a before too, and its probabilities are the ladder's."""
    run(parse_spec({"dataset": "d", "method": "linear"}), tickets(60), tmp_path, lambda _: None, lambda: None)
    before = try_both(tmp_path, "cannot sign in").before
    assert before is not None
    assert (before.name, before.answer) == ("Logistic regression on frozen embeddings", "login")


def test_export_refuses_in_words(tmp_path):
    """No model, no overwriting, no form that there is not, no half-written folder left."""
    with pytest.raises(CorruptModel, match="no finished model"):
        export(tmp_path, tmp_path / "out")
    with pytest.raises(ExportError, match="Choose one of: adapter, merged"):
        export(tmp_path, tmp_path / "out", "onnx")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(ExportError, match="already holds something"):
        export(tmp_path, tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_the_same_export_again_is_left_and_another_is_refused(job, tmp_path):
    """A push that broke off is tried again by the same command; another form never lands among the files."""
    files = export(job, tmp_path / "out")
    stamps = [path.stat().st_mtime_ns for path in files]
    assert export(job, tmp_path / "out") == files
    assert [path.stat().st_mtime_ns for path in files] == stamps
    with pytest.raises(ExportError, match="already holds something"):
        export(job, tmp_path / "out", "merged")
    copy = export(job, tmp_path / "merged", "merged")
    assert export(job, tmp_path / "merged", "merged") == copy
    assert "library_name: transformers" in (tmp_path / "merged" / "README.md").read_text()
    assert "library_name: peft" in (tmp_path / "out" / "README.md").read_text()


def test_push_says_what_is_wrong_without_a_network(tmp_path):
    """A name that is none, and a hub that cannot be reached: words, not a traceback."""
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(ExportError, match="owner/name"):
        push(tmp_path, "no spaces allowed/a/b", "hf_x")
    with pytest.raises(ExportError, match="cannot be reached"):
        push(tmp_path, "owner/name", "hf_x")
