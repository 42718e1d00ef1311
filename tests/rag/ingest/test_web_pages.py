"""Web pages for the index: public addresses only, however they are written or reached."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

import pytest

from rag.index import Index
from rag.ingest.fetch import Address, FetchError, Page, fetch, fetch_public, is_public
from rag.search.embedding import MiniLM
from rag.search.retrieval import retrieve

EVERYONE = frozenset({"workspace"})


class Site(BaseHTTPRequestHandler):
    """A small web site on loopback; `hits` are the paths that were asked for."""

    hits: ClassVar[list[str]] = []
    page: ClassVar[bytes] = (
        b"<html><title>Help</title><body><h1>Keys</h1><p>Rotate a key every 90 days.</p></body></html>"
    )

    def do_GET(self) -> None:
        self.hits.append(self.path)
        if self.path == "/help":
            if self.headers.get("If-None-Match") == f'"{hash(self.page)}"':
                return self.reply(304)
            return self.reply(
                200, self.page, {"Content-Type": "text/html; charset=utf-8", "ETag": f'"{hash(self.page)}"'}
            )
        if self.path == "/big":
            return self.reply(200, bytes(26_000_000), {"Content-Type": "text/plain"})
        if self.path == "/packed":
            return self.reply(200, b"x", {"Content-Encoding": "gzip"})
        if self.path == "/loop":
            return self.reply(302, headers={"Location": "/loop"})
        if self.path.startswith("/to?"):
            return self.reply(302, headers={"Location": self.path[4:]})
        return self.reply({"/locked": 403, "/broken": 500}.get(self.path, 404))

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        Site.hits.clear()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def to_loopback(host: str, _port: int) -> list[str]:
    """docs.example is our site; any other host is an address."""
    return ["127.0.0.1"] if host == "docs.example" else [host]


def loopback_allowed(address: Address) -> bool:
    """The rule with one hole in it: the site of this test."""
    return is_public(address) or str(address) == "127.0.0.1"


def get(url: str, stamp: str = "") -> Page | None:
    return fetch(url, stamp, to_loopback, loopback_allowed)


def test_a_page_comes_with_its_kind_and_version(port: int) -> None:
    """The version sent back saves the second reading."""
    page = get(f"http://docs.example:{port}/help")
    assert page is not None
    assert page.name == "help.html"
    assert b"90 days" in page.body
    assert get(f"http://docs.example:{port}/help", page.stamp) is None


def test_a_redirect_to_another_allowed_page_is_followed(port: int) -> None:
    """A moved article is found."""
    page = get(f"http://docs.example:{port}/to?/help")
    assert page is not None
    assert page.name == "help.html"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "017700000001", "127.1", "0.0.0.0", "[::1]",
     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00::1]", "[fe80::1]",
     "[::127.0.0.1]", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "[fec0::1]"],
)  # fmt: skip
def test_private_addresses_are_refused_in_every_spelling(port: int, host: str) -> None:
    """Decimal, hexadecimal, octal, short, IPv6 and embedded: no request leaves."""
    with pytest.raises(FetchError):
        fetch_public(f"http://{host}:{port}/help")
    assert Site.hits == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.7"], ["::1"], []])
def test_a_name_with_any_private_address_is_refused(port: int, addresses: list[str]) -> None:
    """One private address among public ones is enough: which one would be used is chance."""
    with pytest.raises(FetchError, match="private address"):
        fetch(f"http://inside.example:{port}/help", resolve=lambda *_: addresses)
    assert Site.hits == []


def test_a_name_is_resolved_once_so_it_cannot_change_between_check_and_use(port: int) -> None:
    """What was checked is what is connected to."""
    hosts: list[str] = []

    def changing(host: str, _port: int) -> list[str]:
        hosts.append(host)
        return ["127.0.0.1"] if len(hosts) == 1 else ["10.0.0.1"]

    assert fetch(f"http://docs.example:{port}/help", "", changing, loopback_allowed)
    assert hosts == ["docs.example"]


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://10.0.0.1/", "ftp://docs.example/x",
               "file:///etc/passwd", "http://user:pass@docs.example/"],
)  # fmt: skip
def test_a_redirect_to_what_is_refused_is_refused(port: int, target: str) -> None:
    """A public page cannot send us inside."""
    with pytest.raises(FetchError):
        get(f"http://docs.example:{port}/to?{target}")


@pytest.mark.parametrize(
    ("path", "message"),
    [("big", "larger than 25 MB"), ("loop", "again and again"), ("locked", "sign-in"), ("broken", "500"),
     ("packed", "compressed"), ("nothing", "does not exist")],
)  # fmt: skip
def test_what_cannot_be_had_is_told(port: int, path: str, message: str) -> None:
    """Each with a sentence of its own."""
    with pytest.raises(FetchError, match=message):
        get(f"http://docs.example:{port}/{path}")


@pytest.mark.parametrize(
    "url", ["gopher://x.example/", "http://", "//x.example", "http://x.example:99999/", "http://ä.example/"]
)
def test_what_is_no_web_address_is_told(url: str) -> None:
    with pytest.raises(FetchError, match="is not a web address"):
        fetch_public(url)


def test_ordinary_public_addresses_pass() -> None:
    """The rule refuses no ordinary site."""
    assert all(is_public(ip_address(one)) for one in ("93.184.216.34", "8.8.8.8", "2606:4700::1111"))


def test_a_page_lives_in_the_index_as_long_as_it_does_on_the_web(
    port: int, tmp_path: Path, embed: MiniLM
) -> None:
    """Added, cited by its address, unchanged for a 304, changed with its site, gone with a 404; an outage keeps it."""
    url = f"http://docs.example:{port}/help"
    with Index.open(tmp_path / "index", embed, fetch=get) as index:
        report = index.add([url, "http://127.0.0.2/inside"], EVERYONE)
        assert report.additions == 1
        assert "private address" in report.problems[0]
        (passage,) = retrieve(index, "how often are keys rotated?", EVERYONE)
        assert (passage.url, passage.title) == (url, "Help")
        assert index.sync().repeats == 1
        Site.page = Site.page.replace(b"90", b"30")
        assert index.sync().additions == 1
        assert "30 days" in retrieve(index, "how often are keys rotated?", EVERYONE)[0].text
        index._fetch = lambda url, stamp: fetch(url, stamp, lambda *_: ["10.9.9.9"])
        assert "private" in index.sync().problems[0]
        assert len(index.documents()) == 1
        index._fetch = lambda url, stamp: get(url.replace("/help", "/gone"), stamp)
        assert index.sync().removals == 1
        assert index.documents() == []
