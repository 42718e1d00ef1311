"""What worker and bot log: a job's start, phases, end, time and cost, and an answered question; never a text."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bot.playground.patience import Patience
from bot.slack.features import answering
from tests.worker.conftest import WorkerHarness
from worker.jobs.states import State
from worker.logs import JsonFormatter, ScrubbingFormatter, log_event

TICKET = "Maria Lopez cannot pay invoice 4711"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What this process logs at info, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(["s3cret-value"]))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def events_in(text: str) -> list[dict[str, Any]]:
    """The logged events; every line is JSON."""
    return [line for line in map(json.loads, text.splitlines()) if "event" in line]


@pytest.mark.integration
def test_worker_and_bot_log_a_jobs_life_with_its_id(harness: WorkerHarness, lines: io.StringIO) -> None:
    """Start, phase, end with seconds and dollars on both sides, each with the job's id; no word of the ticket."""
    harness.worker(log_format="json")
    job_id = harness.submit(steps=3, text=TICKET)
    assert harness.end_of(job_id).state is State.SUCCEEDED
    patience = Patience(30)
    while "job ended" not in lines.getvalue() and not patience.is_over():  # it is logged after the commit
        time.sleep(0.02)
    for side, text in (("bot", lines.getvalue()), ("worker", (harness.home / "w1.log").read_text())):
        assert TICKET not in text
        assert "Maria" not in text
        events = [event for event in events_in(text) if event.get("job") == job_id]
        names = [event["event"] for event in events]
        assert names[0] in ("job moved", "job started"), side
        assert [event["phase"] for event in events if event["event"] == "job phase"] == ["training"]
        (end,) = [event for event in events if event["event"] == "job ended"]
        assert end["seconds"] >= 0
        assert end["usd"] >= 0
        assert end["kind"] == "tiny"
    states = [event["state"] for event in events_in(lines.getvalue()) if "state" in event]
    assert states == ["queued", "leased", "running", "finalizing", "succeeded"]


@pytest.mark.integration
def test_a_run_whose_process_dies_is_logged_by_its_worker(harness: WorkerHarness) -> None:
    """Killed before it could write its own end: the worker says how."""
    harness.worker(log_format="json")
    job_id = harness.submit(steps=5000, pause_s=0.05, deaf=True)
    harness.at_step(job_id)
    harness.ledger.request_cancel(job_id, "U1", "enough")
    harness.end_of(job_id)
    log = harness.home / "w1.log"
    (end,) = [event for event in events_in(log.read_text()) if event["event"] == "job ended"]
    assert (end["job"], end["outcome"], end["reason"]) == (job_id, "died", "cancel")


def test_an_answered_question_is_logged_with_ids_and_time_only(lines: io.StringIO) -> None:
    """Who, where, verdict, seconds: not the question, not the answer."""
    question = answering.Question(TICKET, "U1", "T1", "C1", "1.2", ts="1.3")
    reply: Any = SimpleNamespace(verdict="train", headline=TICKET)
    answering._log_answer(question, reply, 1.234)
    (event,) = events_in(lines.getvalue())
    assert {"time", "level", "logger"} <= set(event)
    assert event["event"] == "question answered"
    assert (event["team"], event["channel"], event["thread"], event["user"]) == ("T1", "C1", "1.2", "U1")
    assert (event["verdict"], event["seconds"]) == ("train", 1.23)
    assert "Maria" not in lines.getvalue()


def test_a_json_line_is_whole_and_holds_no_secret(lines: io.StringIO) -> None:
    """Also with a traceback, a quote or half a private key in it; fields that are None are left out."""
    log = logging.getLogger("trainwise.test")
    log_event(log, "key read", text='-----BEGIN PRIVATE KEY-----\nabc "s3cret-value"', missing=None, count=3)
    try:
        raise ValueError("token xoxb-1234567890-abc and s3cret-value")
    except ValueError:
        log.exception("failed with %s", "s3cret-value")
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert first["text"] == "***"
    assert (first["count"], "missing" in first) == (3, False)
    assert "ValueError" in second["traceback"]
    assert "s3cret" not in lines.getvalue()
    assert "xoxb" not in lines.getvalue()


def test_as_text_an_event_reads_as_name_and_figures() -> None:
    """The same line for a person."""
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", ("job ended job=a usd=0.1",), None)
    assert ScrubbingFormatter("%(message)s").format(record) == "job ended job=a usd=0.1"
