"""Unknown is not false: no sentence of an answer tells as fact about the asker's case what was not said or confirmed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.advice.assertions import certain_signals
from rag.advice.conversation import Thread, decide_turn
from rag.advice.cost_line import cost_line
from rag.advice.decide import Advice
from rag.advice.decision_table import load_table
from rag.advice.explanation import answer_move, headline, next_step, would_change
from rag.advice.phrases import load_phrases_of
from rag.reply import Verdict
from rag.search.embedding import MiniLM
from rag.signals.rules import EmbeddedReader

ENGLISH = load_phrases_of("en")
PRICES = {
    "as_of": "2026-11",
    "api_per_million": {"luna": {"in": 0.1, "out": 0.5}},
    "gpu_hour": {"l4": {"usd": 0.8}},
    "hosted_lora_per_million_tokens": {"8b": {"usd": 0.4, "usd_high": 0.6}},
    "cpu_hour": {"usd": 0.05},
}
ASSERTIONS: dict[str, tuple[str, ...]] = {
    r"nothing has been measured|nothing (?:was|has been) tried": ("baseline",),
    r"\bthe prompt (?:was|is|has)\b|\btoday's \d": ("baseline", "score"),
    r"what is missing is facts": ("gaps",),
    r"the gap is": ("gaps",),
    r"the facts change": ("volatility",),
    r"must show its source, which": ("citations",),
    r"readers may not see": ("acl",),
    r"the task is frozen": ("stable",),
    r"has not been measured": ("cheaper_tier_tried",),
    r"the labels are fixed": ("task",),
    r"it has to be fast or run": ("latency_ms", "offline", "gaps"),
    r"\byou have\b|your examples are enough": ("pretrain_tokens", "examples"),
    r"[Yy]our data may not": ("offline",),
    r"measured on your own tickets": ("measured_best",),
    r"it costs \$": ("monthly_cost",),
}
"""What a sentence asserts about the case, found by its words alone: one of these signals has to be certain."""
FIGURES = re.compile(r"(?<![\w.$-])\d[\d,]*(?:\.\d+)?")


def questions() -> list[str]:
    """Every evaluation question at hand, those of a thread among them."""
    files = [
        *sorted(Path("tests/rag/evaluation").glob("held_out*.jsonl")),
        *sorted(Path("/work/shared/eval").glob("*.jsonl")),
    ]
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines() if line.strip()]
    return [row["question"] for row in rows if "question" in row]


def sentences(advice: Advice, final: bool) -> Iterator[str]:
    """All that is told beside cited passages."""
    yield headline(advice, ENGLISH, final)
    yield next_step(advice, ENGLISH)
    yield cost_line(advice.verdict, advice.stated_facts, PRICES)
    yield from (answer_move(move, advice, PRICES, ENGLISH) for move in ("advice", "saving", "next", "cost"))


@pytest.fixture(scope="module")
def decisions(embed: MiniLM) -> list[tuple[str, Advice, bool]]:
    """The decision on each question, as at first sight and once committed to."""
    reader, table = EmbeddedReader(embed), load_table()
    decisions = []
    for question in questions():
        signals = reader(question)
        for history in ((), ("a", "b", "c")):
            decision = decide_turn(Thread(signals, history), table)
            if decision.advice.verdict not in (Verdict.OFF_TOPIC, Verdict.GUIDE_ANSWER):
                decisions.append((question, decision.advice, decision.is_early))
    return decisions


def test_no_sentence_asserts_what_was_not_said(decisions: list[tuple[str, Advice, bool]]) -> None:
    """Each phrase that speaks of the case rests on a signal with the person's words behind it."""
    assert len(decisions) > 400
    false = []
    for question, advice, final in decisions:
        certain = certain_signals(advice.signals) & advice.signals.known_values().keys()
        for sentence in sentences(advice, final):
            for pattern, names in ASSERTIONS.items():
                if re.search(pattern, sentence) and not certain & set(names):
                    false.append((question, sentence, names))
    assert false == []


def test_no_figure_is_told_that_was_not_read(decisions: list[tuple[str, Advice, bool]]) -> None:
    """A figure of the headline is one of the case that has words behind it, or a threshold of the table's own words."""
    table = load_table()
    values = {
        figure
        for rule in (*table.rules, *table.gates)
        for text in (rule.say, rule.general)
        for figure in FIGURES.findall(text)
    } | {"500"}
    false = []
    for question, advice, final in decisions:
        numbers = figures_in(advice)
        figures = FIGURES.findall(headline(advice, ENGLISH, final))
        false += [(question, figure) for figure in figures if figure.rstrip(",") not in values | numbers]
    assert false == []


def figures_in(advice: Advice) -> set[str]:
    """The figures that were said, as an answer may write them."""
    values = [v for v in advice.stated_facts.known_values().values() if isinstance(v, int | float)]
    return {
        text
        for v in values
        for text in (f"{v:,}", f"{v:,g}", f"{v / 1e6:.3g}", f"{v / 1e9:.3g}", f"{v:,.0f}")
    }


def test_what_would_change_it_never_contradicts(decisions: list[tuple[str, Advice, bool]]) -> None:
    """A prompt that is good enough leads to no training, more examples to no less of it, and no flip repeats the verdict."""
    for question, advice, _ in decisions:
        for line in would_change(advice, ENGLISH):
            change, _, way = line.partition(" → ")
            assert not (change.startswith("A prompt turns out") and "prompt" not in way), (question, line)
            assert not ("approved examples exist" in change and "prompt" in way), (question, line)
        assert advice.verdict not in {flip.verdict for flip in advice.flips}, question


def test_a_count_is_not_used_against_itself(decisions: list[tuple[str, Advice, bool]]) -> None:
    """Who has 900 examples is not told that something becomes possible at 500."""
    for question, advice, _ in decisions:
        if (advice.stated_facts.examples or 0) >= 500:
            assert "500 examples are approved" not in headline(advice, ENGLISH), question
            assert "500+" not in next_step(advice, ENGLISH), question
