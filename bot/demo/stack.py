"""Runs the whole product on one machine: embedded Redis, local workspace, bot and worker.

The bot and the worker are the processes of production (`trainwise up`, `trainwise worker`); only their environment points
them to loopback addresses.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bot.errors import BotError
from bot.manifest import read_manifest
from bot.playground import Playground
from bot.playground.patience import Patience
from worker.transport.embedded_redis import EmbeddedRedis, embedded_redis

ROOT = Path(__file__).parents[2]
READY_S = 120.0
COMMANDS = {"bot": "up", "worker": "worker"}
RUN_STATE = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "redis", "workspace", "artifacts", "spool")


@dataclass
class LocalStack:
    """The running workspace, queue and processes with their logs."""

    workspace: Playground
    redis: EmbeddedRedis
    home: Path
    env: Mapping[str, str]
    bot_port: int | None = None  # where the bot takes signed requests; None: Socket Mode
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The workspace's web page."""
        return self.workspace.url

    @property
    def signing_secret(self) -> str:
        """The secret that the workspace signs its requests with."""
        return self.workspace.signing_secret

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.home / "logs"

    def launch(self, name: str) -> None:
        """Starts the process `bot` or `worker`; appends to its log."""
        argv = [sys.executable, "-m", "bot.cli", COMMANDS[name]]
        with (self.logs / f"{name}.log").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                argv, env=dict(self.env), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT
            )

    def end(self, name: str) -> None:
        """Terminates a process, and kills it if it does not end."""
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill_redis(self) -> None:
        """Kills Redis; its data stays on disk."""
        self.redis.kill()

    def restart_redis(self) -> None:
        """Restarts Redis at the same address with the same data."""
        self.redis = embedded_redis(self.home / "redis")

    def check(self) -> None:
        """Raises BotError, with the end of its log, when a process has died."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise BotError(f"The {name} stopped (exit {process.returncode}).\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 12) -> str:
        """The last lines of a process's log."""
        text = (self.logs / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def log_size(self, name: str) -> int:
        """The size of a process's log in bytes, as a sign of life."""
        return (self.logs / f"{name}.log").stat().st_size

    def wait_for_bot(self) -> None:
        """Waits until the bot has a Socket Mode connection, or answers over HTTP."""
        patience = Patience(READY_S)
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as client:
            while not (self._answers() if self.bot_port else is_connected(client)):
                self.check()
                if patience.is_over(self.log_size("bot")):
                    raise BotError(
                        f"Waited {patience} for the bot to connect to the workspace, and its log did not grow "
                        f"meanwhile. It ends:\n{self.tail('bot')}"
                    )
                time.sleep(0.1)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.bot_port}/health", trust_env=False).is_success
        return False

    def wait(self) -> None:
        """Waits until Ctrl-C or until a process dies."""
        with suppress(KeyboardInterrupt):
            while True:
                self.check()
                time.sleep(0.5)


def is_connected(client: httpx.Client) -> bool:
    """Whether the workspace has a Socket Mode connection of the bot."""
    return bool(client.post("/control/state", json={}).json().get("sockets"))


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def local_stack(
    home: Path,
    port: int = 0,
    fresh: bool = False,
    http: bool = False,
    processes: Sequence[str] = tuple(COMMANDS),
    more_env: Mapping[str, str] | None = None,
) -> Iterator[LocalStack]:
    """Starts everything under `home`, and stops it at the end; `fresh` deletes earlier jobs and keeps caches.

    With `http` the workspace delivers signed requests to the bot instead of Socket Mode envelopes. `processes`
    names what to start (the rest by `launch`); `more_env` overrides settings of both.
    """
    home.mkdir(parents=True, exist_ok=True)
    if fresh:
        delete_run_state(home)
    (home / "logs").mkdir(exist_ok=True)
    for name in COMMANDS:
        (home / "logs" / f"{name}.log").unlink(missing_ok=True)
    with ExitStack() as cleanup:
        redis = embedded_redis(home / "redis")
        cleanup.callback(redis.stop)  # also when the rest does not start, such as for a used port
        manifest = read_manifest()
        bot_port = free_port() if http else None
        target = f"http://127.0.0.1:{bot_port}/slack/events" if http else None
        workspace = Playground(manifest, port=port, store=home / "workspace", http_target=target)
        env = {**environment(home, workspace, redis.url, bot_port), **(more_env or {})}
        stack = LocalStack(workspace, redis, home, env, bot_port)
        cleanup.callback(lambda: stack.redis.stop())
        workspace.start()
        cleanup.callback(workspace.stop)
        for name in COMMANDS:
            cleanup.callback(stack.end, name)
        for name in processes:
            stack.launch(name)
        yield stack


def environment(home: Path, workspace: Playground, redis_url: str, bot_port: int | None) -> dict[str, str]:
    """The environment that points bot and worker to loopback, whatever Slack settings the caller has."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("SLACK_", "TRAINWISE_SLACK"))}
    return {
        **base,
        "TRAINWISE_HOME": str(home),
        "TRAINWISE_REDIS_URL": redis_url,
        "SLACK_API_URL": workspace.api_url,
        "SLACK_BOT_TOKEN": workspace.bot_token,
        "SLACK_APP_TOKEN": workspace.app_token,
        "SLACK_SIGNING_SECRET": workspace.signing_secret,
        "PYTHONUNBUFFERED": "1",
        **({"TRAINWISE_SLACK_MODE": "http", "TRAINWISE_HTTP_PORT": str(bot_port)} if bot_port else {}),
    }


def delete_run_state(home: Path) -> None:
    """Deletes jobs, messages and queue of an earlier run; keeps the index and the model cache."""
    for name in RUN_STATE:
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
