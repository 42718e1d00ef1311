"""Operations for tests, under /control/: break sockets, tokens, rates and calls on purpose; move the clock;
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
    return {"sockets": await api.context.sockets.disconnect(reason, close=close, most=most)}


async def revoke(api: Api, args: Json) -> Json:
    """Revoke the "bot" or "app" token, or make all valid again with "none"."""
    which = args.get("token") or "bot"
    if which == "none":
        api.context.workspace.restore()
    else:
        api.context.workspace.revoke(which)
    return {}


async def rates(api: Api, args: Json) -> Json:
    """Set calls per minute by method, or switch rate limits off and on with `enforce`."""
    api.rates.override(args.get("limits") or {})
    api.rates.enforce = bool(args.get("enforce", api.rates.enforce))
    return {"limits": api.rates.limits, "enforce": api.rates.enforce}


async def fail(api: Api, args: Json) -> Json:
    """Let the next `times` calls of `method` ("*": any) fail: `how`, see FAULTS in api.py; `clear` drops planned faults."""
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
    target, what = api.context.workspace.place(args["channel"], seed.ANA), args.get("do")
    if what in ("archive", "restore"):
        set_archive(api.context, target, what == "archive", seed.ANA)
    elif what == "rename":
        rename_channel(api.context, target, args["name"], seed.ANA)
    elif what == "leave":
        remove_member(api.context, target, api.context.workspace.person(args["person"]).id)
    elif what == "remove" and seed.BOT_USER in target.members:
        remove_member(api.context, target, seed.BOT_USER)
    elif what == "invite" and seed.BOT_USER not in target.members:
        add_member(api.context, target, seed.BOT_USER, seed.ANA)
    elif what in ("remove", "invite"):
        pass  # it is as asked
    elif what == "webhook":
        return {"channel": target.id, "webhook": webhook_of(api.context, target.id)}
    elif what == "share":
        target.shared_with = list(args.get("teams") or [api.context.workspace.team.neighbour])
    else:
        raise PlaygroundError(
            f"{what!r} cannot be done to a channel: archive, restore, rename, leave, remove, invite, share, webhook."
        )
    api.context.workspace.keep_channel(target)
    return {"channel": target.id}


async def person(api: Api, args: Json) -> Json:
    """Add or change a person (`id`, `name`, and any field of User), give them a DM and put them into `channels`."""
    workspace, fields = api.context.workspace, {k: v for k, v in args.items() if k != "channels"}
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
    event = {"type": "user_change" if old else "team_join", "user": describe(api.context, user)}
    api.context.outbox.emit(event | {"event_ts": workspace.new_ts()})
    for reference in args.get("channels") or ():
        target = workspace.channel_of(reference)
        if user.id not in target.members:
            add_member(api.context, target, user.id, seed.ANA)
    return {"user": user.id}


async def group(api: Api, args: Json) -> Json:
    """Open a group DM of several `people` and the app, as people do in their client."""
    workspace = api.context.workspace
    members = sorted({*(workspace.person(name).id for name in args["people"]), seed.BOT_USER})
    return {"channel": new_group_dm(api.context, members).id}


async def rotation(api: Api, args: Json) -> Json:
    """Let new tokens expire after `seconds` and be rotated; with 0 they do not expire."""
    seconds = float(args.get("seconds") or 0)
    api.context.workspace.keep_tokens(lifetime_s=seconds or None)
    return {"lifetime_s": seconds}


async def uninstall(api: Api, args: Json) -> Json:
    """Uninstall the app as an admin does: revoke its tokens and send both events."""
    return {"events": remove_app(api.context)}


async def trigger(api: Api, args: Json) -> Json:
    """Issue a trigger id, for a payload that no page can make."""
    return {"trigger_id": api.context.links.trigger(api.context.workspace.person(args["user"]).id)}


async def redeliver(api: Api, args: Json) -> Json:
    """Deliver an event again (the last one when no event_id is given)."""
    envelopes = api.context.outbox.envelopes
    event_id = args.get("event_id") or next(reversed(envelopes), "")
    return {"event_id": event_id, "found": api.context.outbox.repeat(event_id)}


async def advance(api: Api, args: Json) -> Json:
    """Move the workspace's clock forward by `seconds`."""
    api.context.workspace.clock.advance(float(args["seconds"]))
    clear_expired(api.context)
    return {}


async def state(api: Api, args: Json) -> Json:
    """What is going on: sockets, deliveries under way, events sent, deliveries (with retries), events given
    up."""
    link: Any = api.context.outbox.link
    events = [
        {"event_id": key, "type": body["event"]["type"]} for key, body in api.context.outbox.envelopes.items()
    ]
    return {
        "sockets": api.context.sockets.count,
        "waiting": api.context.outbox.waiting,
        "events": events,
        "delivered": link.deliveries,
        "given_up": api.context.outbox.given_up,
        "calls": api.calls,
    }


OPERATIONS: dict[str, Any] = {
    "log": log, "person": person, "group": group, "disconnect": disconnect, "channel": channel, "revoke": revoke, "rates": rates, "fail": fail,
    "trigger": trigger, "redeliver": redeliver, "rotation": rotation, "uninstall": uninstall, "advance": advance, "state": state,
}  # fmt: skip
