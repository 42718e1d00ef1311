"""One seeded trial: jobs launched by a person, one plug pulled at a random moment, and what became of all."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import httpx
import psutil

from bot.playground.errors import PlaygroundError
from plugs.pulls import CLOCKS, FAULTS, LONG, heal
from plugs.stage import Stage
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


def trial(stage: Stage, fault_name: str, seed: int, cancel: bool = False) -> Result:
    """Launches one to three jobs, pulls the plug somewhere in their life, waits for all ends and judges."""
    dice = random.Random(seed)
    fault = {**FAULTS, **CLOCKS, **LONG}[fault_name]
    result = Result(seed, fault_name)
    before = {row["id"] for row in stage.query("select id from jobs")}
    began = time.time()
    stage.wait_for_bot()
    accepted = sum(launch(stage, dice) for _ in range(dice.randint(1, 3)))
    while not accepted:  # a bot that has only just come back may miss the first one
        accepted += launch(stage, dice)
    if dice.random() < 0.75:  # somewhere in a run; else anywhere, also before one has begun
        wait_for_start(stage, began)
    time.sleep(dice.uniform(0.0, 2.0))
    pulled_at = time.time()
    pulled = fault.pull(stage, dice)
    next(pulled)
    if cancel and accepted and "frozen" not in fault_name:  # who is stopped cannot be seen to end
        result.cancel_s = cancel_one(stage, before, result)
    if dice.random() < 0.3:  # someone launches while the plug is out
        accepted += launch(stage, dice)
    time.sleep(dice.uniform(fault.least_s, fault.most_s))
    heal(pulled)
    healed_at = time.time()
    refused = partial(apologies, stage, began)
    jobs = wait_for_ends(stage, before, lambda: accepted - refused())
    accepted -= refused()
    result.jobs = max(accepted, len(jobs))
    result.lost += ["never accepted"] * max(0, accepted - len(jobs))
    judge(stage, jobs, result)
    if fault_name not in CLOCKS:  # else the ledger's times are not ours
        result.after_s = last_report(jobs, healed_at)
    if fault.heavy:
        result.recovery_s = recovery(stage, jobs, pulled_at)
    for job in jobs:
        end_all(stage, job["id"], result)
    return result


def launch(stage: Stage, dice: random.Random) -> bool:
    """A person types the command; whether Slack showed it as taken."""
    person = stage.people[dice.choice(["ravi", "maya"])]
    try:
        text = f"sample-tickets linear epochs={dice.randint(2, 9)}"
        return bool(person.command("/finetune", text, dice.choice(CHANNELS)).get("ok"))
    except (PlaygroundError, httpx.TransportError):
        return False


def wait_for_start(stage: Stage, since: float, timeout_s: float = 15.0) -> None:
    """Returns once a training process has begun."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if any(line.what == "start" and line.at > since for line in stage.diary.lines[-50:]):
            return
        time.sleep(0.02)


def cancel_one(stage: Stage, before: set[str], result: Result) -> float | None:
    """Seconds from the acknowledged cancel of a running job until its last process is gone."""
    deadline = time.monotonic() + 4.0
    while time.monotonic() < deadline:
        for row in stage.query("select * from jobs where state = 'running'"):
            if row["id"] not in before and pids(stage, row["id"]):
                return cancel(stage, row, result)
        time.sleep(0.05)
    return None


def cancel(stage: Stage, row: Any, result: Result) -> float | None:
    """Types /jobs cancel and watches the processes."""
    try:
        answer = stage.people["ana"].command("/jobs", f"cancel {row['id']}", row["channel"])
    except (PlaygroundError, httpx.TransportError):
        return None
    if not answer.get("ok"):
        return None
    began = time.monotonic()
    while any(psutil.pid_exists(pid) for pid in pids(stage, row["id"])):
        if time.monotonic() - began > 30:
            result.notes.append(f"{row['id']} still runs 30 s after its cancel")
            break
        time.sleep(0.01)
    return time.monotonic() - began


def pids(stage: Stage, job: str) -> set[int]:
    """The processes of the job that have started and not ended, by its diary."""
    lines = stage.diary.of(job)
    ended = {line.pid for line in lines if line.what == "end"}
    return {p for li in lines if li.what == "start" and li.pid not in ended for p in (li.pid, li.rank) if p}


def apologies(stage: Stage, since: float) -> int:
    """How many launches were answered with a sentence why not, instead of a job."""
    told = 0
    for name in ("ravi", "maya"):
        with contextlib.suppress(PlaygroundError, httpx.TransportError):
            for channel in CHANNELS:
                said = stage.people[name].messages(channel)
                told += sum(bool(m.get("is_ephemeral")) and float(m["ts"]) > since for m in said)
    return told


def wait_for_ends(stage: Stage, before: set[str], accepted: Callable[[], int]) -> list[Any]:
    """The trial's jobs once all have ended and their reports are out, or at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(Exception):  # the ledger may be locked or half restored for a moment
            jobs = [row for row in stage.query("select * from jobs") if row["id"] not in before]
            owed = stage.query("select count(*) as n from posts where done_at is null")[0]["n"]
            stale = [job for job in jobs if job["card_version"] < job["version"]]
            ended = all(job["state"] in END_STATES for job in jobs)
            if ended and not owed and not stale and len(jobs) >= accepted():
                time.sleep(QUIET_S)
                return jobs
        if time.monotonic() > deadline:
            return jobs
        time.sleep(0.1)


def judge(stage: Stage, jobs: list[Any], result: Result) -> None:
    """Counts what each job left in the ledger, in the diary and in Slack."""
    messages = everything_said(stage, {job["channel"] for job in jobs})
    for job in jobs:
        wanted = stage.query(
            "select count(*) as n from events where job_id = ? and what = 'cancel'", job["id"]
        )[0]["n"]
        good = ("succeeded", "cancelled") if wanted else ("succeeded",)
        if job["state"] not in good:
            result.lost.append(job["id"])
            result.notes.append(f"{job['id']} is {job['state']}: {job['error']}")
        ends = ",".join(f"'{state}'" for state in END_STATES)
        sql = f"select count(*) as n from events where job_id = ? and applied and to_state in ({ends})"
        if stage.query(sql, job["id"])[0]["n"] > 1:
            result.doubled.append(job["id"])
        if sum(line.what == "end" for line in stage.diary.of(job["id"])) > 1:
            result.ran_twice.append(job["id"])
        count_reports(job, messages, result)


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


def everything_said(stage: Stage, channels: set[str]) -> list[dict[str, Any]]:
    """All messages of the channels with those of their threads."""
    found: dict[str, dict[str, Any]] = {}
    person = stage.people["ravi"]
    for channel in channels:
        for message in person.messages(channel):
            found[message["ts"]] = message
            if message.get("reply_count"):
                found |= {reply["ts"]: reply for reply in person.messages(channel, message["ts"])}
    return list(found.values())


def last_report(jobs: list[Any], since: float) -> float | None:
    """Seconds from the healing until the last job ended."""
    ends = [job["ended_at"] for job in jobs if job["ended_at"]]
    return round(max(0.0, max(ends) - since), 2) if ends else None


def recovery(stage: Stage, jobs: list[Any], pulled_at: float) -> float | None:
    """Seconds from the fault until the last of the ended runs went on in a new one."""
    waits = []
    for job in jobs:
        lines = stage.diary.of(job["id"])
        old = {line.attempt for line in lines if line.at <= pulled_at}
        new = [line.at for line in lines if line.attempt > max(old, default=0) and line.at > pulled_at]
        if old and new:
            waits.append(min(new) - pulled_at)
    return round(max(waits), 2) if waits else None


def end_all(stage: Stage, job: str, result: Result) -> None:
    """Notes processes of an ended job that are still there."""
    lines = stage.diary.of(job)
    left = {pid for line in lines if line.what == "start" for pid in (line.pid, line.rank)}
    alive = [pid for pid in left if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    if alive:
        result.notes.append(f"{job}: processes {alive} outlive it")
