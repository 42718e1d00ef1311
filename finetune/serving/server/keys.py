"""API keys and rate limits of the server: keys from a file, compared in constant time, with a limit per name.

The file has a line for each key, `NAME KEY` or `NAME KEY TICKETS_A_MINUTE`. One name may have two keys at a time: the new one
is added, every client is moved, then the old one is taken out. The file is read again when it changes.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import FinetuneError

MIN_CHARACTERS = 20
AT_ONCE = 2  # keys of one name, for rotation
log = logging.getLogger("trainwise.serve")


class KeysError(FinetuneError):
    """The file of keys cannot be used as it is."""


@dataclass(frozen=True)
class Key:
    """A key's owner, its SHA-256 and how many tickets a minute the owner may make."""

    name: str
    digest: bytes
    per_minute: float


def private_lines(file: Path, what: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each line that is no comment, with its number; KeysError where others may read the file.

    `what` stands in the advice where it cannot be read: a line ... there.
    """
    try:
        mode, lines = file.stat().st_mode, file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{file} cannot be read as text: write a line {what} there.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeysError(f"{file} can be read by others. Run: chmod 600 {file}")
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield number, words


def read_keys(file: Path, per_minute: float) -> tuple[Key, ...]:
    """The keys in the file; KeysError names the line that is wrong, never a key."""
    keys: list[Key] = []
    for number, words in private_lines(file, "`NAME KEY` for each client"):
        keys.append(_key(words, f"{file} line {number}", per_minute))
        if sum(key.name == words[0] for key in keys) > AT_ONCE:
            raise KeysError(
                f"{file} line {number}: {words[0]} has more than {AT_ONCE} keys. Take the oldest out."
            )
    if not keys:
        raise KeysError(f"{file} holds no key: write a line `NAME KEY` for each client there.")
    return tuple(keys)


def _key(words: list[str], place: str, per_minute: float) -> Key:
    if len(words) not in (2, 3):
        raise KeysError(f"{place}: write `NAME KEY`, or `NAME KEY TICKETS_A_MINUTE`.")
    if len(words[1]) < MIN_CHARACTERS:
        raise KeysError(f"{place}: the key of {words[0]} is short. Make one: openssl rand -hex 24")
    try:
        rate = float(words[2]) if len(words) == 3 else per_minute
    except ValueError:
        rate = 0.0
    if not rate > 0:
        raise KeysError(f"{place}: `{words[2]}` is no number of tickets a minute.")
    return Key(words[0], hashlib.sha256(words[1].encode()).digest(), rate)


class AccessControl:
    """Authenticates requests by key and limits each name; without a file everyone is allowed, without a limit."""

    def __init__(
        self, file: Path | None, per_minute: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.file, self.per_minute, self.clock = file, per_minute, clock
        self._keys: tuple[Key, ...] = read_keys(file, per_minute) if file else ()
        self._stamp = _stamp(file)
        self._levels: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def owner(self, headers: Mapping[str, str]) -> Key | None:
        """The key's owner of a request (`Authorization: Bearer KEY`); None for an unknown key."""
        if self.file is None:
            return Key("anyone", b"", self.per_minute)
        self._read_again()
        scheme, _, value = headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(value.strip().encode("latin-1", "replace")).digest()
        owner = None
        for key in self._keys:  # compare every key, for constant time
            if hmac.compare_digest(key.digest, digest):
                owner = key
        return owner if scheme.lower() == "bearer" else None

    def wait_s(self, key: Key, tickets: int = 1) -> float:
        """Seconds until the name may send these tickets; 0 accepts and counts them.

        A token bucket that holds one minute's limit.
        """
        if self.file is None:
            return 0.0
        now = self.clock()
        with self._lock:
            level, at = self._levels.get(key.name, (key.per_minute, now))
            level = min(key.per_minute, level + (now - at) * key.per_minute / 60)
            cost = min(float(tickets), key.per_minute)
            if level + 1e-9 < cost:
                self._levels[key.name] = (level, now)
                return (cost - level) * 60 / key.per_minute
            self._levels[key.name] = (level - cost, now)
            return 0.0

    def _read_again(self) -> None:
        stamp = _stamp(self.file)
        if self.file is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self.file, self.per_minute)
            log.info("read the keys again: %d", len(self._keys))
        except KeysError as error:
            log.warning("the keys stay as they were: %s", error)


def _stamp(file: Path | None) -> tuple[int, int]:
    try:
        facts = file.stat() if file else None
    except OSError:
        return (0, 0)
    return (facts.st_mtime_ns, facts.st_size) if facts else (0, 0)
