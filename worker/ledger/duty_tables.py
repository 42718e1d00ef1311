"""The tables of models on duty: who watches what, every ticket that came, and what people said of it."""

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
    Column(
        "events", Integer
    ),  # how many places were given: to tickets as they are settled, to people's first words on them
    Column("revisions", Integer),  # how often an earlier word, or what it was said of, changed
    Column("evidence", JSON),  # worker/ledger/duty_evidence.py
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
    Column("place", Integer),  # among the watch's events, when it was settled first
    Column("word_place", Integer),  # when people first said what is right
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


def about(table: Table, watch_id: str, key: Any) -> Any:
    """The rows of a ticket; `key` may be bound later."""
    return (table.c.watch_id == watch_id) & (table.c.key == key)
