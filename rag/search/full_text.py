"""The full-text rows of passages: their words, and their scopes as words that no text contains."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Sequence

TOKENIZER = "porter unicode61 remove_diacritics 2"


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


class WordCounts:
    """Document frequencies of words, as the full-text index stems them; cached while they hardly change."""

    MAX_WORDS = 20_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stemmer = sqlite3.connect(":memory:", check_same_thread=False)
        self._stemmer.executescript(
            f'CREATE VIRTUAL TABLE one USING fts5 (body, tokenize="{TOKENIZER}");'
            "CREATE VIRTUAL TABLE stems USING fts5vocab (one, 'instance')"
        )
        self._counts: dict[str, int] = {}
        self._total, self._generation, self._counted_at = 0, -1, 0

    def total(self, connection: sqlite3.Connection, generation: int) -> int:
        """How many passages there are."""
        with self._lock:
            if generation != self._generation:
                self._total = int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])
                self._generation = generation
                if not 0.9 * self._counted_at <= self._total <= 1.1 * self._counted_at or self._total < 2000:
                    self._counts.clear()
                    self._counted_at = self._total
            return self._total

    def of(self, connection: sqlite3.Connection, words: Sequence[str]) -> list[int]:
        """Passages per word, in the order of `words`."""
        with self._lock:
            if len(self._counts) > self.MAX_WORDS:
                self._counts.clear()
            for word in words:
                if word not in self._counts:
                    self._counts[word] = self._count(connection, word)
            return [self._counts[word] for word in words]

    def _count(self, connection: sqlite3.Connection, word: str) -> int:
        self._stemmer.execute("DELETE FROM one")
        self._stemmer.execute("INSERT INTO one (body) VALUES (?)", (word,))
        stem = self._stemmer.execute("SELECT term FROM stems LIMIT 1").fetchone()
        if stem is None:
            return 0
        sql = "SELECT doc FROM word_counts WHERE term = ? AND col = 'body'"
        row = connection.execute(sql, stem).fetchone()
        return int(row[0]) if row else 0
