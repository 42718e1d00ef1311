"""The fixed words in ten languages: complete, with the same blanks, and told in the language of the message."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from rag.advice.decide import advise
from rag.advice.decision_table import load_table
from rag.advice.explanation import headline, next_step
from rag.advice.menus import menus_of
from rag.advice.phrases import FOLDER, load_phrases_of
from rag.signals.language import LANGUAGES, language_of
from rag.signals.schema import Signals

OTHERS = [language for language in LANGUAGES if language != "en"]
BLANK = re.compile(r"\{(\w+)\}")
TABLE = load_table()
STEPS = {block["id"]: str(block["do"]) for blocks in TABLE.experiments.values() for block in blocks}


def test_ten_languages_are_there() -> None:
    """English and the nine that people asked for."""
    assert set(LANGUAGES) == {"en", "de", "fr", "es", "pt", "it", "nl", "ja", "zh", "ru"}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_fixed_part_with_its_blanks(language: str) -> None:
    """Badges, openings, labels, menus and options as in English; a next step for every one of the table's."""
    raw = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    english = yaml.safe_load((FOLDER / "en.yaml").read_text(encoding="utf-8"))
    for part in ("badge", "opening", "way", "say", "rows", "menu", "option"):
        assert raw[part].keys() == english[part].keys(), part
    for menu, options in raw["option"].items():
        assert options.keys() == english["option"][menu].keys(), menu
    assert raw["experiment"].keys() == STEPS.keys()
    for name, text in raw["experiment"].items():
        assert set(BLANK.findall(text)) == set(BLANK.findall(STEPS[name])), name
    for name, text in raw["say"].items():
        assert set(BLANK.findall(text)) == set(BLANK.findall(english["say"][name])), name
    assert raw["question"].keys() == {line["id"] for line in TABLE.questions}
    for line in TABLE.questions:
        assert set(raw["question"][line["id"]]) == {"ask", *range(len(line["options"]))}, line["id"]


@pytest.mark.parametrize("language", OTHERS)
def test_the_table_s_lines_that_a_language_words_exist(language: str) -> None:
    """A translation of a rule or a gate that is gone would never be told."""
    raw = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    assert set(raw["table"]) <= {rule.id for rule in TABLE.rules}
    assert set(raw["gate"]) <= {gate.id for gate in (*TABLE.gates, *TABLE.blocks)}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "our help center changes every week, should we fine-tune on it?"),
        ("en", "macro F1 78 on 250 items, patents ja->en"),
        ("de", "wir haben 400 Tickets am Tag und keine Labels, sollen wir trainieren?"),
        ("fr", "notre bot invente des prix, il faut l'entraîner ?"),
        ("es", "el asistente inventa precios, ¿lo entrenamos?"),
        ("pt", "o nosso bot inventa preços, devemos treinar um modelo?"),
        ("it", "dobbiamo addestrare un modello per i nostri ticket?"),
        ("nl", "moeten we een model trainen op onze tickets?"),
        ("ja", "問い合わせを8つの部署に振り分けたい。学習すべきですか？"),
        ("zh", "我们每天有三百个工单，应该训练模型吗？"),
        ("ru", "нужно ли нам обучать модель на наших тикетах?"),
    ],
)
def test_the_language_of_a_message_is_told(language: str, text: str) -> None:
    """By its script, or by langid among the Latin ones."""
    assert language_of(text) == language


def test_english_messages_are_never_taken_for_another_language() -> None:
    """All English evaluation questions at hand: typos, shorthand and figures included."""
    files = sorted(Path("tests/rag/evaluation").glob("held_out*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines() if line.strip()]
    texts = [row["question"] for row in rows if row["question"].isascii() and " the " in row["question"]]
    assert len(texts) > 60
    assert [text for text in texts if language_of(text) != "en"] == []


def test_a_short_reply_keeps_the_language_of_its_thread() -> None:
    """ "ok" has no language of its own."""
    assert language_of("ok", "de") == "de"
    assert language_of("7.200", "ja") == "ja"


@pytest.mark.parametrize("language", OTHERS)
def test_the_fixed_parts_are_told_in_the_language(language: str) -> None:
    """Headline, next step and menus hold none of the English ones."""
    words, english = load_phrases_of(language), load_phrases_of("en")
    advice = advise(Signals.model_validate({"topic": "decision", "task": "reply", "gaps": ("style",)}), TABLE)
    assert headline(advice, words).startswith(words(f"opening.{advice.verdict}"))
    assert next_step(advice, words) != next_step(advice, english)
    menus = menus_of(advice.signals, advice.certain, frozenset(), words)
    assert menus[0].label == words("option.task.reply") != english("option.task.reply")
