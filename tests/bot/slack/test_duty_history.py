"""What changed in a watched channel while the bot was away: edits and deletions are followed once it is back."""

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
def office(tmp_path: Path) -> Any:
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


def texts(office: Any) -> dict[str, str]:
    """The words of each ticket that is not gone, by its key."""
    rows = duty.tickets_of(office.ledger.engine, office.watch.id)
    return {one.key: one.text for one in rows if one.state != duty.DELETED}


def test_edits_and_deletions_are_followed(office: Any) -> None:
    """An edit is answered anew; a message that is gone, or a stone in its place, leaves an entry without words."""
    office.messages[4] |= {"text": "refund 4", "edited": {"ts": "950.0"}}
    office.messages[5] |= {"subtype": "tombstone", "text": "This message was deleted."}
    del office.messages[2]
    assert office.history.follow_changes(office.watch) == []
    after = texts(office)
    assert after["C1:904.000100"] == "refund 4"
    assert after.keys() == {f"C1:{900 + n}.000100" for n in range(9) if n not in (2, 5)}
    assert office.history.follow_changes(office.watch) == []
    assert texts(office) == after


def test_what_was_not_read_is_left_as_it_is(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the look back ends early, an older ticket counts as it was."""
    monkeypatch.setattr(duty_history, "LOOK_BACK_PAGES", 2)
    del office.messages[8]
    del office.messages[0]
    office.history.follow_changes(office.watch)
    assert texts(office).keys() == {f"C1:{900 + n}.000100" for n in range(8)}


def test_a_reading_that_is_ended_changes_nothing(office: Any) -> None:
    """The bot is told to stop in the middle: no ticket counts as deleted."""
    rounds = iter([False, True, True, True])
    history = ChannelHistory(office.ledger.engine, lambda: NOW, office.history._client, lambda: next(rounds))
    office.messages.clear()
    history.follow_changes(office.watch)
    assert len(texts(office)) == 9
