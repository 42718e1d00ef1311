"""The multilingual encoder and its heads: the same meaning in ten languages lies near, small and quick."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rag.signals.multilingual import WEIGHTS, MultilingualEncoder
from rag.signals.multilingual_heads import MultilingualHeads, mix

SAME = (
    "The tone of our replies is wrong, the facts are right.",
    "Der Ton unserer Antworten ist falsch, die Fakten stimmen.",
    "Le ton de nos réponses est mauvais, les faits sont justes.",
    "El tono de nuestras respuestas es malo, los datos son correctos.",
    "Il tono delle nostre risposte è sbagliato, i fatti sono giusti.",
    "O tom das nossas respostas está errado, os fatos estão certos.",
    "De toon van onze antwoorden klopt niet, de feiten wel.",
    "私たちの返信の口調が間違っていますが、事実は正しいです。",
    "我们回复的语气不对，但事实是正确的。",
    "Тон наших ответов неправильный, факты верные.",
)
OTHER = (
    "Where do we order new printers?",
    "The train to Kyoto leaves at nine.",
    "Wir essen um zwölf Uhr zu Mittag.",
)


@pytest.fixture(scope="module")
def encode() -> MultilingualEncoder:
    return MultilingualEncoder()


def test_one_sentence_in_ten_languages_is_nearer_than_any_other(encode: MultilingualEncoder) -> None:
    """Every translation lies nearer to the English sentence than each sentence about something else."""
    rows, others = encode(SAME), encode(OTHER)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    assert (rows[1:] @ rows[0]).min() > (others @ rows[0]).max() + 0.1


def test_the_encoder_is_small_and_quick(encode: MultilingualEncoder) -> None:
    """At most 25 MB on disk and 30 CPU-milliseconds a message."""
    assert WEIGHTS.stat().st_size < 25_000_000
    encode(SAME)
    began = time.process_time()
    encode(SAME * 3)
    assert (time.process_time() - began) / (3 * len(SAME)) < 0.03


SAID = (
    ("契約書から項目を抜き出したい。プロンプトは試したが足りない", "task", "extract"),
    ("請求書から金額と日付を取り出したいです", "task", "extract"),
    ("Письма клиентов надо классифицировать по темам", "task", "classify"),
    ("Was ist eine Lernrate?", "topic", "guide"),
    ("O que é uma taxa de aprendizado?", "topic", "guide"),
    ("请把我们的文章翻译成法语，要不要训练模型？", "task", "translate"),
    ("Résumer nos réunions, le prompt marche très bien", "task", "summarise"),
    ("Queremos resumir llamadas de clientes, ¿entrenamos un modelo?", "task", "summarise"),
    ("Onze antwoorden op klantmails klinken veel te stijf", "gaps", "style"),
    ("Chi ha vinto la partita ieri sera?", "topic", "other"),
)


def test_the_heads_read_other_languages() -> None:
    """At least eight of ten sentences in nine languages, on which nobody trained, are read right."""
    heads = MultilingualHeads()
    best = [max(shares, key=shares.__getitem__) for text, head, _ in SAID for shares in [heads(text)[head]]]
    assert sum(got == want for got, (_, _, want) in zip(best, SAID, strict=True)) >= 8, best


def test_mixing_weighs_two_readers_by_label() -> None:
    """The share of the second, label by label."""
    one, other = {"task": {"qa": 1.0, "reply": 0.0}}, {"task": {"qa": 0.0, "reply": 1.0}}
    assert mix(one, other, 0.25) == {"task": {"qa": 0.75, "reply": 0.25}}
