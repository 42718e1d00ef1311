"""A real Ray cluster on this machine for drills: a head without CPUs and two nodes, each with an address of its own.

Only inside namespaces of its own (`unshare -n -p -f --kill-child --mount-proc`): Ray listens on every interface. When
the drill's process ends, everything in them does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from worker.transport.embedded_redis import embedded_redis

ROOT = Path(__file__).parents[2]
NAMESPACES = ("unshare", "-n", "-p", "-f", "--kill-child", "--mount-proc")
TOKEN = "token-of-the-drills-0123456789abcdef"
HEAD, NODES = "10.77.0.1", ("10.77.0.2", "10.77.0.3")
URL = f"http://{HEAD}:8265"
START_S = 280.0
TRAINING = ("ray_kind", "ray::RayTrainWorker", "ray::TrainController", "ray::TrainWorker")


class Cluster:
    """`start` brings up the head and both nodes; `kill` takes one as a power cut would."""

    def __init__(self, home: Path, has_memory: bool = False) -> None:
        self._home = home
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (home / "bin").mkdir(parents=True)
        command = home / "bin" / "trainwise"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.platforms.ray_kind "$@"\n')
        command.chmod(0o755)
        for words in (
            ["link", "set", "lo", "up"],
            *(["addr", "add", f"{ip}/32", "dev", "lo"] for ip in (HEAD, *NODES)),
        ):
            subprocess.run(["ip", *words], check=True)
        (home / "redis").mkdir()
        self._redis = embedded_redis(home / "redis", port=6390) if has_memory else None

    @property
    def environment(self) -> dict[str, str]:
        """What an operator sets on every machine, and what a small and busy machine needs besides."""
        path = os.pathsep.join(
            [str(self._home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        own = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_raylet_start_wait_time_s": "250",
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
            "PYTHONPATH": str(ROOT),
            "PATH": path,
        }
        memory = {"RAY_REDIS_ADDRESS": "127.0.0.1:6390"} if self._redis else {}
        return {**os.environ, **own, **memory}

    def start(self) -> None:
        """The head, and the nodes once it answers."""
        self.start_head()
        for ip in NODES:
            self.start_node(ip)

    def start_head(self) -> None:
        """A head with no CPU of its own, so that nothing trains there; its state dies with it, unless a Redis has it."""
        words = [
            *(["--redis-password="] if self._redis else []),
            "--head",
            "--port=6379",
            f"--dashboard-host={HEAD}",
            "--dashboard-port=8265",
            "--num-cpus=0",
        ]
        self._start(HEAD, [*words, f"--temp-dir={self._home}/r"])
        self._wait(HEAD, self.answers)

    def start_node(self, ip: str) -> None:
        """A machine with one CPU, which is a group's rank; one after the other, as two at once took the same socket here."""
        port = 52365 + int(ip.rpartition(".")[2])
        self._start(ip, [f"--address={HEAD}:6379", "--num-cpus=1", f"--dashboard-agent-listen-port={port}"])
        self._wait(ip, lambda: ip in self.living())

    def _wait(self, ip: str, is_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not is_up():
            if time.monotonic() > deadline or self._processes[ip].poll() is not None:
                raise TimeoutError(f"{ip} did not start: {self._home}/{ip}.log")
            time.sleep(0.5)

    def _start(self, ip: str, words: list[str]) -> None:
        tool = str(Path(sys.executable).parent / "ray")
        command = [tool, "start", "--block", "--disable-usage-stats", f"--node-ip-address={ip}", *words]
        log = (self._home / f"{ip}.log").open("ab")
        self._processes[ip] = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )

    def answers(self) -> bool:
        """Whether the Jobs API does."""
        return self._get("/api/jobs/") is not None

    def living(self) -> list[str]:
        """The addresses of the machines that Ray takes for alive."""
        rows = (self._get("/nodes?view=summary") or {}).get("data", {}).get("summary", [])
        raylets = [row.get("raylet", {}) for row in rows]
        return [str(one.get("nodeManagerAddress")) for one in raylets if one.get("state") == "ALIVE"]

    def _get(self, path: str) -> Any:
        with suppress(httpx.HTTPError, ValueError):
            login = {"Authorization": f"Bearer {TOKEN}"}
            answer = httpx.get(f"{URL}{path}", headers=login, timeout=10.0)
            return answer.json() if answer.status_code == 200 else None
        return None

    def kill(self, ip: str) -> None:
        """Every process of one machine, at once."""
        top = psutil.Process(self._processes[ip].pid)
        for process in [top, *top.children(recursive=True)]:
            with suppress(psutil.Error):
                process.kill()
        self._processes[ip].wait()

    def kill_control(self) -> None:
        """The head's control process (GCS) alone: the head's other processes go on."""
        top = psutil.Process(self._processes[HEAD].pid)
        for process in top.children(recursive=True):
            if process.name() == "gcs_server":
                process.kill()


def training_processes(word: str = "") -> list[psutil.Process]:
    """The drivers and ranks that live; with `word` those whose command has it."""
    rows = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if (
                process.status() != psutil.STATUS_ZOMBIE
                and any(one in command for one in TRAINING)
                and word in command
            ):
                rows.append(process)
    return rows
