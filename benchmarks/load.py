"""A busy day through the local workspace: mentions, a thousand queued jobs, a hundred cards; the real bot.

Three parts. mentions: 50 a second (half of them as second questions in the same thread): how long each
delivery waits for its ack, whether each is answered once and in order, what the bot's memory does.
jobs: 1,000 launched at once, run by counting workers: none lost, none doubled, one card and one report each.
cards: 100 jobs with moving progress on 10 workers, with Slack's rate limits enforced: no 429, none exceeded.
`--quick`: 10 s of mentions, 60 jobs, 20 cards.
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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from fault_injection.event_log import EventLog
from fault_injection.trial import END_STATES

from bot.demo.stack import LocalStack, local_stack
from bot.playground.client.person import Person
from bot.playground.delivery.sockets import Sockets
from bot.playground.state.seed import BOT_USER, Channel
from worker.ledger.ledger import Ledger
from worker.transport import signing

HERE = Path(__file__).parent
QUESTIONS = (
    "our help center changes every week, should we fine-tune on it?",
    "we have 40,000 labelled tickets in eight queues, is a small classifier enough?",
    "should the bot answer in our brand voice, is that fine-tuning?",
    "we get 200 tickets a month, does training a model pay?",
)
CHANNELS = 40
LATER = 49  # odd: a second question is a follow-up of one that was asked a second before, at 50 a second
ENVIRONMENT = {
    "TRAINWISE_JOBS_PER_PERSON": "1000",
    "TRAINWISE_MONTH_BUDGET": "1000000",
    "TRAINWISE_CARD_INTERVAL": "3",
}
Row = dict[str, Any]


@contextlib.contextmanager
def ack_times() -> Iterator[list[float]]:
    """A list that fills with the seconds that each delivery over a socket took to be acknowledged."""
    acks: list[float] = []
    plain = Sockets.send

    async def send(self: Sockets, kind: str, payload: Any, retry: int, reason: str | None) -> Any:
        began = time.monotonic()
        try:
            return await plain(self, kind, payload, retry, reason)
        finally:
            acks.append(time.monotonic() - began)

    Sockets.send = send  # type: ignore[method-assign]
    try:
        yield acks
    finally:
        Sockets.send = plain  # type: ignore[method-assign]


@contextlib.contextmanager
def place(workers: int, step_s: float) -> Iterator[tuple[LocalStack, list[float], EventLog]]:
    """The bot's stand with many channels, counting workers, and a list that fills with ack times (s)."""
    with (
        ack_times() as acks,
        tempfile.TemporaryDirectory(prefix="load", ignore_cleanup_errors=True) as folder,
    ):
        home = Path(folder)
        signing.pair_locally(home / "keys")
        event_log = EventLog(home / "events.pipe")
        with (
            local_stack(home, processes=(), more_env=ENVIRONMENT) as stack,
            contextlib.ExitStack() as cleanup,
        ):
            # a job's card leaves a channel in which people from outside read
            people = [one.id for one in stack.workspace.workspace.users.values() if not one.is_outside]
            for n in range(CHANNELS):
                channel = Channel(f"C0LOAD{n:05d}", f"load-{n}", "channel", [*people, BOT_USER])
                stack.workspace.workspace.keep_channel(channel)
            stack.launch("bot")
            cleanup.callback(stack.end, "bot")
            stack.wait_for_bot()
            for n in range(workers):
                cleanup.enter_context(counting_worker(home, stack.redis.url, f"w{n}", step_s))
            yield stack, acks, event_log


@contextlib.contextmanager
def counting_worker(home: Path, url: str, name: str, step_s: float) -> Iterator[None]:
    """A worker whose training counts (fault_injection/counting_worker.py)."""
    command = [
        sys.executable,
        str(HERE / "fault_injection" / "counting_worker.py"),
        str(home),
        url,
        name,
        str(step_s),
    ]
    with (home / f"{name}.log").open("ab") as out:
        env = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def mentions(seconds: int, per_second: int) -> Row:
    """Part one."""
    with place(0, 0.0) as (stack, acks, _):
        stack.workspace.set_rates(enforce=False)
        people = [Person(stack.url, name) for name in ("maya", "ravi", "ana")]
        bot = psutil.Process(stack.processes["bot"].pid)
        warmed_up = warm_up(people[0])
        del acks[:]
        memory = [bot.memory_info().rss / 2**20]
        with ThreadPoolExecutor(12) as pool:
            began = time.monotonic()
            futures = []
            for n in range(seconds * per_second):
                time.sleep(max(0.0, began + n / per_second - time.monotonic()))
                futures.append(pool.submit(ask, people[n % 3], n, futures))
                if n % (per_second * 5) == 0:
                    memory.append(bot.memory_info().rss / 2**20)
            rate = len(futures) / (time.monotonic() - began)
            threads: dict[tuple[str, str], list[str]] = defaultdict(list)
            for future in futures:
                channel, root, ts = future.result()
                threads[channel, root].append(ts)
        before = len(acks)
        settle_s = wait_until_count(lambda: answers(stack, threads), sum(map(len, threads.values())))
        totals = answers(stack, threads, whole=True)
        memory.append(bot.memory_info().rss / 2**20)
        return {
            "mentions": len(futures),
            "per_s": round(rate, 1),
            "ack_p50_ms": round(1000 * rank(acks, 0.5), 1),
            "ack_p99_ms": round(1000 * rank(acks, 0.99), 1),
            "ack_max_ms": round(1000 * max(acks), 1),
            "deliveries": before,
            **totals,
            "last_answer_after_s": round(settle_s, 1),
            "memory_start_mb": round(memory[0]),
            "memory_most_mb": round(max(memory)),
            "memory_end_mb": round(memory[-1]),
            "asked_first": bool(warmed_up),
        }


def warm_up(person: Person) -> bool:
    """One answered question before the clock starts: what loads once has loaded."""
    question = person.say("#support-ml", f"<@{BOT_USER}> {QUESTIONS[0]}")
    person.wait_message("#support-ml", is_answer, 60, thread_ts=question["ts"])
    return True


def is_answer(message: Mapping[str, Any]) -> bool:
    """Whether this is a card of the bot that stands there whole."""
    is_whole = message.get("streaming_state") != "in_progress"
    return bool(message.get("bot_id") and message.get("blocks")) and is_whole


def ask(person: Person, n: int, mentions_before: Sequence[Any]) -> tuple[str, str, str]:
    """(channel, thread, own ts) of a mention; every odd one goes into a thread that began a second before."""
    text = f"<@{BOT_USER}> [{n}] {QUESTIONS[n % len(QUESTIONS)]}"
    if n % 2 and n > LATER:
        channel, root, _ = mentions_before[n - LATER].result(60)
        return channel, root, str(person.say(channel, text, thread_ts=root)["ts"])
    message = person.say(f"#load-{n // 2 % CHANNELS}", text)
    return str(message["channel"]), str(message["ts"]), str(message["ts"])


def answers(stack: LocalStack, threads: dict[tuple[str, str], list[str]], whole: bool = False) -> Any:
    """How many finished answers there are; `whole`: lost, doubled, and threads answered out of order."""
    messages = stack.workspace.workspace.messages
    counts: Counter[tuple[str, str]] = Counter()
    for channel in {channel for channel, _ in threads}:
        for message in list(messages[channel].values()):
            if is_answer(message):
                counts[channel, str(message.get("thread_ts"))] += 1
    if not whole:
        return sum(counts.values())
    missing = sum(max(0, len(questions) - counts[key]) for key, questions in threads.items())
    surplus = sum(max(0, counts[key] - len(questions)) for key, questions in threads.items())
    return {"answers_lost": missing, "answers_doubled": surplus, "out_of_order": out_of_order(stack, threads)}


def out_of_order(stack: LocalStack, threads: dict[tuple[str, str], list[str]]) -> int:
    """Threads whose answers, in the order of their messages, do not follow the order of the questions."""
    ledger = Ledger(str(stack.home / "ledger.db"))
    wrong = 0
    for (channel, root), questions in threads.items():
        cards = sorted((ledger.thread(channel, root) or {"cards": {}})["cards"].items())
        numbers = [int(card["question"].partition("]")[0].lstrip("[")) for _, card in cards]
        wrong += len(numbers) != len(questions) or numbers != sorted(numbers)
    ledger.close()
    return wrong


def jobs(count: int, workers: int) -> Row:
    """Part two."""
    with place(workers, 0.001) as (stack, acks, event_log):
        stack.workspace.set_rates(enforce=False)
        bot = psutil.Process(stack.processes["bot"].pid)
        start_mb, began = bot.memory_info().rss / 2**20, time.monotonic()
        people = [Person(stack.url, name) for name in ("maya", "ravi", "ana")]
        with ThreadPoolExecutor(3) as pool:
            launches = list(pool.map(lambda n: launch_by_command(people[n % 3], n), range(count)))
        ack_count, queued_s = sum(launches), time.monotonic() - began
        ledger = Ledger(str(stack.home / "ledger.db"))
        wait_until_count(lambda: -open_jobs(ledger), 0, limit_s=1800)
        seconds = time.monotonic() - began
        wait_until_count(lambda: -undelivered(ledger), 0, limit_s=600)
        everyone = ledger.jobs(limit=count + 10)
        ends = Counter(line.job for line in event_log.lines if line.what == "end")
        cards, reports = count_by_key(stack)
        ids = [job.id for job in everyone]
        ledger.close()
        return {
            "jobs": len(everyone),
            "acked_late": len(everyone) - ack_count,
            "launched_in_s": round(queued_s, 1),
            "all_ended_in_s": round(seconds, 1),
            "command_ack_p99_ms": round(1000 * rank(acks, 0.99), 1),
            "jobs_lost": max(0, ack_count - len(everyone))
            + sum(str(job.state) != "succeeded" for job in everyone),
            "jobs_doubled": max(0, len(everyone) - count) + sum(n > 1 for n in ends.values()),
            "cards_wrong": sum(cards[i] != 1 for i in ids),
            "reports_missing": sum(reports[i] == 0 for i in ids),
            "reports_doubled": sum(reports[i] > 1 for i in ids),
            "memory_start_mb": round(start_mb),
            "memory_end_mb": round(bot.memory_info().rss / 2**20),
        }


def launch_by_command(person: Person, n: int) -> bool:
    """A job launched by command; a refusal by the workspace's clock counts as not launched."""
    text = f"sample-tickets linear epochs={2 + n % 3}"
    return bool(person.command("/finetune", text, f"#load-{n % CHANNELS}").get("ok"))


def cards(count: int, workers: int) -> Row:
    """Part three: Slack's limits enforced, in two channels only."""
    with place(workers, 0.2) as (stack, _, _):
        person, began = Person(stack.url, "ravi"), time.time()
        for n in range(count):
            person.command("/finetune", f"sample-tickets linear epochs={3 + n % 4}", f"#load-{n % 2}")
        ledger = Ledger(str(stack.home / "ledger.db"))
        wait_until_count(lambda: count - open_jobs(ledger), count, limit_s=1200)
        wait_until_count(lambda: -undelivered(ledger), 0, limit_s=600)
        ledger.close()
        calls = [call for call in stack.workspace.api_log() if call["method"].startswith("chat.")]
        updates = [call["at"] for call in calls if call["method"] == "chat.update"]
        posts: dict[str, list[float]] = defaultdict(list)
        for call in calls:
            if call["method"] == "chat.postMessage":
                posts[str(call["params"].get("channel"))].append(call["at"])
        cards_by_job, reports = count_by_key(stack)
        return {
            "cards": len(cards_by_job),
            "seconds": round(time.time() - began, 1),
            "refused_429": sum(call["status"] == 429 for call in calls),
            "updates_a_minute_most": busiest(updates),
            "posts_a_minute_and_channel_most": max(map(busiest, posts.values())),
            "updates": len(updates),
            "cards_wrong": sum(n != 1 for n in cards_by_job.values()),
            "reports": sum(reports.values()),
        }


def count_by_key(stack: LocalStack) -> tuple[Counter[str], Counter[str]]:
    """Cards and final reports in Slack by job id."""
    cards_of: Counter[str] = Counter()
    reports: Counter[str] = Counter()
    for messages in stack.workspace.workspace.messages.values():
        for message in list(messages.values()):
            key = str(((message.get("metadata") or {}).get("event_payload") or {}).get("key"))
            job, _, what = key.partition(":")
            if job == "card":
                cards_of[what] += 1
            elif what in set(END_STATES):
                reports[job] += 1
    return cards_of, reports


def open_jobs(ledger: Ledger) -> int:
    """Jobs that have not ended."""
    with ledger.engine.connect() as connection:
        ends = ",".join(f"'{state}'" for state in END_STATES)
        return int(
            connection.exec_driver_sql(f"select count(*) from jobs where state not in ({ends})").scalar_one()
        )


def undelivered(ledger: Ledger) -> int:
    """Messages and cards that Slack does not have yet."""
    with ledger.engine.connect() as connection:
        posts = connection.exec_driver_sql("select count(*) from posts where done_at is null").scalar_one()
        stale = "select count(*) from jobs where card_version < version"
        return int(posts) + int(connection.exec_driver_sql(stale).scalar_one())


def wait_until_count(count: Callable[[], int], target: int, limit_s: float = 600.0) -> float:
    """Seconds until `count()` reached `wanted`, or the limit."""
    began = time.monotonic()
    while count() < target and time.monotonic() - began < limit_s:
        time.sleep(0.25)
    return time.monotonic() - began


def busiest(times: Sequence[float]) -> int:
    """The most calls within any 60 s."""
    ranking, most, first = sorted(times), 0, 0
    for last, at in enumerate(ranking):
        while at - ranking[first] > 60:
            first += 1
        most = max(most, last - first + 1)
    return most


def rank(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ranking = sorted(values)
    return ranking[min(len(ranking) - 1, int(share * len(ranking)))] if ranking else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=("mentions", "jobs", "cards"), help="one part only")
    options = parser.parse_args()
    quick = options.quick
    parts: dict[str, Callable[[], Row]] = {
        "mentions": lambda: mentions(10 if quick else 60, 20 if quick else 50),
        "jobs": lambda: jobs(60 if quick else 1000, 4 if quick else 6),
        "cards": lambda: cards(16 if quick else 100, 4 if quick else 10),
    }
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    result: Row = {}
    for name, part in parts.items():
        if options.part in (None, name):
            result[name] = part()
            print(f"{name}:")
            for key, value in result[name].items():
                print(f"  {key:<34}{value}", flush=True)
    if options.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
