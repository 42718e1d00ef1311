"""The queue between bot and workers: RQ's lists and keys, but only signed orders, no callbacks, no pickle."""

from __future__ import annotations

import contextlib
import re
import time
import zlib
from typing import Any, NoReturn

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job, JobStatus
from rq.utils import decode_redis_hash

from worker.errors import WorkerError
from worker.kinds import kind_of
from worker.transport.signing import (
    FUNCTION,
    Envelope,
    PrivateKey,
    PublicKey,
    Refusal,
    order,
    read_order,
    seal,
    unseal,
)

QUEUE = "trainwise"
RQ_ID = re.compile(r"ft-[a-z0-9]{1,32}-[0-9]{1,6}")
DAY_S = 24 * 3600


class OrderSerializer:
    """RQ's serializer: the bot signs, everyone verifies, nobody unpickles.

    Without a private key it cannot write orders; RQ's own small writes become empty JSON.
    """

    def __init__(self, public: PublicKey, private: PrivateKey | None = None) -> None:
        self.public = public
        self.private = private
        self.__qualname__ = type(self).__qualname__  # RQ asks a serializer for its name

    def dumps(self, call: Any) -> bytes:
        """The signed form of RQ's (function, instance, args, kwargs)."""
        if self.private is None or not isinstance(call, tuple) or call[0] != FUNCTION:
            return b"{}"
        return seal(call[3], self.private)

    def loads(self, data: bytes) -> tuple[str, None, tuple[()], dict[str, Any]]:
        """RQ's call tuple from signed data; Refusal otherwise."""
        return FUNCTION, None, (), unseal(data, self.public)


class OrderJob(Job):
    """An RQ job reduced to what we trust: its id and its signed data.

    Every other field of the Redis hash is ignored, so that callbacks, webhooks, dependencies, repeats or
    broken values that someone wrote there have no effect. RQ cannot run it; worker.runtime.server does.
    """

    def restore(self, raw_data: Any) -> None:
        """Takes `data` and the status from the hash, whatever else stands in it."""
        fields = decode_redis_hash(raw_data)
        data = fields.get("data", b"")
        with contextlib.suppress(zlib.error):
            data = _inflate(data)
        self.data = data
        self.origin = QUEUE
        self.description = None
        self.timeout = DAY_S
        self.result_ttl = 0
        with contextlib.suppress(ValueError, UnicodeDecodeError):
            self._status = JobStatus(fields.get("status", b"queued").decode())

    def envelope(self, now: float) -> Envelope:
        """The verified order in this job, or Refusal."""
        data = self.data
        if not isinstance(data, bytes):
            raise Refusal("no data")
        return read_order(self.serializer.loads(data)[3], self.id, now)

    def perform(self) -> NoReturn:
        """RQ's own way of running a job imports a function by name; here that never happens."""
        raise Refusal("orders are run by worker.runtime.server only")


class OrderQueue(Queue):
    """An RQ queue that steps over list entries which cannot be ours instead of dying of them."""

    job_class = OrderJob

    @classmethod
    def lmove(cls, connection: Any, queue_key: str, timeout: int | None) -> Any:
        """The next entry that looks like one of our ids; others are thrown away."""
        while True:
            entry = super().lmove(connection, queue_key, timeout)
            if entry is None or RQ_ID.fullmatch(entry[1].decode(errors="replace")):
                return entry
            connection.lrem(cls.get_intermediate_key(queue_key), 1, entry[1])

    @staticmethod
    def get_intermediate_key(queue_key: str) -> str:
        """Where RQ parks an id between taking and starting it."""
        return f"{queue_key}:intermediate"


def connect(url: str, patient: bool = False, timeout_s: float | None = 2.0) -> redis.Redis:
    """A client for `url` (redis://, rediss://, unix://), connected at first use.

    `patient` waits up to ten minutes for a server that is away, for callers with nothing better to do;
    else the first failure is raised. `timeout_s` None lets blocking reads wait for ever.
    """
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": 2.0}
    if not url.startswith("unix"):
        options["socket_keepalive"] = True
    if patient:
        options["retry_on_error"] = [redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError]
    waits = Retry(ExponentialWithJitterBackoff(base=0.05, cap=2.0), 300 if patient else 0)
    try:
        return redis.Redis.from_url(url, retry=waits, **options)
    except (ValueError, TypeError) as e:
        raise WorkerError(
            "TRAINWISE_REDIS_URL is no Redis address; it looks like redis://host:6379/0 or rediss://..."
        ) from e


def open_queue(connection: redis.Redis, serializer: OrderSerializer) -> OrderQueue:
    """Our one queue on this connection."""
    return OrderQueue(QUEUE, connection=connection, job_class=OrderJob, serializer=serializer)


def enqueue(connection: redis.Redis, key: PrivateKey, envelope: Envelope) -> bool:
    """Puts one attempt in line; False when it is there already (the same order twice is one order)."""
    queue = open_queue(connection, OrderSerializer(key.public, key))
    job = OrderJob(id=envelope.rq_id, connection=connection, serializer=queue.serializer)
    job.data = queue.serializer.dumps((FUNCTION, None, (), order(envelope)))
    job.timeout, job.result_ttl, job.failure_ttl = envelope.timeout_s, 0, DAY_S
    try:
        queue.enqueue_job(job, unique=True, at_front=kind_of(envelope.kind).at_front)
    except DuplicateJobError:
        return False
    return True


def remove(connection: redis.Redis, rq_job_id: str) -> None:
    """Takes an attempt out of Redis altogether: line, parking list, registries, order."""
    with connection.pipeline() as pipe:
        pipe.lrem(f"rq:queue:{QUEUE}", 0, rq_job_id)
        pipe.lrem(f"rq:queue:{QUEUE}:intermediate", 0, rq_job_id)
        pipe.zrem(f"rq:wip:{QUEUE}", rq_job_id)
        pipe.zrem(f"rq:failed:{QUEUE}", rq_job_id)
        pipe.delete(f"rq:job:{rq_job_id}", f"rq:executions:{rq_job_id}")
        pipe.execute()


def queued_ids(connection: redis.Redis) -> tuple[set[str], set[str]]:
    """The attempts that wait in Redis, and those a worker took but has not started yet."""
    with connection.pipeline() as pipe:
        pipe.lrange(f"rq:queue:{QUEUE}", 0, -1)
        pipe.lrange(f"rq:queue:{QUEUE}:intermediate", 0, -1)
        waiting, intermediate = pipe.execute()
    return {i.decode(errors="replace") for i in waiting}, {i.decode(errors="replace") for i in intermediate}


def expires_at(timeout_s: int, now: float | None = None) -> float:
    """When an order signed now stops being valid: a day in line, then its own time."""
    return (time.time() if now is None else now) + DAY_S + timeout_s


def _inflate(data: bytes) -> bytes:
    """Unpacks with a limit: a few kilobytes in Redis must not become gigabytes here."""
    inflater = zlib.decompressobj()
    return inflater.decompress(data, 1 << 20)
