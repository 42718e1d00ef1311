"""HTTP mode: Slack's signed requests on one path, each taken once.

Covers: a wrong or missing signature and one older than five minutes (401), a copied request sent again (401).
Slack's own retries carry a fresh signature and pass; the ledger keeps their events from being answered twice.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.errors import BotError

if TYPE_CHECKING:
    from slack_bolt import App

PATH = "/slack/events"
STARTS_WITHIN_S = 10.0
LARGEST_BODY = 2 * 2**20  # bytes; Slack's own are far smaller
REMEMBER_S = 330.0  # a signature is refused for its age after 300 s


class Once:
    """Remembers verified signatures for as long as they are young enough to be used again."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}

    def first(self, signature: str, now: float) -> bool:
        """Whether this signature comes for the first time; `now` in seconds of any steady clock."""
        self._times = {key: at for key, at in self._times.items() if now - at < REMEMBER_S}
        if signature in self._times:
            return False
        self._times[signature] = now
        return True


def serve_http(app: App, host: str, port: int, signing_secret: str) -> Callable[[], None]:
    """Serves POST /slack/events (events, commands, interactivity) in a thread once the port is held.

    Gives what stops it; raises BotError when the address is taken. GET /health answers 200.
    """
    import uvicorn
    from slack_bolt.adapter.starlette import SlackRequestHandler
    from slack_sdk.signature import SignatureVerifier
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    handler = SlackRequestHandler(app)
    verifier, once = SignatureVerifier(signing_secret), Once()

    async def events(request: Request) -> Response:
        if int(request.headers.get("content-length", "0")) > LARGEST_BODY:
            return PlainTextResponse("too large\n", 413)
        body, headers = await request.body(), dict(request.headers)
        signed = verifier.is_valid_request(body, headers)
        if not signed or not once.first(headers["x-slack-signature"], time.monotonic()):
            return PlainTextResponse("unsigned, too old or seen before\n", 401)
        return await handler.handle(request)

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    site = Starlette(routes=[Route(PATH, events, methods=["POST"]), Route("/health", health)])
    listening = bind(host, port)
    server = uvicorn.Server(uvicorn.Config(site, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
    thread.start()
    until = time.monotonic() + STARTS_WITHIN_S
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.01)

    def stop() -> None:
        server.should_exit = True
        thread.join(10)
        listening.close()

    return stop


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds the address; BotError says what to change when it cannot be had."""
    try:
        return socket.create_server((host, port), family=family(host), backlog=128)
    except OSError as error:
        raise BotError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Set TRAINWISE_HTTP_HOST and "
            "TRAINWISE_HTTP_PORT to a free address, or end the program that holds it."
        ) from error


def family(host: str) -> socket.AddressFamily:
    """IPv6 for an address with colons, else IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
