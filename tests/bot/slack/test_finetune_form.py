"""The fine-tune form shows only fields that apply, offers only valid combinations, and hints at misspelled words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.slack.features.finetune import parse_command
from bot.slack.ui.estimate import estimate_text
from bot.slack.ui.forms import FormMetadata, finetune_modal, fitting_values, recipe_of
from bot.slack.ui.limits import validate_view
from finetune.data.card import Card
from finetune.estimate import RunEstimate
from finetune.methods import METHODS
from finetune.model_size import ModelSize
from finetune.spec import SpecError, choices_for, parse_spec

MEMORY = FormMetadata("C1")
PRICES: dict[str, Any] = {"as_of": "2026-11", "cpu_hour": {"usd": 0.1}, "gpu_hour": {"l4": {"usd": 0.7}}}


def card(kind: str) -> Card:
    """The card of a dataset of this kind."""
    facts = {"scopes": ("workspace",), "licence": "", "added_by": "U1", "added_at": "", "classes": ()}
    return Card(f"{kind}-tickets", 1, "a" * 64, kind, 300, **facts)


CARDS = [card("triage"), card("reply")]


def fields(values: dict[str, str], has_gpu: bool = True) -> dict[str, Any]:
    """The form's inputs by name."""
    view = validate_view(finetune_modal(CARDS, MEMORY, values, "", has_gpu))
    return {block["block_id"]: block for block in view["blocks"] if block["type"] == "input"}


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, {"dataset", "task", "method", "base_model", "hub_model", "epochs", "budget_usd"}),
        ({"method": "linear"}, {"dataset", "task", "method", "budget_usd"}),
        ({"method": "scratch"}, {"dataset", "task", "method", "base_model", "epochs", "budget_usd"}),
        (
            {"dataset": "reply-tickets", "method": "lora"},
            {"dataset", "task", "method", "hub_model", "epochs", "budget_usd"},
        ),
        ({"dataset": "reply-tickets"}, {"dataset", "task", "method", "base_model", "epochs", "budget_usd"}),
    ],
)
def test_only_fields_that_apply_are_shown(values: dict[str, str], shown: set[str]) -> None:
    """No epochs for methods without epochs, no base model without a choice, no packaged one for LoRA on replies."""
    assert fields(values).keys() == shown


def test_a_method_that_needs_a_gpu_is_offered_where_there_is_one() -> None:
    """Without a GPU in sight QLoRA is not in the list; linear is not for replies."""
    assert "qlora" in json.dumps(fields({})["method"])
    assert "qlora" not in json.dumps(fields({}, has_gpu=False)["method"])
    assert "linear" not in json.dumps(fields({"dataset": "reply-tickets"})["method"])


@pytest.mark.parametrize("kind", ["triage", "reply"])
def test_values_of_another_kind_of_tickets_are_dropped(kind: str) -> None:
    """Task and method were chosen for the other kind of tickets: the form then holds a launchable recipe."""
    choice = {
        "task": {"triage": "reply", "reply": "triage"}[kind],
        "method": "linear",
        "base_model": "minilm",
    }
    values = fitting_values({"dataset": f"{kind}-tickets", **choice}, CARDS, has_gpu=False)
    assert values == {"dataset": f"{kind}-tickets"}
    inputs = fields(values, has_gpu=False)
    assert inputs["task"]["element"]["initial_option"]["value"] == kind
    assert (
        parse_spec({"dataset": "d", "digest": "a" * 64, "task": kind} | recipe_of(values, kind)).task == kind
    )


@pytest.mark.parametrize("kind", ["triage", "reply"])
@pytest.mark.parametrize("method", list(METHODS))
def test_every_offered_combination_is_valid(kind: str, method: str) -> None:
    """A base model that the later chosen method does not support is replaced."""
    if method not in choices_for(kind, {}).methods:
        pytest.skip("not offered for these tickets")
    for base_model in ("minilm", "tiny-bert", "tiny-llama"):
        values = {"dataset": f"{kind}-tickets", "task": kind, "method": method, "base_model": base_model}
        choices = choices_for(kind, values)
        if choices.takes_hub_model and not choices.base_models:
            values["hub_model"] = "org/model-1B"
        spec = parse_spec(recipe_of({**values, "epochs": "2", "budget_usd": "5"}, kind))
        assert (spec.task, spec.method) == (kind, method)


def test_a_reply_dataset_needs_no_task_named() -> None:
    """`/finetune support-replies` as its card says: the defaults are a small model from scratch."""
    choices = choices_for("reply", {})
    spec = parse_spec({"dataset": "support-replies", "task": choices.task})
    assert (spec.method, spec.base_model, spec.epochs) == ("scratch", "tiny-llama", 3)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sample-tickets lroa", "`lora`"),
        ("sample-tickets scrach", "`scratch`"),
        ("d reply trage", "`triage`"),
    ],
)
def test_a_misspelled_word_gets_a_hint(text: str, hint: str) -> None:
    """The nearest method or task is named."""
    with pytest.raises(SpecError, match=f"Did you mean {hint}"):
        parse_command(text)


@pytest.mark.parametrize(
    ("form", "field", "hint"),
    [
        ({"epoch": 3}, "epoch", "`epochs`"),
        ({"learningrate": 1}, "learningrate", "`learning_rate`"),
        ({"method": "qlra"}, "method", "`qlora`"),
        ({"base_model": "tiny-lama"}, "base_model", "`tiny-llama`"),
    ],
)
def test_a_misspelled_setting_gets_a_hint(form: dict[str, Any], field: str, hint: str) -> None:
    """In Slack and in the terminal, since both read the recipe by the same function."""
    with pytest.raises(SpecError) as failure:
        parse_spec({"dataset": "d", **form})
    assert f"Did you mean {hint}?" in failure.value.problems[field]


def test_an_estimate_says_where_its_size_is_from_and_when_it_has_none() -> None:
    """A size out of a name is told as such; without one a budget is asked for instead of a guess."""
    size = ModelSize(8e9, "name")
    text = estimate_text("org/m-8B", RunEstimate(size, (4e5, 2e6), 53.0, 36.0, "l4", 7200, 1.4), PRICES)
    assert "read from its name: 8 billion weights" in text
    assert "at most $53 " in text
    assert "$1.40" in text
    unknown = estimate_text("org/m", RunEstimate(ModelSize(None, "unknown")), PRICES)
    assert unknown.startswith("I do not know how large org/m is")
    assert "$" not in unknown
