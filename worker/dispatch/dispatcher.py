"""The bot's side of the queue: sends orders, receives events, repairs losses. Two threads."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis
from sqlalchemy.exc import InterfaceError, OperationalError

from worker.dispatch.packing import envelope_of
from worker.dispatch.reconciler import Reconciler
from worker.errors import WorkerError
from worker.jobs.records import Order
from worker.ledger import outbox, threads
from worker.ledger.apply_events import apply_each, apply_events
from worker.ledger.ledger import Ledger
from worker.transport import events, signing
from worker.transport.events import BadEvent, WorkerEvent
from worker.transport.queue import connect, enqueue, expires_at, remove
from worker.transport.stop_flag import publish_stop, write_stop

RECONCILE_S = 1.0
TIMEOUT_S = 24 * 3600

log = logging.getLogger("trainwise.jobs")


class Dispatcher:
    """Runs beside the bot: `start()` returns at once, also while Redis is away; `stop()` waits for both.

    `keys_folder` holds the bot's key and the trusted workers; `artifacts` takes the stop flags as files.
    `per_user` limits how many jobs of one person are sent at a time. `on_change` is called after events were applied, so
    that cards are updated at once. `team` marks the orders and names the stream of their events.
    """

    def __init__(
        self,
        ledger: Ledger,
        redis_url: str,
        keys_folder: Path,
        artifacts: Path,
        *,
        per_user: int | None = None,
        on_change: Callable[[], None] | None = None,
        reconciler: Reconciler | None = None,
        team: str = "",
    ) -> None:
        self.ledger, self._team = ledger, team
        self._url = redis_url
        self._key = signing.bot_key(keys_folder)
        self._keys_folder = keys_folder
        self._artifacts = artifacts
        self._per_user = per_user
        self._on_change = on_change
        self._over = threading.Event()
        self._wake = threading.Event()
        self._caught_up = threading.Event()
        self._reconciler = reconciler or Reconciler(ledger)
        self.redis_ok = False
        ledger.on_order = self._wake.set
        self._threads = [
            threading.Thread(target=self._send_orders, name="dispatcher-out", daemon=True),
            threading.Thread(target=self._listen, name="dispatcher-in", daemon=True),
        ]

    def start(self) -> None:
        """Starts both threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends both threads; unsent orders stay in the ledger for the next start."""
        self._over.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def workers(self) -> list[dict[str, Any]]:
        """The health of each worker seen in the last half minute; empty when Redis is away."""
        connection = connect(self._url)
        try:
            values: Any = [connection.get(key) for key in connection.scan_iter("tw:worker:*", count=200)]
        except redis.RedisError:
            return []
        return sorted((json.loads(text) for text in values if text), key=lambda worker: worker["name"])

    def _send_orders(self) -> None:
        connection = connect(self._url)
        reconcile_at = 0.0
        while not self._over.is_set():
            self._wake.wait(0.25)
            self._wake.clear()
            if self._over.is_set():
                return
            try:
                self._send_due_orders(connection)
                if time.monotonic() >= reconcile_at:
                    reconcile_at = time.monotonic() + RECONCILE_S
                    self._reconcile(connection)
                self.redis_ok = True
            except redis.RedisError as e:
                self._log_outage(e)
            except Exception:
                log.exception("orders could not be sent to the queue; trying again")
                self._over.wait(0.5)

    def _log_outage(self, error: redis.RedisError) -> None:
        if self.redis_ok:
            log.warning("Redis is away (%s); jobs are kept and go out when it is back", type(error).__name__)
        self.redis_ok = False
        self._reconciler.note_outage()
        self._over.wait(0.25)

    def _reconcile(self, connection: redis.Redis) -> None:
        self._reconciler.look(connection, self.ledger.clock(), time.monotonic(), self._caught_up.is_set())

    def _send_due_orders(self, connection: redis.Redis) -> None:
        for order in outbox.due_orders(self.ledger.engine, self.ledger.clock(), self._per_user):
            if order.what == "stop":
                self._send_stop(connection, order)
            else:
                self._send_attempt(connection, order)
            outbox.complete_order(self.ledger.engine, order, self.ledger.clock())

    def _send_stop(self, connection: redis.Redis, order: Order) -> None:
        rq_id = f"ft-{order.job_id}-{order.attempt}"
        try:
            write_stop(self._artifacts, self._key, rq_id, order.reason)
        except OSError as e:
            log.warning("stop flag of %s not written as a file: %s", rq_id, e)
        publish_stop(connection, self._key, rq_id, order.reason)
        if order.reason == "lost":
            remove(connection, rq_id)

    def _send_attempt(self, connection: redis.Redis, order: Order) -> None:
        pair = outbox.attempt_to_send(self.ledger.engine, order)
        if pair is not None:
            expires = expires_at(TIMEOUT_S, self.ledger.clock())
            attempt = pair.attempt
            envelope = envelope_of(pair.job, attempt.attempt, attempt.fence, expires, TIMEOUT_S)
            enqueue(connection, self._key, replace(envelope, team=self._team))

    def _listen(self) -> None:
        connection = connect(self._url, timeout_s=5.0)
        epoch: str | None = None
        cursor = "0-0"
        while not self._over.is_set():
            try:
                if epoch is None:
                    epoch = events.epoch(connection)
                    cursor = threads.cursor(self.ledger.engine, f"events:{epoch}") or "0-0"
                entries = events.receive(connection, cursor, block_ms=500, team=self._team)
                if not entries:
                    self._caught_up.set()
                    epoch = None
                    continue
                cursor = entries[-1][0]
                self._apply_entries(connection, entries, f"events:{epoch}", cursor)
            except redis.RedisError:
                epoch = None
                self._caught_up.clear()
                self._over.wait(0.25)
            except Exception:
                log.exception("events of workers could not be taken in; trying again")
                epoch = None
                self._over.wait(0.5)

    def _apply_entries(
        self, connection: redis.Redis, entries: Iterable[tuple[str, bytes]], name: str, cursor: str
    ) -> None:
        batch = list(self._verified_events(line for _, line in entries))
        try:
            apply_events(self.ledger.engine, batch, (name, cursor), self.ledger.clock())
        except (OperationalError, InterfaceError):  # the database is away or full: apply all of it again
            raise
        except Exception:
            log.exception("a batch of events could not be taken in; one by one")
            apply_each(self.ledger.engine, batch, (name, cursor), self.ledger.clock())
        seqs: dict[str, int] = {}
        for event in batch:
            seqs[event.run] = max(event.seq, seqs.get(event.run, -1))
        events.acknowledge(connection, seqs, cursor, self._team)
        if any(event.kind in events.LAST_KINDS for event in batch):
            self._wake.set()
        if batch and self._on_change is not None:
            self._on_change()

    def _verified_events(self, lines: Iterable[bytes]) -> Iterable[WorkerEvent]:
        keys = signing.trusted_workers(self._keys_folder)
        for line in lines:
            try:
                yield events.read_event(line, keys)
            except (BadEvent, WorkerError, TypeError, ValueError) as e:
                log.warning("an entry of the event stream was ignored: %s", e)
