"""The mentions of load.py for two workspaces in one bot: 50 a second in all, the same channels and names in both.

Both install the app by OAuth, as two_bots.py does. How long each delivery waits for its ack, whether each mention is
answered once and in order in its own workspace, and whether a message of one stands in the other. `--quick`: 10 s, 20 a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
from fault_injection.installing import install
from load import CHANNELS, ack_times, answers, ask, rank, wait_until_count, warm_up

from bot.demo.stack import LocalStack, free_port
from bot.manifest import read_manifest
from bot.playground import Playground
from bot.playground.client.person import Person
from bot.playground.state.seed import BOT_USER, Channel
from worker.transport.embedded_redis import embedded_redis

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]


@dataclass
class TwoTeams:
    """Both workspaces, the bot's process, and the seconds that each delivery waits for its ack."""

    home: Path
    workspaces: tuple[Playground, Playground]
    bot: psutil.Process
    acks: list[float]

    def stack(self, number: int) -> LocalStack:
        """What load.py's counting needs of a workspace: its messages and its ledger."""
        one = self.workspaces[number]
        home = self.home / "teams" / one.workspace.team.id
        return cast(LocalStack, SimpleNamespace(workspace=one, home=home))


@contextlib.contextmanager
def place_of_two() -> Iterator[TwoTeams]:
    """The bot with both workspaces installed."""
    with ack_times() as acks, contextlib.ExitStack() as cleanup:
        home = Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="load", ignore_cleanup_errors=True))
        )
        redis = embedded_redis(home / "redis")
        cleanup.callback(redis.stop)
        first = cleanup.enter_context(Playground(read_manifest(), second=True))
        both = (first, first.other)
        for one in both:
            one.set_rates(enforce=False)
            people = list(one.workspace.users)
            for n in range(CHANNELS):
                channel = Channel(
                    f"C0LOAD{n:05d}", f"load-{n}", "channel", [*people, BOT_USER], team=one.workspace.team.id
                )
                one.workspace.keep_channel(channel)
        port = free_port()
        tokens = first.workspace.tokens
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "TRAINWISE_"))
        }
        env |= {
            "TRAINWISE_HOME": str(home),
            "TRAINWISE_REDIS_URL": redis.url,
            "SLACK_API_URL": first.api_url,
            "SLACK_APP_TOKEN": first.app_token,
            "TRAINWISE_SLACK_CLIENT_ID": tokens["client_id"],
            "TRAINWISE_SLACK_CLIENT_SECRET": tokens["client_secret"],
            "TRAINWISE_HTTP_PORT": str(port),
        }
        with (home / "bot.log").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot.cli", "up"], env=env, cwd=ROOT, stdout=out, stderr=out
            )
        cleanup.callback(process.wait)
        cleanup.callback(process.terminate)
        wait_until_count(lambda: first.state()["sockets"], 2)
        for one in both:
            install(f"http://127.0.0.1:{port}", first.url, one.workspace.team.id)
        yield TwoTeams(home, both, psutil.Process(process.pid), acks)


def mentions(seconds: int, per_second: int) -> Row:
    """Every second mention goes to the other workspace."""
    with place_of_two() as two:
        people = [[Person(one.url, name) for name in ("maya", "ravi", "ana")] for one in two.workspaces]
        for persons in people:
            warm_up(persons[0])
        del two.acks[:]
        memory = [two.bot.memory_info().rss / 2**20]
        futures: tuple[list[Future[Any]], list[Future[Any]]] = ([], [])
        with ThreadPoolExecutor(12) as pool:
            began = time.monotonic()
            for n in range(seconds * per_second):
                time.sleep(max(0.0, began + n / per_second - time.monotonic()))
                mine = futures[n % 2]
                mine.append(pool.submit(ask, people[n % 2][n // 2 % 3], n // 2, mine))
            rate = seconds * per_second / (time.monotonic() - began)
        deliveries, teams = len(two.acks), []
        for number in (0, 1):
            threads: dict[tuple[str, str], list[str]] = defaultdict(list)
            for future in futures[number]:
                channel, root, ts = future.result()
                threads[channel, root].append(ts)
            stack = two.stack(number)
            settle_s = wait_until_count(
                lambda stack=stack, threads=threads: answers(stack, threads), len(futures[number])
            )  # type: ignore[misc]
            teams.append({**answers(stack, threads, whole=True), "last_answer_after_s": round(settle_s, 1)})
        memory.append(two.bot.memory_info().rss / 2**20)
        texts = [
            {m["ts"] + str(m.get("text")) for of in one.workspace.messages.values() for m in of.values()}
            for one in two.workspaces
        ]
        return {
            "mentions": seconds * per_second,
            "per_s": round(rate, 1),
            "ack_p50_ms": round(1000 * rank(two.acks, 0.5), 1),
            "ack_p99_ms": round(1000 * rank(two.acks, 0.99), 1),
            "ack_max_ms": round(1000 * max(two.acks), 1),
            "deliveries": deliveries,
            **{
                f"team{number + 1}_{key}": value
                for number, team in enumerate(teams)
                for key, value in team.items()
            },
            "messages_in_both": len(texts[0] & texts[1]),
            "memory_start_mb": round(memory[0]),
            "memory_end_mb": round(memory[-1]),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    row = mentions(10 if options.quick else 60, 20 if options.quick else 50)
    for key, value in row.items():
        print(f"  {key:<34}{value}", flush=True)
    if options.json:
        print(json.dumps(row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
