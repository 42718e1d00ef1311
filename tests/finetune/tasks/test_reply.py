"""Replies: what the loss counts, packing, the four families of models, adapters, generation and its figures."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.artifacts import read_card
from finetune.data.ticket import Tickets
from finetune.errors import TrainingDataError
from finetune.evaluation.metrics import chrf, rouge_l, unsupported_facts
from finetune.methods.lora import add_lora
from finetune.provenance import files_sum
from finetune.reports.parts import LossPoint
from finetune.tasks.reply.data import WrittenAnswers, prepare
from finetune.tasks.reply.model import load_reply, save_reply
from finetune.tasks.reply.run import reasons, repetition_note
from finetune.tasks.reply.tokens import (
    AnswerLoss,
    Encoder,
    Template,
    check_round_trip,
    collate_packed,
    collate_padded,
)
from finetune.training.base_models import load_causal
from finetune.training.checks import IGNORED, check_reply_rows, decode_row
from tests.finetune.tiny import recipe, save_causal, tickets

pytestmark = pytest.mark.integration

FAMILIES = ("tiny-llama", "tiny-mistral", "tiny-qwen", "tiny-gpt2")
CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}<|assistant|>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One tiny saved model per family."""
    return {shape: save_causal(tmp_path_factory.mktemp(shape), shape) for shape in FAMILIES}


@pytest.fixture(scope="module")
def rows_of(folders):
    """(model, tokenizer, training rows) of a family."""

    def get(shape: str = "tiny-llama", max_length: int = 128):
        torch.manual_seed(0)
        model, tokenizer = load_causal(str(folders[shape]))
        examples = tickets(9)
        encoder = Encoder(tokenizer, Template.of(tokenizer), max_length)
        return (
            model.eval(),
            tokenizer,
            encoder.rows(examples.texts, [str(row.answer) for row in examples.rows]),
        )

    return get


def test_the_loss_counts_the_answer_and_its_end_and_nothing_else(rows_of):
    """Read back from the tokens: the counted ones are the answer, the others the ticket in its template."""
    _, tokenizer, rows = rows_of()
    for row, ticket in zip(rows, tickets(9).rows, strict=True):
        answer = [token for token in row["labels"] if token != IGNORED]
        assert answer[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(answer[:-1]) == ticket.answer
        before = [t for t, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]
        assert tokenizer.decode(before) == f"### Ticket\n{ticket.text}\n\n### Answer\n"


def test_the_first_row_is_shown_with_its_mask(rows_of):
    """What a person checks by eye: the answer stands between the brackets."""
    _, tokenizer, rows = rows_of()
    assert decode_row(rows[0], tokenizer).split("⟦")[1].startswith("We looked into your billing case 0")


@pytest.mark.parametrize("shape", FAMILIES)
def test_our_loss_is_the_library_s_loss_on_answer_tokens(rows_of, shape):
    """Computing logits for answer tokens only changes the work, not the figure."""
    model, tokenizer, rows = rows_of(shape)
    batch = collate_padded(tokenizer.pad_token_id)(rows)
    mask = (
        torch.arange(batch["input_ids"].shape[1])[None] < torch.tensor([[len(r["labels"])] for r in rows])
    ).long()
    with torch.no_grad():
        theirs = model(input_ids=batch["input_ids"], attention_mask=mask, labels=batch["labels"]).loss
        ours = AnswerLoss(model)(**batch)["loss"]
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_batches_come_in_few_sizes():
    """Each new size costs a CPU time and memory: 200 lengths are 13 widths, and the loss counts no filling."""
    rows = [{"input_ids": [5] * n, "labels": [IGNORED] * (n - 1) + [5]} for n in range(1, 201)]
    batches = [collate_padded(0)([row]) for row in rows]
    assert {batch["input_ids"].shape[1] for batch in batches} == set(range(16, 209, 16))
    assert all(int((batch["labels"] != IGNORED).sum()) == 1 for batch in batches)


@pytest.mark.parametrize("shape", FAMILIES)
def test_packed_rows_do_not_see_each_other(rows_of, shape):
    """The loss of rows packed end to end is the loss of the same rows apart, and one row's change stays in it."""
    model, tokenizer, rows = rows_of(shape)
    loss = AnswerLoss(model)
    with torch.no_grad():
        apart = loss(**collate_padded(tokenizer.pad_token_id)(rows[:3]))["loss"]
        together = loss(**collate_packed(rows[:3]))["loss"]
        one = collate_packed(rows[:3])
        other = collate_packed([{**rows[0], "input_ids": [5] * len(rows[0]["input_ids"])}, *rows[1:3]])
        start = len(rows[0]["input_ids"])
        logits = [
            model(input_ids=b["input_ids"], position_ids=b["position_ids"], use_cache=False).logits[0, start:]
            for b in (one, other)
        ]
    assert float(together) == pytest.approx(float(apart), abs=1e-5)
    assert torch.allclose(logits[0], logits[1], atol=1e-5)


def test_a_long_ticket_loses_its_oldest_words_never_the_answer(rows_of):
    """At 60 tokens the template, the newest words and the whole answer still stand."""
    _, tokenizer, rows = rows_of(max_length=60)
    originals = tickets(9).rows
    assert all(len(row["input_ids"]) <= 60 for row in rows)
    text = tokenizer.decode(rows[0]["input_ids"])
    assert text.startswith("### Ticket")
    assert originals[0].text[-6:] in text
    assert originals[0].text[:6] not in text
    assert text.endswith(f"{originals[0].answer}<end>")


def test_rows_without_an_answer_token_are_refused():
    """Nothing to learn from: said before minutes are spent."""
    rows = [{"input_ids": [1, 2, 3], "labels": [IGNORED] * 3}] * 4
    with pytest.raises(TrainingDataError, match="raise max_length"):
        check_reply_rows(rows, 3)


def test_a_chat_template_is_used_and_one_that_drops_the_ticket_refused(rows_of):
    """The tokenizer's own template stands around the ticket; a broken one is named."""
    _, tokenizer, _ = rows_of()
    tokenizer.chat_template = CHAT
    template = Template.of(tokenizer)
    assert (template.before, template.after) == ("<|user|>", "\n<|assistant|>")
    tokenizer.chat_template = "{{ 'always the same' }}"
    with pytest.raises(TrainingDataError, match="chat template drops"):
        Template.of(tokenizer)


def test_labels_that_do_not_read_as_the_answer_are_refused(rows_of):
    """A tokenizer whose tokens do not give the text back would train nonsense in silence."""
    _, tokenizer, rows = rows_of()
    with pytest.raises(TrainingDataError, match="do not fit"):
        check_round_trip(rows, ["Something else altogether"] * len(rows), tokenizer)


@pytest.mark.parametrize("shape", FAMILIES)
def test_an_adapter_learns_saves_as_safetensors_and_comes_back_the_same(folders, rows_of, shape, tmp_path):
    """Only adapter weights train; what is saved answers exactly as what was trained; nothing is pickled."""
    model, tokenizer, rows = rows_of(shape)
    spec = recipe(method="lora", base_model=str(folders[shape]))
    adapter = add_lora(model, spec, "causal")
    weights = [name for name, p in adapter.named_parameters() if p.requires_grad]
    assert weights
    assert all("lora_" in name for name in weights)
    loss, batch = AnswerLoss(adapter), collate_padded(tokenizer.pad_token_id)(rows)
    first = loss(**batch)["loss"]
    optimiser = torch.optim.AdamW([p for p in adapter.parameters() if p.requires_grad], lr=0.02)
    for _ in range(24):
        optimiser.zero_grad()
        loss(**batch)["loss"].backward()
        optimiser.step()
    assert float(loss.eval()(**batch)["loss"].detach()) < 0.98 * float(first.detach())
    save_reply(tmp_path / "m", spec, adapter, tokenizer)
    names = {path.suffix for path in (tmp_path / "m").iterdir()}
    assert names <= {".safetensors", ".json", ".md", ".jinja"}
    again = load_reply(tmp_path / "m", read_card(tmp_path / "m"))
    assert torch.allclose(
        again.model(input_ids=batch["input_ids"]).logits,
        adapter.eval()(input_ids=batch["input_ids"]).logits,
        atol=1e-5,
    )


@pytest.mark.parametrize("task", ["reply", "triage"])
def test_a_base_model_with_fewer_places_than_max_length_trains_and_answers(tmp_path, task):
    """GPT-2 has a vector per place and nothing beyond the last: rows are cut there, which the report says."""
    from finetune.pipeline import run
    from finetune.serving.predict import try_text

    base = save_causal(tmp_path / "short", "tiny-gpt2", places=48)
    dataset = Tickets(tuple(replace(row, text=20 * row.text) for row in tickets(30).rows), task)
    spec = recipe(method="full", base_model=str(base), epochs=1, task=task)
    report = run(spec, dataset, tmp_path / "run", lambda _: None, lambda: None)
    assert [n for n in report["notes"] if "than 48 tokens and were cut: no more fits this base" in n]
    assert try_text(tmp_path / "run", 300 * "a long ticket ").task == task


def test_likeness_figures_have_their_known_ends():
    """The same text scores one, an unlike one near nothing."""
    assert chrf(["refund sent"], ["refund sent"])[0] == pytest.approx(1)
    assert rouge_l(["a b c d"], ["a b x y"])[0] == pytest.approx(0.5)
    assert chrf(["zzz"], ["refund sent"])[0] < 0.05


def test_the_report_says_why_training_did_not_pay():
    """Random weights, a single pass, an error still falling; a tuned model at its best gives no reason."""
    falling = [LossPoint(at, 1.0, 3.0 - at / 10) for at in range(3)]
    assert "random weights" in reasons(recipe(method="scratch"), falling, 900)[0]
    assert "loss 2.90 to 2.80" in reasons(recipe(method="scratch"), falling, 900)[1]
    assert "only once" in reasons(recipe(method="scratch", epochs=1), falling[:1], 900)[1]
    assert reasons(recipe(method="lora", base_model="org/model"), falling[::-1], 900) == []


def test_a_model_that_repeats_itself_is_told():
    """One text for a fifth of the tickets or more, or nothing at all; different replies need no word."""

    def note(*answers: str) -> str | None:
        return repetition_note(WrittenAnswers("Tuned", "tuned", list(answers), 0.0))

    assert note("a", "b", "c") is None
    assert note("", "", "c") == "2 of 3 replies of the trained model are empty."
    assert note("ok.", "ok.", "ok.") == "3 of 3 replies of the trained model are the same: “ok.”."


def test_the_rows_left_out_of_a_reply_run_are_said():
    """Writing is slow, so 200 test rows and 300 to choose are drawn of more; few are all taken, without a word."""
    spec = recipe(method="scratch")
    many = prepare(spec, tickets(3200))
    assert (len(many.dev), len(many.test)) == (300, 200)
    assert re.search(r"; 300 of the \d+ to choose were drawn; 200 of the \d+ to test were drawn$", many.how)
    assert "drawn;" not in prepare(spec, tickets(60)).how


def test_invented_numbers_and_names_are_found():
    """Facts that the ticket does not hold are listed; repeated ones are not."""
    ticket = "My order 4711 to Berlin is late, signed Anna Schmidt"
    assert unsupported_facts("Order 4711 is on its way to Berlin, Anna Schmidt.", ticket) == []
    assert unsupported_facts("Order 4712 goes to Hamburg now.", ticket) == ["4712", "Hamburg"]


def test_a_reply_run_ends_in_a_whole_report_and_the_same_seed_gives_it_again(folders, tmp_path):
    """Full tuning of a tiny model: systems, interval, perplexity, examples, card; equal figures twice."""
    from finetune.pipeline import run
    from finetune.pricing import Rates

    spec = recipe(method="full", base_model=str(folders["tiny-llama"]))
    reports = [
        run(spec, tickets(50), tmp_path / str(n), lambda _: None, lambda: None, Rates(1.0)) for n in range(2)
    ]
    report = reports[0]
    assert [s["name"] for s in report["systems"]] == [
        "Nearest past answer",
        "Base model, untuned",
        "Fully tuned",
    ]
    assert {"chrf", "rouge_l", "similarity", "facts_from_ticket"} <= set(report["systems"][-1])
    assert report["perplexity"] < 400
    assert report["examples"][0]["real"].startswith("We looked into")
    assert "of your team's own: a person has to check them" in report["notes"][0]
    assert [plot["file"] for plot in report["plots"]] == ["scores.png", "learning.png", "loss.png"]
    assert "nearest past answer, chrF" in report["plots"][1]["alt"]
    assert report["learning"][-1] == {"rows": 32, "chrf": report["systems"][0]["chrf"]}
    assert report["latency"]["usd_per_1000"] > 0
    card = (tmp_path / "0" / "MODEL_CARD.md").read_text()
    for word in ("dataset_sha256", "| seed | 7 |", "torch", "g CO2", "hardware", "code_sha256", "threads"):
        assert word in card
    assert f"trainwise finetune {tickets(50).digest} --here" in card
    assert f"| base_model_sha256 | {files_sum([folders['tiny-llama'] / 'model.safetensors'])} |" in card
    assert json.loads((tmp_path / "0" / "report.json").read_text()) == report

    def figures(result):
        return [[s[k] for k in ("name", "chrf", "rouge_l")] for s in result["systems"]], result["loss"]

    assert figures(reports[0]) == figures(reports[1])


def test_importing_the_terminal_s_part_loads_no_torch():
    """`trainwise` must start fast: export and try load the model libraries only when they are called."""
    import subprocess
    import sys

    code = "import finetune.serving.predict, finetune.serving.export, sys; assert not {'torch', 'transformers'} & set(sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3])
    assert process.returncode == 0
