"""The decision table: its gates, its points and what it says about them, on signals given by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag.advice.decide import advise
from rag.advice.decision_table import DEFAULT, TableError, load_table
from rag.advice.explanation import headline, would_change
from rag.advice.phrases import load_phrases_of
from rag.reply import Verdict
from rag.signals.schema import Signals

TABLE = load_table()
ENGLISH = load_phrases_of("en")
TUNE = {"task": "extract", "gaps": ("format",), "baseline": "tried_fail", "eval_n": 600, "score": 81.0,
        "examples": 6500, "stable": True}  # fmt: skip
CASES: list[tuple[str, dict[str, Any]]] = [
    ("prompt", {"task": "summarise"}),
    ("prompt", {"task": "reply", "gaps": ("style",), "examples": 30}),
    ("prompt", {"task": "qa", "gaps": ("knowledge",), "kb_tokens": 39_000}),
    ("prompt", {"task": "classify", "classes": 77, "per_class": 8}),
    ("prompt", {"task": "classify", "gaps": ("cost",), "baseline": "tried_ok", "monthly_cost": 6000.0}),
    ("prompt", {"task": "foundation", "gaps": ("ambition",), "pretrain_tokens": 3_000_000_000, "gpus": 16}),
    ("prompt", {"task": "classify", "gaps": ("accuracy",), "baseline": "tried_fail", "eval_n": 300, "per_class": 12}),
    ("prompt", {"task": "classify", "gaps": ("accuracy",), "baseline": "tried_fail", "eval_n": 300, "examples": 150,
                "classes": 15, "stable": True}),
    ("rag", {"task": "qa", "gaps": ("knowledge",)}),
    ("rag", {"task": "qa", "gaps": ("knowledge",), "kb_tokens": 39_000, "citations": True}),
    ("rag", {"task": "qa", "gaps": ("knowledge",), "kb_tokens": 39_000, "acl": True}),
    ("rag", {"task": "qa", "gaps": ("knowledge",), "volatility": "weekly", "examples": 5000, "already_tuned": True}),
    ("fine_tune", TUNE),
    ("fine_tune", {"task": "summarise", "gaps": ("cost",), "baseline": "tried_fail", "cheaper_tier_tried": True,
                   "eval_n": 500, "monthly_cost": 38_000.0}),
    ("small_model", {"task": "classify", "examples": 180_000, "classes": 14, "latency_ms": 50.0,
                     "volume_month": 3_000_000}),
    ("small_model", {"task": "classify", "gaps": ("cost",), "baseline": "not_tried", "per_class": 400,
                     "volume_month": 2_000_000}),
    ("small_model", {"task": "classify", "gaps": ("offline",), "offline": True, "examples": 9000, "classes": 2}),
    ("small_model", {"task": "classify", "gaps": ("accuracy",), "baseline": "tried_fail", "eval_n": 900,
                     "per_class": 120}),
    ("foundation_model", {"task": "foundation", "gaps": ("capability",), "pretrain_tokens": 400_000_000_000,
                          "gpus": 2000, "skill": "research", "no_usable_base": True}),
    ("need_more_info", {}),
    ("need_more_info", {"task": "reply", "gaps": ("vague",)}),
    ("need_more_info", {"vendor_claim": True, "score": 97.0, "task": "classify"}),
    ("need_more_info", {"in_training": True, "task": "classify"}),
    ("need_more_info", {**TUNE, "pii": True, "consent": False}),
    ("guide_answer", {"topic": "guide"}),
    ("off_topic", {"topic": "people"}),
    ("off_topic", {"topic": "injection", **TUNE}),
]  # fmt: skip


def signals(**values: Any) -> Signals:
    """Signals that the person said: each has words behind it."""
    return Signals.model_validate(
        {"topic": "decision", "quotes": dict.fromkeys(values, "their words"), **values}
    )


@pytest.mark.parametrize(("verdict", "values"), CASES)
def test_the_table_decides_as_the_reference_does(verdict: str, values: dict[str, Any]) -> None:
    """One case for each gate and for each way of winning."""
    assert str(advise(signals(**values), TABLE).verdict) == verdict


def test_what_would_change_it_is_true() -> None:
    """Each flip that is told really leads to the verdict that it names."""
    advice = advise(signals(task="summarise"), TABLE)
    assert any("fine-tune" in line for line in would_change(advice, ENGLISH))
    other = signals(task="summarise", baseline="tried_fail", eval_n=300)
    assert advise(other, TABLE).verdict is Verdict.FINE_TUNE


def test_the_pass_mark_is_above_chance() -> None:
    """81% on 600 items passes from 84%: today's score plus its 95% half-width."""
    advice = advise(signals(**TUNE), TABLE)
    assert "above 84%" in advice.next_step
    assert "±3.1" in advice.next_step


@pytest.mark.parametrize("given", ["score", "target"])
def test_a_percentage_has_at_most_one_decimal(given: str) -> None:
    """370 of 380 right is read as 97.3684%; people are told 97.4%."""
    advice = advise(signals(**{**TUNE, given: 100 * 370 / 380}), TABLE)
    assert "97.4%" in advice.next_step
    assert "97.36" not in advice.next_step


def test_the_headline_names_the_askers_figures() -> None:
    """The reasons are the table's lines with the figures that were read."""
    text = headline(advise(signals(**TUNE), TABLE), ENGLISH)
    assert text.startswith("A fine-tuning pilot is justified: ")
    assert "600 items" in text
    assert "6,500 examples" in text


def test_facts_and_voice_add_up() -> None:
    """Where both are missing, retrieval comes now and the voice later."""
    advice = advise(signals(task="reply", gaps=("knowledge", "style"), examples=900), TABLE)
    assert advice.verdict is Verdict.RAG
    assert "tune the voice later" in headline(advice, ENGLISH)


def test_a_mended_table_names_every_mistake(tmp_path: Path) -> None:
    """A typo in a signal, an option or a placeholder is told with its place, all at once."""
    table_text = DEFAULT.read_text().replace("examples: {below: 50}", "exmples: {below: 50}")
    table_text = table_text.replace("points: {rag: 3}, say", "points: {rga: 3}, say", 1)
    table_text = table_text.replace("{volume_month} calls a month pay", "{calls} calls a month pay")
    path = tmp_path / "table.yaml"
    path.write_text(table_text)
    with pytest.raises(TableError) as error:
        load_table(path)
    for part in ("exmples", "rga", "'calls'", "Correct these lines"):
        assert part in str(error.value)
