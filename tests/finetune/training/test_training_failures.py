"""Training that cannot go well: each case ends in one clear message, the last good checkpoint kept."""

import json
import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from finetune.data.ticket import DatasetError, Ticket, Tickets
from finetune.errors import (
    BaseModelError,
    CorruptModel,
    DiskFull,
    LossNotFinite,
    OutOfMemory,
    TrainingDataError,
)
from finetune.pipeline import run
from finetune.serving.predict import load
from finetune.spec import parse_spec
from finetune.tasks.reply.model import train_reply
from finetune.training.base_models import load_causal, probe
from finetune.training.checkpoints import SEAL, newest_intact
from finetune.training.checks import overfit_probe
from finetune.training.loop import Examples, fit
from tests.finetune.tiny import fit_reply, quietly, recipe, save_causal, tickets

pytestmark = pytest.mark.integration

ROWS = [{"input_ids": [at] * (at % 5 + 1), "labels": at % 3} for at in range(24)]


class Toy(nn.Module):
    """A classifier of nine weights; `upset` is called with every batch before it answers."""

    def __init__(self, upset=lambda batch: None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3))
        self.upset = upset

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        spoil = self.upset(input_ids)
        logits = nn.functional.one_hot(labels, 3).float() @ self.weight
        loss = nn.functional.cross_entropy(logits, labels)
        return {"loss": loss if spoil is None else loss * spoil}


def collate(rows):
    """First token and label of each row."""
    return {
        "input_ids": torch.tensor([row["input_ids"][0] for row in rows]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def train_toy(model, folder: Path, notes: list | None = None, **form):
    """Three epochs of three steps on the toy."""
    spec = recipe(method="scratch", epochs=3, precision="fp32", **form)
    log = notes if notes is not None else []
    return fit(
        model,
        Examples(ROWS, ROWS[:6], collate),
        spec,
        folder,
        quietly(lambda event: log.append(event.get("text"))),
    )


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    """NaN in the second epoch: named with its step and a lower rate; the first epoch's checkpoint is intact."""
    steps = []

    def upset(batch):
        steps.append(len(batch))
        return torch.tensor(float("nan")) if len(steps) > 5 else None

    with pytest.raises(LossNotFinite, match=r"step \d.*checkpoint of step 3 is kept.*learning rate of 0.001"):
        train_toy(Toy(upset), tmp_path)
    newest, damage = newest_intact(tmp_path)
    assert newest is not None
    assert newest.name == "checkpoint-3"
    assert damage == []


def test_a_full_disk_is_named_and_the_checkpoint_before_it_kept(tmp_path):
    """The system refuses to write files beyond some bytes from the second epoch on (a real EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(event):
        if event.get("step") == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))

    spec = recipe(method="scratch", epochs=3, precision="fp32")
    try:
        with pytest.raises(DiskFull, match="last good one is kept"):
            fit(Toy(), Examples(ROWS, ROWS[:6], collate), spec, tmp_path, quietly(fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    newest, damage = newest_intact(tmp_path)
    assert newest is not None
    assert newest.name == "checkpoint-3"
    assert damage == []
    assert train_toy(Toy(), tmp_path).steps == 9  # with room again it goes on to its end


@pytest.mark.parametrize("harm", ["bytes", "missing", "unsealed"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_resumed(tmp_path, harm):
    """A flipped byte, a lost file, a seal never written: the note says where it goes on from."""
    train_toy(Toy(), tmp_path)
    newest = tmp_path / "checkpoint-9"
    weights = newest / "trained.safetensors"
    if harm == "bytes":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    elif harm == "missing":
        weights.unlink()
    else:
        (newest / SEAL).unlink()
    notes: list[str] = []
    assert train_toy(Toy(), tmp_path, notes).steps == 9
    assert any(note and "1 damaged checkpoint(s) set aside; going on from step" in note for note in notes)


def test_out_of_memory_halves_the_batch_until_it_fits(tmp_path):
    """Batches above two rows ask for a petabyte: two rows, four times as often, gives as many steps."""

    def upset(batch):
        if len(batch) > 2:
            torch.empty(1 << 50)

    notes: list[str] = []
    result = train_toy(Toy(upset), tmp_path, notes)
    assert (result.batch_size, result.steps) == (2, 9)
    assert [note for note in notes if note and "Out of memory with 4 rows" in note]


def test_out_of_memory_with_one_row_says_what_to_do(tmp_path):
    """Nothing left to halve: smaller model, adapter, or shorter rows."""

    def upset(batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(
        OutOfMemory, match=r"with one row at a time.*smaller base model.*max_length below 128"
    ):
        train_toy(Toy(upset), tmp_path)


def test_a_probe_that_does_not_fit_leaves_the_search_to_training(tmp_path):
    """The probe takes more rows than a step: without memory for them it changes nothing and says nothing."""
    notes: list[str] = []
    model = Toy(lambda _: torch.empty(1 << 50))
    assert overfit_probe(model, [collate(ROWS[:8])], 1e-3, quietly(lambda e: notes.append(e["text"]))) == 1
    assert not notes
    assert model.weight.grad is None
    assert not model.weight.any()


def test_memory_that_runs_out_beside_training_is_named_with_its_phase(tmp_path):
    """A petabyte asked for while the baselines are made, by a real allocation."""
    notes = []

    def upset(event):
        notes.append(event)
        if event.get("phase") == "baselines":
            torch.empty(1 << 50)

    spec = parse_spec({"dataset": "d", "method": "linear"})
    with pytest.raises(OutOfMemory, match=r"ran out while the baselines were made.*smaller base model"):
        run(spec, tickets(40), tmp_path, upset, lambda: None)


def test_a_batch_that_cannot_be_learned_is_said(tmp_path):
    """Labels that never enter the loss: the probe warns before hours are spent."""

    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, labels):
            return {"loss": 2.0 + 0.0 * self.weight.sum()}

    notes: list[str] = []
    overfit_probe(Deaf(), [{"labels": torch.tensor([1])}], 1e-3, quietly(lambda e: notes.append(e["text"])))
    assert "hardly learned" in notes[0]


def test_a_base_model_with_damaged_numbers_is_named_before_training(tmp_path):
    """NaN among its weights: the model is blamed, not the learning rate."""
    with pytest.raises(BaseModelError, match="no number before any training: its weights are damaged"):
        overfit_probe(Toy(lambda _: torch.tensor(float("nan"))), [collate(ROWS[:4])], 1e-3, quietly())


def test_a_rate_that_throws_the_weights_away_is_named(tmp_path):
    """One batch gets worse instead of better: the warning is about the learning rate, not the labels."""

    class Valley(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, labels):
            return {"loss": ((self.weight - labels) ** 2).mean()}

    notes: list[str] = []
    overfit_probe(Valley(), [{"labels": torch.ones(1)}], 40.0, quietly(lambda e: notes.append(e["text"])))
    assert "lower the learning rate of 40" in notes[0]


def test_a_tokenizer_without_pad_or_end_token(tmp_path):
    """Without a pad token its end token stands in; without an end token a reply model cannot be trained."""
    folder = save_causal(tmp_path / "gpt2", "tiny-gpt2")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            settings = json.loads((folder / name).read_text())
            settings.pop("pad_token", None)
            (folder / name).write_text(json.dumps(settings))
    model, tokenizer = load_causal(str(folder))
    assert tokenizer.pad_token == tokenizer.eos_token
    spec = recipe(method="full", base_model=str(folder), epochs=1)
    assert fit_reply(model, tokenizer, spec, tmp_path / "run").steps == 5
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    sides = (["a b c"] * 3, ["d"] * 3), ([], [])
    with pytest.raises(BaseModelError, match="no end token"):
        train_reply(spec, *sides, tmp_path / "other", quietly())


def triage(dataset: Tickets, folder: Path, **form):
    """A linear run on these rows: its report and what it said on the way."""
    notes: list[str] = []
    spec = parse_spec({"dataset": "d", "method": "linear", **form})
    report = run(spec, dataset, folder, lambda event: notes.append(str(event.get("text"))), lambda: None)
    return report, notes


def test_a_queue_that_only_test_tickets_have_counts_as_mistakes_and_is_named(tmp_path):
    """One ticket of a fourth queue falls on the test side: said in a note, scored, never predicted."""
    rows = [*tickets(60).rows, Ticket("x", "the espresso machine on floor two leaks", "facilities")]
    for seed in range(12):  # which side the single ticket falls on depends on the seed
        dataset = Tickets(tuple(rows), "triage")
        report, notes = triage(dataset, tmp_path / str(seed), seed=seed)
        if any("cannot be learned: facilities" in note for note in notes):
            break
    else:
        pytest.fail("no seed put the single ticket on a held-out side")
    assert report["dataset"]["classes"] == 4
    assert any("cannot be learned: facilities" in note for note in report["notes"])


def test_one_ticket_per_queue_is_refused_in_words(tmp_path):
    """Nothing can be learned from one example each: the message asks for more, no traceback."""
    rows = tuple(Ticket(str(at), f"ticket about subject number {at}", f"queue {at}") for at in range(6))
    with pytest.raises(
        TrainingDataError, match=r"Of 6 queue\(s\), none has more than one ticket.*Add tickets"
    ):
        triage(Tickets(rows, "triage"), tmp_path)
    two = Ticket("x", "another ticket about subject number 0", "queue 0")
    with pytest.raises(TrainingDataError, match=r"Of 6 queue\(s\), 1 has more than one ticket"):
        triage(Tickets((*rows, two), "triage"), tmp_path / "other")


def test_nothing_but_copies_is_refused_in_words(tmp_path):
    """A hundred copies of one ticket are one ticket."""
    rows = tuple(
        Ticket(str(at), "my invoice is wrong", "billing" if at % 2 else "other") for at in range(100)
    )
    with pytest.raises(DatasetError, match="copies of each other"):
        triage(Tickets(rows, "triage"), tmp_path)


def test_a_folder_that_is_no_model_is_refused_before_any_work(tmp_path):
    """No config, pickled weights only: each says what is missing, and pickled weights are never opened."""
    with pytest.raises(BaseModelError, match=r"no config\.json"):
        probe(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(BaseModelError, match="Pickled weights can run code"):
        probe(str(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_qlora_without_a_gpu_is_refused_before_any_work(tmp_path):
    """Four-bit weights need an NVIDIA GPU: said in the first phase, with the method that works here."""
    spec = recipe(method="qlora", base_model=str(save_causal(tmp_path / "m")))
    events: list[str] = []
    with pytest.raises(BaseModelError, match=r"needs an NVIDIA GPU.*Choose the method `lora`"):
        run(spec, tickets(20), tmp_path / "run", lambda e: events.append(e["phase"]), lambda: None)
    assert events == ["loading"]


def test_damaged_model_files_are_refused_in_words(tmp_path):
    """Half a file of weights: damaged, not a traceback; and a job that never finished has no model."""
    folder = save_causal(tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BaseModelError, match="damaged"):
        load_causal(str(folder))
    with pytest.raises(CorruptModel, match="no finished model"):
        load(tmp_path)
