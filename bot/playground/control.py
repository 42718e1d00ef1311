"""Levers for tests, under /control/: break sockets, tokens, rates and calls on purpose; move the clock;
read the log."""

from __future__ import annotations

from collections import deque
from typing import Any

from bot.playground.errors import PlaygroundError
from bot.playground.state import seed
from bot.playground.state.workspace import Json
from bot.playground.web_api.api import FAULTS, Api
from bot.playground.web_api.streams import clear_expired


async def log(api: Api, args: Json) -> Json:
    """Web API calls received after number `since`."""
    since = int(args.get("since") or 0)
    return {"calls": [entry for entry in api.log if entry["n"] > since]}


async def disconnect(api: Api, args: Json) -> Json:
    """Send `reason` ("refresh_requested", "warning", "link_disabled"; "none" says nothing); `close` hangs
    up too."""
    reason = args.get("reason") or "refresh_requested"
    return {
        "sockets": await api.floor.sockets.disconnect(reason, close=bool(args.get("close", reason == "none")))
    }


async def revoke(api: Api, args: Json) -> Json:
    """Revoke the "bot" or "app" token, or make all valid again with "none"."""
    which = args.get("token") or "bot"
    if which == "none":
        api.floor.workspace.restore()
    else:
        api.floor.workspace.revoke(which)
    return {}


async def rates(api: Api, args: Json) -> Json:
    """Set calls per minute by method, or switch rate limits off and on with `enforce`."""
    api.rates.override(args.get("limits") or {})
    api.rates.enforce = bool(args.get("enforce", api.rates.enforce))
    return {"limits": api.rates.limits, "enforce": api.rates.enforce}


async def fail(api: Api, args: Json) -> Json:
    """The next `times` calls of `method` ("*": any) suffer `how`; see FAULTS in api.py."""
    how = args.get("how") or "500"
    if how not in FAULTS:
        raise PlaygroundError(f"There is no fault {how!r}; use one of: {', '.join(sorted(FAULTS))}.")
    queue = api.faults.setdefault(args.get("method") or "*", deque())
    queue.extend([how] * int(args.get("times") or 1))
    return {"waiting": {key: list(value) for key, value in api.faults.items() if value}}


async def channel(api: Api, args: Json) -> Json:
    """Do to a channel what admins do: `archive` or `restore` it, `remove` the app from it or `invite` it."""
    target, what = api.floor.workspace.place(args["channel"], seed.ANA), args.get("do")
    if what in ("archive", "restore"):
        target.is_archived = what == "archive"
    elif what in ("remove", "invite"):
        others = [member for member in target.members if member != seed.BOT_USER]
        target.members[:] = [*others, *([seed.BOT_USER] if what == "invite" else [])]
    else:
        raise PlaygroundError(f"{what!r} cannot be done to a channel: archive, restore, remove, invite.")
    api.floor.workspace.keep_channel(target)
    return {"channel": target.id}


async def redeliver(api: Api, args: Json) -> Json:
    """Deliver an event again (the last one when no event_id is given)."""
    envelopes = api.floor.outbox.envelopes
    event_id = args.get("event_id") or next(reversed(envelopes), "")
    return {"event_id": event_id, "found": api.floor.outbox.repeat(event_id)}


async def advance(api: Api, args: Json) -> Json:
    """Move the workspace's clock forward by `seconds`."""
    api.floor.workspace.clock.advance(float(args["seconds"]))
    clear_expired(api.floor)
    return {}


async def state(api: Api, args: Json) -> Json:
    """What is going on: sockets, deliveries under way, events sent, deliveries (with retries), events given
    up."""
    link: Any = api.floor.outbox.link
    events = [
        {"event_id": key, "type": body["event"]["type"]} for key, body in api.floor.outbox.envelopes.items()
    ]
    return {
        "sockets": api.floor.sockets.count,
        "waiting": api.floor.outbox.waiting,
        "events": events,
        "delivered": link.deliveries,
        "given_up": api.floor.outbox.given_up,
        "calls": api.calls,
    }


LEVERS: dict[str, Any] = {
    "log": log, "disconnect": disconnect, "channel": channel, "revoke": revoke, "rates": rates, "fail": fail,
    "redeliver": redeliver, "advance": advance, "state": state,
}  # fmt: skip
