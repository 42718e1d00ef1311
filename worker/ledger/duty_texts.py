"""Removes the texts of duty tickets after their time, and a person's mentions on request."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, select, update

from worker.ledger.database import reading, writing
from worker.ledger.duty_tables import duty_tickets, ticket_filter


def forget_texts(engine: Engine, before: float) -> int:
    """Blanks the texts of older tickets; keeps their rows and figures."""
    old = (duty_tickets.c.created_at < before) & (duty_tickets.c.text != "")
    with writing(engine) as connection:
        return connection.execute(update(duty_tickets).where(old).values(text="")).rowcount


def blank_texts(engine: Engine, blank: Callable[[str], str]) -> int:
    """Removes a person's mentions from every ticket's text; returns how many changed."""
    with reading(engine) as connection:
        query = select(duty_tickets.c.watch_id, duty_tickets.c.key, duty_tickets.c.text)
        rows = connection.execute(query.where(duty_tickets.c.text != "")).all()
    changes = [(watch_id, key, new) for watch_id, key, text in rows if (new := blank(text)) != text]
    for watch_id, key, text in changes:
        with writing(engine) as connection:
            mine = ticket_filter(duty_tickets, watch_id, key)
            connection.execute(update(duty_tickets).where(mine).values(text=text))
    return len(changes)
