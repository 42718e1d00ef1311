"""A source is one file: dropped in, the registry, settings, their page and the command know it, and it is pulled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
ACME = '''
"""Acme's tickets; never run live."""

from finetune.registry import Variable
from finetune.sources.contract import Page, Source
from finetune.sources.http import ApiClient, Login


class Acme:
    def __init__(self, client):
        self.client = client

    def ping(self):
        self.client.get("/tickets", after=99)

    def resolve(self, query):
        return query

    def start(self, query, since):
        return {"after": 0}

    def page(self, query, cursor):
        rows = self.client.get("/tickets", after=cursor["after"]).rows("tickets")
        return Page(tuple(rows), {"after": rows[-1]["id"] if rows else cursor["after"]}, len(rows) < 10)


def connect(values, wait):
    login = Login(f"Bearer {values['ACME_TOKEN']}", "ACME_URL", "ACME_TOKEN")
    return Acme(ApiClient("Acme", values["ACME_URL"], login, wait))


SOURCE = Source(
    name="acme",
    label="Acme",
    variables=(
        Variable("ACME_URL", "Address of Acme.", default=None),
        Variable("ACME_TOKEN", "Token of Acme.", True, None),
    ),
    connect=connect,
    columns={"text": "words", "label": "team", "id": "id"},
)
'''


class Tickets(BaseHTTPRequestHandler):
    """Acme's wire: ten tickets after an id."""

    def do_GET(self) -> None:
        after = int(self.path.rpartition("=")[2])
        numbers = [number for number in range(1, 25) if number > after][:10]
        rows = [
            {"id": n, "words": f"The thing of number {n} fell down the stairs {n} times", "team": "AB"[n % 2]}
            for n in numbers
        ]
        data = json.dumps({"tickets": rows}).encode()
        self.send_response(200 if self.headers["authorization"] == "Bearer t-1" else 401)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_source_dropped_in_is_known_everywhere_and_pulled(tmp_path: Path) -> None:
    """In a copy of the tree: one new file, nothing edited; the command pulls twice, the second time to say that nothing is new."""
    for name in ("bot", "worker", "rag"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(
        ROOT / "finetune", tmp_path / "finetune", ignore=shutil.ignore_patterns("__pycache__", "samples")
    )
    (tmp_path / "finetune" / "samples").symlink_to(ROOT / "finetune" / "samples")
    (tmp_path / "finetune" / "sources" / "acme.py").write_text(ACME)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tickets)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    token = tmp_path / "token"
    token.write_text("t-1\n")
    token.chmod(0o600)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "TRAINWISE_HOME": str(tmp_path / "home")}

    def run(*words: str, **more: str) -> str:
        result = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=env | more, capture_output=True, text=True
        )
        return result.stdout + result.stderr

    assert "ACME_URL, ACME_TOKEN are not set" in run("-m", "bot.cli", "datasets", "pull", "acme")
    settings = {
        "ACME_URL": f"http://127.0.0.1:{server.server_port}",
        "ACME_TOKEN_FILE": str(token),
    }
    first = run("-m", "bot.cli", "datasets", "pull", "acme", **settings)
    assert "Acme gave 24 tickets: 24 new, 0 changed, 0 gone. Version 1 has 24 tickets." in first
    second = run("-m", "bot.cli", "datasets", "pull", "acme", **settings)
    assert "Nothing new from Acme" in second
    page = run("-c", "from bot.cli.reference import settings_page; print(settings_page())")
    assert "| `ACME_TOKEN` | Token of Acme. |" in page
    server.shutdown()
    server.server_close()
