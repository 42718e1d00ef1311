"""`/docs add LINK` from the command to the cited answer, on a web site that runs on loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.demo.stack import ROOT, LocalStack, local_stack
from bot.playground import Person
from tests.homes import home_with_graphs
from tests.integration.conftest import CHANNEL, appears, private_reply, text_of
from tests.integration.test_documents import answer_to, id_of, listing_of

pytestmark = pytest.mark.integration
HELP = (
    "<html><head><title>Locker rules</title><script>steal()</script></head><body><h1>Lockers</h1>"
    "<h2>Lost keys</h2><p>A lost locker key costs forty-two crowns and is replaced on Thursdays.</p></body></html>"
)
QUESTION = "what does a lost locker key cost?"


class Site(BaseHTTPRequestHandler):
    """One page, one locked, one gone, and two that lead elsewhere."""

    def do_GET(self) -> None:
        redirects = {"/old": "/help", "/inside": "http://169.254.169.254/latest/meta-data"}
        if self.path in redirects:
            return self.reply(302, location=redirects[self.path])
        return self.reply({"/help": 200, "/locked": 403}.get(self.path, 404))

    def reply(self, status: int, location: str = "") -> None:
        body = HELP.encode() if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def near(short_folder: Path, embed_cache: Path) -> Iterator[LocalStack]:
    """The workspace and the bot that may open the site."""
    with local_stack(home_with_graphs(short_folder / "near", embed_cache), processes=()) as running:
        running.workspace.set_rates(enforce=False)
        argv = [sys.executable, "-m", "tests.integration.bot_near_a_site"]
        with (running.logs / "bot.log").open("ab") as out:
            running.processes["bot"] = subprocess.Popen(
                argv, env=dict(running.env), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT
            )
        try:
            running.wait_for_bot()
            yield running
        finally:
            running.end("bot")


@pytest.fixture(scope="module")
def lea(near: LocalStack) -> Person:
    return Person(near.url, "maya", timeout=60)


def add(person: Person, link: str) -> str:
    """What the channel reads in the end."""
    return text_of(
        appears(person, lambda: person.command("/docs", f"add {link}", CHANNEL), "added documents")
    )


def test_a_page_is_read_cited_with_its_link_and_taken_out(lea: Person, site: str) -> None:
    """One message: at work, progress, result; the answer links to the page; removed, nothing is left of it."""
    since = len(lea.api_log())
    assert "1 added or changed" in add(lea, f"{site}/help")
    rewritten = [
        str(call["params"].get("text"))
        for call in lea.api_log()[since:]
        if call["method"] in ("chat.postMessage", "chat.update")
    ]
    assert any("adds documents …" in text for text in rewritten)
    assert any("of 1 read" in text for text in rewritten)
    words = answer_to(lea, QUESTION, CHANNEL)
    assert "forty-two crowns" in words
    assert f"{site}/help" in words
    assert "steal" not in words
    assert "1 unchanged" in add(lea, f"{site}/help")
    own = id_of(listing_of(lea), "Lock")
    assert "Removed" in private_reply(lea, lambda: lea.command("/docs", f"remove {own}", CHANNEL))
    assert "forty-two" not in answer_to(lea, QUESTION, CHANNEL)


def test_a_page_that_moved_is_followed(lea: Person, site: str) -> None:
    """A redirect within the site ends at the page."""
    assert "1 added or changed" in add(lea, f"{site}/old")
    lea.command("/docs", f"remove {id_of(listing_of(lea), 'Lock')}", CHANNEL)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/inside", "private address, which I never open"),
        ("/locked", "needs a sign-in"),
        ("/nothing", "does not exist"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_reason(lea: Person, site: str, path: str, why: str) -> None:
    """A redirect into the private network, a sign-in, a page that is gone: said in the channel, and nothing is added."""
    text = add(lea, site + path)
    assert why in text
    assert "nothing added" in text
    assert path not in listing_of(lea)


def test_no_web_address_is_refused_at_once(lea: Person) -> None:
    """The person alone hears it; no message in the channel."""
    assert "not a web address" in private_reply(
        lea, lambda: lea.command("/docs", "add ftp://x.example/y", CHANNEL)
    )
