"""A link between two processes that can be cut, slowed or left half open. One thread carries many links."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any

CHUNK = 1 << 16
SLOW_S = 0.2


class Network:
    """The thread that carries all links of one environment; `stop` ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def link(self, target_port: int) -> Link:
        """A new link to a port of this machine."""
        link = Link(target_port)
        self.do(link.open())
        return link

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine in the links' thread and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def set(self, link: Link, mode: str) -> None:
        """`open`, `cut` (reset, and refused from now on), `stall` (accepted, nothing passes), `slow`."""
        self.do(link.set(mode))

    def stop(self) -> None:
        """Cuts everything and ends the thread."""
        self.do(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Link:
    """One listening port that leads to another."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.mode = "open"
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def set(self, mode: str) -> None:
        self.mode = mode
        (self._passing.clear if mode == "stall" else self._passing.set)()
        if mode == "cut":
            for writer in list(self._writers):
                self._reset(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "cut":
            self._reset(writer)
            return
        self._writers.add(writer)
        try:
            await self._passing.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            self._reset(writer)
            return
        self._writers.add(back)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._passing.wait()
                if self.mode == "slow":
                    await asyncio.sleep(SLOW_S)
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        with contextlib.suppress(OSError, AttributeError):
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()
