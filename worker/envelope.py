"""The signed order to run one attempt: plain data, bound to its RQ id, its job and a time limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from worker.errors import WorkerError
from worker.jobs.records import rq_id
from worker.transport.signing import PrivateKey, PublicKey

FUNCTION = "worker.run.run_attempt"
"""The one function that can be asked for; it is named, never imported from the message."""

MAGIC = b"tw1\n"
SIGNATURE_BYTES = 64
LIMIT_BYTES = 256 * 1024


class Refused(WorkerError):
    """A message that is not a valid order of our bot; it was not run."""


@dataclass(frozen=True)
class Envelope:
    """What a worker is told: ids, the validated non-secret recipe, and limits. No token, no address."""

    job: str
    attempt: int
    fence: str
    root: str
    kind: str
    spec: dict[str, Any]
    dataset: str
    expires: float
    timeout_s: int
    spent_usd: float
    budget_usd: float | None

    @property
    def rq_id(self) -> str:
        """The only RQ job id under which this order may run."""
        return rq_id(self.job, self.attempt)


def seal(message: Mapping[str, Any], key: PrivateKey) -> bytes:
    """`message` as signed JSON: magic, signature, body."""
    body = json.dumps(message, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return MAGIC + key.sign(MAGIC + body) + body


def unseal(data: bytes, key: PublicKey) -> dict[str, Any]:
    """The message inside, or Refused when a single bit is not as the holder of `key` wrote it."""
    if len(data) > LIMIT_BYTES or not data.startswith(MAGIC):
        raise Refused("not a signed message of this bot")
    signature = data[len(MAGIC) : len(MAGIC) + SIGNATURE_BYTES]
    body = data[len(MAGIC) + SIGNATURE_BYTES :]
    if not key.verifies(signature, MAGIC + body):
        raise Refused("the signature does not fit")
    message = json.loads(body)
    if not isinstance(message, dict):
        raise Refused("not a message")
    return message


def order(envelope: Envelope) -> dict[str, Any]:
    """The envelope as the message that is signed."""
    return {"call": FUNCTION, "envelope": asdict(envelope)}


def read_order(message: Mapping[str, Any], rq_job_id: str, now: float) -> Envelope:
    """The envelope of a verified message, if it is for this RQ job and still valid; else Refused."""
    if message.get("call") != FUNCTION:
        raise Refused("the function asked for is not on the list")
    values = message.get("envelope")
    if not isinstance(values, dict) or set(values) != {field.name for field in fields(Envelope)}:
        raise Refused("the order's fields are not as expected; bot and worker must run the same version")
    envelope = Envelope(**values)
    if envelope.rq_id != rq_job_id:
        raise Refused("the order was signed for another job")
    if now > envelope.expires:
        raise Refused("the order has expired")
    return envelope
