"""How far each file of tickets has been read, for each model on duty that reads it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Engine, Integer, String, Table, Text, insert, select, update

from worker.ledger.database import reading, writing
from worker.ledger.tables import metadata

duty_files = Table(
    "duty_files",
    metadata,
    Column("watch_id", String(16), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("inode", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False, quote=True),
    Column("line", Integer, nullable=False),
)


@dataclass(frozen=True)
class FilePlace:
    """The read position in a file: its inode (a name may move to a new file), bytes and lines read."""

    inode: int
    offset: int
    line: int


def file_place(engine: Engine, watch_id: str, path: str) -> FilePlace | None:
    """The read position of this watch in the file; None before the first read."""
    mine = (duty_files.c.watch_id == watch_id) & (duty_files.c.path == path)
    query = select(duty_files.c.inode, duty_files.c.offset, duty_files.c.line).where(mine)
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return FilePlace(*row) if row else None


def note_file_place(engine: Engine, watch_id: str, path: str, place: FilePlace) -> None:
    """Stores the read position of this watch."""
    mine = (duty_files.c.watch_id == watch_id) & (duty_files.c.path == path)
    values = vars(place)
    with writing(engine) as connection:
        if connection.execute(update(duty_files).where(mine).values(values)).rowcount == 0:
            connection.execute(insert(duty_files).values(watch_id=watch_id, path=path, **values))
