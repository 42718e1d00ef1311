"""One seeded trial: a person launches jobs, one fault strikes at a random moment, every outcome is judged."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import httpx
import psutil

from bot.playground.client.person import Person
from bot.playground.errors import PlaygroundError
from fault_injection.environment import Environment
from fault_injection.faults import CLOCKS, FAULTS, LONG, Fault, undo
from worker.jobs.states import END_STATES

DEADLINE_S = 120.0
CHANNELS = ("#support-ml", "#general")
QUIET_S = 1.0
"""How long after the last report a second one is waited for."""


@dataclass
class Result:
    """What one trial showed; the lists hold job ids, times are seconds."""

    seed: int
    fault: str
    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    ran_twice: list[str] = field(default_factory=list)
    reports_missing: list[str] = field(default_factory=list)
    reports_doubled: list[str] = field(default_factory=list)
    cards_wrong: list[str] = field(default_factory=list)
    recovery_s: float | None = None
    after_s: float | None = None
    cancel_s: float | None = None
    notes: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def trial(
    environment: Environment,
    fault_name: str,
    seed: int,
    cancel: bool = False,
    more: Mapping[str, Fault] = MappingProxyType({}),
) -> Result:
    """Launches one to three jobs, injects the fault somewhere in their life, waits for all ends and judges.

    `more` are faults of an environment of another kind.
    """
    dice = random.Random(seed)
    fault = {**FAULTS, **CLOCKS, **LONG, **more}[fault_name]
    result = Result(seed, fault_name)
    before = {row["id"] for row in environment.query("select id from jobs")}
    began = time.time()
    environment.wait_for_bot()
    launches = sum(launch(environment, dice) for _ in range(dice.randint(1, 3)))
    while not launches:  # a bot that has only just come back may miss the first one
        launches += launch(environment, dice)
    if dice.random() < 0.75:  # somewhere in a run; else anywhere, also before one has begun
        wait_for_start(environment, began)
    time.sleep(dice.uniform(0.0, 2.0))
    injected_at = time.time()
    injection = fault.inject(environment, dice)
    next(injection)
    if cancel and launches and "frozen" not in fault_name:  # who is stopped cannot be seen to end
        result.cancel_s = cancel_one(environment, before, result)
    if dice.random() < 0.3:  # someone launches while the fault lasts
        launches += launch(environment, dice)
    time.sleep(dice.uniform(fault.least_s, fault.most_s))
    undo(injection)
    healed_at = time.time()
    apology_count = partial(apologies, environment, began)
    jobs = wait_for_ends(environment, before, lambda: launches - apology_count())
    launches -= apology_count()
    result.jobs = max(launches, len(jobs))
    result.lost += ["never accepted"] * max(0, launches - len(jobs))
    judge(environment, jobs, result)
    if fault_name not in CLOCKS:  # else the ledger's times are not ours
        result.after_s = last_report(jobs, healed_at)
    if fault.heavy:
        result.recovery_s = recovery(environment, jobs, injected_at)
    for job in jobs:
        end_all(environment, job["id"], result)
    return result


def launch(environment: Environment, dice: random.Random) -> bool:
    """A person types the command; whether Slack showed it as taken."""
    people = dice.choice(environment.workplaces) if len(environment.workplaces) > 1 else environment.people
    person = people[dice.choice(["ravi", "maya"])]
    try:
        text = f"sample-tickets linear epochs={dice.randint(2, 9)}"
        return bool(person.command("/finetune", text, dice.choice(CHANNELS)).get("ok"))
    except (PlaygroundError, httpx.TransportError):
        return False


def wait_for_start(environment: Environment, since: float, timeout_s: float = 15.0) -> None:
    """Returns once a training process has begun."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if any(line.what == "start" and line.at > since for line in environment.event_log.lines[-50:]):
            return
        time.sleep(0.02)


def cancel_one(environment: Environment, before: set[str], result: Result) -> float | None:
    """Seconds from the acknowledged cancel of a running job until its last process is gone."""
    deadline = time.monotonic() + 4.0
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError):  # the database may be what is away
            for row in environment.query("select * from jobs where state = 'running'"):
                if row["id"] not in before and pids(environment, row["id"]):
                    return cancel(environment, row, result)
        time.sleep(0.05)
    return None


def cancel(environment: Environment, row: Any, result: Result) -> float | None:
    """Types /jobs cancel and watches the processes."""
    try:
        ana = environment.workplaces[row["workplace"]]["ana"]
        answer = ana.command("/jobs", f"cancel {row['id']}", row["channel"])
    except (PlaygroundError, httpx.TransportError):
        return None
    if not answer.get("ok"):
        return None
    began = time.monotonic()
    while any(psutil.pid_exists(pid) for pid in pids(environment, row["id"])):
        if time.monotonic() - began > 30:
            result.notes.append(f"{row['id']} still runs 30 s after its cancel")
            break
        time.sleep(0.01)
    return time.monotonic() - began


def pids(environment: Environment, job: str) -> set[int]:
    """The processes of the job that have started and not ended, by its event_log."""
    lines = environment.event_log.of(job)
    ended_pids = {line.pid for line in lines if line.what == "end"}
    return {
        p for li in lines if li.what == "start" and li.pid not in ended_pids for p in (li.pid, li.rank) if p
    }


def apologies(environment: Environment, since: float) -> int:
    """How many launches were answered with a sentence why not, instead of a job."""
    count = 0
    for person in (people[name] for people in environment.workplaces for name in ("ravi", "maya")):
        with contextlib.suppress(PlaygroundError, httpx.TransportError):
            for channel in CHANNELS:
                messages = person.messages(channel)
                count += sum(bool(m.get("is_ephemeral")) and float(m["ts"]) > since for m in messages)
    return count


def wait_for_ends(environment: Environment, before: set[str], launches: Callable[[], int]) -> list[Any]:
    """The trial's jobs once all have ended and their reports are out, or at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(Exception):  # the ledger may be locked or half restored for a moment
            jobs = [row for row in environment.query("select * from jobs") if row["id"] not in before]
            owed = count_rows(environment, "select count(*) as n from posts where done_at is null")
            stale = [job for job in jobs if job["card_version"] < job["version"]]
            all_ended = all(job["state"] in END_STATES for job in jobs)
            if all_ended and not owed and not stale and len(jobs) >= launches():
                time.sleep(QUIET_S)
                return jobs
        if time.monotonic() > deadline:
            return jobs
        time.sleep(0.1)


def judge(environment: Environment, jobs: list[Any], result: Result) -> None:
    """Counts what each job left in the ledger, in the event log and in Slack."""
    messages = [
        all_messages(people["ravi"], {job["channel"] for job in jobs}) for people in environment.workplaces
    ]
    for job in jobs:
        cancels = count_rows(
            environment, "select count(*) as n from events where job_id = ? and what = 'cancel'", job["id"]
        )
        good = ("succeeded", "cancelled") if cancels else ("succeeded",)
        if job["state"] not in good:
            result.lost.append(job["id"])
            result.notes.append(f"{job['id']} is {job['state']}: {job['error']}")
        ends = ",".join(f"'{state}'" for state in END_STATES)
        sql = f"select count(*) as n from events where job_id = ? and applied and to_state in ({ends})"
        if count_rows(environment, sql, job["id"]) > 1:
            result.doubled.append(job["id"])
        if sum(line.what == "end" for line in environment.event_log.of(job["id"])) > 1:
            result.ran_twice.append(job["id"])
        count_reports(job, messages[job["workplace"]], result)


def count_reports(job: Any, messages: list[dict[str, Any]], result: Result) -> None:
    """Exactly one final report and one card, the card showing the end."""
    keys = [((m.get("metadata") or {}).get("event_payload") or {}).get("key") for m in messages]
    ends = {f"{job['id']}:{state}" for state in END_STATES}
    reports = sum(key in ends for key in keys)
    if reports == 0:
        result.reports_missing.append(job["id"])
    if reports > 1:
        result.reports_doubled.append(job["id"])
    cards = [m for m, key in zip(messages, keys, strict=True) if key == f"card:{job['id']}"]
    word = {"succeeded": "done", "cancelled": "cancelled"}.get(job["state"], "")
    if len(cards) != 1 or not re.search(word, cards[0].get("text", ""), re.IGNORECASE):
        result.cards_wrong.append(job["id"])
        texts = [(card["ts"], (card.get("edited") or {}).get("ts"), card.get("text", "")) for card in cards]
        result.notes.append(f"{job['id']} has {len(cards)} cards: {texts}")


def count_rows(environment: Environment, sql: str, *values: Any) -> int:
    """The sum of a count (`n`) over the ledgers of all workspaces."""
    return sum(int(row["n"]) for row in environment.query(sql, *values))


def all_messages(person: Person, channels: set[str]) -> list[dict[str, Any]]:
    """All messages of the channels with those of their threads."""
    by_ts: dict[str, dict[str, Any]] = {}
    for channel in channels:
        for message in person.messages(channel):
            by_ts[message["ts"]] = message
            if message.get("reply_count"):
                by_ts |= {reply["ts"]: reply for reply in person.messages(channel, message["ts"])}
    return list(by_ts.values())


def last_report(jobs: list[Any], since: float) -> float | None:
    """Seconds from the healing until the last job ended."""
    ends = [job["ended_at"] for job in jobs if job["ended_at"]]
    return round(max(0.0, max(ends) - since), 2) if ends else None


def recovery(environment: Environment, jobs: list[Any], injected_at: float) -> float | None:
    """Seconds from the fault until the last of the ended runs went on in a new one."""
    waits = []
    for job in jobs:
        lines = environment.event_log.of(job["id"])
        old = {line.attempt for line in lines if line.at <= injected_at}
        new = [line.at for line in lines if line.attempt > max(old, default=0) and line.at > injected_at]
        if old and new:
            waits.append(min(new) - injected_at)
    return round(max(waits), 2) if waits else None


def end_all(environment: Environment, job: str, result: Result) -> None:
    """Notes processes of an ended job that are still there."""
    lines = environment.event_log.of(job)
    job_pids = {pid for line in lines if line.what == "start" for pid in (line.pid, line.rank)}
    alive = [pid for pid in job_pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    if alive:
        result.notes.append(f"{job}: processes {alive} outlive it")
