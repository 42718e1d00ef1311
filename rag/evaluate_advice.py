"""How often the adviser is right: labelled questions in, right and wrong by verdict out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rag.advise import advise
from rag.errors import RagError
from rag.signals import Signals, merge
from rag.table import load_table

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


def evaluate(rows: Iterable[Mapping[str, Any]], reader: Reader) -> dict[str, Any]:
    """{"n", "right", "rows": [{"id", "got", "accept"}]} with each row's own context read first."""
    table, told = load_table(), []
    for number, row in enumerate(rows):
        signals: Signals | None = None
        for turn in row.get("context") or []:
            if turn.get("role") == "user":
                read = reader(str(turn["text"]))
                signals = merge(signals, read) if signals else read
        read = reader(row["question"])
        verdict = advise(merge(signals, read) if signals else read, table).verdict
        told.append({"id": row.get("id", number), "got": str(verdict), "accept": list(row["accept"])})
    right = sum(row["got"] in row["accept"] for row in told)
    return {"n": len(told), "right": right, "rows": told}


def confusion(result: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """How often each wanted verdict came out as each other one."""
    return Counter((row["accept"][0], row["got"]) for row in result["rows"])
