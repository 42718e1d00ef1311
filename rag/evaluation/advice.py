"""How often the adviser is right: labelled questions and conversations in, outcomes by verdict out.

Two figures: at first sight (nothing confirmed by the person), and with one tap (the single best correction of one signal,
from the gold reading in the row). Covers verdicts and moves. Does not judge the words of an answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from rag.advice.conversation import Thread, TurnDecision, correct, decide_turn
from rag.advice.decide import advise
from rag.advice.decision_table import Table, load_table
from rag.advice.menus import Correction
from rag.advice.moves import Move, Service
from rag.advice.turns import Moves, in_language_of, thread_after, turn_of
from rag.errors import RagError
from rag.signals.reading import same_value
from rag.signals.schema import SIGNAL_NAMES, Signals

Reader = Callable[..., Signals]  # (text) or (text, in_case)


class NoMoves:
    """Takes every message for something to read."""

    def __call__(self, text: str) -> Move | None:
        """No move."""
        return None

    def service(self, text: str) -> Service | None:
        """No question about the bot."""
        return None


@dataclass(frozen=True)
class Turn:
    """One message: the verdicts that are right after it, or the kind of move that it is; neither: not scored."""

    text: str
    accept: tuple[str, ...] = ()
    answer_kind: str | None = None
    gold: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A question with what was said before it, or a whole conversation; `labels` are signals in the row's own words."""

    id: str
    turns: tuple[Turn, ...]
    family: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """One scored turn: what came out and whether it is right, at first sight and with one tap.

    `tap` names the signal whose correction makes a wrong verdict right; None where none does or none was needed.
    """

    id: str
    family: str | None
    actual: str
    accept: tuple[str, ...]
    read: Mapping[str, Any]
    labels: Mapping[str, Any]
    tap: str | None = None

    @property
    def right(self) -> bool:
        """At first sight."""
        return self.actual in self.accept

    @property
    def right_with_tap(self) -> bool:
        """At first sight, or after the single best correction."""
        return self.right or self.tap is not None


@dataclass(frozen=True)
class Evaluation:
    """The outcomes of a file."""

    outcomes: tuple[Outcome, ...]

    @property
    def right(self) -> int:
        """Turns right at first sight."""
        return sum(outcome.right for outcome in self.outcomes)

    @property
    def right_with_tap(self) -> int:
        """Turns right at first sight or with one correction."""
        return sum(outcome.right_with_tap for outcome in self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """{"n", "right", "right_with_tap", "rows": [{"id", "got"}]}."""
        rows = [{"id": outcome.id, "got": outcome.actual} for outcome in self.outcomes]
        return {
            "n": len(self.outcomes),
            "right": self.right,
            "right_with_tap": self.right_with_tap,
            "rows": rows,
        }


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSONL file: `question` with `verdict` or `accept`, or `turns`; RagError names the bad line."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(json.loads(line), str(number)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RagError(
                f"{path}, line {number}: each row needs `question` and `verdict` (or `accept`), or `turns` with `say`."
            ) from error
    return rows


def _row(raw: Mapping[str, Any], number: str) -> Row:
    family = raw.get("family") or raw.get("lang")
    if "turns" in raw:
        turns = [
            Turn(str(t["say"]), tuple(t.get("accept", ())), t.get("answer_kind"), _gold(t.get("gold") or {}))
            for t in raw["turns"]
        ]
    else:
        turns = [Turn(str(t["text"])) for t in raw.get("context") or [] if t.get("role") == "user"]
        accept = tuple(raw.get("accept") or [raw["verdict"]])
        turns.append(Turn(str(raw["question"]), accept, gold=_gold(raw.get("gold") or {})))
    return Row(str(raw.get("id", number)), tuple(turns), family, dict(raw.get("signals") or {}))


def _gold(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The gold reading as values of Signals, null for what is no longer so; ValueError for an unknown name or value."""
    labels = {name: value for name, value in raw.items() if value is not None}
    signals = Signals.model_validate(labels)
    return {name: getattr(signals, name) for name in raw if name in SIGNAL_NAMES}


def evaluate(rows: Iterable[Row], reader: Reader, moves: Moves = NoMoves(), taps: bool = False) -> Evaluation:
    """Every scored turn, after the messages before it; `taps` also tries the corrections of wrong ones.

    `moves` tells which messages only ask about the verdict so far (rag/advice/conversation.py). A correction is not
    kept: the next turn of a conversation is judged on what was read.
    """
    table = load_table()
    return Evaluation(
        tuple(outcome for row in rows for outcome in _outcomes(row, reader, moves, table, taps))
    )


def _outcomes(row: Row, reader: Reader, moves: Moves, table: Table, taps: bool) -> Iterator[Outcome]:
    decision = TurnDecision(advise(Signals.model_validate({}), table), Thread())
    gold: dict[str, Any] = {}
    for number, turn in enumerate(row.turns, 1):
        gold |= turn.gold
        thread = in_language_of(decision.thread, turn.text)
        kind = turn_of(thread, turn.text, moves, table)
        move = str(kind) if isinstance(kind, str) else None
        service = move in get_args(Service)
        if isinstance(kind, Correction):
            decision = decide_turn(correct(thread, [kind]), table)
        elif move is None:
            decision = decide_turn(thread_after(thread, turn.text, as_reader(reader), table), table)
        read = (decision.thread.signals or Signals.model_validate({})).known_values()
        scored_turns = [other for other in row.turns if other.accept or other.answer_kind]
        name = row.id if len(scored_turns) == 1 else f"{row.id}.{number}"
        if turn.answer_kind is not None:
            outcome, accept = (
                move or str(decision.advice.verdict),
                KINDS_OF_MOVE.get(turn.answer_kind, (turn.answer_kind,)),
            )
            yield Outcome(name, row.family, outcome, accept, read, {})
        elif turn.accept:
            outcome = "off_topic" if service else str(decision.advice.verdict)
            tap = (
                _tap(decision.thread, gold, turn.accept, table)
                if taps and outcome not in turn.accept
                else None
            )
            yield Outcome(name, row.family, outcome, turn.accept, read, row.labels, tap)


KINDS_OF_MOVE = {  # of a labelled row: our moves; "ok, do it" and "what would you do" are answered with the next step
    "ack": ("thanks", "ack"),
    "savings": ("saving", "cost"),
    "next": ("next", "go", "advice"),
}


def as_reader(reader: Reader) -> Callable[[str, bool], Signals]:
    """A reader of text alone as one that is told whether it reads a statement in a thread."""
    takes_both = len(signature(reader).parameters) > 1
    return lambda text, in_case: reader(text, in_case) if takes_both else reader(text)


def _tap(thread: Thread, gold: Mapping[str, Any], accept: Sequence[str], table: Table) -> str | None:
    """The first signal whose gold value (or silence) alone makes the verdict right."""
    read = thread.signals or Signals.model_validate({})
    for name in SIGNAL_NAMES:
        gold_value = gold.get(name, Signals.model_fields[name].default) if gold else getattr(read, name)
        if same_value(getattr(read, name), gold_value):
            continue
        try:
            signals = Signals.model_validate({**read.model_dump(), name: gold_value})
        except ValidationError:
            continue
        decision = decide_turn(replace(thread, signals=signals), table)
        if str(decision.advice.verdict) in accept:
            return name
    return None


SAME = {"training": "decision"}  # words of labelled rows for values of ours
UNSAID: tuple[Any, ...] = (None, "unknown", "none", "none_measured", 0, False)
MAX_RELATIVE_ERROR = 0.1  # within which a number counts as read


def by_signal(evaluation: Evaluation) -> dict[str, tuple[int, int, int]]:
    """{signal: (read right, labelled, read where nothing is labelled)} over the rows that carry signals."""
    counts_by_signal: dict[str, list[int]] = {}
    for outcome in evaluation.outcomes:
        if not outcome.labels:
            continue
        read = {**outcome.read, "gap": (outcome.read.get("gaps") or (None,))[0]}
        for name in {*outcome.labels, *read} & {*SIGNAL_NAMES, "gap"} - {"gaps", "injection"}:
            counts = counts_by_signal.setdefault(name, [0, 0, 0])
            gold_value, value = outcome.labels.get(name), read.get(name)
            if gold_value in UNSAID:
                counts[2] += value not in UNSAID
            else:
                counts[1] += 1
                counts[0] += _same(name, gold_value, value, outcome.read)
    return {
        name: (a, b, c) for name, (a, b, c) in sorted(counts_by_signal.items(), key=lambda item: -item[1][1])
    }


def _same(name: str, gold_value: Any, value: Any, read: Mapping[str, Any]) -> bool:
    if name == "gap":
        return gold_value in (read.get("gaps") or ())
    if name == "topic" and gold_value == "training":
        return value in ("decision", "guide")
    if isinstance(gold_value, int | float) and not isinstance(gold_value, bool):
        return isinstance(value, int | float) and abs(value - gold_value) <= MAX_RELATIVE_ERROR * abs(
            gold_value
        )
    return bool(SAME.get(str(gold_value), gold_value) == value)


def confusion(evaluation: Evaluation) -> Counter[tuple[str, str]]:
    """How often each right verdict came out as each other one."""
    return Counter((outcome.accept[0], outcome.actual) for outcome in evaluation.outcomes)
