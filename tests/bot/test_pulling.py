"""A pull keeps its lease during a step that takes longer than the lease."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bot.pulling import Puller
from finetune.data.prepare import prepare
from finetune.data.store import DatasetStore
from finetune.pulls.pull import Order
from finetune.sources.contract import Cursor, Page, Query, Source
from worker.ledger.database import open_database
from worker.ledger.pulls import Pull, pull_of, set_pull, take_lease

ROWS = tuple(
    {"id": str(at), "words": f"The thing of number {at} fell down {at} stairs", "team": "AB"[at % 2]}
    for at in range(24)
)


class SlowDesk:
    """A source that answers only after the lease was renewed during the call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ping(self) -> None:
        """Always succeeds."""

    def resolve(self, query: Query) -> Query:
        return query

    def start(self, query: Query, since: float | None) -> Cursor:
        return {}

    def page(self, query: Query, cursor: Cursor) -> Page:
        start, until = self._lease(), time.monotonic() + 20
        while self._lease() == start and time.monotonic() < until:
            threading.Event().wait(0.01)
        assert self._lease() > start
        return Page(ROWS, {"after": 1}, True)

    def _lease(self) -> float:
        pull = pull_of(self._engine, "support")
        assert pull is not None
        return pull.lease_until


def test_the_lease_is_renewed_while_one_step_takes_long(tmp_path: Path) -> None:
    """During a step the ledger shows a later end of the lease; after the pull nothing renews it."""
    engine = open_database(str(tmp_path / "ledger.db"))
    set_pull(engine, Pull("support", "slow", {}, ("workspace",), "", "me", "", 0.0, time.time()))
    assert take_lease(engine, "support", "here", time.time())

    def connect(values: Any, wait: Any) -> SlowDesk:
        return SlowDesk(engine)

    source = Source("slow", "Slow", (), connect, {"text": "words", "label": "team", "id": "id"})
    puller = Puller(DatasetStore(str(tmp_path / "data")), engine, {}, "here", renew_s=0.05)
    order = Order("support", source.query("", {}, (), ""), "me", frozenset({"workspace"}))
    result = puller.run(source, order, prepare, lambda text: None)
    assert result.card.rows == 24
    assert "pull-lease" not in {thread.name for thread in threading.enumerate()}
