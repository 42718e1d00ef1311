"""The serving process: listens, answers, and on SIGTERM exits within 25 s without losing a request."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from finetune.errors import FinetuneError
from finetune.serving.server.engine import Engine
from finetune.serving.server.keys import AccessControl
from finetune.serving.server.site import State, build_site

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = ("127.0.0.1", "::1", "localhost")
NOTICE_S = 3.0  # not ready but still answering: load balancers that check `/ready` stop sending
FINISHES_WITHIN_S = 20
LINGER_S = 1.0  # for connections that were opened before the port closed and have not sent a request


class ServingError(FinetuneError):
    """The server cannot start as it is asked to."""


@dataclass(frozen=True)
class Options:
    """Address, keys and limits of the server."""

    host: str = "127.0.0.1"
    port: int = 8100
    keys: Path | None = None
    per_minute: float = 600.0
    notice_s: float = NOTICE_S


def serve(make_engine: Callable[[], Engine], options: Options, on_ready: Callable[[str], None]) -> None:
    """Bind the port, load, call `on_ready` with the address, and serve until SIGTERM or SIGINT.

    Raises ServingError where the address is taken, or is open to others while no key is asked for.
    """
    if options.keys is None and options.host not in LOOPBACK:
        raise ServingError(
            f"{options.host} is open to other machines: name a file of keys with --keys, or listen on 127.0.0.1 only."
        )
    access, state = AccessControl(options.keys, options.per_minute), State()
    with listen(options.host, options.port) as listening:
        engine = make_engine()
        engine.start()
        server = _server(build_site(engine, access, state), state, options)
        host, port = listening.getsockname()[:2]
        on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        try:
            server.run(sockets=[listening])
        finally:
            engine.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that holds the address; ServingError says what to change where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ServingError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another with --port, or end the program "
            "that holds it."
        ) from error


def _accept_all(listening: socket.socket) -> list[socket.socket]:
    """Accept all pending connections of the kernel: closing the port would reset them."""
    clients = []
    while True:
        try:
            clients.append(listening.accept()[0])
        except OSError:
            return clients


def _server(site: object, state: State, options: Options) -> uvicorn.Server:
    """A uvicorn server that gives notice before it closes its port."""
    import uvicorn

    class Server(uvicorn.Server):
        leaves_at = 0.0

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if state.leaving and sig == signal.SIGINT:  # Ctrl-C twice
                self.should_exit = self.force_exit = True
            state.leaving = True
            self.leaves_at = self.leaves_at or time.monotonic() + options.notice_s

        async def on_tick(self, counter: int) -> bool:
            if state.leaving and time.monotonic() >= self.leaves_at:
                self.should_exit = True
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Accept pending connections, close the port, and wait for their requests."""
            loop = asyncio.get_running_loop()
            waiting = [client for one in sockets or [] for client in _accept_all(one)]
            for listener in self.servers:
                listener.close()
            for client in waiting:
                await loop.connect_accepted_socket(self._protocol, client)
            until = time.monotonic() + LINGER_S
            while self.server_state.connections and time.monotonic() < until and not self.force_exit:
                await asyncio.sleep(0.02)
            await super().shutdown(sockets)

        def _protocol(self) -> asyncio.Protocol:
            protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return protocol

    config = uvicorn.Config(
        site,  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=FINISHES_WITHIN_S,
    )
    return Server(config)
