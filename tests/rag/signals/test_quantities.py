"""Quantities in messy text of ten languages: where they stand and what they are worth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.signals.number_roles import plain_kinds
from rag.signals.number_signals import CountedQuantity, number_signals
from rag.signals.quantities import find_quantities


@pytest.mark.parametrize(
    ("text", "words", "value"),
    [
        ("half a million rows", "half a million", 500_000),
        ("we have a few thousand", "a few thousand", 3000),
        ("6.5k pairs", "6.5k", 6500),
        ("20.000 Mails", "20.000", 20_000),
        ("3万件", "3万", 30_000),
        ("45万条", "45万", 450_000),
        ("1,1 milhão de chamadas", "1,1 milhão", 1_100_000),
        ("35 тысяч писем", "35 тысяч", 35_000),
        ("honderden mails", "honderden", 100),
        ("1 500 milliards de tokens", "1 500 milliards", 1.5e12),
        ("macro F1 of .82", ".82", 0.82),
        ("two hundred thousand calls", "two hundred thousand", 200_000),
    ],
)
def test_a_quantity_is_found_with_its_value(text: str, words: str, value: float) -> None:
    """Separators, multipliers and number words of several languages."""
    values = {text[one.start : one.end]: one.value for one in find_quantities(text)}
    assert values[words] == pytest.approx(value)


def test_a_share_stands_before_its_two_numbers() -> None:
    """ "40 of 160" is a quarter, and says of how many."""
    share, *numbers = find_quantities("40 of 160 were wrong")
    assert (share.value, share.whole) == (0.25, 160)
    assert [one.value for one in numbers] == [40, 160]


@pytest.mark.parametrize("text", ["one of our teams", "a bot for us", "gpt", "un bot"])
def test_articles_are_no_quantities(text: str) -> None:
    """Words that are also something else need company to count."""
    assert find_quantities(text) == []


@pytest.mark.parametrize(
    ("text", "kind", "signal", "value"),
    [
        ("within 2 seconds", "latency", "latency_ms", 2000),
        ("50毫秒以内", "latency", "latency_ms", 50),
        ("in 3 weeks", "deadline", "deadline_days", 21),
        ("400 pages", "kb_docs", "kb_tokens", 260_000),
        ("scores 0.81", "score", "score", 81),
        ("17% are wrong", "score", "score", 83),
        ("200 a week", "volume_week", "volume_month", 860),
    ],
)
def test_a_counted_quantity_becomes_its_signal(text: str, kind: str, signal: str, value: float) -> None:
    """In the signal's unit, with the user's words."""
    values, quotes = number_signals(text, [CountedQuantity(find_quantities(text)[0], kind)])
    assert values[signal] == pytest.approx(value)
    assert quotes[signal] in text


RATE_WORDS = {
    "en": (
        "editors reject {part} in {whole} out of {total}",
        "a third of our {total} letters come out wrong",
    ),
    "de": ("{part} von {whole} sind falsch, geprüft bei {total}", "ein Drittel von {total} ist falsch"),
    "fr": ("{part} sur {whole} sont rejetées, sur {total}", "un tiers des {total} réponses est faux"),
    "es": ("fallan {part} de cada {whole} en {total}", "un tercio de {total} falla"),
    "it": ("{part} su {whole} sono sbagliate, su {total}", "un terzo di {total} viene scartato"),
    "nl": ("{part} op de {whole} is fout, van {total}", "een derde van {total} wordt afgekeurd"),
    "pt": ("{part} em cada {whole} sai errado em {total}", "um terço de {total} foi rejeitado"),
    "ru": ("{part} из {whole} ошибочны на {total}", "треть из {total} отклонена"),
}


@given(part=st.integers(1, 9), whole=st.sampled_from([10, 20, 100]), total=st.integers(101, 5000))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("language", sorted(RATE_WORDS))
def test_a_rate_with_its_total_counts_the_total(language: str, part: int, whole: int, total: int) -> None:
    """ "4 in 10 out of 380" is 40% of 380 things, whatever the figures: never 10 of 380."""
    rate, third = RATE_WORDS[language]
    for text, share in (
        (rate.format(part=part, whole=whole, total=total), part / whole),
        (third.format(total=total), 1 / 3),
    ):
        quantities = find_quantities(text)
        first = next(one for one in quantities if one.is_share)
        assert (first.value, first.whole) == (pytest.approx(share), total)
        kinds = plain_kinds(text, quantities)
        counts = [
            CountedQuantity(one, kind)
            for one, kind in zip(quantities, kinds, strict=True)
            if kind and one.is_share
        ]
        values, _ = number_signals(text, counts)
        assert values == {"score": pytest.approx(100 * (1 - share), abs=0.06), "eval_n": total}


@given(number=st.integers(2, 999))
@settings(max_examples=60, deadline=None)
def test_a_rate_alone_counts_no_items(number: int) -> None:
    """ "one in N" is a share of 1/N; only a denominator that nobody rounds to says how many were looked at."""
    text = f"one in {number} replies is wrong"
    share = next(one for one in find_quantities(text) if one.is_share)
    assert share.value == pytest.approx(1 / number)
    assert share.whole in (None, number)
    assert share.whole is None or number > 12


@given(
    number=st.integers(1, 9_999_999),
    style=st.sampled_from(["plain", "comma", "dot", "space", "thin", "quote", "wide"]),
)
@settings(max_examples=150, deadline=None)
def test_digits_are_read_in_every_written_form(number: int, style: str) -> None:
    """Separators of four kinds, none, and full-width digits give the same value."""
    marks = {"comma": ",", "dot": ".", "space": " ", "thin": "\u202f", "quote": "’"}
    digits = f"{number:,}".replace(",", marks[style]) if style in marks else str(number)
    if style == "wide":
        digits = digits.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    assert [one.value for one in find_quantities(f"we have {digits} labelled mails")] == [number]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zweiundvierzig Kategorien", 42), ("dreihundert Mails", 300), ("quatre-vingt-dix motifs", 90),
        ("ventidue classi", 22), ("achtenveertig soorten", 48), ("двадцать пять тысяч писем", 25_000),
        ("seiscientos correos", 600), ("cento e cinquenta casos", 150), ("三十五类", 35), ("两千三百万条", 23_000_000),
        ("two thousand five hundred pairs", 2500), ("fifteen thousand rated outputs", 15_000),
        ("2 lakh tickets", 200_000), ("250 mil millones de tokens", 250e9), ("un millón y medio", 1_500_000),
    ],
)  # fmt: skip
def test_number_words_are_worth_what_they_say(text: str, value: float) -> None:
    """Joined words, twenties, two scales and Chinese digits."""
    assert [one.value for one in find_quantities(text)] == [pytest.approx(value)]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Seven grades of essays, 150 annotated for each by linguists", {"classes": 7, "per_class": 150}),
        ("twelve wards; about 90 old letters per ward with the right one", {"classes": 12, "per_class": 90}),
        ("20 motivos, unas 180 quejas etiquetadas de cada motivo", {"classes": 20, "per_class": 180}),
        ("16 Abteilungen, pro Abteilung liegen 250 Schreiben vor", {"classes": 16, "per_class": 250}),
        ("cinque codici colore, 700 schede per codice", {"classes": 5, "per_class": 700}),
        ("意図を6種類に分けます。各500件のラベルがあり", {"classes": 6, "per_class": 500}),
        ("分通过、复审、删除三类,每类有三万条标注", {"classes": 3, "per_class": 30_000}),
        ("68% on five hundred", {"eval_n": 500}),
        ("两百万token的文档", {"kb_tokens": 2_000_000}),
        ("nos sale a 16.000 dólares al mes", {"cost_month": 16_000}),
        ("120 franchisees, each with own prices", {}),
        ("10 to 40 posts each month", {}),
    ],
)
def test_plain_words_tell_what_a_number_counts(text: str, counts: dict[str, float]) -> None:
    """Labels and examples a label above all, which choose between a tune and a small model."""
    quantities = find_quantities(text)
    kinds = plain_kinds(text, quantities)
    assert {kind: one.value for one, kind in zip(quantities, kinds, strict=True) if kind} == counts


@pytest.mark.parametrize(
    ("text", "share"),
    [("right 97 times out of 100", 0.97), ("16 mal von 20 falsch", 0.8), ("3 cases in 40 went wrong", 0.075)],
)
def test_what_is_counted_in_times_is_a_share(text: str, share: float) -> None:
    """A word for times stands between the part and the whole."""
    assert find_quantities(text)[0].value == pytest.approx(share)


def test_the_numbers_inside_a_share_count_nothing_by_themselves() -> None:
    """ "em cada 9" is no count per label, and English files are no queues."""
    for text in (
        "2 em cada 9 golpes passam",
        "nine in ten is what the regulator expects",
        "300 files proven",
    ):
        assert plain_kinds(text, find_quantities(text)) in ([None], [None, None, None])
