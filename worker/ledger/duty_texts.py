"""The words of tickets on duty are not kept for ever: they go with age, and a person's mentions on request."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, select, update

from worker.ledger.database import reading, writing
from worker.ledger.duty_tables import about, duty_tickets


def forget_texts(engine: Engine, before: float) -> int:
    """Blanks the words of tickets that came before; their entries and figures stay."""
    old = (duty_tickets.c.created_at < before) & (duty_tickets.c.text != "")
    with writing(engine) as connection:
        return connection.execute(update(duty_tickets).where(old).values(text="")).rowcount


def blank_texts(engine: Engine, blank: Callable[[str], str]) -> int:
    """Takes a person's mentions out of every ticket's words; how many changed."""
    with reading(engine) as connection:
        query = select(duty_tickets.c.watch_id, duty_tickets.c.key, duty_tickets.c.text)
        rows = connection.execute(query.where(duty_tickets.c.text != "")).all()
    changes = [(watch_id, key, new) for watch_id, key, text in rows if (new := blank(text)) != text]
    for watch_id, key, text in changes:
        with writing(engine) as connection:
            mine = about(duty_tickets, watch_id, key)
            connection.execute(update(duty_tickets).where(mine).values(text=text))
    return len(changes)
