"""The ledger on a real PostgreSQL: the same promises as on SQLite, also for two bots at once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.slack.delivery.duty_alarms import update_alarms
from tests.bot.slack.watches import watch_of
from tests.postgres_server import Postgres, find_programs
from worker.jobs.records import JobRequest
from worker.jobs.states import State
from worker.ledger import duty, outbox
from worker.ledger.apply_events import apply_events
from worker.ledger.budgets import OverBudget
from worker.ledger.database import erase_database, holds_rows
from worker.ledger.ledger import Ledger
from worker.ledger.queue_position import update_queue_positions
from worker.ledger.speaker_lease import LEASE_S, SpeakerLease, server_time
from worker.transport.events import WorkerEvent

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A PostgreSQL of its own in a temporary folder."""
    pytest.importorskip("psycopg", reason="pip install 'trainwise[postgres]'")
    if find_programs() is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder)).create()
        try:
            yield server.url_at(server.port)
        finally:
            server.kill()


def test_a_job_lives_from_request_to_report(url: str) -> None:
    """Submitted twice, sent, leased, repeated and NUL-laden events, finished, one report, thread and card kept."""
    ledger = Ledger(url)
    job = ledger.submit(
        JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, "life", estimate_usd=3, month_limit_usd=10)
    )
    assert ledger.submit(JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, "life")).id == job.id
    with pytest.raises(OverBudget):
        ledger.submit(
            JobRequest(
                "tiny", {}, "d", "U1", "m", "T", "C", None, "dear", estimate_usd=30, month_limit_usd=10
            )
        )
    (order,) = outbox.due_orders(ledger.engine, time.time(), None)
    outbox.complete_order(ledger.engine, order, time.time())
    assert update_queue_positions(ledger.engine, time.time()) == 1
    with ledger.engine.connect() as connection:
        fence = connection.exec_driver_sql(
            f"select fence from attempts where job_id = '{job.id}'"
        ).scalar_one()

    def event(seq: int, kind: str, **data: object) -> WorkerEvent:
        return WorkerEvent(job.id, 1, fence, "r", seq, kind, 0.0, dict(data), "w")

    step = event(1, "step", step=1, steps=2)
    apply_events(ledger.engine, [event(0, "leased", pid=1), step, step], ("c", "1"), time.time())
    assert ledger.job(job.id).state is State.RUNNING
    apply_events(ledger.engine, [event(2, "finished", report={"headline": "h"})], ("c", "2"), time.time())
    assert ledger.job(job.id).state is State.SUCCEEDED
    assert [post.dedupe_key for post in ledger.due_posts()] == [f"{job.id}:succeeded"]
    ledger.save_thread("C", "1", {"a": 1})
    ledger.save_thread("C", "1", {"a": 2})
    assert ledger.thread("C", "1") == {"a": 2}
    ledger.move_job(job.id, "D1", "gone")
    assert [card.id for card in ledger.stale_cards()] == [job.id]
    ledger.close()


def test_of_two_bots_at_once_one_does_each_thing(url: str) -> None:
    """The same request, delivery and message are taken once, whoever comes first."""
    bots = [Ledger(url), Ledger(url)]
    with ThreadPoolExecutor(8) as pool:
        for n in range(8):

            def both(ledger: Ledger, n: int = n) -> tuple[str, bool]:
                race = ledger.submit(JobRequest("tiny", {}, "d", "U9", "m", "T9", "C9", None, f"race{n}"))
                return race.id, ledger.first_time(f"delivery{n}")

            jobs = list(pool.map(both, bots * 2))
            assert len({job_id for job_id, _ in jobs}) == 1
            assert sum(first for _, first in jobs) == 1
        job = bots[0].jobs(by="U9")[0]
        bots[0].request_cancel(job.id, "U9", "no")
        batches = list(pool.map(lambda ledger: ledger.due_posts(), bots * 2))
        assert sum(post.job_id == job.id for posts in batches for post in posts) == 1
    for ledger in bots:
        ledger.close()


def test_two_teams_have_a_schema_each_and_one_goes_without_the_other(url: str) -> None:
    """The same keys in both are two jobs; an earlier option of the address holds on."""
    ledgers = [
        Ledger(f"{url}?schema=team_{name}&options=-cstatement_timeout%3D60000") for name in ("t1", "t2")
    ]
    request = JobRequest("finetune", {}, "d", "U1", "maya", "T", "C1", None, "the same")
    jobs = [ledger.submit(request).id for ledger in ledgers]
    for ledger, job in zip(ledgers, jobs, strict=True):
        assert [one.id for one in ledger.jobs()] == [job]
        with ledger.engine.connect() as connection:
            assert connection.exec_driver_sql("show statement_timeout").scalar_one() == "1min"
    ledgers[0].close()
    erase_database(f"{url}?schema=team_t1")
    assert [one.id for one in ledgers[1].jobs()] == [jobs[1]]
    assert Ledger(f"{url}?schema=team_t1").jobs() == []
    assert holds_rows(f"{url}?schema=team_t2")


def test_one_of_two_bots_speaks_and_the_other_takes_over(url: str) -> None:
    """By a lease: renewed while its holder lives, the holder's own again after its restart, another's when it is over."""
    ledger, now = Ledger(f"{url}?schema=team_voice"), 1_000_000.0

    def speaker(holder: str) -> SpeakerLease:
        return SpeakerLease(ledger.engine, holder, lambda: now, lambda: now)

    one, two = speaker("one"), speaker("two")
    assert (one.turn(), two.turn(), one.turn()) == (1, 0, 1)
    for _ in range(4):
        now += 20.0
        assert (one.turn(), two.turn()) == (1, 0)
    assert speaker("one").turn() == 1  # started again
    now += 31.0
    assert (two.turn(), one.turn()) == (1, 0)
    now += 31.0
    assert one.turn() == 2, "it has to look what was sent meanwhile"
    one.release()
    assert two.turn() == 2
    late, now = now, now - 86_400.0  # the clock went back: no lease can end so late
    assert speaker("three").turn() == 1
    ahead = SpeakerLease(ledger.engine, "three", lambda: late, lambda: late)
    assert ahead.turn() == 1
    behind = SpeakerLease(ledger.engine, "four", lambda: late - 0.01, lambda: late)
    assert behind.turn() == 0, "a clock that is a little behind makes no lease free"
    ledger.close()


def test_bots_of_several_machines_speak_by_the_servers_clock(url: str) -> None:
    """One machine's clock is an hour ahead; both ask the server, so the lease holds for both."""
    ledger = Ledger(f"{url}?schema=team_clock")
    assert abs(server_time(ledger.engine) - time.time()) < LEASE_S
    one, two = (
        SpeakerLease(ledger.engine, name, lambda: server_time(ledger.engine)) for name in ("one", "two")
    )
    assert (one.turn(), two.turn(), one.turn()) == (1, 0, 1)
    ledger.close()


def test_two_bots_count_each_ticket_and_label_once(url: str) -> None:
    """Both settle the same 120 tickets, people judge them at either bot, two at a time, and both look all the while."""
    bots = [Ledger(url), Ledger(url)]
    watch = duty.open_watch(bots[0].engine, watch_of())
    confidences = np.random.default_rng(0).beta(9, 1.5, 200)
    for number in range(120):
        assert duty.add_ticket(bots[0].engine, watch.id, f"k{number}", "", "words", 10.0 + number)

    def settle(bot: Ledger) -> int:
        count = 0
        while rows := duty.waiting_tickets(bot.engine, watch.id, limit=5):
            for ticket in rows:
                answer = replace(ticket, state=duty.ANSWERED, queue="a", confidence=0.9, is_audit=True)
                answer = replace(answer, likeliest=(("a", 0.9),))
                count += duty.record_answer(bot.engine, answer, None, "C1", 20.0)
        return count

    def judge(bot: Ledger, person: str) -> None:
        for number in range(120):
            duty.label(
                bot.engine, watch.id, f"k{number}", person, "b" if number % 20 == 0 else "a", time.time()
            )

    def stand_by(bot: Ledger) -> None:
        while not is_over:
            update_alarms(bot.engine, watch, confidences)

    is_over: list[bool] = []
    with ThreadPoolExecutor(6) as pool:
        looks = [pool.submit(stand_by, bot) for bot in bots]
        counts = [pool.submit(settle, bot) for bot in bots]
        words = [pool.submit(judge, bot, person) for bot, person in zip(bots, ("U1", "U2"), strict=True)]
        total = sum(one.result() for one in counts)
        for one in words:
            one.result()
        is_over.append(True)
        for one in looks:
            one.result()
    assert total == 120
    alarms = update_alarms(bots[1].engine, watch, confidences)
    assert alarms is not None
    assert (alarms.far.count, alarms.change.count, alarms.checks.count) == (120, 120, 120)
    tickets = duty.tickets_of(bots[0].engine, watch.id)
    places = [place for one in tickets for place in (one.place, one.word_place)]
    assert sorted(place or 0 for place in places) == list(range(1, 241))
