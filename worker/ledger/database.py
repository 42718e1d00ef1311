"""How the ledger's database is opened, read and written: SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import DDL, Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateSchema, DropSchema

from worker.errors import WorkerError
from worker.ledger import duty_tables
from worker.ledger.tables import metadata


def open_database(url: str) -> Engine:
    """An engine with the tables in place; a bare path means SQLite. WorkerError says what is wrong."""
    address = _address_of(url)
    try:
        engine = connect_database(url)
        assert duty_tables.watches.metadata is metadata  # its tables are made with the others
        metadata.create_all(engine)
        _add_columns(engine)
        _add_indexes(engine)
    except (SQLAlchemyError, ImportError, OSError) as e:
        address_text = address.render_as_string(hide_password=True)
        raise WorkerError(
            f"The ledger at {address_text} does not open ({type(e).__name__}). Check that it exists and is "
            "writable and that the disk is not full; PostgreSQL needs `pip install 'trainwise[postgres]'`."
        ) from e
    return engine


def connect_database(url: str) -> Engine:
    """An engine without any table made; `?schema=NAME` of a server's address is where all its tables lie."""
    address = _address_of(url)
    return _sqlite(address) if address.get_backend_name() == "sqlite" else _server(address)


def holds_rows(url: str) -> bool:
    """Whether a ledger there holds rows; does not create a missing SQLite file."""
    if not _is_there(_address_of(url)):
        return False
    engine = connect_database(url)
    try:
        names = set(inspect(engine).get_table_names())
        tables = [table for table in metadata.tables.values() if table.name in names]
        with reading(engine) as connection:
            return any(connection.execute(select(table).limit(1)).first() is not None for table in tables)
    finally:
        engine.dispose()


def erase_database(url: str) -> None:
    """Deletes the ledger: its SQLite file, its schema, or its tables in a shared schema."""
    address = _address_of(url)
    if not _is_there(address):
        return
    if address.get_backend_name() == "sqlite":
        for ending in ("-wal", "-shm", ""):
            Path(f"{address.database}{ending}").unlink(missing_ok=True)
        return
    engine = connect_database(url)
    try:
        if schema := address.query.get("schema"):
            with engine.begin() as connection:
                connection.execute(DropSchema(str(schema), cascade=True, if_exists=True))
        else:
            metadata.drop_all(engine)
    finally:
        engine.dispose()


def _address_of(url: str) -> URL:
    try:
        return make_url(url if "://" in url else f"sqlite:///{url}")
    except ArgumentError as e:
        raise WorkerError(
            "TRAINWISE_DATABASE_URL is no database address; try sqlite:////data/ledger.db"
        ) from e


def _is_there(address: URL) -> bool:
    return address.get_backend_name() != "sqlite" or Path(address.database or "").exists()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction, atomic. Threads enter in the order of arrival."""
    with engine.get_execution_options().get("fair_lock", nullcontext()), engine.connect() as connection:
        connection.execution_options(write=True)
        calls: list[Callable[[], None]] = []
        connection.info["after_commit"] = calls
        with connection.begin():
            yield connection
    for call in calls:
        call()


def after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Runs `call` after the transaction of `writing` is committed; never after a rollback."""
    connection.info["after_commit"].append(call)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot; in SQLite it neither waits for a writer nor blocks one."""
    with engine.connect() as connection, connection.begin():
        yield connection


def _add_columns(engine: Engine) -> None:
    """Adds the columns that an earlier version of the ledger lacks; all are nullable."""
    columns = inspect(engine).get_multi_columns()
    for table in metadata.tables.values():
        names = {column["name"] for column in columns[table.schema, table.name]}
        for column in table.columns:
            if column.name not in names:
                kind = column.type.compile(engine.dialect)
                with writing(engine) as connection:
                    connection.execute(DDL(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))


def _add_indexes(engine: Engine) -> None:
    """Adds the indexes that an earlier version of the ledger lacks."""
    indexes = inspect(engine).get_multi_indexes()
    for table in metadata.tables.values():
        names = {index["name"] for index in indexes[table.schema, table.name]}
        for index in table.indexes:
            if index.name not in names:
                with writing(engine) as connection:
                    connection.execute(CreateIndex(index, if_not_exists=True))


class FairLock:
    """A lock that admits threads in the order of arrival.

    Without it SQLite makes waiting writers of one process sleep and retry, up to 0.8 s longer than needed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._busy = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._busy:
                self._busy = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._busy = False

    @property
    def waiting(self) -> int:
        """The number of waiting threads."""
        with self._lock:
            return len(self._waiting)


TIMEOUTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A server whose machine is off counts as lost within half a minute, not within two hours."""


def _server(address: URL) -> Engine:
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    schema = str(address.query.get("schema") or "")
    options = str(address.query.get("options") or "")
    address = address.difference_update_query(["schema", "options"])
    if schema:
        options = f"{options} -csearch_path={schema}".strip()
    defaults = {name: value for name, value in TIMEOUTS.items() if name not in address.query}
    connect_args: dict[str, Any] = {**defaults, **({"options": options} if options else {})}
    engine = create_engine(address, pool_pre_ping=True, hide_parameters=True, connect_args=connect_args)
    if schema:
        with engine.begin() as connection:
            connection.execute(CreateSchema(schema, if_not_exists=True))
    return engine


def _sqlite(address: URL) -> Engine:
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    turns = {"fair_lock": FairLock()}
    options: dict[str, Any] = {"connect_args": {"timeout": 30}, "execution_options": turns}
    engine = create_engine(address, **options, hide_parameters=True)  # an error's text goes to the log

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # a power cut must not lose the last commit
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer locks at BEGIN: a read transaction that writes later would fail.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
