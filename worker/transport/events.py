"""Worker events: small signed messages on a Redis stream, numbered within their run.

Keys in Redis: `tw:events` (the stream; `tw:events:TEAM` where there are several teams), `tw:ack:<run>` (how far the bot has it), `tw:epoch` (a mark that
changes when Redis lost its data), `tw:lease:<rq id>` (sign of life), `tw:stop:<rq id>` (signed stop flag),
`tw:claim:<rq id>` (the run that took it), `tw:worker:<name>` (health of a worker).
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import redis

from worker.errors import WorkerError
from worker.transport.signing import PrivateKey, PublicKey

STREAM = "tw:events"
EPOCH = "tw:epoch"
STREAM_LIMIT = 200_000
EVENT_LIMIT_BYTES = 2 * 1024 * 1024
KINDS = frozenset({"leased", "phase", "step", "note", "finalizing", "finished", "failed", "stopped", "died"})
LAST_KINDS = frozenset({"finished", "failed", "stopped", "died"})
"""The last event of a run is one of these."""


NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
SHAPES: Mapping[str, type | tuple[type, ...]] = {
    **{"job": str, "attempt": int, "fence": str, "run": str, "seq": int, "kind": str},
    **{"at": (int, float), "data": dict},
}


class BadEvent(WorkerError):
    """A stream entry that no trusted worker has written; it is ignored."""


@dataclass(frozen=True)
class WorkerEvent:
    """One report of one run: `seq` counts from 0 within `run`; `fence` came with the order."""

    job: str
    attempt: int
    fence: str
    run: str
    seq: int
    kind: str
    at: float
    data: dict[str, Any]
    worker_key: str = ""


def sign_event(event: WorkerEvent, key: PrivateKey) -> str:
    """The event as one line of text: key id, signature, body."""
    values = {name: value for name, value in asdict(event).items() if name != "worker_key"}
    body = json.dumps(values, separators=(",", ":"), allow_nan=False)
    signature = base64.b64encode(key.sign(body.encode())).decode()
    return f"{key.public.id} {signature} {body}"


def read_event(line: bytes, keys: Mapping[str, PublicKey]) -> WorkerEvent:
    """The event in `line` if one of the trusted workers signed it, else BadEvent."""
    try:
        key_id, signature, body = line.decode().split(" ", 2)
        key = keys[key_id]
        genuine = len(line) <= EVENT_LIMIT_BYTES and key.verifies(base64.b64decode(signature), body.encode())
        values = _plain(body) if genuine else None
    except (ValueError, KeyError, RecursionError) as e:
        raise BadEvent("unreadable, or from an unknown worker") from e
    if values is None:
        raise BadEvent("the signature does not fit")
    if not isinstance(values, dict) or set(values) != set(SHAPES):
        raise BadEvent("unexpected fields")
    if not all(isinstance(values[name], shape) for name, shape in SHAPES.items()):
        raise BadEvent("a field of the wrong kind")
    if values["kind"] not in KINDS or not 0 <= values["seq"] < 2**31 or not 0 < values["attempt"] < 2**31:
        raise BadEvent("unknown kind or number")
    return WorkerEvent(**values, worker_key=key_id)


def _plain(body: str) -> Any:
    """The JSON in `body` without what a database refuses: NUL characters, NaN, infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(NUL.sub(r"\1", body), parse_constant=refuse)


def stream_of(team: str) -> str:
    """The stream of a team's events: one bot reads it to its end, so none takes another's away."""
    return f"{STREAM}:{team}" if team else STREAM


def send(connection: redis.Redis, lines: list[bytes], team: str = "") -> None:
    """Appends the lines to the team's stream, in order."""
    with connection.pipeline(transaction=False) as pipe:
        for line in lines:
            pipe.xadd(stream_of(team), {"e": line}, maxlen=STREAM_LIMIT, approximate=True)
        pipe.execute()


def receive(
    connection: redis.Redis, cursor: str, block_ms: int, count: int = 200, team: str = ""
) -> list[tuple[str, bytes]]:
    """Up to `count` (entry id, line) after `cursor`, waiting up to `block_ms` for the first."""
    streams: Any = connection.xread({stream_of(team): cursor}, count=count, block=block_ms)
    if not streams:
        return []
    entries = next(iter(streams.values()))[0] if isinstance(streams, dict) else streams[0][1]
    return [(entry_id.decode(), values.get(b"e", b"")) for entry_id, values in entries]


def acknowledge(connection: redis.Redis, seqs: Mapping[str, int], read_to: str, team: str = "") -> None:
    """Tells the workers how far each run is in the ledger, and drops what was read from the team's stream."""
    with connection.pipeline(transaction=False) as pipe:
        for run, seq in seqs.items():
            pipe.set(f"tw:ack:{run}", seq, ex=24 * 3600)
        pipe.xtrim(stream_of(team), minid=read_to, approximate=True)
        pipe.execute()


def acknowledged_seq(connection: redis.Redis, run: str) -> int:
    """The last `seq` of `run` that the ledger has, -1 for none."""
    value: Any = connection.get(f"tw:ack:{run}")
    return int(value) if value is not None else -1


def epoch(connection: redis.Redis) -> str:
    """A marker that changes when Redis loses its data."""
    connection.set(EPOCH, secrets.token_hex(8), nx=True)
    value: Any = connection.get(EPOCH)
    return str(value.decode())
