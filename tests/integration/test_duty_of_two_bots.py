"""A model on duty in two bots on one PostgreSQL: each ticket has one entry and one line, even when the leader is killed.

Real processes, a real PostgreSQL, a real (tiny) model and the local workspace; both bots read the channel and a file of
tickets, and both answer. They are killed by SIGKILL: once in the worst moment of a send, once while holding the lease.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.playground import Person, Playground
from finetune.serving.versions import Versions
from tests.finetune.serving.conftest import tune
from tests.finetune.tiny import tickets
from tests.integration.conftest import until
from tests.integration.notifier_harness import MANIFEST
from tests.postgres_server import Postgres, find_programs
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.duty_files import file_place
from worker.ledger.duty_lines import line_key
from worker.ledger.ledger import Ledger

pytestmark = pytest.mark.integration
CHANNEL, RAVI = "C0SUPPORTML", "U0RAVI00001"
ROOT = Path(__file__).parents[2]
LEASE_S = float(os.environ.get("DUTY_LEASE_S", "3"))  # the product's is 30


@dataclass
class TwoBots:
    """PostgreSQL, the workspace, the served version, and the bots by name."""

    ledger: Ledger
    url: str
    workspace: Playground
    place: Path
    file: Path
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str, die_at: int = 0) -> None:
        """Starts a bot of this name."""
        words = [name, self.url, str(self.place), self.workspace.api_url, self.workspace.bot_token]
        command = [sys.executable, "-m", "tests.integration.duty_bot", *words, str(LEASE_S), str(die_at)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        bot = subprocess.Popen(
            [*command, str(self.file)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.processes[name] = bot
        assert bot.stdout is not None
        assert bot.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """Stops every bot."""
        for bot in self.processes.values():
            bot.kill()
            bot.wait()

    def leader(self) -> str:
        """The holder of the lease."""
        with self.ledger.engine.connect() as connection:
            query = "select holder from leases where name = 'voice'"
            return str(connection.exec_driver_sql(query).scalar() or "")

    def lines(self) -> Counter[str]:
        """The number of lines of each ticket in the channel and its threads, by the ticket's key."""
        ravi = Person(self.workspace.url, "ravi")
        messages: dict[str, Any] = {}
        for message in ravi.messages(CHANNEL):
            messages |= {one["ts"]: one for one in ravi.messages(CHANNEL, message["ts"])}
            messages[message["ts"]] = message
        payloads = [(one.get("metadata") or {}).get("event_payload") or {} for one in messages.values()]
        keys = [str(payload.get("key", "")) for payload in payloads]
        return Counter(key for key in keys if key.startswith(("duty:", "duty-note:")))


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[TwoBots]:
    """In a short path (a Unix socket's path is limited)."""
    pytest.importorskip("psycopg", reason="pip install 'trainwise[postgres]'")
    if find_programs() is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with contextlib.ExitStack() as cleanup:
        database = Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True))
        )
        tune(tmp_path)
        Versions(tmp_path / "serving", "d").use("v1", "test", 0.1)
        workspace = cleanup.enter_context(Playground(MANIFEST))
        workspace.set_rates(enforce=False)
        server = Postgres(database).create()
        cleanup.callback(server.kill)
        url = server.url_at(server.port)
        ledger = Ledger(url)
        cleanup.callback(ledger.close)
        here = TwoBots(ledger, url, workspace, tmp_path / "serving", tmp_path / "tickets.jsonl")
        here.file.touch()
        cleanup.callback(here.stop)
        yield here


def test_each_ticket_has_one_entry_and_one_line_whoever_is_killed(bots: TwoBots) -> None:
    """Sixty tickets in the channel and thirty in a file; the leader is killed twice and restarted."""
    now = time.time()
    watch = duty.open_watch(
        bots.ledger.engine,
        Watch(
            "",
            CHANNEL,
            "T",
            "v1",
            "d",
            "v1",
            0.1,
            duty.LIVE,
            duty.LIVE,
            "everyone",
            RAVI,
            now,
            now,
            f"{now:.6f}",
        ),
    )
    maya, texts = Person(bots.workspace.url, "maya"), iter(tickets(90, seed=5).texts)
    bots.start("one", die_at=7)
    until(lambda: bots.leader() == "one", 20)
    until(lambda: file_place(bots.ledger.engine, watch.id, str(bots.file)), 30)
    bots.start("two")
    stamps = [maya.say(CHANNEL, next(texts))["ts"] for _ in range(30)]
    append(bots.file, texts, 0, 15)
    assert bots.processes["one"].wait(60) == -9, (
        "killed with a message in Slack that the ledger does not know"
    )
    until(lambda: bots.leader() == "two", 60 + LEASE_S)
    bots.start("one")
    stamps += [maya.say(CHANNEL, next(texts))["ts"] for _ in range(10)]
    until(lambda: len(bots.lines()) >= 20, 60)
    bots.processes["two"].kill()
    stamps += [maya.say(CHANNEL, next(texts))["ts"] for _ in range(20)]
    append(bots.file, texts, 15, 30)
    until(lambda: bots.leader() == "one", 60 + LEASE_S)
    bots.start("two")
    keys = {f"{CHANNEL}:{ts}" for ts in stamps} | {f"api:{number}" for number in range(30)}
    until(lambda: is_done(bots, watch, len(keys)), 120 + 3 * LEASE_S)
    time.sleep(2.0)  # for a second line that would come
    entries = duty.tickets_of(bots.ledger.engine, watch.id)
    assert Counter(one.key for one in entries) == dict.fromkeys(keys, 1)
    assert {one.state for one in entries} <= {duty.ANSWERED, duty.ABSTAINED}
    assert sorted(one.place or 0 for one in entries) == list(range(1, 91))
    expected = {f"{line_key(watch.id, key)}:0": 1 for key in keys}
    lines = bots.lines()
    assert {key: lines[key] for key in lines if key.startswith("duty:")} == expected
    notes = [key for key in lines if key.startswith("duty-note:")]
    assert len(notes) == 1, "the line that is no ticket is told once"
    assert lines[notes[0]] == 1


def append(file: Path, texts: Iterator[str], first: int, end: int) -> None:
    """Appends the tickets `first` to `end` to the file, after one bad line."""
    with file.open("a") as stream:
        if not first:
            stream.write("no ticket\n")
        for number in range(first, end):
            stream.write(json.dumps({"id": number, "text": next(texts)}) + "\n")


def is_done(bots: TwoBots, watch: Watch, count: int) -> bool:
    """Whether `count` tickets are answered and the outbox is empty."""
    with bots.ledger.engine.connect() as connection:
        debts = connection.exec_driver_sql("select count(*) from posts where done_at is null").scalar_one()
    entries = duty.tickets_of(bots.ledger.engine, watch.id)
    return not debts and len([one for one in entries if one.state != duty.WAITING]) >= count
