"""Levers for tests, under /control/: break sockets, tokens, rates and calls on purpose; move the clock;
read the log."""

from __future__ import annotations

from collections import deque
from typing import Any

from bot.playground.errors import PlaygroundError
from bot.playground.state import seed
from bot.playground.state.seed import Channel, User
from bot.playground.state.workspace import Json
from bot.playground.web_api.api import CODE, FAULTS, SLOW, Api
from bot.playground.web_api.channels import remove_member, rename_channel, set_archive
from bot.playground.web_api.conversations import add_member, new_group_dm
from bot.playground.web_api.directory import describe
from bot.playground.web_api.oauth import remove_app
from bot.playground.web_api.streams import clear_expired
from bot.playground.web_api.webhooks import webhook_of


async def log(api: Api, args: Json) -> Json:
    """Web API calls received after number `since`."""
    since = int(args.get("since") or 0)
    return {"calls": [entry for entry in api.log if entry["n"] > since]}


async def disconnect(api: Api, args: Json) -> Json:
    """Send `reason` ("refresh_requested", "warning", "link_disabled"; "none" says nothing); `close` hangs
    up too."""
    reason = args.get("reason") or "refresh_requested"
    close = bool(args.get("close", reason == "none"))
    most = int(args["most"]) if args.get("most") else None
    return {"sockets": await api.floor.sockets.disconnect(reason, close=close, most=most)}


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
    """The next `times` calls of `method` ("*": any) suffer `how`; see FAULTS in api.py. `clear` forgets the rest."""
    how = args.get("how") or "500"
    if args.get("clear"):
        api.faults.clear()
        return {"waiting": {}}
    if how not in FAULTS and not how.startswith((CODE, SLOW)):
        raise PlaygroundError(f"There is no fault {how!r}; use one of: {', '.join(sorted(FAULTS))}.")
    queue = api.faults.setdefault(args.get("method") or "*", deque())
    queue.extend([how] * int(args.get("times") or 1))
    return {"waiting": {key: list(value) for key, value in api.faults.items() if value}}


async def channel(api: Api, args: Json) -> Json:
    """Do to a channel what admins do: `archive`, `restore`, `rename` (to `name`), `remove` the app or `invite` it, have a
    `person` `leave`, `share` it with `teams`, give it a `webhook`."""
    target, what = api.floor.workspace.place(args["channel"], seed.ANA), args.get("do")
    if what in ("archive", "restore"):
        set_archive(api.floor, target, what == "archive", seed.ANA)
    elif what == "rename":
        rename_channel(api.floor, target, args["name"], seed.ANA)
    elif what == "leave":
        remove_member(api.floor, target, api.floor.workspace.person(args["person"]).id)
    elif what == "remove" and seed.BOT_USER in target.members:
        remove_member(api.floor, target, seed.BOT_USER)
    elif what == "invite" and seed.BOT_USER not in target.members:
        add_member(api.floor, target, seed.BOT_USER, seed.ANA)
    elif what in ("remove", "invite"):
        pass  # it is as asked
    elif what == "webhook":
        return {"channel": target.id, "webhook": webhook_of(api.floor, target.id)}
    elif what == "share":
        target.shared_with = list(args.get("teams") or [api.floor.workspace.team.neighbour])
    else:
        raise PlaygroundError(
            f"{what!r} cannot be done to a channel: archive, restore, rename, leave, remove, invite, share, webhook."
        )
    api.floor.workspace.keep_channel(target)
    return {"channel": target.id}


async def person(api: Api, args: Json) -> Json:
    """Add or change a person (`id`, `name`, and any field of User), give them a DM and put them into `channels`."""
    workspace, fields = api.floor.workspace, {k: v for k, v in args.items() if k != "channels"}
    old = workspace.users.get(str(fields["id"]))
    first = {"real_name": str(args.get("name") or args["id"]), "title": "", "color": "#475569"}
    first |= {"team": workspace.team.id, "home": workspace.team.id}
    user = User(**{**(vars(old) if old else first), **fields})
    workspace.keep_user(user)
    if not any(c.user == user.id for c in workspace.channels.values()):
        direct = Channel(
            f"D0{user.id[2:]}", "", "im", [user.id, seed.BOT_USER], user=user.id, team=workspace.team.id
        )
        workspace.keep_channel(direct)
    event = {"type": "user_change" if old else "team_join", "user": describe(api.floor, user)}
    api.floor.outbox.emit(event | {"event_ts": workspace.new_ts()})
    for reference in args.get("channels") or ():
        target = workspace.channel_of(reference)
        if user.id not in target.members:
            add_member(api.floor, target, user.id, seed.ANA)
    return {"user": user.id}


async def group(api: Api, args: Json) -> Json:
    """Several `people` and the app open a group DM, as people do in their client."""
    workspace = api.floor.workspace
    members = sorted({*(workspace.person(name).id for name in args["people"]), seed.BOT_USER})
    return {"channel": new_group_dm(api.floor, members).id}


async def rotation(api: Api, args: Json) -> Json:
    """Tokens given from now on live for `seconds` and are rotated; 0: they live for ever."""
    seconds = float(args.get("seconds") or 0)
    api.floor.workspace.keep_tokens(lifetime_s=seconds or None)
    return {"lifetime_s": seconds}


async def uninstall(api: Api, args: Json) -> Json:
    """An admin removes the app: its tokens are revoked, and the app hears both events of it."""
    return {"events": remove_app(api.floor)}


async def trigger(api: Api, args: Json) -> Json:
    """A trigger id as what a person presses or types brings along, for a payload that no page can make."""
    return {"trigger_id": api.floor.links.trigger(api.floor.workspace.person(args["user"]).id)}


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
    "log": log, "person": person, "group": group, "disconnect": disconnect, "channel": channel, "revoke": revoke, "rates": rates, "fail": fail,
    "trigger": trigger, "redeliver": redeliver, "rotation": rotation, "uninstall": uninstall, "advance": advance, "state": state,
}  # fmt: skip
