"""Socket Mode, Slack's side: hello, envelopes to one of the open sockets, acks, disconnect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.playground.delivery.delivery import ACK_SECONDS, ack_seconds
from bot.playground.errors import NoAck
from bot.playground.state import seed
from bot.playground.state.clock import Clock
from bot.playground.state.workspace import Json

MAX_SOCKETS = 10
GRACE_SECONDS = 10.0
HANDOVER_S = 0.5  # how long the old socket serves beside its successor
ANSWERABLE = {"slash_commands", "interactive"}
Ack = asyncio.Future[Json]


class Sockets:
    """The app's open sockets and the envelopes that await an ack; a Link (see delivery)."""

    def __init__(self, clock: Clock, on_change: Callable[[int], None]) -> None:
        self._on_change = on_change
        self._clock = clock
        self._open: list[WebSocket] = []
        self._tickets: set[str] = set()
        self._acks: dict[str, tuple[WebSocket, Ack]] = {}
        self._turn = 0
        self._leaving: list[WebSocket] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.deliveries: list[Json] = []

    @property
    def count(self) -> int:
        """How many sockets the app holds open, without those that were asked to go."""
        return len([socket for socket in self._open if socket not in self._leaving])

    def ticket(self) -> str:
        """A single-use ticket for apps.connections.open's URL."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        """One connection of the app, from hello to close."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self._tickets:
            await socket.close(code=1008)
            return
        self._tickets.discard(ticket)
        await socket.accept()
        if self.count >= MAX_SOCKETS:
            await socket.send_text(json.dumps(_disconnect("too_many_websockets")))
            await socket.close()
            return
        self._open.append(socket)
        self._on_change(self.count)
        await socket.send_text(json.dumps(_hello(self.count)))
        for leaving in self._leaving:
            self._close_later(leaving, HANDOVER_S)
        try:
            while True:
                self._take_ack(await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._forget(socket)

    async def send(self, kind: str, payload: Json, retry: int, reason: str | None) -> Json:
        """Deliver to the next socket in turn and wait up to 3 s for its ack."""
        if not self._open:
            raise NoAck("no_connection")
        self._turn += 1
        socket = self._open[self._turn % len(self._open)]
        envelope = _envelope(kind, payload, retry, reason)
        ack: Ack = asyncio.get_running_loop().create_future()
        self._acks[envelope["envelope_id"]] = (socket, ack)
        self._note(envelope)
        try:
            await socket.send_text(json.dumps(envelope))
            return await self._within_time(ack)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise NoAck("connection_closed") from error
        finally:
            self._acks.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: str, *, close: bool, most: int | None = None) -> int:
        """Ask the sockets (`most` of them) to reconnect; with `close` also hang up at once. How many there were."""
        sockets = [socket for socket in self._open if socket not in self._leaving][:most]
        for socket in sockets:
            if reason != "none":
                await socket.send_text(json.dumps(_disconnect(reason)))
            if close:
                self._open.remove(socket)
            else:  # it serves on until its successor is there
                self._leaving.append(socket)
            self._close_later(socket, 0.0 if close else GRACE_SECONDS)
        return len(sockets)

    def _close_later(self, socket: WebSocket, grace: float) -> None:
        """Hang up after `grace` (at once when the successor of a socket that was asked to go is there)."""
        task = asyncio.create_task(self._hang_up(socket, grace))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _hang_up(self, socket: WebSocket, grace: float) -> None:
        await self._clock.sleep(grace)
        self._forget(socket)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the app closed it first
            await socket.close(code=1001)

    async def _within_time(self, ack: Ack) -> Json:
        shift = self._clock.shift
        timer: asyncio.Future[Any] = asyncio.ensure_future(self._clock.sleep(ACK_SECONDS))
        try:
            await asyncio.wait([ack, timer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if (
            not ack.done() and self._clock.shift == shift
        ):  # nobody moved the clock: a busy machine needs longer
            await asyncio.wait([ack], timeout=ack_seconds() - ACK_SECONDS)
        if not ack.done():
            raise NoAck("timeout")
        return ack.result()

    def _take_ack(self, text: str) -> None:
        try:
            message: Any = json.loads(text)
        except ValueError:
            return
        waiting = self._acks.get(message.get("envelope_id", "")) if isinstance(message, dict) else None
        if waiting and not waiting[1].done():
            waiting[1].set_result(message.get("payload") or {})

    def _forget(self, socket: WebSocket) -> None:
        for place in (self._open, self._leaving):
            if socket in place:
                place.remove(socket)
        self._on_change(self.count)
        for of, ack in list(self._acks.values()):
            if of is socket and not ack.done():
                ack.set_exception(NoAck("connection_closed"))

    def _note(self, envelope: Json) -> None:
        self.deliveries.append(envelope)
        del self.deliveries[:-2000]


def _envelope(kind: str, payload: Json, retry: int, reason: str | None) -> Json:
    envelope: Json = {
        "envelope_id": f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4{secrets.token_hex(2)[1:]}"
        f"-a{secrets.token_hex(2)[1:]}-{secrets.token_hex(6)}",
        "payload": payload,
        "type": kind,
        "accepts_response_payload": kind in ANSWERABLE,
    }
    if kind == "events_api":
        envelope |= {"retry_attempt": retry, "retry_reason": reason or ""}
    return envelope


def _hello(count: int) -> Json:
    return {
        "type": "hello",
        "num_connections": count,
        "debug_info": {"host": "applink-local", "build_number": 1, "approximate_connection_time": 18060},
        "connection_info": {"app_id": seed.APP_ID},
    }


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}}
