"""A serving backend is one file: dropped into its folder, its versions are made, loaded and asked like the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
DUMMY = '''
"""Escalation: whatever a run learned, the loudest word decides."""

import json

from finetune.evaluation.promise import Threshold
from finetune.serving.answers import Answer
from finetune.serving.backends import Backend


def publish(run, report, tickets_of, out, note):
    note("writing")
    words = [word for word in report["words"] if word]
    (out / "served.json").write_text(json.dumps({"backend": "loud", "task": "escalation", "words": words}))


class Loud:
    classes = ("person", "bot")
    threshold = Threshold(0.5, 10, 10, 0, 0.26)

    def __init__(self, folder):
        self.words = json.loads((folder / "served.json").read_text())["words"]

    def answer(self, ticket):
        queue = "person" if any(word in ticket.lower() for word in self.words) else "bot"
        return Answer(queue, 1.0, ((queue, 1.0),))


BACKEND = Backend("loud", "escalation", publish, lambda folder, error_rate: Loud(folder))
'''
STORY = """
import json, tempfile
from pathlib import Path

from finetune.serving.deploy import load_version, make_version
from finetune.serving.server.engine import Engine, Ticket
from finetune.serving.server.metrics import Metrics
import asyncio

with tempfile.TemporaryDirectory() as name:
    job = Path(name) / "job"
    (job / "model").mkdir(parents=True)
    report = {"task": "escalation", "dataset": {"name": "loud tickets"}, "words": ["lawyer"]}
    (job / "report.json").write_text(json.dumps(report))
    versions = make_version(job, "v1", Path(name) / "serving", lambda digest: None)
    versions.use("v1", "test")
    engine = Engine([versions], load_version, Metrics())
    tickets = [Ticket("1", "I call my LAWYER"), Ticket("2", "thanks")]
    replies = asyncio.run(engine.answer("loud-tickets", tickets))
    print([reply.answer.queue for reply in replies])
    engine.close()
"""


def test_one_new_file_is_a_backend(tmp_path: Path) -> None:
    """The registry, the version, the engine and the answers, with nothing else changed."""
    shutil.copytree(ROOT / "finetune", tmp_path / "finetune", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "finetune/serving/backends/loud.py").write_text(DUMMY)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", STORY],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "['person', 'bot']"
