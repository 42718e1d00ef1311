"""The texts and fields of a measurement in Slack, without a workspace: typed commands, the form, the report."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.features.measure import _share, parse_command, signal_fields
from bot.slack.thread_memory import Conversation
from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.ui.measure_form import MeasureContext, measure_modal, plan_text
from bot.slack.ui.report import final_report
from finetune.data.card import Card
from finetune.estimate import measuring_limit_s
from worker.jobs.records import Job
from worker.jobs.states import State


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", {}),
        ("sample-tickets", {"dataset": "sample-tickets"}),
        (
            "sample-tickets target=0.92 volume=60,000 wrong=4 metric=f1",
            {
                "dataset": "sample-tickets",
                "target": "0.92",
                "volume": "60,000",
                "price_per_wrong": "4",
                "metric": "macro_f1",
            },
        ),
        ("--target=92 tickets=5", {"target": "92", "volume": "5"}),
        ("twice before you cut", None),
        ("sample-tickets colour=blue", None),
    ],
)
def test_a_typed_command_becomes_form_fields(text: str, form: dict[str, str] | None) -> None:
    """A name with key=value pairs is a command; anything else is a sentence."""
    assert parse_command(text) == form


@pytest.mark.parametrize(
    ("entry", "share"), [("92", 0.92), ("92%", 0.92), ("0.92", 0.92), ("1", 1.0), ("100", 1.0), (85, 0.85)]
)
def test_a_target_is_a_share_or_out_of_a_hundred(entry: Any, share: float) -> None:
    """Both ways of saying it mean the same."""
    problems: dict[str, str] = {}
    assert _share(entry, problems) == pytest.approx(share)
    assert problems == {}


@pytest.mark.parametrize("entry", ["1.01", "101", "0", "-5", "nan", "inf", "", None, "often"])
def test_an_impossible_target_is_told_on_its_field(entry: Any) -> None:
    """Between one and ten it could mean either, above a hundred neither."""
    problems: dict[str, str] = {}
    _share(entry, problems)
    assert "out of 100" in problems["target"]


def test_the_form_is_filled_with_what_the_thread_has_said() -> None:
    """Target and volume come from the thread's signals."""
    conversation = Conversation(
        state={"signals": {"target": 92.5, "volume_month": 40_000, "task": "classify"}}
    )
    assert signal_fields(conversation) == {"target": "92.5", "volume": "40000"}
    assert signal_fields(Conversation()) == {}


def test_the_form_keeps_slacks_limits_with_many_datasets() -> None:
    """150 datasets with long names still make a valid form."""
    cards = [_card(f"{'n' * 70}{at}") for at in range(150)]
    validate_view(measure_modal(cards, FormMetadata("C1"), {"dataset": cards[3].name}))


def _card(name: str) -> Card:
    fields = dict.fromkeys(Card.__dataclass_fields__)
    return Card(**{**fields, "name": name, "rows": 5, "kind": "triage"})  # type: ignore[arg-type]


def _job(report: dict[str, Any]) -> Job:
    fields = dict.fromkeys(Job.__dataclass_fields__)
    entry = {"id": "j1", "kind": "measure", "state": State.SUCCEEDED, "spec": {}, "dataset": "d", "by": "U1"}
    return Job(**{**fields, **entry, "progress": {}, "report": report})  # type: ignore[arg-type]


def test_the_report_says_decision_cost_forecast_and_warnings() -> None:
    """The first sentence in bold up to its colon; then what it rests on; markup in it is harmless."""
    report = {
        "kind": "measure",
        "headline": "Not worth it: your target of 95.0% is out of reach. <!channel>",
        "decision": "not_worth_it",
        "ladder": [{"name": "Linear", "role": "trained", "accuracy": {"value": 0.9, "low": 0.8, "high": 1}}],
        "forecast": {"sentence": "2,000 tickets: 91.0% (89-93)"},
        "cost": {"sentence": "A month: $73 for a small model."},
        "next_step": "Merge classes.",
        "warnings": ["The tickets drift: <@U1> look"],
    }
    text, blocks = final_report(_job(report))
    view = str(validate_message(blocks))
    assert "⛔ *Not worth it*" in view
    assert "Your target of 95.0%" in view
    for part in ("A month: $73", "2,000 tickets: 91.0%", "Merge classes", "The tickets drift"):
        assert part in view
    assert "<!channel>" not in view + text
    assert "<@U1> look" not in view


@pytest.mark.parametrize("odd", [{}, {"ladder": [3, {}], "forecast": [], "cost": None, "warnings": None}])
def test_an_odd_report_is_still_shown(odd: dict[str, Any]) -> None:
    """A worker's report of any shape gives a message."""
    validate_message(final_report(_job({"kind": "measure", "headline": "Done", **odd}))[1])


def test_the_form_says_what_will_be_done_and_for_how_long() -> None:
    """The steps on the chosen tickets, the most it computes, who waits, whether anyone works, where tickets go."""
    card = _card("support")
    text = plan_text(card, MeasureContext())
    assert "the 5 tickets of support" in text
    assert f"at most {round(measuring_limit_s(5) / 60)} minutes" in text
    assert "No ticket leaves the machine" in text
    busy = plan_text(card, MeasureContext("qwen3:8b", 3, 0))
    assert "prompts for qwen3:8b" in busy
    assert "3 jobs wait before it" in busy
    assert "No worker shows signs of life" in busy
    assert "go to that model" in busy
