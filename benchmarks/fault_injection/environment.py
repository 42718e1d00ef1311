"""One environment of real processes: workspace, bot, two workers and Redis, with a link between each pair."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from bot.demo.stack import free_port
from bot.errors import BotError
from bot.playground.client.person import Person
from fault_injection.event_log import EventLog
from fault_injection.network import Link, Network
from worker.transport import signing
from worker.transport.embedded_redis import EmbeddedRedis, embedded_redis

ROOT = Path(__file__).parents[2]
WORKERS = ("w1", "w2")


def find_faketime() -> Path | None:
    """The library under which a process sees a clock of ours; None where the package is not installed."""
    package = importlib.util.find_spec("libfaketime")
    if package is None or package.origin is None:
        return None
    return next(iter(sorted(Path(package.origin).parent.rglob("libfaketime.so.1"))), None)


FAKETIME = find_faketime()


class Environment:
    """Everything under test; `start` and `kill` take `bot`, `w1`, `w2`, `workspace`, `redis`."""

    def __init__(self, home: Path, durable: bool = True, clocks: bool = False) -> None:
        self.home, self.durable, self.clocks = home, durable, clocks
        self.ports = {"redis": free_port(), "workspace": free_port()}
        self.network = Network()
        self.link: dict[str, Link] = {
            **{f"{who}-redis": self.network.link(self.ports["redis"]) for who in ("bot", *WORKERS)},
            "bot-slack": self.network.link(self.ports["workspace"]),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.redis: EmbeddedRedis | None = None
        self.tokens: dict[str, str] = {}
        signing.pair_locally(home / "keys")
        self.event_log = EventLog(home / "events.pipe")
        self.people = {name: Person(self.url, name, timeout=8) for name in ("ravi", "maya", "ana")}
        self.workplaces = [self.people]  # of each workspace; a row of the ledger says which is its own

    @property
    def url(self) -> str:
        """The workspace's own address, around the links."""
        return f"http://127.0.0.1:{self.ports['workspace']}"

    def begin(self) -> None:
        """All up and the bot connected."""
        for name in ("redis", "workspace", "bot", *WORKERS):
            self.start(name)
        self.wait_for_bot()
        self.control("rates", enforce=False)

    def start(self, name: str) -> None:
        """Starts one of the processes unless it runs; its log goes on where it ended."""
        if name == "redis":
            self.redis = embedded_redis(self.home / "redis", self.ports["redis"], durable=self.durable)
            return
        if name in self.processes and self.processes[name].poll() is None:
            return
        log = self.home / f"{name}.log"
        with log.open("ab") as out:
            self.processes[name] = subprocess.Popen(
                self._command(name), env=self._environment(name), stdout=out, stderr=out, cwd=ROOT
            )
        if name == "workspace":
            self._wait(lambda: self._tokens(log), "the workspace did not start")

    def kill(self, name: str) -> None:
        """kill -9."""
        if name == "redis":
            assert self.redis
            self.redis.kill()
            return
        process = self.processes[name]
        process.kill()
        process.wait()

    def drain(self, name: str, timeout_s: float = 40) -> int:
        """SIGTERM, and the exit status."""
        self.processes[name].terminate()
        return self.processes[name].wait(timeout_s)

    def tree(self, name: str) -> list[psutil.Process]:
        """A process with all its descendants, parents first."""
        if name == "redis":
            assert self.redis
            return [self.redis.process]
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.processes[name].pid)
            return [top, *top.children(recursive=True)]
        return []

    def job_process(self, name: str) -> psutil.Process | None:
        """The training process of a worker, if it has one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.processes[name].pid).children()
            return children[0] if children else None
        return None

    def set_clock(self, name: str, offset_s: int) -> None:
        """Puts a process's wall clock off by so much, at once, with all its children; its timers go on."""
        clock = self.home / f"{name}.clock"
        clock.with_suffix(".draft").write_text(f"{offset_s:+d}\n")
        clock.with_suffix(".draft").replace(clock)

    def control(self, operation: str, **args: Any) -> dict[str, Any]:
        """Calls one operation of the workspace."""
        answer = httpx.post(f"{self.url}/control/{operation}", json=args, timeout=10, trust_env=False)
        return dict(answer.json())

    def wait_for_bot(self, timeout_s: float = 240) -> None:
        """Returns once the bot holds a socket."""
        self._wait(lambda: self.control("state")["sockets"] > 0, "the bot did not connect", timeout_s)

    def query(self, sql: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        """Rows of the ledger, read beside the bot, each with the number of its `workplace`."""
        connection = sqlite3.connect(f"file:{self.home / 'ledger.db'}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return [{**dict(row), "workplace": 0} for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def end(self) -> None:
        """Ends every process."""
        for name in self.processes:
            for process in self.tree(name):
                with contextlib.suppress(psutil.Error):
                    process.resume()
                    process.kill()
            self.processes[name].wait()
        if self.redis:
            with contextlib.suppress(psutil.Error):
                self.redis.process.resume()
            self.redis.kill()
        self.network.stop()

    def _command(self, name: str) -> list[str]:
        if name == "workspace":
            about = ["--port", str(self.ports["workspace"]), "--store", str(self.home / "workspace")]
            return [sys.executable, "-m", "bot.playground", *about]
        if name == "bot":
            return [sys.executable, "-m", "bot.cli", "up"]
        return [
            sys.executable,
            str(Path(__file__).with_name("counting_worker.py")),
            str(self.home),
            self._redis(name),
            name,
        ]

    def _redis(self, name: str) -> str:
        return f"redis://127.0.0.1:{self.link[f'{name}-redis'].port}/0"

    def _environment(self, name: str) -> dict[str, str]:
        prefixes = ("SLACK_", "TRAINWISE_", "OPENAI_")
        env = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
        env |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
        if self.clocks and name in ("bot", *WORKERS):
            self.set_clock(name, 0)
            env |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.home / f"{name}.clock")}
            env |= {
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DISABLE_SHM": "1",
            }
        if name == "bot":
            env |= {
                **self.tokens,
                "TRAINWISE_HOME": str(self.home),
                "TRAINWISE_REDIS_URL": self._redis("bot"),
                "SLACK_API_URL": f"http://127.0.0.1:{self.link['bot-slack'].port}/api/",
                "TRAINWISE_JOBS_PER_PERSON": "1000",
                "TRAINWISE_CARD_INTERVAL": "0.5",
            }
        return env

    def _tokens(self, log: Path) -> bool:
        """Reads the workspace's tokens from what it prints, once it answers."""
        for line in log.read_text().splitlines():
            if line.startswith(("export SLACK_", "export TRAINWISE_SLACK_")) and "SLACK_API_URL" not in line:
                name, value = line.removeprefix("export ").split("=", 1)
                self.tokens[name] = value.strip("'\"")
        with contextlib.suppress(httpx.TransportError):
            return "SLACK_BOT_TOKEN" in self.tokens and "sockets" in self.control("state")
        return False

    def _wait(self, until: Callable[[], bool], complaint: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError, KeyError):
                if until():
                    return
            time.sleep(0.05)
        tails = [path.read_text(errors="replace")[-800:] for path in self.home.glob("*.log")]
        raise BotError("\n".join([complaint, *tails]))


@contextlib.contextmanager
def running_environment(
    durable: bool = True, clocks: bool = False, cache: Path | None = None
) -> Iterator[Environment]:
    """An environment in a folder of its own, all up; everything is ended and removed afterwards.

    With `clocks` the wall clocks of bot and workers can be set (libfaketime, from PyPI, beneath real processes);
    `cache` holds embedding graphs that are built already.
    """
    with tempfile.TemporaryDirectory(prefix="faults", ignore_cleanup_errors=True) as home:
        if cache:
            (Path(home) / "cache").symlink_to(cache.resolve(), target_is_directory=True)
        here = Environment(Path(home), durable, clocks)
        try:
            here.begin()
            yield here
        finally:
            here.end()
