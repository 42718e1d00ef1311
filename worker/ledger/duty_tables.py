"""The tables of models on duty: watches, tickets, and people's labels."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, Text

from worker.ledger.tables import metadata

watches = Table(
    "watches",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("channel", String(40), nullable=False, index=True),
    Column("team", String(80), nullable=False),
    Column("job_id", String(32), nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("version", String(80), nullable=False),
    Column("error_rate", Float, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("wish", String(16), nullable=False),
    Column("correctors", String(16), nullable=False),
    Column("by", String(40), nullable=False, quote=True),
    Column("approved_by", String(40)),
    Column("created_at", Float, nullable=False),
    Column("mode_at", Float, nullable=False),
    Column("why", Text, nullable=False, default=""),
    Column("threshold", Float),
    Column("read_ts", String(40), nullable=False),
    Column("successor", String(32)),
    Column("events", Integer),  # numbers assigned so far to tickets' first answers and first labels
    Column("revisions", Integer),  # how often an earlier label or its ticket changed
    Column("evidence", JSON),  # worker/ledger/duty_events.py
)

duty_tickets = Table(
    "duty_tickets",
    metadata,
    Column("watch_id", String(16), primary_key=True),
    Column("key", String(120), primary_key=True, quote=True),
    Column("ts", String(40), nullable=False, default=""),
    Column("text", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("queue", String(200)),
    Column("confidence", Float),
    Column("likeliest", JSON, nullable=False, default=list),
    Column("reason", Text, nullable=False, default=""),
    Column("is_near", Boolean, nullable=False, default=True),
    Column("is_audit", Boolean, nullable=False, default=False),
    Column("version", String(80)),
    Column("edits", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("settled_at", Float),
    Column("place", Integer),  # event number of its first answer
    Column("word_place", Integer),  # event number of its first label
)
Index("duty_tickets_waiting", duty_tickets.c.watch_id, duty_tickets.c.state)
Index("duty_tickets_created", duty_tickets.c.watch_id, duty_tickets.c.created_at)
Index("duty_tickets_place", duty_tickets.c.watch_id, duty_tickets.c.place)
Index("duty_tickets_word_place", duty_tickets.c.watch_id, duty_tickets.c.word_place)

duty_labels = Table(
    "duty_labels",
    metadata,
    Column("watch_id", String(16), primary_key=True),
    Column("key", String(120), primary_key=True, quote=True),
    Column("person", String(40), primary_key=True),
    Column("queue", String(200), nullable=False),
    Column("at", Float, nullable=False),
)


def ticket_filter(table: Table, watch_id: str, key: Any) -> Any:
    """The condition that selects a ticket's rows; `key` may be a bind parameter."""
    return (table.c.watch_id == watch_id) & (table.c.key == key)
