"""Training itself: length buckets, exact resume, a quick stop, early stopping, accumulation, equal seeds."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
import torch
from transformers import set_seed

from finetune.errors import Stopped, TrainingDataError
from finetune.methods.lora import add_lora
from finetune.pipeline import run
from finetune.pricing import Rates
from finetune.progress import thin_out
from finetune.serving.predict import load
from finetune.spec import parse_spec
from finetune.tasks.reply.tokens import AnswerLoss, Encoder, Template, collate_padded
from finetune.training.base_models import load_causal
from finetune.training.checkpoints import newest_intact
from finetune.training.loop import Examples, fit
from finetune.training.trainer import LengthBuckets, trained_tensors, trim_malloc
from tests.finetune.tiny import fit_reply, quietly, recipe, save_causal, save_encoder, tickets

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    """A tiny saved causal model."""
    return save_causal(tmp_path_factory.mktemp("llama"))


def fresh(llama: Path, spec):
    """The model as a run would build it: equal seeds give equal adapters."""
    set_seed(spec.seed)
    model, tokenizer = load_causal(str(llama))
    return (add_lora(model, spec, "causal") if spec.method == "lora" else model), tokenizer


def stop_at(step: int):
    """A Progress that is told to stop as soon as it has reported `step`."""
    steps = []
    return quietly(lambda event: steps.append(event.get("step")), lambda: "cancel" if step in steps else None)


@pytest.mark.parametrize("step", [5, 7])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(llama, tmp_path, step):
    """Stopped at the end of an epoch and within the next: curve and weights are those of one run, exactly."""
    spec = recipe(method="lora", base_model=str(llama), epochs=2, lora_dropout=0.2)
    model, tokenizer = fresh(llama, spec)
    whole = fit_reply(model, tokenizer, spec, tmp_path / "whole")
    first, _ = fresh(llama, spec)
    with pytest.raises(Stopped):
        fit_reply(first, tokenizer, spec, tmp_path / "cut", stop_at(step))
    second, _ = fresh(llama, spec)
    torch.manual_seed(99)  # a new process has drawn other numbers
    rest = fit_reply(second, tokenizer, spec, tmp_path / "cut")
    assert rest.history == whole.history
    ours, theirs = trained_tensors(second), trained_tensors(model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_full_of_holes_goes_back_to_the_system():
    """A hundred megabytes freed with one block in fifty kept: the C library holds on to them until asked."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    blocks = [torch.ones(24_000) for _ in range(1000)]
    full = resident()
    sample = blocks[::50]
    del blocks
    trim_malloc()
    assert full - resident() > 60e6
    assert all(float(block.sum()) == 24_000 for block in sample)


def test_length_buckets_take_every_row_once_and_little_padding():
    """Each epoch is a permutation of its own, the same on every machine; batches hold like lengths."""
    lengths = [(7 * at) % 97 + 1 for at in range(1000)]
    sampler = LengthBuckets(lengths, 8, seed=3)
    first, again = list(sampler), list(LengthBuckets(lengths, 8, seed=3))
    sampler.set_epoch(1)
    second = list(sampler)
    assert first == again
    assert first != second
    assert sorted(first) == sorted(second) == list(range(1000))
    padded = sum(8 * max(lengths[i] for i in first[at : at + 8]) for at in range(0, 1000, 8))
    assert padded < 1.15 * sum(lengths)
    assert lengths[first[0]] == max(lengths)  # what does not fit into memory fails at once


def test_early_stopping_keeps_the_best_weights(llama, tmp_path):
    """Answers to choose on that training only moves away from: it ends early, with the best epoch's weights."""
    spec = recipe(method="full", base_model=str(llama), epochs=12, learning_rate=2e-2, patience=2)
    model, tokenizer = fresh(llama, spec)
    encoder = Encoder(tokenizer, Template.of(tokenizer), 128)
    rows = encoder.rows(["what now?"] * 40, ["We solved it."] * 40)
    other = encoder.rows(["what now?"] * 8, ["Please write to sales, they know more about prices."] * 8)
    loss, collate = AnswerLoss(model), collate_padded(tokenizer.pad_token_id)
    result = fit(loss, Examples(rows, other, collate), spec, tmp_path, quietly())
    losses = [point.val_loss for point in result.history if point.val_loss is not None]
    assert len(losses) < 12
    assert losses.index(min(losses)) == len(losses) - 3
    with torch.no_grad():
        assert float(loss.eval()(**collate(other))["loss"]) == pytest.approx(min(losses), rel=0.02)


def test_two_small_steps_accumulated_are_one_large_step(llama, tmp_path):
    """Half the batch twice gives the gradient of the whole, though the halves hold unlike numbers of tokens."""
    losses = []
    for size, accumulate in ((8, 1), (4, 2)):
        spec = recipe(
            method="full", base_model=str(llama), batch_size=size, accumulate=accumulate, precision="fp32"
        )
        model, tokenizer = fresh(llama, spec)
        result = fit_reply(model, tokenizer, spec, tmp_path / str(size))
        assert result.steps == 10
        losses.append(result.best_loss)
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_cancelled_job_stops_within_five_seconds_and_keeps_a_checkpoint(llama, tmp_path):
    """Cancelled from another thread in the middle of training, as a worker is."""
    moments: list[float] = []
    training = threading.Event()

    def emit(event):
        if event.get("step", 0) >= 2:
            training.set()

    def cancel():
        training.wait(60)
        moments.append(time.monotonic())

    spec = recipe(method="full", base_model=str(llama), epochs=100)
    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(Stopped) as stop:
        run(spec, tickets(60), tmp_path, emit, lambda: "cancel" if moments else None)
    assert time.monotonic() - moments[0] < 5
    assert stop.value.reason == "cancel"
    newest, damage = newest_intact(tmp_path / "checkpoints")
    assert newest is not None
    assert damage == []
    assert json.loads((tmp_path / "spent.json").read_text())["cpu_s"] > 0


def test_a_resumed_run_s_report_counts_the_attempts_before(llama, tmp_path):
    """The card's time, price and carbon are those of the whole training, not of its last piece."""
    spec = recipe(method="full", base_model=str(llama), epochs=1)
    (tmp_path / "spent.json").write_text('{"wall_s": 5000.0, "cpu_s": 4000.0}')
    report = run(spec, tickets(60), tmp_path, lambda _: None, lambda: None, Rates(0.1))
    assert 5000 < report["time"]["wall_s"] < 5300
    assert 4000 < report["time"]["cpu_s"] < 4300
    assert report["cost"]["usd"] == pytest.approx(report["time"]["wall_s"] / 3600 * 0.1, abs=1e-6)


def test_a_spent_budget_stops_the_run(llama, tmp_path):
    """At a million dollars an hour one cent is gone at once; the reason says budget."""
    spec = recipe(method="full", base_model=str(llama), budget_usd=0.01)
    with pytest.raises(Stopped) as stop:
        run(spec, tickets(40), tmp_path, lambda _: None, lambda: None, Rates(1e6))
    assert stop.value.reason == "budget"


@pytest.mark.parametrize("method", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_triage_on_any_encoder_gives_the_same_figures_for_the_same_seed(tmp_path_factory, tmp_path, method):
    """Two runs of one recipe agree in every score and every point of the curve."""
    base = save_encoder(tmp_path_factory.mktemp("bert"))
    spec = parse_spec(
        {
            "dataset": "d",
            "method": method,
            "base_model": str(base),
            "epochs": 2,
            "learning_rate": 5e-3,
            "max_length": 64,
        }
    )
    first, second = (
        run(spec, tickets(60), tmp_path / str(n), lambda _: None, lambda: None) for n in range(2)
    )
    assert first["loss"] == second["loss"]
    assert [s["macro_f1"] for s in first["systems"]] == [s["macro_f1"] for s in second["systems"]]
    assert first["systems"][-1]["role"] == "tuned"
    assert first["calibration"]["ece"] is not None
    assert first["per_class"]


@pytest.mark.slow
def test_a_small_encoder_from_scratch_runs_to_its_report(tmp_path):
    """`scratch` makes its tokenizer and weights from the tickets alone; its model loads and sorts."""
    spec = parse_spec({"dataset": "d", "method": "scratch", "epochs": 1, "max_length": 64, "head": "linear"})
    report = run(spec, tickets(60), tmp_path, lambda _: None, lambda: None)
    assert report["systems"][-1]["name"].startswith("Trained from scratch")
    assert load(tmp_path).probabilities(["my invoice"]).shape == (1, 3)


@pytest.mark.integration
def test_training_ended_early_keeps_the_best_and_goes_on_to_the_report(llama, tmp_path):
    """Asked in the middle of training: fewer steps, weights with the best loss on the choosing rows, a full report."""
    events = []
    spec = recipe(method="full", base_model=str(llama), epochs=100)
    report = run(
        spec,
        tickets(60),
        tmp_path,
        events.append,
        lambda: "finish" if any(event.get("step", 0) >= 8 for event in events) else None,
    )
    steps = [point["step"] for point in report["loss"]]
    assert 8 <= max(steps) < 200
    assert any("ended by request" in note for note in report["notes"])
    assert report["systems"][-1]["chrf"]["value"] >= 0
    assert any(point["val_loss"] is not None for point in report["loss"])


@pytest.mark.integration
def test_more_epochs_of_the_same_recipe_go_on_from_the_last_checkpoint(llama, tmp_path):
    """Three epochs after two are one epoch more, not three; another recipe is still refused."""
    form = {"method": "full", "base_model": str(llama)}
    first = run(recipe(epochs=2, **form), tickets(60), tmp_path, lambda _: None, lambda: None)
    steps_of_two = max(point["step"] for point in first["loss"])
    events = []
    second = run(recipe(epochs=3, **form), tickets(60), tmp_path, events.append, lambda: None)
    began_at = min(event["step"] for event in events if event["kind"] == "step" and "curve" in event)
    assert began_at > steps_of_two
    assert max(point["step"] for point in second["loss"]) == steps_of_two * 3 // 2
    with pytest.raises(TrainingDataError, match="another run"):
        run(recipe(epochs=4, seed=8, **form), tickets(60), tmp_path, lambda _: None, lambda: None)


@pytest.mark.integration
def test_no_event_of_a_run_carries_a_ticket_s_text(llama, tmp_path):
    """Events go to a channel's card: the first row as the model reads it is a file in the run's folder instead."""
    events = []
    rows = tickets(60)
    run(recipe(method="full", base_model=str(llama), epochs=1), rows, tmp_path, events.append, lambda: None)
    text = json.dumps(events, ensure_ascii=False)
    assert not [row.text for row in rows.rows if row.text in text or str(row.answer) in text]
    assert "⟦" in (tmp_path / "first-row.txt").read_text()


def test_events_tell_how_training_goes(llama, tmp_path):
    """The loss as a curve of a few points, and the loss on the choosing rows after each epoch."""
    events = []
    spec = recipe(method="full", base_model=str(llama), epochs=12, patience=20)
    model, tokenizer = fresh(llama, spec)
    fit_reply(model, tokenizer, spec, tmp_path, quietly(events.append))
    last = [event for event in events if event["kind"] == "step"][-1]
    assert 1 < len(last["curve"]) <= 24
    assert last["curve"][0] > last["curve"][-1]
    assert last["dev_loss"] > 0


def test_a_long_curve_is_thinned_to_means_in_order():
    """A hundred losses become 24 means; a short list stays as it is."""
    assert thin_out([3.0, 2.0]) == (3.0, 2.0)
    assert thin_out([]) == ()
    points = thin_out([float(100 - at) for at in range(100)])
    assert len(points) == 24
    assert list(points) == sorted(points, reverse=True)
