"""`trainwise worker`: runs one order at a time in a child process and never loses its outcome.

RQ provides registration, the blocking dequeue and the parking list. Its results, callbacks, retries and pub/sub
commands are switched off; the signed stop flag, the lease and the spool replace them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import secrets
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis
from rq.exceptions import StopRequested
from rq.worker import Worker

from finetune.device import memory_gib
from finetune.progress import FINISH
from worker.kinds.job_kind import JobKind
from worker.logs import log_event
from worker.runtime import multi_gpu, processes
from worker.runtime.heartbeat import HealthServer, Heartbeat, open_shippers
from worker.runtime.job_process import ProcessSpec, run_job_process
from worker.runtime.multi_gpu import over_ranks
from worker.runtime.options import WorkerOptions
from worker.teams import run_name
from worker.transport import signing
from worker.transport.lease import Lease, write_lease
from worker.transport.queue import QUEUE, OrderJob, OrderQueue, OrderSerializer, connect, remove
from worker.transport.signing import Envelope, Refusal
from worker.transport.spool import RunLog, last_kind, read_end, run_path
from worker.transport.stop_flag import StopFlag

GRACE_S = {"cancel": 2.5, "pause": 20.0, "budget": 20.0, "drain": 25.0, "lost": 0.0}
"""Seconds that a job process gets to stop by itself before it is killed, by reason."""

log = logging.getLogger("trainwise.worker")


class OrderWorker(Worker):
    """An RQ worker that runs signed orders only, in a child process that ends with it."""

    job_class = OrderJob
    queue_class = OrderQueue

    def prepare(self, context: WorkerContext) -> OrderWorker:
        """Gives the worker what it needs beside RQ's own settings."""
        self.context = context
        return self

    def subscribe(self) -> None:
        """RQ's pub/sub commands are unsigned: anyone on Redis could stop or kill. Not listened to."""

    def run_maintenance_tasks(self) -> None:
        """The bot's reconciler tidies up; here RQ would run failure callbacks and retries."""

    def teardown(self) -> None:
        """Signs off if Redis is there; its registration expires by itself otherwise."""
        self.connection = self.context.connection
        with contextlib.suppress(redis.RedisError):
            super().teardown()

    def request_stop(self, signum: int, frame: Any) -> None:
        """First signal: stop at the next checkpoint and hand the job back. Second: at once."""
        if self.context.draining:
            self.context.hurry = True
        self.context.draining = True
        self._stop_requested = True
        if not self.horse_pid:
            raise StopRequested

    def execute_job(self, job: Any, queue: Any) -> None:
        """Runs the order if it is genuine, still wanted and unclaimed; else drops it."""
        try:
            envelope = job.envelope(time.time())
            kind = self.context.options.kinds[envelope.kind]
        except (Refusal, ValueError, TypeError, KeyError) as e:
            log.warning("refused %s: %s", job.id, e)
            remove(self.connection, job.id)
            return
        run_id = run_name(secrets.token_hex(8), envelope.team)
        artifacts = self.context.options.artifacts_of(envelope.team)
        flag = StopFlag(envelope.rq_id, self.context.bot, artifacts, self.context.connection)
        if self._ran_already(envelope) or flag.look() or not self._claim(envelope, run_id):
            remove(self.connection, job.id)
            return
        self.context.heartbeat.hold(envelope.rq_id, run_id, flag)
        try:
            self._run(envelope, run_id, kind, flag)
        finally:
            self.context.heartbeat.release(envelope.rq_id)
        with contextlib.suppress(redis.RedisError):
            remove(self.context.connection, job.id)

    def _ran_already(self, envelope: Envelope) -> bool:
        """Whether a worker has already started this attempt: then the order is a copy."""
        return (self.context.options.artifacts_of(envelope.team) / envelope.root / envelope.rq_id).exists()

    def _claim(self, envelope: Envelope, run_id: str) -> bool:
        first = self.connection.set(f"tw:claim:{envelope.rq_id}", run_id, nx=True, ex=7 * 24 * 3600)
        if first:
            write_lease(self.connection, envelope.rq_id, Lease(run_id))
        return bool(first)

    def _run(self, envelope: Envelope, run_id: str, kind: JobKind, flag: StopFlag) -> None:
        spec = self.context.process_spec(envelope, run_id, kind)
        self.context.current = envelope.rq_id
        worker_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.setpgrp()
            self._in_child(spec, worker_pid)
        self._horse_pid = pid
        self.context.heartbeat.watch_process(pid)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        status, reason = self._wait(envelope, flag)
        processes.end_attempt(envelope.rq_id, pid)
        self._horse_pid = 0
        self.context.current = None
        path = run_path(spec.spool, envelope.job, envelope.attempt, run_id)
        events = RunLog(path, envelope.job, envelope.attempt, envelope.fence, run_id, spec.key)
        write_last_event(events, path, status, reason)

    def _in_child(self, spec: ProcessSpec, parent: int) -> None:
        status = 1
        try:
            status = run_job_process(spec, parent)
        except BaseException:
            log.exception("the job process of %s failed outside its run", spec.envelope.rq_id)
        finally:
            logging.shutdown()
            os._exit(status)

    def _wait(self, envelope: Envelope, flag: StopFlag) -> tuple[int, str | None]:
        """Waits for the job process, and kills it when its grace period ends; returns its status and the reason to stop."""
        began, told_at, reason = time.monotonic(), None, None
        while True:
            pid, status = os.waitpid(self._horse_pid, os.WNOHANG)
            if pid:
                return status, reason
            now = time.monotonic()
            request = (
                self.context.heartbeat.stop_reason
                or flag.in_file()
                or ("drain" if self.context.draining else None)
            )
            if request == FINISH:  # the job process sees the flag itself and continues with its evaluation
                request = "drain" if self.context.draining else None
            if request is None and now - began > envelope.timeout_s:
                request = "timeout"
            if request is not None and (
                reason is None or (request in ("lost", "cancel") and request != reason)
            ):
                reason, told_at = request, now
                os.kill(self._horse_pid, signal.SIGTERM)
            if told_at is not None and (
                self.context.hurry or now - told_at > GRACE_S.get(reason or "", 10.0)
            ):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._horse_pid, signal.SIGKILL)
            time.sleep(0.02)


class WorkerContext:
    """The state of one worker process: options, keys, connection, current run."""

    def __init__(self, options: WorkerOptions) -> None:
        self.options = options
        self.bot = signing.bot_public(options.keys)
        self.key = signing.worker_key(options.keys)
        self.connection = connect(options.redis_url)
        self.current: str | None = None
        self.draining = self.hurry = False
        self.started_at = time.time()
        self.devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self.memory_gib = round(memory_gib(), 1)
        self.gpu_gib = round(multi_gpu.smallest_memory_gib(self.devices), 1)
        shippers = open_shippers(options.spool, options.name, self.connection)
        self.own_spool = shippers[0].folder
        for shipper in shippers:
            close_orphans(shipper.folder, self.key)
        self.heartbeat = Heartbeat(self.connection, shippers, self.health)

    def process_spec(self, envelope: Envelope, run_id: str, kind: JobKind) -> ProcessSpec:
        """What the job process needs for this attempt."""
        return ProcessSpec(envelope, run_id, kind, self.options, self.own_spool, self.key, self.bot)

    def health(self) -> dict[str, Any]:
        """The worker's health, for the health page and for App Home."""
        return {
            "ok": self.heartbeat.redis_ok and not self.draining,
            "name": self.options.name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "running": self.current,
            "redis": self.heartbeat.redis_ok,
            "draining": self.draining,
            "unsent_bytes": sum(shipper.backlog() for shipper in self.heartbeat.shippers),
            "devices": self.devices or "cpu",
            "memory_gib": self.memory_gib,
            "gpu_gib": self.gpu_gib,
            "since": self.started_at,
        }


def write_last_event(events: RunLog, path: Path, status: int, reason: str | None) -> None:
    """Writes the run's last event after its last process has ended; waits for disk space rather than lose it."""
    end = read_end(path)
    while True:
        try:
            if reason == "timeout":
                events.append("failed", error="It ran longer than it may; launch it with fewer epochs.")
            elif end is not None:
                events.append(end[0], **end[1])
            elif reason is not None:
                events.append("stopped", reason=reason, killed=True)
            else:
                events.append("died", error=describe_status(status))
            if end is None or reason == "timeout":
                log_unreported_end(events, reason or describe_status(status))
            return
        except OSError as e:
            log.error("the end of a run cannot be written (%s); trying again", e)
            time.sleep(2.0)


def log_unreported_end(events: RunLog, why: str) -> None:
    """Logs the end of a run whose process could not log it."""
    log_event(log, "job ended", job=events.job, attempt=events.attempt, outcome="died", reason=why)


def describe_status(status: int) -> str:
    """Why a job process ended without an outcome, from its wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = "; the machine may have run out of memory" if number == signal.SIGKILL else ""
        return f"the training process was killed ({signal.Signals(number).name}){hint}"
    return f"the training process ended with status {os.waitstatus_to_exitcode(status)}"


def close_orphans(folder: Path, key: signing.PrivateKey) -> None:
    """Writes the last event of runs that a killed worker left open; the folder lock proves that their processes have ended."""
    for path in folder.glob("*.jsonl"):
        rq_id, run = path.name.removesuffix(".jsonl").rsplit(".", 1)
        if last_kind(path) in ("finished", "failed", "stopped", "died"):
            continue
        first = path.read_bytes().split(b"\n", 1)[0]
        if not first:
            path.unlink()
            continue
        about = json.loads(first.split(b" ", 2)[2])
        processes.end_attempt(rq_id, -1)
        events = RunLog(path, about["job"], about["attempt"], about["fence"], run, key)
        end = read_end(path)
        kind, data = end or ("died", {"error": "the worker was killed"})
        events.append(kind, **data)


def serve(options: WorkerOptions) -> None:
    """Serves the queue until SIGTERM; then stops a running job at its next checkpoint, requeues it and returns.

    Raises WorkerError when a key, folder or GPU is not as it must be.
    """
    devices = multi_gpu.choose_devices(multi_gpu.free_memory_gib(), options.gpus, options.min_free_gib)
    os.environ["CUDA_VISIBLE_DEVICES"] = devices
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    for module in options.preload:
        importlib.import_module(module)
    options.artifacts.mkdir(parents=True, exist_ok=True)
    options.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    context = WorkerContext(replace(options, kinds=spread_over_gpus(options, devices)))
    processes.adopt_orphans()
    health = HealthServer(context.health, options.health_port)
    health.start()
    log.info("worker %s: health on http://127.0.0.1:%d/health", options.name, health.port)
    context.heartbeat.start()
    try:
        _work(context)
    finally:
        context.heartbeat.stop()
        health.stop()


def spread_over_gpus(options: WorkerOptions, devices: str) -> dict[str, JobKind]:
    """The worker's kinds; distributed ones run one process per device (or `options.ranks`)."""
    ranks = options.ranks or max(1, len(devices.split(",")))
    if ranks == 1:
        return dict(options.kinds)
    return {
        name: over_ranks(kind, ranks, devices) if kind.over_gpus else kind
        for name, kind in options.kinds.items()
    }


def _work(context: WorkerContext) -> None:
    """Runs RQ's loop, and restarts it after an outage."""
    options = context.options
    while not context.draining:
        connection = connect(options.redis_url, patient=True, timeout_s=None)
        serializer = OrderSerializer(context.bot)
        worker = OrderWorker(
            [OrderQueue(QUEUE, connection=connection, job_class=OrderJob, serializer=serializer)],
            name=f"{options.name}-{os.getpid()}-{secrets.token_hex(2)}",
            connection=connection,
            serializer=serializer,
            worker_ttl=25,  # RQ blocks 15 s less than this, and drops a silent connection 10 s later
            job_monitoring_interval=5,
            log_job_description=False,
        ).prepare(context)
        with contextlib.suppress(redis.RedisError):
            worker.work(max_jobs=options.max_jobs, logging_level="WARNING")
        if options.max_jobs is not None:
            return
        if not context.draining:
            time.sleep(1.0)
