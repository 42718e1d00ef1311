"""The worker's second thread: renews leases, checks the stop flag, ships the spool to Redis. Never blocks for long."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import redis

from worker.runtime.processes import cpu_seconds
from worker.transport.lease import Lease, write_lease
from worker.transport.spool import Shipper
from worker.transport.stop_flag import StopFlag

RENEW_S = 3.0
LOOK_S = 0.5
SHIP_S = 0.04
HEALTH_S = 5.0

log = logging.getLogger("trainwise.worker")


class Heartbeat:
    """Handles leases, stop flag and spool while the worker's main thread waits."""

    def __init__(
        self, connection: redis.Redis, shippers: list[Shipper], describe: Callable[[], dict[str, Any]]
    ):
        self.shippers = shippers
        self.stop_reason: str | None = None
        self.redis_ok = True
        self._connection = connection
        self._describe = describe
        self._flag: StopFlag | None = None
        self._over = threading.Event()
        self._next = {"renew": 0.0, "look": 0.0, "health": 0.0}
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)
        self._runs: dict[str, str] = {}
        self._job_pid: int | None = None

    def start(self) -> None:
        """Begins; once."""
        self._thread.start()

    def stop(self) -> None:
        """Sends what is left for up to two seconds, then ends."""
        deadline = time.monotonic() + 2.0
        while any(s.open_runs() for s in self.shippers) and self.redis_ok and time.monotonic() < deadline:
            time.sleep(SHIP_S)
        self._over.set()
        self._thread.join(5.0)
        for shipper in self.shippers:
            shipper.close()

    def hold(self, rq_id: str, run_id: str, flag: StopFlag) -> None:
        """Starts to renew the run's lease and to check its stop flag."""
        self.stop_reason = None
        self._runs[rq_id] = run_id
        self._flag = flag

    def watch_process(self, pid: int) -> None:
        """Sets the process whose CPU time, with its descendants', the lease reports."""
        self._job_pid = pid

    def release(self, rq_id: str) -> None:
        """Ends the hold on the run; its lease stays until the bot has all its events."""
        self._flag, self._job_pid = None, None
        self._runs.pop(rq_id, None)

    def _loop(self) -> None:
        while not self._over.is_set():
            try:
                self._turn(time.monotonic())
                self.redis_ok = True
            except redis.RedisError:
                self.redis_ok = False
            except Exception:
                log.exception("a round of signs of life, stop flags and events failed; it goes on")
                time.sleep(1.0)
            self._over.wait(SHIP_S)

    def _turn(self, now: float) -> None:
        for shipper in self.shippers:
            shipper.tick()
        if self._is_due("look", now, LOOK_S) and self._flag is not None:
            self.stop_reason = self._flag.look() or self.stop_reason
        if self._is_due("renew", now, RENEW_S):
            self._renew()
        if self._is_due("health", now, HEALTH_S):
            self._connection.set(f"tw:worker:{self._describe()['name']}", json.dumps(self._describe()), ex=30)

    def _is_due(self, what: str, now: float, every_s: float) -> bool:
        if now < self._next[what]:
            return False
        self._next[what] = now + every_s
        return True

    def _renew(self) -> None:
        runs, pid = dict(self._runs), self._job_pid
        cpu_s = cpu_seconds(pid) if pid is not None else None
        leases = {rq_id: Lease(run_id, cpu_s) for rq_id, run_id in runs.items()}
        for shipper in self.shippers:
            leases |= {rq_id: Lease(run_id) for rq_id, run_id in shipper.open_runs() if rq_id not in runs}
        if leases:
            with self._connection.pipeline(transaction=False) as pipe:
                for rq_id, lease in leases.items():
                    write_lease(pipe, rq_id, lease)
                pipe.execute()


def open_shippers(spool: Path, name: str, connection: redis.Redis) -> list[Shipper]:
    """A shipper for this worker's own folder, and one for each folder that a dead worker left behind."""
    shippers: list[Shipper] = []
    number = 1
    while not shippers:
        own = spool / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(BlockingIOError):
            shippers.append(Shipper(own, connection))
        number += 1
    for folder in sorted(path for path in spool.iterdir() if path.is_dir() and path != own):
        if any(folder.glob("*.jsonl")):
            with contextlib.suppress(BlockingIOError):
                shippers.append(Shipper(folder, connection))
    return shippers


class HealthServer:
    """Answers GET /health with what `check` returns; 200 when its "ok" is true, else 503."""

    def __init__(self, check: Callable[[], dict[str, Any]], port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"check": staticmethod(check)})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Answers from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    check: Callable[[], dict[str, Any]]

    def do_GET(self) -> None:
        if self.path != "/health":
            self.send_error(404)
            return
        health = self.check()
        body = json.dumps(health).encode()
        self.send_response(200 if health.get("ok") else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: health checks are frequent."""
