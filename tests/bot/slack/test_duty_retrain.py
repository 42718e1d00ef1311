"""Corrections in a channel become a version of the dataset that only this channel sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import BotError
from bot.slack.features.duty_retrain import new_version
from bot.slack.retraining import JudgedTicket
from bot.slack.ui.duty import NARROW, DutyCard, card_message
from finetune.data.store import DatasetStore
from finetune.data.ticket import Ticket, Tickets
from finetune.evaluation.duty_monitoring import figures_of
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.ledger import Ledger

QUEUES = ("billing", "login")
ASKED = Watch(
    "", "CPRIVATE", "T1", "j1", "d", "j1", 0.1, duty.SHADOW, duty.SHADOW, "everyone", "U1", 1.0, 1.0, "0"
)


def case(tmp_path: Path, scope: str) -> Any:
    """A watch of a private channel with 20 corrections, whose model's dataset has this scope."""
    ledger, store = Ledger(str(tmp_path / "ledger.db")), DatasetStore(str(tmp_path / "datasets"))
    rows = tuple(Ticket(f"t{n}", f"{QUEUES[n % 2]} question number {n}", QUEUES[n % 2]) for n in range(40))
    card = store.keep(Tickets(rows, "triage"), "support", "U1", frozenset({scope}), "CC0-1.0")
    watch = duty.open_watch(ledger.engine, ASKED)
    keys = [
        key for key in (f"CPRIVATE:{n}" for n in range(60)) if not JudgedTicket(key, "", "", "", 0.0).is_fresh
    ]
    for n, key in enumerate(keys[:20]):
        duty.add_ticket(ledger.engine, watch.id, key, key, f"the vpn of team {n} is down", 2.0)
        duty.label(ledger.engine, watch.id, key, "U2", "network", 3.0)
    job = SimpleNamespace(spec={"digest": card.digest}, dataset="support")
    services = SimpleNamespace(
        ledger=SimpleNamespace(engine=ledger.engine, job=lambda job_id: job), datasets=store
    )
    return SimpleNamespace(services=services, watch=watch, store=store)


def test_a_version_with_a_channels_corrections_is_visible_there_only(tmp_path: Path) -> None:
    """The whole workspace sees the dataset, but only the private channel sees the version with its messages."""
    place = case(tmp_path, "workspace")
    card, count = new_version(place.services, place.watch, "U1")
    assert count == 20
    assert card.scopes == ("channel:CPRIVATE",)
    everybody = place.store.get("support", frozenset({"workspace", "channel:COTHER"}))
    assert everybody.version == card.version - 1
    assert len(place.store.tickets(everybody.digest)) == 40
    assert place.store.get("support", frozenset({"channel:CPRIVATE"})).digest == card.digest


def test_a_dataset_that_the_channel_may_not_see_is_not_extended(tmp_path: Path) -> None:
    """A new version would show its rows to the channel; the error says what to do."""
    place = case(tmp_path, "channel:COTHER")
    with pytest.raises(BotError, match="belongs to other channels only"):
        new_version(place.services, place.watch, "U1")


def test_the_button_says_who_sees_the_new_version() -> None:
    """The confirmation dialog of "Retrain" tells it."""
    figures = figures_of(())
    card = DutyCard(replace(ASKED, id="w1"), figures, 0, 0, 0, 0.0, (), "Retrain? It gains 10 points.")
    assert "only this channel sees" in NARROW
    assert NARROW in str(card_message(card)[1])
