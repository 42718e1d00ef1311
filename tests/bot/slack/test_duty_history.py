"""Edits and deletions from the time when the bot was down are applied after its start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.slack.delivery import duty_history
from bot.slack.delivery.duty_history import ChannelHistory
from tests.bot.slack.watches import watch_of
from worker.ledger import duty
from worker.ledger.ledger import Ledger

NOW = 1_000.0


@pytest.fixture
def case(tmp_path: Path) -> Any:
    """A channel of nine messages, entered as tickets; `messages` is what Slack has."""
    ledger = Ledger(str(tmp_path / "ledger.db"))
    watch = duty.open_watch(ledger.engine, watch_of())
    messages = [{"ts": f"{900 + n}.000100", "user": "U2", "text": f"parcel {n}"} for n in range(9)]

    def conversations_history(channel: str, oldest: str, limit: int, cursor: str = "") -> dict[str, Any]:
        rows = sorted((m for m in messages if float(m["ts"]) > float(oldest)), key=lambda m: -float(m["ts"]))
        start = int(cursor or 0)
        more = str(start + 2) if start + 2 < len(rows) else ""
        return {"messages": rows[start : start + 2], "response_metadata": {"next_cursor": more}}

    client: Any = SimpleNamespace(conversations_history=conversations_history)
    history = ChannelHistory(ledger.engine, lambda: NOW, client, lambda: False)
    assert history.enter_new(watch, "U0") == "908.000100"
    return SimpleNamespace(history=history, messages=messages, ledger=ledger, watch=watch)


def texts(case: Any) -> dict[str, str]:
    """The text of each ticket that is not deleted, by its key."""
    rows = duty.tickets_of(case.ledger.engine, case.watch.id)
    return {one.key: one.text for one in rows if one.state != duty.DELETED}


def test_edits_and_deletions_are_applied(case: Any) -> None:
    """An edited ticket is answered again; a deleted message, or its tombstone, leaves an entry without text."""
    case.messages[4] |= {"text": "refund 4", "edited": {"ts": "950.0"}}
    case.messages[5] |= {"subtype": "tombstone", "text": "This message was deleted."}
    del case.messages[2]
    assert case.history.apply_changes(case.watch) == []
    after = texts(case)
    assert after["C1:904.000100"] == "refund 4"
    assert after.keys() == {f"C1:{900 + n}.000100" for n in range(9) if n not in (2, 5)}
    assert case.history.apply_changes(case.watch) == []
    assert texts(case) == after


def test_tickets_beyond_the_read_pages_stay_unchanged(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading ends after LOOK_BACK_PAGES; older tickets are not taken for deleted."""
    monkeypatch.setattr(duty_history, "LOOK_BACK_PAGES", 2)
    del case.messages[8]
    del case.messages[0]
    case.history.apply_changes(case.watch)
    assert texts(case).keys() == {f"C1:{900 + n}.000100" for n in range(8)}


def test_an_interrupted_reading_changes_nothing(case: Any) -> None:
    """The bot stops in the middle of the reading: no ticket is taken for deleted."""
    rounds = iter([False, True, True, True])
    history = ChannelHistory(case.ledger.engine, lambda: NOW, case.history._client, lambda: next(rounds))
    case.messages.clear()
    history.apply_changes(case.watch)
    assert len(texts(case)) == 9
