"""A web page for the index, fetched so that nobody can use the bot to reach what only the bot can reach.

Every name is resolved here, every address it has must be a public one, and the connection goes to the very
address that was checked; each redirect is checked anew. No proxy, cookie or credential is ever sent.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpcore

from rag.errors import RagError
from rag.ingest.readers.registry import suffix_of_media_type

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
MAX_BYTES = 25_000_000
SECONDS = 30.0
REDIRECTS = 5
# Prefixes that carry an IPv4 address inside: a public look around a private address.
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchError(RagError):
    """The page was not fetched; `is_gone` when its server says that it no longer exists."""

    def __init__(self, message: str, is_gone: bool = False) -> None:
        super().__init__(message)
        self.is_gone = is_gone


@dataclass(frozen=True)
class Page:
    """What an address returned; `name` carries the ending that tells its kind, `stamp` its version."""

    name: str
    body: bytes
    stamp: str


Fetch = Callable[[str, str], Page | None]


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could reach this address: not loopback, private, link-local, mapped."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(part is not None and not is_public(part) for part in inner):
            return False
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def system_addresses(host: str, port: int) -> list[str]:
    """Every address that the system resolves a name to, decimal and hexadecimal spellings included."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class Guard(httpcore.NetworkBackend):
    """Connects to checked addresses only; the check and the connection use one and the same resolution."""

    def __init__(self, resolve: Resolve, is_allowed: Callable[[Address], bool]) -> None:
        self._inner, self._resolve, self._is_allowed = httpcore.SyncBackend(), resolve, is_allowed

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            names = self._resolve(host, port)
            addresses = [ipaddress.ip_address(one.split("%")[0]) for one in names]
        except (OSError, ValueError, UnicodeError) as error:
            raise FetchError(f"the name {host[:100]} is not known. Check the address.") from error
        if not addresses or not all(map(self._is_allowed, addresses)):
            raise FetchError(
                "leads to a private address, which I never open. Upload the page as a file instead."
            )
        return self._inner.connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise FetchError("is not a web address.")

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


def fetch_public(url: str, stamp: str = "") -> Page | None:
    """The page at a public address, or None when it still is the version `stamp`; FetchError says why not."""
    return fetch(url, stamp)


def fetch(
    url: str,
    stamp: str = "",
    resolve: Resolve = system_addresses,
    is_allowed: Callable[[Address], bool] = is_public,
) -> Page | None:
    """`fetch_public` with the resolver and the rule given (tests allow their loopback server by it)."""
    until = time.monotonic() + SECONDS
    with httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(), network_backend=Guard(resolve, is_allowed), retries=0
    ) as pool:
        for _ in range(REDIRECTS + 1):
            _check(url)
            try:
                with pool.stream(
                    "GET", url.encode("ascii"), headers=_headers(stamp), extensions=_timeouts()
                ) as answer:
                    if answer.status in (301, 302, 303, 307, 308):
                        url = _redirect_target(url, _header(answer, "location"))
                        continue
                    return _page(url, answer, until)
            except (httpcore.TimeoutException, TimeoutError) as error:
                raise FetchError(
                    "did not answer in time. Try again later, or upload it as a file."
                ) from error
            except (
                httpcore.NetworkError,
                httpcore.ProtocolError,
                httpcore.UnsupportedProtocol,
                OSError,
            ) as error:
                raise FetchError("cannot be reached. Check the address, or upload it as a file.") from error
    raise FetchError("redirects again and again. Give the address where it ends.")


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
        url.encode("ascii")
    except (ValueError, UnicodeError) as error:
        raise FetchError("is not a web address. Write it as your browser shows it.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise FetchError("is not a web address. Write it with https:// in front.")
    if parts.username or parts.password:
        raise FetchError("carries a password. Give an address that opens without one, or upload the file.")


def _redirect_target(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise FetchError("redirects to an unprotected address. Give the address where it ends.")
    return target


def _headers(stamp: str) -> Mapping[bytes | str, bytes | str]:
    headers: dict[bytes | str, bytes | str] = {
        "User-Agent": "Trainwise",
        "Accept": "text/markdown, text/html, */*;q=0.5",
        "Accept-Encoding": "identity",
    }
    if stamp.startswith(("W/", '"')):
        headers["If-None-Match"] = stamp
    elif stamp:
        headers["If-Modified-Since"] = stamp
    return headers


def _timeouts() -> dict[str, Any]:
    return {"timeout": {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}}


def _header(answer: httpcore.Response, name: str) -> str:
    for key, value in answer.headers:
        if key.decode("latin-1").lower() == name:
            return value.decode("latin-1").strip()
    return ""


def _page(url: str, answer: httpcore.Response, until: float) -> Page | None:
    if answer.status == 304:
        return None
    if answer.status in (404, 410):
        raise FetchError(f"does not exist (any more): its server answers {answer.status}.", is_gone=True)
    if answer.status in (401, 403):
        raise FetchError("needs a sign-in. Export the page and upload it as a file.")
    if answer.status != 200:
        raise FetchError(f"could not be fetched: its server answers {answer.status}. Try again later.")
    if _header(answer, "content-encoding").lower() not in ("", "identity"):
        raise FetchError("is sent compressed although I asked for it plain. Upload it as a file.")
    body = bytearray()
    for part in answer.iter_stream():
        body += part
        if len(body) > MAX_BYTES:
            raise FetchError(f"is larger than {MAX_BYTES // 1_000_000} MB. Upload the part that matters.")
        if time.monotonic() > until:
            raise FetchError("did not arrive in time. Try again later, or upload it as a file.")
    stamp = _header(answer, "etag") or _header(answer, "last-modified")
    return Page(_name(url, _header(answer, "content-type")), bytes(body), stamp[:200])


def _name(url: str, content_type: str) -> str:
    """The last part of the path with the ending of what was sent."""
    path = PurePosixPath(unquote(urlsplit(url).path))
    kind = content_type.split(";")[0].strip().lower()
    if suffix := suffix_of_media_type(kind):
        return (path.stem or urlsplit(url).hostname or "page") + suffix
    if kind == "text/plain" and path.suffix.lower() not in (".md", ".csv", ".markdown"):
        return (path.stem or "page") + ".txt"
    return path.name or "page"
