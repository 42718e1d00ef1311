"""A platform is one file and its stand-in: settings, doctor and controller know it, and it keeps the contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
ACME = '''
"""Acme's machines by its REST API; never run live."""

from contextlib import contextmanager

from finetune.platforms.answers import refusal
from finetune.platforms.container import ContainerPlatform, matches, stage_of
from finetune.platforms.contract import Bill, NoAnswer, NotMade, Offer, Platform, RemoteStatus, Stage, Variable
from finetune.platforms.runs import RunStore

WORDS = {"waiting": Stage.WAITING, "running": Stage.RUNNING, "succeeded": Stage.SUCCEEDED, "failed": Stage.FAILED}
WORDS |= {"cancelled": Stage.CANCELLED, "timed out": Stage.TIMED_OUT}


class Missing(NotMade):
    pass


class Machines:
    def __init__(self, client):
        self.client = client

    def call(self, method, path, **more):
        import httpx

        try:
            answer = self.client.request(method, path, **more)
            if answer.status_code == 404:
                raise Missing("Acme does not know it.")
            if answer.is_error:
                raise refusal("Acme", answer.status_code, "", answer.headers)
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NoAnswer("Acme did not answer.") from error

    def status(self, job):
        stage, note = stage_of(job["stage"], WORDS)
        return RemoteStatus(job["id"], stage, job["stage"], job["tag"], job["ran_s"], note)

    def offers(self):
        return [Offer("anvil", "Anvil", 3.6, "today", memory_gib=64.0)]

    def create(self, submission):
        body = {"tag": submission.tag, "run": submission.command("/runs"), "env": submission.environment}
        return self.call("POST", "/jobs", json=body)["id"]

    def find(self, tag):
        jobs = self.call("GET", "/jobs")["jobs"]
        return [self.status(job) for job in jobs if matches(job["tag"], tag)]

    def look(self, remote_id):
        try:
            return self.status(self.call("GET", f"/jobs/{remote_id}"))
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE)

    def cancel(self, remote_id):
        try:
            self.call("POST", f"/jobs/{remote_id}/stop")
        except Missing:
            return

    def bill(self, remote_id):
        return Bill(self.look(remote_id).ran_s or 0.0, True, "a dollar a second")


def connect(values):
    import httpx

    headers = {"Authorization": f"Bearer {values['ACME_KEY']}"}
    client = httpx.Client(base_url=values["ACME_URL"], headers=headers, timeout=float(values.get("timeout_s") or 30))
    return ContainerPlatform(Machines(client), RunStore(values["ACME_RUNS"]))


PLATFORM = Platform(
    name="acme",
    label="Acme",
    gives="weights",
    extra="",
    modules=("httpx",),
    variables=(
        Variable("ACME_KEY", "Key of Acme.", secret=True, default=None),
        Variable("ACME_URL", "Address of Acme.", default=None),
        Variable("ACME_RUNS", "Where the runs lie.", default=None),
    ),
    connect=connect,
    leaves="to Acme's folder, erased at the end.",
)
'''
SERVER = '''
"""Acme's wire; never run live."""

import re

from finetune.platforms import PLATFORMS
from tests.platforms.standin import KEY, Answer, StandIn
from tests.platforms.harness import Wire


class AcmeServer(StandIn):
    name = "acme"

    def is_create(self, request):
        return request.method == "POST" and request.path == "/jobs"

    def show(self, job):
        stage = job.odd_word or job.stage
        return {"id": job.id, "tag": job.tag, "stage": stage, "ran_s": job.ran_s(self.clock())}

    def answer(self, request):
        if self.is_create(request):
            return Answer(201, self.show(self.make(request.json["tag"], request.json)))
        if request.path == "/jobs":
            return Answer(200, {"jobs": [self.show(job) for job in self.visible_jobs()]})
        match = re.fullmatch(r"/jobs/(\\w+)(/stop)?", request.path)
        job = self.job(match[1])
        if job is None:
            return self.refusal(404)
        if match[2]:
            self.cancel(job)
        return Answer(200, self.show(job))


def settings_for(standin, runs_url):
    return {"ACME_KEY": KEY, "ACME_URL": standin.url, "ACME_RUNS": runs_url}


WIRE = Wire(PLATFORMS["acme"], AcmeServer, settings_for, "anvil")
'''
CHECK = """
import os
from bot.cli.doctor import platforms
from bot.settings import HELP, load_settings
from tests.platforms.standin import KEY
from tests.platforms.wires import WIRES

wire, clock = WIRES["acme"], [0.0]
server = wire.server(lambda: clock[0])
env = {"TRAINWISE_HOME": os.getcwd(), **wire.values(server, os.getcwd() + "/runs")}
settings = load_settings(env)
assert HELP["ACME_KEY"] == "Key of Acme."
assert KEY in settings.secrets() and KEY not in repr(settings)
(finding,) = platforms(settings)
assert (finding.name, str(finding.level)) == ("Acme", "ok"), finding
server.is_key_good = False
(finding,) = platforms(settings)
assert "refuses the key" in finding.detail and KEY not in finding.detail, finding
server.close()
"""


def test_a_platform_dropped_in_is_known_everywhere_and_keeps_the_contract(tmp_path: Path) -> None:
    """In a copy of the tree: two new files, nothing edited; its setting is a secret, doctor asks it, the faults find nothing."""
    for name in ("bot", "finetune", "worker", "rag"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "finetune").unlink()
    shutil.copytree(
        ROOT / "finetune", tmp_path / "finetune", ignore=shutil.ignore_patterns("__pycache__", "samples")
    )
    (tmp_path / "finetune" / "samples").symlink_to(ROOT / "finetune" / "samples")
    shutil.copytree(ROOT / "tests" / "platforms", tmp_path / "tests" / "platforms")
    (tmp_path / "tests" / "__init__.py").touch()
    (tmp_path / "finetune" / "platforms" / "acme.py").write_text(ACME)
    (tmp_path / "tests" / "platforms" / "acme_server.py").write_text(SERVER)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*words: str) -> None:
        result = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900
        )
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]

    run("-c", CHECK)
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/platforms/test_contract.py", "-k", "acme")
