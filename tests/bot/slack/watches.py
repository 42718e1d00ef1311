"""Watches for tests: a model on duty in C1, live from the first second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worker.ledger import duty
from worker.ledger.duty import Watch

_PLACE = ("", "C1", "T1", "job1", "d", "job1", 0.1, duty.LIVE, duty.LIVE, "everyone", "U1", 1.0, 1.0, "0")


def watch_of(**changes: Any) -> Watch:
    """A watch that accepts 10% wrong answers; `changes` are fields of it."""
    return replace(Watch(*_PLACE), **changes)
