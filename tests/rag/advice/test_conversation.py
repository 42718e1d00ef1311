"""A thread with the adviser: follow-ups, questions about the verdict, three questions at most, fresh starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.advice.conversation import MAX_QUESTIONS, Thread, decide_turn, update_thread
from rag.advice.decision_table import load_table
from rag.advice.moves import MoveReader
from rag.adviser import Adviser
from rag.index import Index
from rag.reply import Reply, Verdict
from rag.search.embedding import load_embedder
from rag.signals.schema import Signals

pytestmark = pytest.mark.integration

PRICES = {
    "as_of": "2026-11",
    "api_per_million": {"luna": {"in": 0.1, "out": 0.5}},
    "gpu_hour": {"l4": {"usd": 0.8}},
    "cpu_hour": {"usd": 0.05},
}
TUNE = (
    "our discharge letters must follow a template, the prompt passes 66% of 400 checks, we have 3,000 approved "
    "letters and the template is fixed. fine-tune?"
)


@pytest.fixture(scope="module")
def adviser(tmp_path_factory: pytest.TempPathFactory, embed_cache: Path) -> Iterator[Adviser]:
    folder: Path = tmp_path_factory.mktemp("talk")
    with Index.open(folder / "index", load_embedder(embed_cache)) as index:
        index.ensure_guide()
        yield Adviser(index, index.embed, PRICES)


def talk(adviser: Adviser, *messages: str) -> list[Reply]:
    """The replies to a thread's messages, the state through JSON each time."""
    replies: list[Reply] = []
    for text in messages:
        state = json.loads(json.dumps(replies[-1].state)) if replies else None
        replies.append(adviser.ask(text, state=state))
    return replies


def test_a_follow_up_changes_only_what_it_names(adviser: Adviser) -> None:
    """New approved replies and a failed test turn "prompt" into "fine-tune"; the tone stays known."""
    first, second = talk(
        adviser,
        "its the tone, drafts sound cold, we have about 30 mails we like",
        "ok did that. reviewers still reject 35% of 300 drafts, 2,400 approved replies now",
    )
    assert first.verdict is Verdict.PROMPT
    assert second.verdict is Verdict.FINE_TUNE
    assert second.state["signals"]["examples"] == 2400
    assert "style" in second.state["signals"]["gaps"]


def test_three_questions_one_at_a_time_then_it_commits(adviser: Adviser) -> None:
    """Each reply asks one new question with options and names its lean; after three it commits, with care."""
    replies = talk(
        adviser, "should we fine-tune?", "hm not sure", "no idea really", "cannot say", "still no idea"
    )
    questions = [reply.follow_up for reply in replies]
    assert all(question is not None and 2 <= len(question.options) <= 5 for question in questions[:3])
    assert len({question.text for question in questions[:3] if question}) == MAX_QUESTIONS
    assert all(reply.lean is Verdict.PROMPT for reply in replies[:3])
    assert all("my lean is to" in reply.headline for reply in replies[:3])
    assert questions[3] is None
    assert replies[3].verdict is Verdict.PROMPT
    assert "commit" in replies[3].headline
    assert "unknown" in replies[3].headline
    assert replies[3].confidence <= 0.4


@pytest.mark.parametrize(
    ("answer", "name", "value"),
    [
        ("The tone is wrong", "gaps", ["style"]),
        ("facts are missing or out of date", "gaps", ["knowledge"]),
        ("Nothing exists yet", "baseline", "not_tried"),
    ],
)
def test_a_pressed_option_is_read_as_what_it_says(
    adviser: Adviser, answer: str, name: str, value: object
) -> None:
    """The text of a button sets the signal of the table, whatever the reader would make of it."""
    reply = talk(adviser, "our bot sucks. train it?", answer)[-1]
    assert reply.state["signals"][name] == value


def test_a_bare_number_answers_the_question_that_waits() -> None:
    """ "about 800" counts examples after that was asked, and "72%" is a score after that was asked."""
    table, blank = load_table(), Signals.model_validate({"topic": "decision"})

    def never(text: str) -> Signals:
        raise AssertionError(f"{text!r} needs no reading")

    examples = update_thread(Thread(blank, ("examples",), "examples"), "about 800", never, table).signals
    score = update_thread(Thread(blank, ("score",), "score"), "72%", never, table).signals
    nothing = update_thread(Thread(blank, ("examples",), "examples"), "None.", never, table).signals
    assert examples is not None
    assert examples.examples == 800
    assert score is not None
    assert (score.score, score.baseline) == (72.0, "tried_fail")
    assert nothing is not None
    assert nothing.examples == 0


def test_questions_about_the_verdict_are_answered_from_the_thread(adviser: Adviser) -> None:
    """Why, what would change it, cost, next step, sources and thanks keep the verdict and the signals."""
    first = adviser.ask(TUNE)
    assert first.verdict is Verdict.FINE_TUNE
    answers = {
        move: adviser.ask(text, state=first.state)
        for move, text in {
            "why": "why?",
            "change": "what would change that?",
            "cost": "and the cost?",
            "next": "what next?",
            "sources": "sources?",
            "thanks": "thanks a lot!",
        }.items()
    }
    for reply in answers.values():
        assert reply.verdict is Verdict.FINE_TUNE
        assert reply.state == first.state
    assert "3,000" in answers["why"].headline
    assert answers["why"].citations
    assert answers["change"].would_change
    assert answers["change"].headline.startswith(answers["change"].would_change[0])
    assert "2026-11" in answers["cost"].headline
    assert answers["cost"].citations
    assert answers["next"].headline == first.next_step
    assert "passes" in first.next_step
    assert answers["sources"].citations
    assert "welcome" in answers["thanks"].headline


def test_a_new_subject_begins_afresh(adviser: Adviser) -> None:
    """Another task in the same thread takes nothing over from the first."""
    replies = talk(
        adviser,
        TUNE,
        "new question: our help pages change every week and the chatbot tells people old prices, train it on them?",
    )
    assert replies[1].verdict is Verdict.RAG
    assert "examples" not in replies[1].state["signals"]


def test_a_correction_takes_back_what_was_understood(adviser: Adviser) -> None:
    """Facts that turn out right are no gap any more; a foundation model is a subject of its own."""
    first = "our help center changes every week, should we fine-tune on the articles?"
    replies = talk(adviser, first, "it is the tone that is wrong, the facts are right")
    assert replies[1].state["signals"]["gaps"] == ["style"]
    assert (
        talk(adviser, first, "And should we pre-train our own foundation model?")[1].verdict is Verdict.PROMPT
    )


def test_a_factual_question_in_between_leaves_the_thread_as_it_was(adviser: Adviser) -> None:
    """A question to the documents is answered from them; the next follow-up builds on the old signals."""
    replies = talk(adviser, TUNE, "what is a sensible learning rate for LoRA?", "why?")
    assert replies[1].verdict is Verdict.GUIDE_ANSWER
    assert replies[2].verdict is Verdict.FINE_TUNE


def test_chatter_in_a_thread_is_off_topic_and_forgets_nothing(adviser: Adviser) -> None:
    """A remark to a colleague changes no signal."""
    replies = talk(adviser, TUNE, "who is bringing cake tomorrow?")
    assert replies[1].verdict is Verdict.OFF_TOPIC
    assert replies[1].state["signals"]["examples"] == 3000


@pytest.mark.parametrize(
    "state",
    [
        {"version": 1, "signals": {"examples": 5}},
        {"version": 99, "signals": {"examples": 5}},
        {"version": 2, "signals": {"examples": "many", "made_up": 1}},
        {"version": 2, "signals": [1, 2]},
        {},
    ],
)
def test_a_state_that_is_not_ours_is_ignored(state: dict[str, object]) -> None:
    """Another version's state, or a broken one, is a new thread, not an error."""
    assert Thread.from_json(state) == Thread()


def test_the_state_stays_small(adviser: Adviser) -> None:
    """After a dozen long messages the state still fits a few KB."""
    text = TUNE + " " + "We also have 14 queues, 90 languages and a budget of 5,000 dollars. " * 20
    replies = talk(adviser, *[text] * 3, "why?", "it is the tone", text)
    assert len(json.dumps(replies[-1].state)) < 4096


def test_personal_data_without_a_basis_is_never_committed_to() -> None:
    """However often it has asked, it does not lean its way into training on data that nobody cleared."""
    table = load_table()
    values = {"topic": "decision", "task": "reply", "gaps": ("style",), "examples": 4000, "baseline": "tried_fail",
             "eval_n": 400, "pii": True, "consent": False}  # fmt: skip
    turn = decide_turn(Thread(Signals.model_validate(values), ("a", "b", "c")), table)
    assert turn.advice.verdict is Verdict.NEED_MORE_INFO
    assert not turn.is_early


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("Why exactly?", "why"),
        ("could you explain why", "why"),
        ("pourquoi donc ?", "why"),
        ("What might change your verdict?", "change"),
        ("how much will this cost us?", "cost"),
        ("Was würde das kosten?", "cost"),
        ("ok, and what should we do next", "next"),
        ("where did you get that from?", "sources"),
        ("thank you!", "thanks"),
        ("our prices change every week", None),
        ("why do models overfit", None),
        ("should we use RAG then?", None),
        ("should we train a model?", None),
        ("we have 400 examples now", None),
        ("nothing tried so far", None),
        ("how much does it cost to rent an H100 for a month", None),
    ],
)
def test_what_a_short_message_asks_about_the_verdict(adviser: Adviser, text: str, move: str | None) -> None:
    """Paraphrases are understood; facts, answers and other questions are no such thing."""
    moves: MoveReader = adviser._moves
    assert moves(text) == move


@pytest.mark.parametrize(
    "text", ["I had noodles for lunch today.", "we have 400 examples now", "and the GPU?"]
)
def test_a_message_is_read_once(text: str) -> None:
    """Each reading may cost a request to a language model, and the last one gives the confidence."""
    readings: list[str] = []

    def read(message: str) -> Signals:
        readings.append(message)
        return Signals.model_validate({"topic": "decision", "examples": 400})

    thread = Thread(Signals.model_validate({"topic": "decision", "task": "reply"}))
    update_thread(thread, text, read, load_table(), read)
    assert readings == [text]
