"""How often the adviser is right: labelled questions in, right and wrong by verdict out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rag.advice.conversation import Thread, TurnDecision, decide_turn, hear
from rag.advice.decide import advise
from rag.advice.decision_table import load_table
from rag.errors import RagError
from rag.signals.schema import SIGNAL_NAMES, Signals

Reader = Callable[[str], Signals]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file with `question` and `verdict` or `accept`; RagError names the bad line."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            row["accept"] = row.get("accept") or [row["verdict"]]
            row["question"] = str(row["question"])
        except (ValueError, KeyError, TypeError) as error:
            raise RagError(
                f"{path}, line {number}: each row needs `question` and `verdict` (or `accept`)."
            ) from error
        rows.append(row)
    return rows


def evaluate(
    rows: Iterable[Mapping[str, Any]], reader: Reader, moves: Callable[[str], str | None] = lambda text: None
) -> dict[str, Any]:
    """{"n", "right", "rows": [{"id", "got", "accept", "read", "wanted"}]}; each row's context is heard first.

    `moves` tells which messages only ask about the verdict so far (rag/advice/conversation.py).

    `read` are the signals as read, `wanted` those of the row (in its own words), for `by_signal`.
    """
    table, told = load_table(), []
    for number, row in enumerate(rows):
        decided = TurnDecision(advise(Signals.model_validate({}), table), Thread())
        turns = [str(turn["text"]) for turn in row.get("context") or [] if turn.get("role") == "user"]
        for text in [*turns, row["question"]]:
            if decided.thread.signals is None or not moves(text):
                decided = decide_turn(hear(decided.thread, text, reader, table), table)
        signals = decided.thread.signals or Signals.model_validate({})
        told.append(
            {
                "id": row.get("id", number),
                "family": row.get("family"),
                "got": str(decided.advice.verdict),
                "accept": list(row["accept"]),
                "read": signals.known(),
                "wanted": dict(row.get("signals") or {}),
            }
        )
    right = sum(row["got"] in row["accept"] for row in told)
    return {"n": len(told), "right": right, "rows": told}


def short(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result as `--json` prints it: {"n", "right", "rows": [{"id", "got"}]}."""
    rows = [{"id": row["id"], "got": row["got"]} for row in result["rows"]]
    return {"n": result["n"], "right": result["right"], "rows": rows}


SAME = {"training": "decision"}  # words of labelled rows for values of ours
UNSAID: tuple[Any, ...] = (None, "unknown", "none", "none_measured", 0, False)
NEAR = 0.1  # relative error within which a number counts as read


def by_signal(result: Mapping[str, Any]) -> dict[str, tuple[int, int, int]]:
    """{signal: (read right, labelled, read where nothing is labelled)} over the rows that carry signals."""
    told: dict[str, list[int]] = {}
    for row in result["rows"]:
        if not row["wanted"]:
            continue
        read = {**row["read"], "gap": (row["read"].get("gaps") or (None,))[0]}
        for name in {*row["wanted"], *read} & {*SIGNAL_NAMES, "gap"} - {"gaps", "injection"}:
            counts = told.setdefault(name, [0, 0, 0])
            wanted, got = row["wanted"].get(name), read.get(name)
            if wanted in UNSAID:
                counts[2] += got not in UNSAID
            else:
                counts[1] += 1
                counts[0] += _same(name, wanted, got, row["read"])
    return {name: (a, b, c) for name, (a, b, c) in sorted(told.items(), key=lambda item: -item[1][1])}


def _same(name: str, wanted: Any, got: Any, read: Mapping[str, Any]) -> bool:
    if name == "gap":
        return wanted in (read.get("gaps") or ())
    if name == "topic" and wanted == "training":
        return got in ("decision", "guide")
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return isinstance(got, int | float) and abs(got - wanted) <= NEAR * abs(wanted)
    return bool(SAME.get(str(wanted), wanted) == got)


def confusion(result: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """How often each wanted verdict came out as each other one."""
    return Counter((row["accept"][0], row["got"]) for row in result["rows"])
