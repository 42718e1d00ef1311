"""Stores thumbs up and down as JSON lines in the home folder; each row holds everything that an evaluation needs."""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path
from typing import Any

from bot.slack.thread_memory import Card
from rag.reply import Verdict
from worker.ledger.retention import blank_mentions

FILE = "feedback.jsonl"


def record_feedback(
    home: Path, now: float, user: str, ts: str, good: bool, card: Card, reason: str = ""
) -> None:
    """Appends one row: question, verdict, passages, thumb, reason; the last row of a message counts."""
    reply = card.reply.to_json()
    row: dict[str, Any] = {
        "at": now,
        "user": user,
        "message": ts,
        "good": good,
        "reason": reason,
        "question": card.question,
        "context": list(card.earlier),
        "verdict": reply["verdict"],
        "confidence": reply["confidence"],
        "claims": reply["why"],
        "passages": reply["citations"],
    }
    home.mkdir(parents=True, exist_ok=True)
    with (home / FILE).open("a", encoding="utf-8") as out:
        fcntl.flock(out, fcntl.LOCK_EX)
        out.write(json.dumps(row, ensure_ascii=False) + "\n")


def delete_old_feedback(home: Path, before: float) -> int:
    """Deletes the rows older than `before` (Unix seconds); returns how many."""
    path = home / FILE
    if not path.exists():
        return 0
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = [line for line in file.read().splitlines() if line.strip()]
        recent = [line for line in lines if json.loads(line)["at"] >= before]
        if len(recent) < len(lines):
            file.seek(0)
            file.write("".join(f"{line}\n" for line in recent))
            file.truncate()
    return len(lines) - len(recent)


def redact_feedback(home: Path, mention: re.Pattern[str]) -> int:
    """Replaces mentions of a person in every row; returns the number of changed rows."""
    path = home / FILE
    if not path.exists():
        return 0
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        rows = [json.loads(line) for line in file.read().splitlines() if line.strip()]
        clean = [blank_mentions(row, mention) for row in rows]
        count = sum(old != new for old, new in zip(rows, clean, strict=True))
        if count:
            file.seek(0)
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in clean))
            file.truncate()
    return count


def read_feedback(home: Path) -> list[dict[str, Any]]:
    """The last row for each person and message, oldest first."""
    path = home / FILE
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list({(row["user"], row["message"]): row for row in rows}.values())


def evaluation_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Feedback as rows for `trainwise eval advice`: a thumb up accepts the verdict, a thumb down any other."""
    return [
        {
            "id": f"{row['message']}-{row['user']}",
            "question": row["question"],
            "context": [{"role": "user", "text": text} for text in row.get("context", [])],
            "verdict": row["verdict"],
            "accept": [
                str(verdict) for verdict in Verdict if (str(verdict) == row["verdict"]) == bool(row["good"])
            ],
            "rating": "up" if row["good"] else "down",
            "reason": row.get("reason", ""),
        }
        for row in rows
    ]
