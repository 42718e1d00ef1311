"""HTTP mode: accepts Slack's signed requests on one path, each once.

Refuses a wrong, missing or malformed signature or timestamp and one older than five minutes (401), a replayed request
(401), and a body above 2 MB (413). A valid signature with a wrong time is logged as a clock error. Slack's own retries
carry a new signature and pass; the ledger deduplicates their events.
"""

from __future__ import annotations

import hmac
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.errors import BotError
from finetune.serving.server.body import read_body

if TYPE_CHECKING:
    from slack_bolt import App
    from slack_sdk.signature import SignatureVerifier
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Route

PATH = "/slack/events"
STARTS_WITHIN_S = 10.0
LARGEST_BODY = 2 * 2**20  # bytes; Slack's own are far smaller
SIGNED_WITHIN_S = 300.0
CLOCK_SKEW_TEXT = (
    "a request with Slack's signature was refused for its time: it is %.0f s off this machine's clock. Set the clock "
    "(`timedatectl set-ntp true`), else nothing from Slack is taken; `trainwise doctor` compares the two."
)
log = logging.getLogger(__name__)
REMEMBER_S = 330.0  # a signature is refused for its age after 300 s


class ReplayGuard:
    """Remembers verified signatures until they are too old to be replayed."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}

    def is_first(self, signature: str, now: float) -> bool:
        """Whether this signature is new; `now` in seconds of a monotonic clock."""
        self._times = {key: at for key, at in self._times.items() if now - at < REMEMBER_S}
        if signature in self._times:
            return False
        self._times[signature] = now
        return True


def build_site(app: App, signing_secret: str, extra_routes: Sequence[Route] = ()) -> Starlette:
    """The ASGI site for POST /slack/events (events, commands, interactivity) and GET /health.

    `extra_routes` are the OAuth routes of a bot that workspaces install themselves.
    """
    from slack_bolt.adapter.starlette import SlackRequestHandler
    from slack_sdk.signature import SignatureVerifier
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    handler = SlackRequestHandler(app)
    verifier, replay_guard = SignatureVerifier(signing_secret), ReplayGuard()

    async def events(request: Request) -> Response:
        body = await read_body(request, LARGEST_BODY)
        if body is None:
            return PlainTextResponse("too large\n", 413, {"connection": "close"})
        request._body = body  # what `request.body()` gives from here on
        headers = dict(request.headers)
        if skew := clock_skew(verifier, body, headers):
            log.warning(CLOCK_SKEW_TEXT, skew)
        if not is_signed(verifier, body, headers) or not replay_guard.is_first(
            headers["x-slack-signature"], time.monotonic()
        ):
            return PlainTextResponse("unsigned, too old or seen before\n", 401)
        if not is_slack_payload(body, headers.get("content-type", "")):
            return PlainTextResponse("no payload of Slack's\n", 400)
        return await handler.handle(request)

    return Starlette(routes=[Route(PATH, events, methods=["POST"]), health_route(), *extra_routes])


def health_route() -> Route:
    """GET /health answers 200."""
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Route("/health", health)


def run_site(site: Starlette, host: str, port: int) -> Callable[[], None]:
    """Serves a site in a thread; returns the function that stops it. Raises BotError when the address is in use."""
    import uvicorn

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


def is_slack_payload(body: bytes, content_type: str) -> bool:
    """Whether the body parses to an object whose `event` and `view` are objects too."""
    from slack_bolt.request.internals import parse_body

    try:
        payload: Any = parse_body(body.decode(), content_type.partition(";")[0].strip() or None)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return False
    if not isinstance(payload, dict):
        return False
    return all(isinstance(payload.get(name, {}), dict) for name in ("event", "view"))


def is_signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether Slack signed the request within five minutes; False for malformed headers too."""
    try:
        return bool(verifier.is_valid_request(body, dict(headers)))
    except (ValueError, TypeError, OverflowError):  # a time that is no number, a body that is no text
        return False


def clock_skew(
    verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str], now: float | None = None
) -> float:
    """Seconds between our clock and the timestamp of a validly signed request that is refused for its time; else 0."""
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12 or not signature.isascii():
        return 0.0
    skew = (time.time() if now is None else now) - int(stamp)
    if abs(skew) <= SIGNED_WITHIN_S:
        return 0.0
    try:
        expected = verifier.generate_signature(timestamp=stamp, body=body) or ""
    except UnicodeDecodeError:
        return 0.0
    return skew if hmac.compare_digest(expected, signature) else 0.0


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; raises BotError with what to change when it is in use."""
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
