"""The recipe: defaults per method, every wrong field named at once, a lossless JSON round trip."""

import shlex
import subprocess
import sys

import pytest

from finetune.catalog import BASE_MODELS
from finetune.evaluation.model_card import command
from finetune.methods import METHODS
from finetune.spec import Spec, SpecError, parse_spec
from finetune.tasks import TASKS


def problems(**form: object) -> dict[str, str]:
    """The messages that a form with these values (and a dataset) is refused with."""
    with pytest.raises(SpecError) as error:
        parse_spec({"dataset": "sample-tickets", **form})
    return error.value.problems


def test_blank_fields_take_the_defaults_of_triage_with_lora():
    """A modal submitted untouched is LoRA on MiniLM at the cosine head's rate."""
    spec = parse_spec({"dataset": "sample-tickets", "epochs": "", "base_model": None})
    assert (spec.task, spec.method, spec.base_model) == ("triage", "lora", "minilm")
    assert spec.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("form", "rate"),
    [
        ({"method": "lora", "task": "reply", "base_model": "org/model"}, 2e-4),
        ({"method": "full", "task": "reply", "base_model": "org/model"}, 2e-5),
        ({"method": "full"}, 1e-4),
        ({"method": "scratch"}, 1e-3),
    ],
)
def test_the_learning_rate_follows_the_method(form, rate):
    """LoRA gets about ten times the guide's full-tuning rate of 2e-5."""
    assert parse_spec({"dataset": "d", **form}).learning_rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", "-1"),
        ("epochs", "1.5"),
        ("epochs", "many"),
        ("learning_rate", "nan"),
        ("learning_rate", 0),
        ("base_model", "gpt-17"),
        ("method", "magic"),
        ("task", "summarise"),
        ("budget_usd", "-3"),
        ("batch_size", True),
        ("nonsense", 1),
    ],
)
def test_a_wrong_value_is_refused_under_its_field(field, value):
    """The error names the field, so the modal can show it in place."""
    assert list(problems(**{field: value})) == [field]


def test_all_problems_come_at_once():
    """A person corrects the form once, not once per field."""
    assert set(problems(epochs=-1, base_model="gpt-17", method="magic")) == {"epochs", "base_model", "method"}


def test_a_missing_dataset_is_named():
    """Nothing can be trained on nothing."""
    with pytest.raises(SpecError, match="dataset"):
        parse_spec({})


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"task": "reply", "method": "linear"}, "method"),
        ({"task": "reply", "base_model": "minilm", "method": "lora"}, "base_model"),
        ({"method": "scratch", "base_model": "minilm"}, "base_model"),
        ({"method": "lora", "base_model": "tiny-llama"}, "base_model"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(form, field):
    """Each of these would only fail minutes later on the training machine."""
    assert field in problems(**form)


def test_json_round_trip_and_recipe_digest():
    """What the ledger stores is what the worker runs; any changed field changes the digest."""
    spec = parse_spec({"dataset": "d", "epochs": 2, "budget_usd": "$5"})
    assert Spec.from_json(spec.to_json()) == spec
    assert spec.recipe_digest != parse_spec({"dataset": "d", "epochs": 3, "budget_usd": 5}).recipe_digest


def test_steps_round_up_per_epoch():
    """A last short batch is a step too; linear takes none."""
    assert parse_spec({"dataset": "d", "epochs": 2, "batch_size": 32}).steps(65) == 6
    assert parse_spec({"dataset": "d", "method": "linear"}).steps(65) == 0


def test_the_modal_lists_have_labels_within_slacks_limit():
    """Slack cuts option texts at 75 characters with an error."""
    for choices in (TASKS, METHODS, BASE_MODELS):
        assert all(0 < len(choice.label) <= 75 for choice in choices.values())


def test_importing_the_spec_loads_no_torch():
    """The bot's process builds modals from this file and must stay small."""
    code = "import finetune.spec, sys; assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_card_s_command_gives_the_same_recipe_again():
    """Every setting is in it, quoted for a shell; read back as the terminal reads it, it is the same Spec."""
    form = {"dataset": "our tickets", "task": "reply", "base_model": "./my models/llama", "method": "lora"}
    spec = parse_spec(
        {**form, "packing": True, "learning_rate": 3e-4, "budget_usd": 2.5, "precision": "bf16"}
    )
    words = shlex.split(command(spec.to_json(), "a" * 64).replace("\\\n", " "))
    assert words[:4] == ["trainwise", "finetune", "a" * 64, "--here"]
    options = dict(zip(words[4::2], words[5::2], strict=True))
    more = [word.partition("=") for at, word in enumerate(words) if words[at - 1] == "--set"]
    again = {name[2:].replace("-", "_"): value for name, value in options.items() if name != "--set"}
    again |= {name: value for name, _, value in more}
    assert parse_spec({**again, "dataset": "our tickets"}) == spec
