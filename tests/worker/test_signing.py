"""Write access to Redis does not allow running, stopping or ending anything."""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import zlib
from dataclasses import asdict
from pathlib import Path

import pytest
import redis

from bot.playground.patience import Patience
from tests.worker.conftest import WorkerHarness
from worker.errors import WorkerError
from worker.jobs.states import State
from worker.transport import signing
from worker.transport.events import BadEvent, WorkerEvent, read_event, sign_event
from worker.transport.queue import QUEUE, connect
from worker.transport.signing import Envelope, Refusal, order, read_order, seal, unseal
from worker.transport.stop_flag import StopFlag, publish_stop, write_stop


def envelope(**changes: object) -> Envelope:
    values = {
        **{"job": "abc", "attempt": 1, "fence": "f", "root": "abc", "kind": "tiny", "spec": {"steps": 1}},
        **{"dataset": "ds", "expires": 2e9, "timeout_s": 60, "spent_usd": 0.0, "budget_usd": None},
    }
    return Envelope(**{**values, **changes})  # type: ignore[arg-type]


def test_1000_forged_or_tampered_orders_are_all_refused(tmp_path: Path) -> None:
    """Bit flips, cut and joined messages, other keys, pickles, replays under another id: none is read."""
    key, other = signing.bot_key(tmp_path / "a"), signing.bot_key(tmp_path / "b")
    good = seal(order(envelope()), key)
    assert read_order(unseal(good, key.public), "ft-abc-1", now=1e9) == envelope()
    dice = random.Random(6)
    run = 0
    for n in range(1000):
        data, rq_id, now = bytearray(good), "ft-abc-1", 1e9
        match n % 8:
            case 0:
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            case 1:
                del data[dice.randrange(len(data)) :]
            case 2:
                data += os.urandom(1 + n % 5)
            case 3:
                data = bytearray(seal(order(envelope(attempt=n)), other))
            case 4:
                data = bytearray(pickle.dumps(("os.system", None, (f"touch {tmp_path}/pwned",), {})))
            case 5:
                rq_id = f"ft-abc-{n}"
            case 6:
                now = 3e9
            case 7:
                data = bytearray(seal({"call": "os.system", "envelope": {}}, key))
        try:
            read_order(unseal(bytes(data), key.public), rq_id, now)
            run += 1
        except (Refusal, ValueError):
            pass
    assert run == 0
    assert not (tmp_path / "pwned").exists()


def test_events_count_only_with_the_signature_of_a_trusted_worker(tmp_path: Path) -> None:
    """A stranger's, a tampered and a truncated event are refused."""
    signing.pair_locally(tmp_path)
    key, workers = signing.worker_key(tmp_path), signing.trusted_workers(tmp_path)
    event = WorkerEvent("abc", 1, "f", "r", 0, "finished", 1.0, {"report": {}})
    line = sign_event(event, key)
    assert read_event(line.encode(), workers).worker_key == key.public.id
    stranger = sign_event(event, signing.worker_key(tmp_path / "x"))
    for bad in (
        stranger,
        line.replace('"seq":0', '"seq":9'),
        line[:-4],
        "",
        "a b",
        "a b c",
        "\udcff",
        *misshapen(event, key),
    ):
        with pytest.raises(BadEvent):
            read_event(bad.encode("utf-8", "surrogateescape"), workers)


def misshapen(event: WorkerEvent, key: signing.PrivateKey) -> list[str]:
    """Events that a trusted but stolen worker could sign: wrong types, numbers out of range, NaN."""
    bodies = [
        json.dumps({**{k: v for k, v in asdict(event).items() if k != "worker_key"}, **change})
        for change in (
            {"seq": "0"},
            {"seq": 2**40},
            {"attempt": 0},
            {"data": []},
            {"data": {"x": float("nan")}},
        )
    ]
    bodies += ["[]", "null", "[" * 5000]
    sign = [base64.b64encode(key.sign(body.encode())).decode() for body in bodies]
    return [f"{key.public.id} {mark} {body}" for mark, body in zip(sign, bodies, strict=True)]


def test_a_nul_in_an_events_text_is_dropped_not_the_event(tmp_path: Path) -> None:
    """PostgreSQL refuses NUL in text; an error message that holds one must still end its job."""
    signing.pair_locally(tmp_path)
    data = {"error": "bad\x00 byte \\u0000"}
    line = sign_event(WorkerEvent("abc", 1, "f", "r", 0, "failed", 1.0, data), signing.worker_key(tmp_path))
    read = read_event(line.encode(), signing.trusted_workers(tmp_path))
    assert read.data["error"] == "bad byte \\u0000"


def test_stop_flags_count_only_when_the_bot_signed_them_for_this_attempt(tmp_path: Path) -> None:
    """Neither an unsigned flag nor one signed for another attempt stops a run."""
    key = signing.bot_key(tmp_path / "keys")
    nowhere = connect("redis://127.0.0.1:1/0")
    flag = StopFlag("ft-abc-1", key.public, tmp_path, nowhere)
    write_stop(tmp_path, key, "ft-abc-2", "cancel")
    (tmp_path / "stops" / "ft-abc-1").write_bytes((tmp_path / "stops" / "ft-abc-2").read_bytes())
    assert flag.look() is None
    (tmp_path / "stops" / "ft-abc-1").write_text("cancel")
    assert flag.look() is None
    write_stop(tmp_path, key, "ft-abc-1", "cancel")
    assert flag.look() == "cancel"


def test_a_private_key_that_others_can_read_is_refused_and_its_repr_is_silent(tmp_path: Path) -> None:
    """The mode is checked at each start; two first starts end with one key."""
    key = signing.bot_key(tmp_path)
    assert signing.bot_key(tmp_path).public.id == key.public.id
    assert (tmp_path / "bot.key").read_text() not in repr(key)
    (tmp_path / "bot.key").chmod(0o644)
    with pytest.raises(WorkerError, match="chmod 600"):
        signing.bot_key(tmp_path)


@pytest.mark.integration
def test_a_worker_survives_rubbish_in_its_queue_and_runs_none_of_it(harness: WorkerHarness) -> None:
    """Forged hashes with callbacks, pickles, broken fields and bad ids; then the next real job runs."""
    client = redis.Redis.from_url(harness.redis.url)
    mark = harness.home / "pwned"
    calls = ("os.system", None, (f"touch {mark}",), {})
    for n, data in enumerate([pickle.dumps(calls), json.dumps(calls).encode(), os.urandom(200), b""]):
        callback = {"success_callback_name": "os.system", "failure_callback_name": "os.system"}
        rubbish = {"created_at": "never", "timeout": "x", "meta": pickle.dumps(calls), "origin": b"\xff"}
        client.hset(f"rq:job:ft-x-{n}", mapping={"data": zlib.compress(data), **callback, **rubbish})
        client.rpush(f"rq:queue:{QUEUE}", f"ft-x-{n}")
    client.rpush(f"rq:queue:{QUEUE}", b"\xff\xfe", "../../etc/passwd", "no-such-job", "ft-none-1")
    client.xadd("tw:events", {"e": b"\xff rubbish"})
    client.xadd("tw:events", {"other": "x"})
    publish_stop(client, signing.worker_key(harness.home / "keys"), "ft-x-1", "cancel")
    worker = harness.worker()
    job_id = harness.submit(steps=2)
    client.set(f"tw:stop:ft-{job_id}-1", b"cancel")
    assert harness.end_of(job_id).state is State.SUCCEEDED
    assert worker.poll() is None
    assert not mark.exists()
    assert client.llen(f"rq:queue:{QUEUE}") == 0


@pytest.mark.integration
def test_a_stolen_order_replayed_runs_nothing_a_second_time(harness: WorkerHarness) -> None:
    """Copied while it waited, put back after its end, with claim and stop flag wiped: refused all the same."""
    client = redis.Redis.from_url(harness.redis.url)
    job_id = harness.submit(steps=2)
    rq_id = f"ft-{job_id}-1"
    patience = Patience(10)
    while not (order := client.hgetall(f"rq:job:{rq_id}")):
        assert not patience.is_over()
    worker = harness.worker()
    harness.end_of(job_id)
    for key in client.scan_iter("tw:*"):
        client.delete(key)
    client.hset(f"rq:job:{rq_id}", mapping=order)
    client.rpush(f"rq:queue:{QUEUE}", rq_id)
    again = harness.submit(steps=2)  # behind it in line: when this one has ended, the copy was looked at
    assert harness.end_of(again).state is State.SUCCEEDED
    leases = [e for e in harness.ledger.history(job_id) if e.what == "leased"]
    assert (len(leases), harness.reports(job_id), worker.poll()) == (1, 1, None)
