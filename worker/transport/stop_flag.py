"""The stop flag of a run: signed by the bot, in Redis and as a file in the artifact folder.

The file delivers a cancel also while Redis is away (where bot and worker share the artifact folder). An unsigned flag,
or one for another attempt, has no effect: write access to Redis does not allow stopping a training.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import redis

from finetune.progress import FINISH
from worker.transport.signing import PrivateKey, PublicKey, Refusal, seal, unseal

REASONS = frozenset({"cancel", "pause", "lost", "budget", FINISH})
FLAG_S = 2 * 24 * 3600


def publish_stop(connection: redis.Redis, key: PrivateKey, rq_id: str, reason: str) -> None:
    """Raises the flag in Redis; a later reason replaces an earlier one."""
    connection.set(f"tw:stop:{rq_id}", _flag(key, rq_id, reason), ex=FLAG_S)


def write_stop(folder: Path, key: PrivateKey, rq_id: str, reason: str) -> None:
    """Raises the flag as a file in the artifact folder, readable from any machine that sees it."""
    folder = folder / "stops"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{rq_id}.{os.getpid()}"
    draft.write_bytes(_flag(key, rq_id, reason))
    draft.replace(folder / rq_id)


@dataclass(frozen=True)
class StopFlag:
    """Reads the flag of one attempt, in both places."""

    rq_id: str
    bot: PublicKey
    artifacts: Path
    connection: redis.Redis

    def look(self) -> str | None:
        """The reason to stop, or None; a place that cannot be reached counts as None."""
        return self.in_file() or self.in_redis()

    def in_file(self) -> str | None:
        """The reason in the artifact folder, or None."""
        with contextlib.suppress(OSError):
            return self._reason((self.artifacts / "stops" / self.rq_id).read_bytes())
        return None

    def in_redis(self) -> str | None:
        """The reason in Redis, or None; also None when Redis is away."""
        with contextlib.suppress(redis.RedisError):
            value = self.connection.get(f"tw:stop:{self.rq_id}")
            return self._reason(value) if isinstance(value, bytes) else None
        return None

    def _reason(self, data: bytes) -> str | None:
        try:
            message = unseal(data, self.bot)
        except (Refusal, ValueError):
            return None
        genuine = message.get("stop") == self.rq_id and message.get("reason") in REASONS
        return str(message["reason"]) if genuine else None


def _flag(key: PrivateKey, rq_id: str, reason: str) -> bytes:
    return seal({"stop": rq_id, "reason": reason}, key)
