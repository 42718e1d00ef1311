"""`trainwise datasets repair`: decides on labels to merge, doubtful labels and test rows, one by one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console import console, settings
from bot.errors import BotError

if TYPE_CHECKING:
    from finetune.data.card import Card
    from finetune.data.dataset_repair import DatasetRepair, Decider
    from finetune.data.questions import Question
    from finetune.data.repair import Decision
    from finetune.data.store import DatasetStore

CHOICE_TEXTS = {
    "other": "merge the other way",
    "apart": "keep apart",
    "stay": "keep them",
    "drop": "drop all of them",
}
LISTED = 20


def repair(
    name: Annotated[str, typer.Argument(help="The dataset's name.")],
    answer: Annotated[
        list[str] | None,
        typer.Option(help="ID=CHOICE, as the list without a terminal names them; repeatable."),
    ] = None,
    undo: Annotated[int | None, typer.Option(help="Take back the decision of this number.")] = None,
) -> None:
    """Merge labels, settle labels in doubt, drop rows that look like tests: each decision makes a version."""
    from bot.factories import open_datasets, terminal_user
    from finetune.data.dataset_repair import Decider

    store = open_datasets(settings())
    who, card = Decider(terminal_user(), terminal_user()), store.get(name)
    if undo is not None:
        _print(f"Decision {undo} is taken back: {_version(store.repairs.undo(card.name, undo, who))}.")
    for one in answer or []:
        card = _answer(store, card, one, who)
    if undo is None and not answer:
        _ask_all(store, card, who) if sys.stdin.isatty() else _list(store.repairs, card)


def _answer(store: DatasetStore, card: Card, words: str, who: Decider) -> Card:
    """Applies one `ID=CHOICE`; returns the new card."""
    id, _, choice = words.partition("=")
    questions = {question.id: question for question in store.repairs.inspect(card).questions}
    if id not in questions:
        raise BotError(f"There is no open question {id}. `trainwise datasets repair {card.name}` lists them.")
    card = store.repairs.decide(card.name, questions[id].draft(choice), who)
    _print(f"{id}: {_version(card)}.")
    return card


def _ask_all(store: DatasetStore, card: Card, who: Decider) -> None:
    """Asks every question in turn, until the end or `q`; stores each answer at once."""
    from finetune.data.questions import CHOICES

    skips: set[str] = set()
    while question := next((q for q in store.repairs.inspect(card).questions if q.id not in skips), None):
        _show(question)
        offers = {choice[0]: choice for choice in CHOICES[question.kind]}
        menu = ", ".join(f"[{key}] {CHOICE_TEXTS.get(choice, choice)}" for key, choice in offers.items())
        key = ""
        while key not in (*offers, "n", "q"):
            key = typer.prompt(f"{menu}, [n]ext, [q]uit").strip().lower()[:1]
        if key == "q":
            break
        skips.add(question.id)
        if key in offers:
            card = store.repairs.decide(card.name, question.draft(offers[key]), who)
            _print(_version(card))
    else:
        _print("Nothing more to decide." if not skips else "That was all.")
    _show_decisions(store.repairs.inspect(card).decisions)


def _list(repair: DatasetRepair, card: Card) -> None:
    """Prints the open questions and the decisions, with the commands for them."""
    from finetune.data.questions import CHOICES

    inspection = repair.inspect(card)
    for note in inspection.notes:
        _print(note)
    if not inspection.is_checked and card.kind == "triage":
        _print(f"`trainwise datasets check {card.name}` looks for labels in doubt.")
    for question in inspection.questions[:LISTED]:
        _show(question)
        for choice in CHOICES[question.kind]:
            _print(f"    trainwise datasets repair {card.name} --answer {question.id}={choice}")
    if (more := len(inspection.questions) - LISTED) > 0:
        _print(f"and {more:,} more questions after these.")
    if not inspection.questions:
        _print("Nothing to decide.")
    _show_decisions(inspection.decisions)


def _show(question: Question) -> None:
    """Prints a question."""
    first, second = (*question.labels, "", "")[:2]
    counts = question.counts
    head = {
        "merge": f"Are “{first}” ({counts[0]:,}) and “{second}” ({counts[-1]:,}) one label? {question.why}",
        "drop": "1 row looks like a test. Drop it?"
        if counts[0] == 1
        else f"{counts[0]:,} rows look like tests. Drop them?",
        "label": f"“{first}”, or rather “{second}”? {question.why}",
    }[question.kind]
    _print(f"\n{head}")
    for text, marks in question.texts:
        mark = marks[0] if question.kind == "merge" else f"{len(marks):,} times" if len(marks) > 1 else ""
        _print(f"  {f'{mark}: ' if mark else ''}{text}")


def _show_decisions(decisions: tuple[Decision, ...]) -> None:
    from finetune.data.repair import decision_line

    for one in decisions[-LISTED:]:
        end = f", taken back by {one.undone_by} on {one.undone_at[:10]}" if one.undone_by else ""
        _print(f"{one.number}. {decision_line(one)}, by {one.by_name} on {one.at[:10]}{end}")
    if any(one.is_open for one in decisions):
        _print("`--undo NUMBER` takes one back.")


def _version(card: Card) -> str:
    return f"{card.name} is at version {card.version} ({card.digest[:12]}), {card.rows:,} rows"


def _print(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
