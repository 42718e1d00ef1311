"""The ledger's tables (SQLAlchemy Core), the same for SQLite and PostgreSQL.

All times are Unix seconds (float, UTC). `version` is what every change of a job compares and sets.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("request_key", String(200), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("state", String(24), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("by", String(40), nullable=False, index=True, quote=True),
    Column("by_name", String(200), nullable=False),
    Column("team", String(80), nullable=False),
    Column("channel", String(40), nullable=False, index=True),
    Column("thread_ts", String(40)),
    Column("card_channel", String(40)),
    Column("card_ts", String(40)),
    Column("card_version", Integer, nullable=False, default=0),
    Column("progress", JSON, nullable=False),
    Column("report", JSON(none_as_null=True)),
    Column("error", Text),
    Column("attempt", Integer, nullable=False, default=0),
    Column("losses", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("retry_of", String(32)),
    Column("root", String(32), nullable=False),
    Column("month", String(7), nullable=False),
    Column("estimate_usd", Float, nullable=False, default=0.0),
    Column("reserved_usd", Float, nullable=False, default=0.0),
    Column("spent_usd", Float, nullable=False, default=0.0),
    Column("approval_reason", Text),
    Column("approval_expires", Float),
    Column("approved_by", String(40)),
    Column("decision", JSON(none_as_null=True)),
    Column("created_at", Float, nullable=False, index=True),
    Column("updated_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("forgotten_at", Float),
    Column("platform", String(40)),
    Column("machine", String(80)),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("fence", String(40), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("run", String(40)),
    Column("worker", String(120)),
    Column("worker_key", String(80)),
    Column("pid", Integer),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("leased_at", Float),
    Column("last_event_at", Float),
    Column("last_step_at", Float),
    Column("last_seq", Integer, nullable=False, default=-1),
    Column("step_gaps", JSON, nullable=False, default=list),
    Column("stop", String(24)),
    Column("stop_sent_at", Float),
    Column("ended_at", Float),
    Column("outcome", String(40)),
)

remotes = Table(
    "remotes",
    metadata,
    Column("root", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("platform", String(40), nullable=False),
    Column("machine", String(80), nullable=False),
    Column("tag", String(63), nullable=False, unique=True),
    Column("state", String(16), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("remote_id", String(200), nullable=False, default=""),
    Column("extras", JSON, nullable=False, default=list),
    Column("creates", Integer, nullable=False, default=0),
    Column("uploads", JSON, nullable=False, default=list),
    Column("limit_s", Float, nullable=False),
    Column("usd_per_hour", Float, nullable=False, default=0.0),
    Column("cursor", Integer, nullable=False, default=0),
    Column("word", String(80), nullable=False, default=""),
    Column("usd", Float, nullable=False, default=0.0),
    Column("outcome", String(16), nullable=False, default=""),
    Column("why", Text, nullable=False, default=""),
    Column("report", JSON(none_as_null=True)),
    Column("leftovers", JSON, nullable=False, default=list),
    Column("created_at", Float, nullable=False),
    Column("life_at", Float),
    Column("ended_at", Float),
    Column("erased_at", Float),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(32), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("who", String(160), nullable=False),
    Column("what", String(40), nullable=False),
    Column("from_state", String(24)),
    Column("to_state", String(24)),
    Column("why", Text, nullable=False, default=""),
    Column("attempt", Integer),
    Column("run", String(40)),
    Column("seq", Integer),
    Column("applied", Boolean, nullable=False, default=True),
    Column("data", JSON, nullable=False),
    UniqueConstraint("job_id", "attempt", "run", "seq", name="one_row_per_worker_event"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("what", String(16), nullable=False),
    Column("job_id", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", String(24), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("done_at", Float),
    UniqueConstraint("what", "job_id", "attempt", "reason", name="one_row_per_message"),
)

posts = Table(
    "posts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(32), nullable=False, index=True),
    Column("dedupe_key", String(120), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("thread_ts", String(40)),
    Column("body", JSON, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("posted_ts", String(40)),
    Column("done_at", Float),
    Column("error", Text),
)
Index("posts_due", posts.c.done_at, posts.c.due_at)

plots = Table(
    "plots",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("png", LargeBinary, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("value", String(80), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(120), nullable=False),
    Column("until", Float, nullable=False),
)

deliveries = Table(
    "seen",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("at", Float, nullable=False, index=True),
)

threads = Table(
    "threads",
    metadata,
    Column("channel", String(40), primary_key=True),
    Column("ts", String(40), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("team", String(80), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("limit_usd", Float, nullable=False),
    Column("set_by", String(40), nullable=False),
    Column("set_at", Float, nullable=False),
)

channel_notices = Table(
    "channel_notices",
    metadata,
    Column("channel", String(40), primary_key=True),
    Column("started", Boolean, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("digest", Boolean, nullable=False),
    Column("set_by", String(40), nullable=False),
    Column("set_at", Float, nullable=False),
)

channel_openings = Table(
    "channel_openings",
    metadata,
    Column("channel", String(40), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("set_by", String(40), nullable=False),
    Column("set_at", Float, nullable=False),
)

owners = Table(
    "owners",
    metadata,
    Column("kind", String(24), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("person", String(40), nullable=False),
    Column("at", Float, nullable=False),
)

undos = Table(
    "undos",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("body", JSON, nullable=False),
    Column("by", String(40), nullable=False, quote=True),
    Column("at", Float, nullable=False),
    Column("done_at", Float),
)

pulls = Table(
    "pulls",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("source", String(40), nullable=False),
    Column("query", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("licence", String(200), nullable=False),
    Column("by", String(40), nullable=False, quote=True),
    Column("channel", String(40), nullable=False),
    Column("every_s", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("next_at", Float),
    Column("is_asked", Boolean, nullable=False, default=False),
    Column("last_at", Float),
    Column("last", Text, nullable=False, default="", quote=True),
    Column("last_trouble", Text, nullable=False, default=""),
    Column("version", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("lease_by", String(120), nullable=False, default=""),
    Column("lease_until", Float, nullable=False, default=0.0),
)

comparisons = Table(
    "comparisons",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("seed", String(64), nullable=False),
    Column("rows", Integer, nullable=False, quote=True),
    Column("started_by", String(40), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("closed_at", Float),
    Column("closed_by", String(40)),
)

votes = Table(
    "votes",
    metadata,
    Column("job_id", String(32), ForeignKey("comparisons.job_id"), primary_key=True),
    Column("row", Integer, primary_key=True, quote=True),
    Column("person", String(40), primary_key=True),
    Column("choice", String(16), nullable=False),
    Column("at", Float, nullable=False),
)
