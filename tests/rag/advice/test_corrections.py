"""The reading in the person's hands: menus, corrections, what was confirmed kept apart from what was guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.advice.conversation import Thread, correct, update_thread
from rag.advice.decision_table import load_table
from rag.advice.menus import choice_of, menus_of, parse_correction, typed_correction
from rag.advice.phrases import load_phrases_of
from rag.adviser import Adviser
from rag.errors import RagError
from rag.index import Index
from rag.reply import Reply, Verdict
from rag.search.embedding import load_embedder
from rag.signals.schema import Signals

PRICES = {"as_of": "2026-11", "api_per_million": {"luna": {"in": 0.1, "out": 0.5}}, "cpu_hour": {"usd": 0.05}}
TABLE = load_table()
ENGLISH = load_phrases_of("en")
SMALL = "our prompt gets 71% of 400 mails right on 8 queues, 3,000 are labelled, labels never change. train?"
LABELS = "our support mails: 3,000 of them are labelled with 8 queues, should we train?"


@pytest.fixture(scope="module")
def adviser(tmp_path_factory: pytest.TempPathFactory, embed_cache: Path) -> Iterator[Adviser]:
    folder: Path = tmp_path_factory.mktemp("corrections")
    with Index.open(folder / "index", load_embedder(embed_cache)) as index:
        index.ensure_guide()
        yield Adviser(index, index.embed, PRICES)


def signals(**values: object) -> Signals:
    return Signals.model_validate({"topic": "decision", **values})


def thread_of(names: tuple[str, ...] = (), **values: object) -> Thread:
    """A thread that knows these signals, those named in `names` by the person's words."""
    return Thread(signals(quotes=dict.fromkeys(names, "their words"), **values))


def message(names: tuple[str, ...] = (), **values: object) -> Signals:
    return signals(quotes=dict.fromkeys(names, "their words"), **values)


def menu_values(reply: Reply) -> dict[str, str]:
    return {menu.name: menu.selected for menu in reply.menus}


def test_a_tap_changes_the_verdict_and_says_what_changed(adviser: Adviser) -> None:
    """A wrong task is set right in one step; the state keeps it as confirmed."""
    first = adviser.ask(LABELS)
    assert menu_values(first)["task"] == "classify"
    assert menu_values(first)["examples"] == "3000"
    second = adviser.correct(["task=qa"], question=LABELS, state=json.loads(json.dumps(first.state)))
    assert menu_values(second)["task"] == "qa"
    assert second.verdict is not first.verdict
    assert "answer questions from documents" in second.changes[0]
    assert "sort, label or score" in second.changes[0]
    assert "task" in second.state["confirmed"]
    assert next(menu for menu in second.menus if menu.name == "task").certainty == "confirmed"


def test_a_correction_before_any_answer_reads_the_question_first(adviser: Adviser) -> None:
    """`trainwise ask QUESTION --set task=reply` keeps what else the question says."""
    reply = adviser.correct(["task=reply", "gaps=style"], question=LABELS)
    assert menu_values(reply) | {"task": "reply", "gaps": "style"} == menu_values(reply)
    assert reply.state["signals"]["examples"] == 3000


def test_a_typed_line_is_a_correction(adviser: Adviser) -> None:
    """ "task: reply" in a thread does what the menu does; a sentence with a colon does not."""
    first = adviser.ask(LABELS)
    assert menu_values(adviser.ask("task: reply", state=first.state))["task"] == "reply"
    assert typed_correction("note: we have 300 tickets") is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("colour=red", ("task", "gaps", "baseline", "examples", "binds")),
        ("task=dance", ("dance", "classify", "reply")),
        ("examples=many", ("many", "a number")),
        ("gaps=style+joy", ("joy", "knowledge")),
        ("task", ("classify",)),
        ("", ("task",)),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(text: str, parts: tuple[str, ...]) -> None:
    """Bad names and values get the list of what there is."""
    with pytest.raises(RagError) as error:
        parse_correction(text)
    assert all(part in str(error.value) for part in parts)


@pytest.mark.parametrize(
    ("text", "count"), [("3200", 3200), ("3,200", 3200), ("20.000", 20000), ("1.5k", 1500), ("0", 0)]
)
def test_a_count_is_set_in_the_ways_people_write_it(text: str, count: int) -> None:
    """Digits with separators, or thousands."""
    assert parse_correction(f"examples={text}").sets["examples"] == count


def test_a_guess_never_replaces_what_was_confirmed_or_said() -> None:
    """A later message without words of its own for the task leaves it; words of its own replace it."""
    first = correct(thread_of(task="classify"), [parse_correction("task=extract")])
    guess = update_thread(first, "400 a day", lambda text: message(task="reply"), TABLE)
    assert guess.signals is not None
    assert (guess.signals.task, "task" in guess.confirmations) == ("extract", True)
    guess = update_thread(
        thread_of(("task",), task="classify"), "400 a day", lambda text: message(task="reply"), TABLE
    )
    assert guess.signals is not None
    assert guess.signals.task == "classify"
    second = update_thread(
        first, "no, it drafts replies", lambda text: message(("task",), task="reply"), TABLE
    )
    assert second.signals is not None
    assert (second.signals.task, "task" in second.confirmations) == ("reply", False)


def test_a_correction_in_words_replaces_the_gap_and_an_addition_joins_it() -> None:
    """ "no, it is the format" takes the tone away; "also the format" keeps it."""
    before = thread_of(("gaps",), task="reply", gaps=("style",))
    format_too = message(("gaps",), gaps=("format",))
    swap = update_thread(before, "no, it's the format", lambda text: format_too, TABLE).signals
    union = update_thread(before, "the format breaks, too", lambda text: format_too, TABLE).signals
    assert swap is not None
    assert union is not None
    assert swap.gaps == ("format",)
    assert set(union.gaps) == {"format", "style"}


def test_another_baseline_takes_the_old_score_with_it() -> None:
    """A score belongs to the prompt it was measured with."""
    before = thread_of(("baseline", "score"), task="classify", baseline="tried_fail", score=61.0, eval_n=200)
    after = update_thread(
        before, "the new prompt works fine", lambda text: message(("baseline",), baseline="tried_ok"), TABLE
    )
    assert after.signals is not None
    assert (after.signals.baseline, after.signals.score, after.signals.eval_n) == ("tried_ok", None, None)


@pytest.mark.parametrize(
    ("text", "consent"),
    [("legal has signed off now", True), ("we have consent now", True), ("legal has not agreed", False)],
)
def test_a_permission_that_came_is_a_permission(text: str, consent: bool) -> None:
    """The block on personal data goes with it, and stays where it did not come."""
    before = thread_of(("pii", "consent"), task="reply", pii=True, consent=False)
    after = update_thread(before, text, lambda _: message(), TABLE).signals
    assert after is not None
    assert after.consent is consent


def test_what_adds_up_keeps_what_was_said_and_drops_what_was_guessed() -> None:
    """Binding conditions: a tap on "sources" keeps a said "own machines", not a guessed one."""
    firm = correct(thread_of(("offline",), offline=True), [parse_correction("binds=citations")]).signals
    guess = correct(thread_of(offline=True), [parse_correction("binds=citations")]).signals
    blank = correct(thread_of(("offline",), offline=True), [parse_correction("binds=none")]).signals
    assert firm is not None
    assert guess is not None
    assert blank is not None
    assert (firm.offline, firm.citations) == (True, True)
    assert (guess.offline, guess.citations) == (None, True)
    assert blank.offline is None


def test_menus_show_guesses_as_guesses() -> None:
    """Said, guessed and unknown are told apart; several gaps are one joined choice."""
    values = message(("task",), task="reply", gaps=("knowledge", "style"), examples=900)
    menus = {m.name: m for m in menus_of(values, frozenset({"task"}), frozenset(), ENGLISH)}
    assert {name: menu.certainty for name, menu in menus.items()} == {
        "task": "said", "gaps": "guessed", "baseline": "unknown", "examples": "guessed", "binds": "unknown",
    }  # fmt: skip
    assert menus["gaps"].selected == "knowledge+style"
    assert menus["examples"].label == "900 approved or labelled"
    assert len(menus) == 5


def test_two_readings_become_one_question_with_both_as_answers() -> None:
    """Each answer is a correction that the menus take; what no menu can settle is not asked."""
    choice = choice_of("task", ("reply", "classify"), ENGLISH)
    assert choice is not None
    assert [option.value for option in choice.options] == ["task=reply", "task=classify"]
    assert all(parse_correction(option.value).sets for option in choice.options)
    unsaid = choice_of("baseline", (None, "tried_fail"), ENGLISH)
    assert unsaid is not None
    assert parse_correction(unsaid.options[0].value).sets == {"baseline": None}
    assert choice_of("vendor_claim", (True, None), ENGLISH) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ok, do it", "held-out items"),
        ("what would you do?", "Train a small classifier"),
        ("how much would that save us", "I cannot say before I know"),
        ("no", "What did I get wrong?"),
        ("none", "What did I get wrong?"),
    ],
)
def test_short_answers_to_a_verdict_are_understood(adviser: Adviser, text: str, part: str) -> None:
    """They neither begin a new case nor change the signals."""
    first = adviser.ask(SMALL)
    assert first.verdict is Verdict.SMALL_MODEL
    reply = adviser.ask(text, state=first.state)
    assert part in reply.headline
    assert reply.verdict is first.verdict
    assert reply.state["signals"] == first.state["signals"]
    assert reply.menus_open is (part == "What did I get wrong?")


def test_a_measurement_without_a_prompt_says_nothing_of_one(adviser: Adviser) -> None:
    """The verdict names a prompt as what is left to measure, not as what was measured."""
    report = {
        "task": "classify",
        "examples": 1424,
        "eval_n": 200,
        "score": 74.0,
        "target": 92.0,
        "measured_best": "nothing",
    }
    reply = adviser.measured(LABELS, report, "Not worth it: your target is out of reach.")
    assert reply.headline.startswith("Measured on your own tickets.")
    if reply.verdict is Verdict.PROMPT:
        assert "No prompt was scored" in reply.headline


@pytest.mark.parametrize(
    ("text", "service", "part"),
    [
        ("help", "help", "with sources"),
        ("what can you do?", "help", "with sources"),
        ("status?", "status", "runs"),
        ("how do I add our tickets", "add_tickets", "CSV"),
        ("does our data leave the company?", "privacy", "No language model of another company"),
        ("measure it", "measure", "own tickets"),
        ("Can you measure it?", "measure", "own tickets"),
        ("train it", "train", "budget"),
        ("what does it cost to run you?", "running_cost", "own machine"),
        ("wer kann unsere Dokumente sehen?", "readers", "Kanal"),
        ("谁能看到我们的文档", "readers", "频道"),
        ("hello! what can you do?", "help", "with sources"),
        ("Where is our data stored and who can see it? Is it GDPR compliant?", "privacy", "stay there"),
        ("thanks, that helped", "welcome", "welcome"),
        ("you are useless", "complaint", "sorry"),
        ("how do I delete a dataset?", "remove", "/datasets remove"),
        ("ok let's measure it", "measure", "own tickets"),
        ("Danke! Was kannst du sonst?", "help", "Quellen"),
        ("What's the weather in Berlin?", "", "*help*"),
        ("wie wird das Wetter morgen?", "", "Hilfe"),
        ("hi! should we fine-tune on our articles?", "", ""),
        ("should we delete duplicates before training?", "", ""),
        ("last month's model made everything worse", "", ""),
        ("should we measure first?", "", ""),
        ("how do we measure success", "", ""),
    ],
)
def test_questions_about_the_bot_get_a_short_answer(
    adviser: Adviser, text: str, service: str, part: str
) -> None:
    """Without a search, and with the facts of this installation."""
    reply = adviser.ask(text)
    assert (reply.service, part in reply.headline) == (service, True)


def test_the_team_s_own_rule_comes_before_any_price(tmp_path: Path, adviser: Adviser) -> None:
    """A handbook's sentence answers a question of fact or of permission, whatever the topic was read as."""
    path = tmp_path / "handbook.md"
    path.write_text(
        "# Support handbook\n\n## Refunds\n\nOur refund limit is 250 euros for each order without a manager's approval.\n\n"
        "## Data protection\n\nTickets may not be sent to OpenAI or any other provider outside the EU without approval "
        "of the data protection officer.\n"
    )
    adviser._write._index.add([path], frozenset({"channel:C9"}))
    scopes = frozenset({"workspace", "channel:C9"})
    limit = adviser.ask("What is our refund limit?", scopes=scopes)
    assert limit.verdict is Verdict.GUIDE_ANSWER
    assert any("250 euros" in claim.text for claim in limit.why)
    rule = adviser.ask("may we send tickets to OpenAI?", scopes=scopes)
    assert rule.verdict is Verdict.GUIDE_ANSWER
    assert any("data protection officer" in claim.text for claim in rule.why)
    elsewhere = adviser.ask("What is our refund limit?")
    assert not any("250 euros" in claim.text for claim in elsewhere.why)


@pytest.mark.parametrize(
    ("signal", "values", "sets"),
    [
        ("citations", (None, True), {"citations": False}),
        ("offline", (True, None), {"offline": False}),
        ("latency_ms", (50.0, None), {"latency_ms": None}),
        ("volatility", (None, "daily"), {"volatility": None}),
    ],
)
def test_a_doubt_about_a_bound_is_asked_with_yes_and_no(
    signal: str, values: tuple[Any, Any], sets: dict[str, Any]
) -> None:
    """Both buttons can be pressed: one sets the bound, the other says that it does not hold."""
    choice = choice_of(signal, values, load_phrases_of("en"))
    assert choice is not None
    corrections = {option.value: parse_correction(option.value).sets for option in choice.options}
    no = next(value for value in corrections if "=no-" in value)
    yes = next(value for value in corrections if "=no-" not in value)
    assert corrections[no] == sets
    assert corrections[yes][signal] not in (None, False)


def test_two_bounds_of_one_kind_are_no_yes_or_no() -> None:
    """Nothing is asked where both readings bind."""
    assert choice_of("volatility", ("daily", "weekly"), load_phrases_of("en")) is None
