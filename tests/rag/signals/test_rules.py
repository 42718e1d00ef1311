"""The embedded reader: numbers with what they count, quotes, languages, and its score on questions held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.advice.explanation import cost_line
from rag.advice.moves import MoveReader
from rag.evaluation.advice import Row, Turn, by_signal, evaluate, read_rows
from rag.evaluation.messages import read_messages
from rag.reply import Verdict
from rag.search.embedding import MiniLM, load_embedder
from rag.signals.lexicon import load_glossary, words_around
from rag.signals.numbers import read_counts
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import Signals

HELD_OUT = Path(__file__).parents[1] / "evaluation"


@pytest.fixture(scope="module")
def embed(embed_cache: Path) -> MiniLM:
    return load_embedder(embed_cache)


@pytest.fixture(scope="module")
def read(embed: MiniLM) -> EmbeddedReader:
    return EmbeddedReader(embed)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("6.5k hand-checked pairs", "examples", 6500),
        ("3.500 geprüfte Paare", "examples", 3500),
        ("12 000 tickets étiquetés", "examples", 12000),
        ("33k mails with the right desk in the archive, label known", "examples_raw", 33000),
        ("9k labelled by nurses", "examples", 9000),
        ("80k tickets already routed", "examples", 80000),
        ("six examples apiece", "per_class", 6),
        ("310 labelled per issue", "per_class", 310),
        ("77 intents", "classes", 77),
        ("on our 600-item eval", "eval_n", 600),
        ("stuck at 81%", "score", 81),
        ("reviewers flag 17% of 700 segments", "score", 83),
        ("macro f1 .73 on 900", "score", 73),
        ("we need 93%", "target", 93),
        ("we tried prompts for months and they reach 60%", "score", 60),
        ("it reaches 60%, we need 85%", "target", 85),
        ("our classifier reached 83%", "score", 83),
        ("once it reaches 90% we ship", "target", 90),
        ("they have to reach 90%", "target", 90),
        ("der Prompt erreicht 70%", "score", 70),
        ("3M calls a month", "volume_month", 3_000_000),
        ("2k msgs a day", "volume_month", 60_000),
        ("we pay 6k/mo", "monthly_cost", 6000),
        ("need <50ms p95", "latency_ms", 50),
        ("400B cleaned tokens", "pretrain_tokens", 400_000_000_000),
        ("350 Mrd Tokens", "pretrain_tokens", 350_000_000_000),
        ("250 mil millones de tokens", "pretrain_tokens", 250_000_000_000),
        ("2k H100s", "gpus", 2000),
        ("60 pages", "kb_tokens", 39_000),
        ("editors reject 4 in 10 out of 380", "score", 60),
        ("editors reject 4 in 10 out of 380", "eval_n", 380),
        ("half of 400 replies get rewritten", "score", 50),
        ("labels our adverts into 60 professions", "classes", 60),
        ("our 31 ticket types each have >400 labelled ones", "per_class", 400),
        ("few-shot = 79% (n=1,500), we want 88+", "eval_n", 1500),
        ("few-shot = 79% (n=1,500), we want 88+", "target", 88),
    ],
)
def test_a_number_is_read_with_what_it_counts(text: str, kind: str, value: float) -> None:
    """Thousands, decimals, rates and units of four languages."""
    assert (kind, value) in [(count.kind, pytest.approx(count.value)) for count in read_counts(text)]


@pytest.mark.parametrize(
    "text",
    [
        "40 agents on zendesk",
        "version 3.5 of the app",
        "42 fields",
        "put the recap into 5 lines",
        "two of three teams sit in Lyon",
        "a style prompt with 20 samples",
        "the menu of 60 restaurants changes daily",
    ],
)
def test_a_number_that_says_nothing_here_is_left_out(text: str) -> None:
    """People, versions, fields and things that change are no signals."""
    assert not {count.kind for count in read_counts(text)} & {"examples", "volume_month", "classes", "score"}


def test_train_and_validation_accuracy_are_no_evaluation() -> None:
    """ "train acc 99 val 71" holds no number of items."""
    assert "eval_n" not in {count.kind for count in read_counts("10 epochs, train acc 99 val 71")}


@pytest.mark.parametrize(
    ("question", "name", "value"),
    [
        ("we want to summarise calls, never tried an llm", "task", "summarise"),
        ("answers are right but far too stiff, 20 mails we like", "gaps", ("style",)),
        ("each answer must name the clause it rests on, train on the contracts?", "citations", True),
        ("haven't tried smaller models, tagging costs 4k a month", "cheaper_tier_tried", False),
        ("unser Bot erfindet Preise, sollen wir ihn trainieren?", "gaps", ("knowledge",)),
        ("le ton ne va pas, les réponses sont justes, on entraîne ?", "gaps", ("style",)),
        ("Wir haben 8.000 beschriftete Tickets in 10 Kategorien, lohnt sich Training?", "examples", 8000),
        ("We may not send customer mails to OpenAI. Draft replies?", "offline", True),
        ("we're not allowed to share tickets with any third party, sort them into 9 teams", "offline", True),
    ],
)
def test_a_signal_is_read_and_quoted(read: EmbeddedReader, question: str, name: str, value: object) -> None:
    """The value is found, and where words show it they stand verbatim in the question."""
    signals = read(question)
    assert getattr(signals, name) == value
    assert all(quote in question for quote in signals.quotes.values())


def test_a_price_per_month_does_not_make_facts_change(read: EmbeddedReader) -> None:
    """ "monthly" beside an amount is about money."""
    assert read("email drafting costs $19k monthly, train our own?").volatility is None


@pytest.mark.integration
@pytest.mark.parametrize(
    ("file", "least"),
    [
        ("held_out.jsonl", 0.90),
        ("held_out_second.jsonl", 0.87),
        ("held_out_third.jsonl", 0.95),
        ("held_out_fourth.jsonl", 0.93),
        ("held_out_fifth.jsonl", 0.93),
        ("held_out_sixth.jsonl", 0.92),
    ],
)
def test_questions_held_out_of_the_training(
    embed: MiniLM, read: EmbeddedReader, file: str, least: float
) -> None:
    """Verdicts on own questions that no head was trained on stay as right as they were measured to be."""
    path = HELD_OUT / file
    sentences = {" ".join(sentence.text.lower().split()) for sentence in read_messages()}
    rows = read_rows(path)
    assert not sentences & {" ".join(row.turns[-1].text.lower().split()) for row in rows}
    result = evaluate(rows, read, MoveReader(embed))
    assert result.right / len(result.outcomes) >= least


def test_signals_of_a_row_are_scored_apart_from_its_verdict() -> None:
    """Right, wrong and uncalled-for readings are counted by signal; numbers within 10% are right."""
    labels = {"examples": 1000, "eval_n": 300, "pii": "unknown"}
    rows = [Row("1", (Turn("q", ("prompt",)),), labels=labels)]
    scores = by_signal(evaluate(rows, lambda text: Signals.model_validate({"examples": 1050, "pii": True})))
    assert scores["examples"] == (1, 1, 0)
    assert scores["eval_n"] == (0, 1, 0)
    assert scores["pii"] == (0, 0, 1)


def test_english_is_left_as_it_is_and_french_gets_its_key_words() -> None:
    """The glossary only touches text of its languages."""
    gloss = load_glossary()
    assert gloss("should we train the bot on our docs") == "should we train the bot on our docs"
    assert "train" in gloss("faut-il entraîner notre modèle sur les contrats ?")


def test_a_quote_ends_where_its_clause_ends() -> None:
    """It holds the words that were read and stays under about seventy characters."""
    text = "we sell shoes, 6.5k hand-checked pairs (since March), and so on"
    assert words_around(text, 15, 19) == "6.5k hand-checked pairs"
    long = "word " * 60
    assert len(words_around(long, 100, 104)) <= 80


def test_the_cost_line_is_worked_out_and_dated() -> None:
    """Three thousand calls, two thousand examples: dollars from the table, planning figures named."""
    prices = {
        "as_of": "2026-11-24",
        "api_per_million": {"luna": {"in": 0.1, "out": 0.5}},
        "hosted_lora_per_million_tokens": {"8b": {"usd": 0.4, "usd_high": 0.6}},
        "gpu_hour": {"l4-gcp": {"usd": 0.71}},
    }
    calls = cost_line(Verdict.RAG, Signals.model_validate({"volume_month": 1_000_000}), prices)
    tune = cost_line(Verdict.FINE_TUNE, Signals.model_validate({"examples": 2000}), prices)
    assert "$250 a month for 1,000,000 calls" in calls
    assert "$1.20 to $1.80 for 2,000 examples" in tune
    assert "$518 a month" in tune
    assert calls.endswith("Prices as of 2026-11-24.")
    line = cost_line(
        Verdict.PROMPT, Signals.model_validate({"volume_month": 1_000_000, "offline": True}), prices
    )
    assert "luna" not in line
    assert "your own always-on GPU is $518 a month (l4-gcp)" in line
    assert cost_line(Verdict.OFF_TOPIC, Signals.model_validate({}), prices) == ""
