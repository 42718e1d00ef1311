"""A job kind is one file: added to worker/kinds/, it runs from launch to report with nothing else changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from worker.kinds import KINDS, UNLISTED, kind_of

ROOT = Path(__file__).parents[2]
DUMMY = '''
"""The kind `echo`: gives back the word that it was asked for."""

from worker.kinds.job_kind import JobKind


def run(work):
    work.emit({"kind": "phase", "phase": "loading"})
    return {"kind": "echo", "headline": work.envelope.spec["word"]}


KIND = JobKind("echo", "Echo", run, recipe=lambda spec: [f"the word {spec['word']}"])
'''
STORY = '''
"""Submits one job of the kind, with a real Redis and a real worker process; prints what became of it."""

import json, os, subprocess, sys, tempfile, time
from pathlib import Path

from bot.slack.ui.job_card import job_card, job_text
from bot.slack.ui.messages import message_of
from worker.dispatch.dispatcher import Dispatcher
from worker.jobs.records import JobRequest
from worker.jobs.states import END_STATES
from worker.ledger.ledger import Ledger
from worker.transport import signing
from worker.transport.embedded_redis import embedded_redis

with tempfile.TemporaryDirectory(prefix="tw", ignore_cleanup_errors=True) as folder:
    home = Path(folder)
    signing.pair_locally(home / "keys")
    redis = embedded_redis(home / "redis")
    ledger = Ledger(str(home / "ledger.db"))
    dispatcher = Dispatcher(ledger, redis.url, home / "keys", home / "artifacts")
    dispatcher.start()
    options = "redis_url=sys.argv[2], name='w1', keys=h / 'keys', spool=h / 'spool', artifacts=h / 'artifacts'"
    code = (
        "import sys; from pathlib import Path; from worker.runtime.options import WorkerOptions; "
        "from worker.runtime.server import serve; h = Path(sys.argv[1]); "
        f"serve(WorkerOptions({options}, datasets_url=str(h / 'datasets')))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(home), redis.url])
    try:
        request = JobRequest("echo", {"word": "hello"}, "d", "U1", "maya", "T1", "C1", None, "k")
        job = ledger.submit(request)
        card = json.dumps(job_card(job, time.time()))
        while job.state not in END_STATES and worker.poll() is None:  # the test's own limit ends it
            time.sleep(0.05)
            job = ledger.job(job.id)
        posts = ledger.due_posts()
        print(json.dumps({
            "state": job.state, "report": job.report, "card": card, "text": job_text(job),
            "posts": [post.kind for post in posts], "post": message_of(posts[0], job)[0],
        }))
    finally:
        worker.kill()
        worker.wait()
        dispatcher.stop()
        redis.stop()
'''


@pytest.mark.integration
def test_a_kind_in_one_new_file_runs_from_launch_to_report(tmp_path: Path) -> None:
    """A copy of the package with one file more: the job is queued, run by a real worker, ended, its post owed."""
    shutil.copytree(ROOT / "worker", tmp_path / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "worker" / "kinds" / "echo.py").write_text(DUMMY)
    (tmp_path / "story.py").write_text(STORY)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    run = subprocess.run(
        [sys.executable, str(tmp_path / "story.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout.splitlines()[-1])
    assert (outcome["state"], outcome["report"]["headline"]) == ("succeeded", "hello")
    assert "*Echo" in outcome["card"]
    assert "the word hello" in outcome["card"]
    assert outcome["text"].startswith("✅ Echo")
    assert outcome["posts"] == ["final_report"]
    assert "Echo" in outcome["post"]


def test_an_unknown_kind_is_an_ordinary_one() -> None:
    """A job that an older version left behind is listed, counted and shown."""
    kind = kind_of("of-yesterday")
    assert (kind.label, kind.in_lists, kind.has_card, kind.at_front) == ("Job", True, True, False)


def test_the_kinds_and_what_sets_them_apart() -> None:
    """Only a try goes ahead of the queue, without card and list; only a fine-tune leaves a model."""
    assert set(KINDS) == {"deploy", "finetune", "measure", "try"}
    assert UNLISTED == ("try",)
    assert [name for name, kind in KINDS.items() if kind.at_front or not kind.has_card] == ["try"]
    assert [name for name, kind in KINDS.items() if kind.leaves_model] == ["finetune"]
    assert sorted(name for name, kind in KINDS.items() if kind.uses_llm) == ["finetune", "measure"]


def test_a_try_that_is_forgotten_keeps_neither_ticket_nor_answer() -> None:
    """Its spec and report without what a person typed and what the model wrote; the rest stays."""
    kind = kind_of("try")
    assert kind.forget_spec({"model": "m", "text": "Maria"}) == {"model": "m", "text": ""}
    report = kind.forget_report({"kind": "try", "headline": "Dear Maria", "after": {"answer": "x"}})
    assert report == {"kind": "try", "headline": "", "confused": []}
