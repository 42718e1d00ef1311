"""Two bots of two workspaces over one PostgreSQL: the same environment, with a database that can be lost."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from bot.demo.stack import free_port
from bot.playground.client.person import Person
from bot.playground.state.seed import OTHER_TEAM, TEAM_ID
from fault_injection.environment import WORKERS, Environment
from fault_injection.faults import FAULTS, Fault, Inject, kill
from fault_injection.installing import install
from tests.postgres_server import Postgres

BOTS = ("bot", "bot2")
TEAMS = (TEAM_ID, OTHER_TEAM)


class TwoBots(Environment):
    """Both bots share database, Redis, datasets and artifacts; each has a home of its own, as on two machines."""

    def __init__(self, home: Path, database: Path) -> None:
        super().__init__(home)
        self.postgres = Postgres(database).create()
        self.copies = 0
        for name in BOTS:
            self.link[f"{name}-database"] = self.network.link(self.postgres.port)
        self.link["bot2-redis"] = self.network.link(self.ports["redis"])
        self.link["bot2-slack"] = self.network.link(self.ports["workspace"])
        self.http_ports = {name: free_port() for name in BOTS}
        other = {
            name: Person(f"{self.url}/teams/{OTHER_TEAM}", name, timeout=8)
            for name in ("ravi", "maya", "ana")
        }
        self.workplaces = [self.people, other]

    def begin(self) -> None:
        """All up, both workspaces installed, both bots connected."""
        for name in ("redis", "workspace", "bot"):
            self.start(name)
        self.wait_for_bot()
        for team in TEAMS:
            install(f"http://127.0.0.1:{self.http_ports['bot']}", self.url, team)
        shutil.copytree(self.home / "keys", self.home / "bot2" / "keys")
        for name in ("bot2", *WORKERS):
            self.start(name)
        self._wait(lambda: self.control("state")["sockets"] == 4, "the second bot did not connect", 240)
        self.control("rates", enforce=False)
        httpx.post(f"{self.url}/teams/{OTHER_TEAM}/control/rates", json={"enforce": False}, trust_env=False)

    def query(self, sql: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        """Rows of both workspaces' ledgers, each with its `workplace`; ConnectionError while the database is away."""
        rows: list[dict[str, Any]] = []
        try:
            for number, team in enumerate(TEAMS):
                with psycopg.connect(
                    self.postgres.url_at(self.postgres.port),
                    options=f"-csearch_path=team_{team.lower()}",
                    row_factory=dict_row,
                    connect_timeout=5,
                ) as connection:
                    answer = connection.execute(sql.replace("?", "%s"), values)  # type: ignore[call-overload]
                    rows += [row | {"workplace": number} for row in answer]
        except psycopg.Error as error:
            raise ConnectionError(str(error)) from error
        return rows

    def end(self) -> None:
        """Ends every process."""
        super().end()
        self.postgres.kill()

    def fail_over(self) -> None:
        """The links lead to a copy that was restored and followed; the server itself is lost for good."""
        self.copies += 1
        copy = self.postgres.copy(f"copy{self.copies}")
        self.postgres.kill()
        copy.promote()
        self.postgres = copy
        for name in BOTS:
            self.link[f"{name}-database"].target_port = copy.port

    def _command(self, name: str) -> list[str]:
        if name == "workspace":
            return [*super()._command(name), "--second"]
        return [sys.executable, "-m", "bot.cli", "up"] if name == "bot2" else super()._command(name)

    def _environment(self, name: str) -> dict[str, str]:
        env = super()._environment(name)
        if name not in BOTS:
            return env
        env |= {
            **{key: value for key, value in self.tokens.items() if key != "SLACK_BOT_TOKEN"},
            "TRAINWISE_HOME": str(self.home if name == "bot" else self.home / "bot2"),
            "TRAINWISE_DATABASE_URL": self.postgres.url_at(self.link[f"{name}-database"].port),
            "TRAINWISE_DATASETS_URL": str(self.home / "datasets"),
            "TRAINWISE_ARTIFACTS_URL": str(self.home / "artifacts"),
            "TRAINWISE_REDIS_URL": self._redis(name),
            "TRAINWISE_HTTP_PORT": str(self.http_ports[name]),
            "SLACK_API_URL": f"http://127.0.0.1:{self.link[f'{name}-slack'].port}/api/",
            "TRAINWISE_JOBS_PER_PERSON": "1000",
            "TRAINWISE_CARD_INTERVAL": "0.5",
        }
        env.pop("SLACK_BOT_TOKEN", None)
        return env


@contextlib.contextmanager
def running_two_bots() -> Iterator[TwoBots]:
    """The environment in folders of its own, all up; everything is ended and removed afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="faults", ignore_cleanup_errors=True) as home,
        tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as database,
    ):
        here = TwoBots(Path(home), Path(database))
        try:
            here.begin()
            yield here
        finally:
            here.end()


def kill_one_bot(environment: Environment, dice: random.Random) -> Iterator[None]:
    """kill -9 of one of the two, the other goes on."""
    name = dice.choice(BOTS)
    environment.kill(name)
    yield
    environment.start(name)


def kill_database(environment: Environment, dice: random.Random) -> Iterator[None]:
    """kill -9 of PostgreSQL with all its processes."""
    assert isinstance(environment, TwoBots)
    environment.postgres.kill()
    yield
    environment.postgres.start()


def lose_database(environment: Environment, dice: random.Random) -> Iterator[None]:
    """The server is lost for good and a copy that followed it takes its place."""
    assert isinstance(environment, TwoBots)
    environment.fail_over()
    yield


def database_link(mode: str) -> Inject:
    """The connections of one bot or of both are cut, half open, or slow."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        names = dice.choice([BOTS[:1], BOTS[1:], BOTS])
        for name in names:
            environment.network.set(environment.link[f"{name}-database"], mode)
        yield
        for name in names:
            environment.network.set(environment.link[f"{name}-database"], "open")

    return inject


DATABASE: dict[str, Fault] = {
    "one of two bots killed": Fault(kill_one_bot, 0, 4),
    "both bots killed": Fault(kill(*BOTS), 0, 3),
    "database killed": Fault(kill_database, 0, 6),
    "database fails over to a copy": Fault(lose_database, 0, 0),
    "bots-database cut": Fault(database_link("cut"), 1, 8),
    "bots-database half open": Fault(database_link("stall"), 2, 12),
    "bots-database slow": Fault(database_link("slow"), 3, 8),
}
"""These need `TwoBots`."""
QUICK = (
    "training process killed",
    "one of two bots killed",
    "Slack takes the post, no answer",
    "worker killed",
    "database killed",
    "database fails over to a copy",
    "bots-database cut",
    "bots-database half open",
)
FAULTS_HERE = {
    name: fault for name, fault in FAULTS.items() if "bot" not in name and "ledger" not in name
} | DATABASE
