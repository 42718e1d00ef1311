"""The lease of a run: a Redis key that its worker renews and that expires soon after it.

It also carries the CPU time of the run's processes, which tells a slow run on a busy machine from one that hangs.
Unsigned: it proves that a worker lives, not that work was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

LEASE_S = 13


@dataclass(frozen=True)
class Lease:
    """The run that holds an attempt; `cpu_s` is its CPU time so far in seconds, None where it is not known."""

    run_id: str
    cpu_s: float | None = None


def write_lease(connection: Any, rq_id: str, lease: Lease) -> None:
    """Renews the lease of an attempt for `LEASE_S`; `connection` is a client or a pipeline."""
    value = lease.run_id if lease.cpu_s is None else f"{lease.run_id} {lease.cpu_s:.1f}"
    connection.set(f"tw:lease:{rq_id}", value, ex=LEASE_S)


def read_leases(connection: redis.Redis, rq_ids: Sequence[str]) -> dict[str, Lease]:
    """The leases that are there, by attempt."""
    if not rq_ids:
        return {}
    values: Any = connection.mget([f"tw:lease:{rq_id}" for rq_id in rq_ids])
    pairs = zip(rq_ids, values, strict=True)
    return {rq_id: _parse(value) for rq_id, value in pairs if value is not None}


def _parse(value: bytes) -> Lease:
    run_id, _, cpu = value.decode(errors="replace").partition(" ")
    try:
        return Lease(run_id, float(cpu) if cpu else None)
    except ValueError:
        return Lease(run_id)
