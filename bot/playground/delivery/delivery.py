"""Delivers events and payloads to the app: an ack within 3 s, and for events three more tries (at once, 1 min, 5 min)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from typing import Any, Protocol

from bot.playground.errors import NoAck
from bot.playground.patience import cpu_share
from bot.playground.state import seed
from bot.playground.state.workspace import Json, Workspace

ACK_SECONDS = 3.0
RETRY_AFTER = (0.0, 60.0, 300.0)
log = logging.getLogger(__name__)


def ack_seconds() -> float:
    """Slack's three seconds for an acknowledgement, of this machine's time: workspace and app share its cores."""
    return ACK_SECONDS / cpu_share()


class Link(Protocol):
    """One way to reach the app: Socket Mode or signed HTTP."""

    async def send(self, kind: str, payload: Json, retry: int, reason: str | None) -> Json:
        """Deliver and return the ack's payload ({} when empty); NotAcked says why there was none.

        `kind`: "events_api", "slash_commands" or "interactive"; `retry`: 0 for the first try.
        """


class Outbox:
    """Sends events until acknowledged and asks interactive payloads for their answer.

    Undelivered events survive a restart of the workspace. `sent` keeps the last events for redelivery on
    request.
    """

    def __init__(self, workspace: Workspace, link: Link) -> None:
        self._workspace = workspace
        self.link = link
        self._tasks: set[asyncio.Task[None]] = set()
        self.envelopes: dict[str, Json] = {}
        self.given_up: list[str] = []

    def resume(self) -> None:
        """Take up the events that were on their way when the workspace stopped."""
        for body in self._workspace.store.load("delivery").values():
            self._spawn(self._deliver(body))

    def emit(self, event: Json, *, subscription: str | None = None) -> str | None:
        """Send an event if the manifest subscribes to it; returns its event_id."""
        if (subscription or event["type"]) not in self._workspace.app.events:
            return None
        place = event.get("channel")
        channel = self._workspace.channels.get(place if isinstance(place, str) else "")
        is_shared = channel is not None and bool(channel.shared_with)
        body = event_body(event, self._workspace.tokens["verification"], self._workspace.team.id, is_shared)
        self._workspace.store.put("delivery", body["event_id"], body)
        self._remember(body)
        self._spawn(self._deliver(body))
        return str(body["event_id"])

    def repeat(self, event_id: str) -> bool:
        """Deliver an event once more, as Slack does when an ack got lost; False when it is unknown."""
        body = self.envelopes.get(event_id)
        if body is not None:
            self._spawn(self._attempt(body, 1, "timeout"))
        return body is not None

    async def ask(self, kind: str, payload: Json) -> Json:
        """Deliver a command or interaction once and return the app's answer; NotAcked when there is none."""
        return await self.link.send(kind, payload, 0, None)

    @property
    def waiting(self) -> int:
        """How many deliveries are under way."""
        return len(self._tasks)

    async def _deliver(self, body: Json) -> None:
        reason: str | None = None
        for retry, wait in enumerate((0.0, *RETRY_AFTER)):
            await self._workspace.clock.sleep(wait)
            failure = await self._attempt(body, retry, reason)
            if failure is None:
                break
            reason = failure.reason
            if failure.is_final or retry == len(RETRY_AFTER):
                self.given_up.append(body["event_id"])
                break
        self._workspace.store.drop("delivery", body["event_id"])

    async def _attempt(self, body: Json, retry: int, reason: str | None) -> NoAck | None:
        try:
            await self.link.send("events_api", body, retry, reason)
        except NoAck as error:
            log.info("event %s not acknowledged (try %d): %s", body["event_id"], retry, error.reason)
            return error
        return None

    def _remember(self, body: Json) -> None:
        self.envelopes[body["event_id"]] = body
        while len(self.envelopes) > 2000:
            self.envelopes.pop(next(iter(self.envelopes)))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def event_body(event: Json, verification: str, team: str, is_shared: bool = False) -> Json:
    """The Events API wrapper around one event; `is_shared`: of a channel shared with another company."""
    moment = float(event.get("event_ts") or 0)
    return {
        "token": verification,
        "team_id": team,
        "context_team_id": team,
        "context_enterprise_id": None,
        "api_app_id": seed.APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": "Ev0" + secrets.token_hex(5).upper()[:9],
        "event_time": int(moment),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team,
                "user_id": seed.BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": is_shared,
        "event_context": f"4-{secrets.token_hex(20)}",
    }
