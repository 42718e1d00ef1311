"""The full-text rows of passages: their words, and who may read them as words that no text contains."""

from __future__ import annotations

import hashlib
import sqlite3


def scope_word(scope: str) -> str:
    """A scope as one word of digits for the full-text index: no stemmer touches it, no text contains it."""
    return f"{int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8]):020d}"


def words_row(heading: str, text: str, scopes: frozenset[str]) -> tuple[str, str]:
    return f"{heading}\n{text}", " ".join(scope_word(scope) for scope in sorted(scopes))


def add_words(
    connection: sqlite3.Connection, key: int, heading: str, text: str, scopes: frozenset[str]
) -> None:
    row = (key, *words_row(heading, text, scopes))
    connection.execute("INSERT INTO words (rowid, body, scopes) VALUES (?, ?, ?)", row)


def forget_words(
    connection: sqlite3.Connection, key: int, heading: str, text: str, scopes: frozenset[str]
) -> None:
    row = (key, *words_row(heading, text, scopes))
    connection.execute("INSERT INTO words (words, rowid, body, scopes) VALUES ('delete', ?, ?, ?)", row)
