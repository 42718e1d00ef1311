"""The spool: events are written to the worker's disk first, then sent until the bot acknowledges them.

One file per run, `<rq id>.<run>.jsonl`, one signed event per line; `<rq id>.<run>.end` holds the run's
outcome until it has become the last event. A file goes when the bot has acknowledged its last event.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import redis

from worker.jobs.records import rq_id
from worker.teams import team_of_run
from worker.transport.events import LAST_KINDS, WorkerEvent, acknowledged_seq, send, sign_event
from worker.transport.signing import PrivateKey

RESEND_S = 3.0
BATCH_BYTES = 4 * 1024 * 1024


class RunLog:
    """Writes one run's events, signed and numbered, to its spool file; one process at a time."""

    def __init__(self, path: Path, job: str, attempt: int, fence: str, run: str, key: PrivateKey) -> None:
        self.path, self.job, self.attempt = path, job, attempt
        self._about = {"job": job, "attempt": attempt, "fence": fence, "run": run}
        self._key = key
        self._seq = _last_seq(path) + 1

    def append(self, kind: str, **data: Any) -> None:
        """One more event, on disk when this returns. Raises OSError when the disk is full."""
        event = WorkerEvent(**self._about, seq=self._seq, kind=kind, at=time.time(), data=data)  # type: ignore[arg-type]
        line = sign_event(event, self._key).encode() + b"\n"
        with self.path.open("ab") as out:
            before = out.tell()
            try:
                out.write(line)
                out.flush()
                if kind != "step":
                    os.fsync(out.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    out.truncate(before)  # an incomplete line must not join the next one
                raise
        self._seq += 1


def run_path(folder: Path, job: str, attempt: int, run: str) -> Path:
    """Where the events of this run are spooled."""
    return folder / f"{rq_id(job, attempt)}.{run}.jsonl"


def end_path(path: Path) -> Path:
    """The file for the outcome that the job process writes for its worker."""
    return path.with_suffix(".end")


def write_end(path: Path, kind: str, data: dict[str, Any]) -> None:
    """Writes the outcome atomically."""
    draft = end_path(path).with_suffix(".draft")
    with draft.open("w") as out:
        json.dump({"kind": kind, "data": data}, out)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(end_path(path))


def read_end(path: Path) -> tuple[str, dict[str, Any]] | None:
    """The outcome the job process left, or None when it died without one."""
    try:
        end = json.loads(end_path(path).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return end["kind"], end["data"]


@dataclass
class _Progress:
    """How far one file was sent and acknowledged."""

    offset: int = 0
    last_seq: int = -1
    last_kind: str = ""
    acked_seq: int = -1
    acked_offset: int = 0
    asked_at: float = 0.0
    ends: list[tuple[int, int]] = field(default_factory=list)


class Shipper:
    """Sends the lines of every spool file in `folder` to Redis, in order, until they are acknowledged.

    Holds the folder's lock, so that two workers of one name never share it; `close` lets go of it.
    """

    def __init__(self, folder: Path, connection: redis.Redis, clock: Callable[[], float] = time.monotonic):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._connection = connection
        self._clock = clock
        self._progress: dict[Path, _Progress] = {}
        self._away_until = 0.0
        self._lock = lock_folder(folder)
        if self._lock is None:
            raise BlockingIOError(f"{folder} is in use by another worker")

    def close(self) -> None:
        """Releases the folder for another worker."""
        if self._lock is not None:
            self._lock.close()

    def tick(self) -> int:
        """Sends what is new; the number of lines sent. Quiet while Redis is away: the files keep it all."""
        if self._clock() < self._away_until:
            return 0
        lines = 0
        try:
            for path in sorted(self.folder.glob("*.jsonl"), key=_age):
                lines += self._ship(path, self._progress.setdefault(path, _Progress()))
        except redis.RedisError:
            self._away_until = self._clock() + 0.5
        return lines

    def open_runs(self) -> list[tuple[str, str]]:
        """(rq id, run) of every run of which the bot does not have everything yet."""
        return [(name.rsplit(".", 1)[0], name.rsplit(".", 1)[1]) for name in map(_stem, self._files())]

    def backlog(self) -> int:
        """How many bytes wait to be acknowledged."""
        return sum(path.stat().st_size for path in self._files())

    def _files(self) -> list[Path]:
        return list(self.folder.glob("*.jsonl"))

    def _ship(self, path: Path, progress: _Progress) -> int:
        lines = self._new_lines(path, progress)
        if lines:
            send(self._connection, lines, team_of_run(_run_of(path)))
            progress.asked_at = self._clock()
            return len(lines)
        if progress.last_seq > progress.acked_seq and self._clock() - progress.asked_at >= 0.25:
            self._check(path, progress)
        return 0

    def _new_lines(self, path: Path, progress: _Progress) -> list[bytes]:
        with path.open("rb") as spool:
            spool.seek(progress.offset)
            data = spool.read(BATCH_BYTES)
        lines = data.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        for line in whole:
            progress.offset += len(line)
            body = json.loads(line.split(b" ", 2)[2])
            progress.last_seq, progress.last_kind = body["seq"], body["kind"]
            progress.ends.append((body["seq"], progress.offset))
        return [line.rstrip(b"\n") for line in whole]

    def _check(self, path: Path, progress: _Progress) -> None:
        seq = acknowledged_seq(self._connection, _run_of(path))
        if seq > progress.acked_seq:
            progress.acked_seq, progress.asked_at = seq, self._clock()
            progress.acked_offset = max(
                [o for s, o in progress.ends if s <= seq], default=progress.acked_offset
            )
            progress.ends = [(s, o) for s, o in progress.ends if s > seq]
        if seq >= progress.last_seq and progress.last_kind in LAST_KINDS:
            end_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            self._progress.pop(path, None)
        elif (
            self._clock() - progress.asked_at >= RESEND_S
        ):  # Redis lost them, or the bot is away: send them again
            progress.offset, progress.ends, progress.asked_at = progress.acked_offset, [], self._clock()


def lock_folder(folder: Path) -> IO[str] | None:
    """The folder's lock while the returned file stays open, or None when another process has it.

    A job process inherits it, so the folder of a killed worker is free only once its job process is gone too.
    """
    handle = (folder / ".lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _last_seq(path: Path) -> int:
    if not path.exists():
        return -1
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    return json.loads(lines[-1].split(b" ", 2)[2])["seq"] if lines else -1


def last_kind(path: Path) -> str | None:
    """The kind of the run's last spooled event."""
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    return json.loads(lines[-1].split(b" ", 2)[2])["kind"] if lines else None


def _stem(path: Path) -> str:
    return path.name.removesuffix(".jsonl")


def _run_of(path: Path) -> str:
    return _stem(path).rsplit(".", 1)[1]


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_ctime, path.name
