"""The workspace's state: who is there, what was said, which views are open. All changes happen in one event
loop."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.playground.errors import ApiError, PlaygroundError
from bot.playground.state import seed
from bot.playground.state.clock import Clock
from bot.playground.state.manifest import AppConfig
from bot.playground.state.seed import BOT_USER, Channel, User
from bot.playground.state.store import Store

Json = dict[str, Any]


class Workspace:
    """Users, channels, messages, files, views and tokens, kept in a Store so that they survive a restart.

    Messages are wire-shaped dicts plus keys that start with "_" (`_channel`, `_ephemeral_to`), which never
    leave the server.
    """

    def __init__(
        self, app: AppConfig, folder: Path | None, clock: Clock, team: seed.Team = seed.NORTHWIND
    ) -> None:
        self.app, self.team = app, team
        self.clock = clock
        self.store = Store(folder)
        self.base_url = ""
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.usergroups: list[Json] = []
        self.messages: dict[str, dict[str, Json]] = defaultdict(dict)
        self.files: dict[str, Json] = {}
        self.views: dict[str, Json] = {}
        self.stacks: dict[str, list[str]] = defaultdict(list)
        self.homes: dict[str, Json] = {}
        self.prompts: dict[str, Json] = {}
        self.statuses: dict[tuple[str, str], Json] = {}
        self.sessions: dict[str, Json] = {}
        self.read: dict[str, str] = {}
        self.tokens: Json = {}
        self._records: dict[str, dict[str, Json]] = {}
        self._last_ts = 0.0
        self._load()

    def _load(self) -> None:
        self.users = {key: User(**body) for key, body in self.store.load("user").items()}
        self.channels = {key: Channel(**body) for key, body in self.store.load("channel").items()}
        for message in self.store.load("message").values():
            self.messages[message["_channel"]][message["ts"]] = message
        self.files = self.store.load("file")
        self.homes = self.store.load("home")
        self.sessions = self.store.load("session")
        self.prompts = self.store.load("prompts")
        self.read = self.store.load("read")
        self.tokens = self.store.load("tokens").get("all") or self._new_tokens()
        if not self.users:
            for user in seed.first_users(self.app.bot_name, self.team):
                self.keep_user(user)
            for channel in seed.first_channels(self.team):
                self.keep_channel(channel)
        self.usergroups = [dict(group) for group in seed.first_usergroups(self.team)]

    def _new_tokens(self) -> Json:
        tokens = {
            "bot": new_bot_token(),
            "app": f"xapp-1-{seed.APP_ID}-{secrets.randbelow(10**12):012d}-{secrets.token_hex(32)}",
            "signing_secret": secrets.token_hex(16),
            "verification": secrets.token_hex(12),
            "client_id": f"{secrets.randbelow(10**12):012d}.{secrets.randbelow(10**12):012d}",
            "client_secret": secrets.token_hex(16),
            "revoked": [],
        }
        self.store.put("tokens", "all", tokens)
        return tokens

    def keep_tokens(self, **tokens: Any) -> None:
        """Adds or replaces tokens by name."""
        self.tokens |= tokens
        self.store.put("tokens", "all", self.tokens)

    def bot_token_state(self, token: str) -> str:
        """ "valid" for the bot's token of now or one that a rotation left valid; "token_expired", or "" for another."""
        if token == self.tokens["bot"]:
            end = self.tokens.get("bot_expires_at")
        else:
            end = dict(self.tokens.get("older") or ()).get(token, 0.0)
        if end == 0.0:
            return ""
        return "valid" if end is None or self.clock.now() < end else "token_expired"

    def revoke(self, kind: str) -> None:
        """Revoke the "bot" or "app" token for good, as an admin would."""
        self.tokens["revoked"] = [*self.tokens["revoked"], self.tokens[kind]]
        self.store.put("tokens", "all", self.tokens)

    def restore(self) -> None:
        """Make every revoked token valid again (Slack cannot do this; a test can)."""
        self.tokens["revoked"] = []
        self.store.put("tokens", "all", self.tokens)

    def keep_user(self, user: User) -> None:
        """Add or replace a user."""
        self.users[user.id] = user
        self.store.put("user", user.id, asdict(user))

    def keep_channel(self, channel: Channel) -> None:
        """Add or replace a conversation."""
        self.channels[channel.id] = channel
        self.store.put("channel", channel.id, asdict(channel))

    def keep_message(self, channel: str, message: Json) -> None:
        """Add or replace a message of a channel, by its ts."""
        message["_channel"] = channel
        self.messages[channel][message["ts"]] = message
        self.store.put("message", f"{channel}:{message['ts']}", message)

    def drop_message(self, channel: str, ts: str) -> None:
        """Remove a message."""
        self.messages[channel].pop(ts, None)
        self.store.drop("message", f"{channel}:{ts}")

    def keep_file(self, record: Json) -> None:
        """Add or replace a file's record."""
        self.files[record["id"]] = record
        self.store.put("file", record["id"], record)

    def records(self, kind: str) -> dict[str, Json]:
        """Everything of a smaller kind (bookmarks, canvases, calls, ...), by id."""
        if kind not in self._records:
            self._records[kind] = self.store.load(kind)
        return self._records[kind]

    def keep_record(self, kind: str, key: str, record: Json) -> None:
        """Add or replace one of them."""
        self.records(kind)[key] = record
        self.store.put(kind, key, record)

    def drop_record(self, kind: str, key: str) -> None:
        """Remove one of them."""
        self.records(kind).pop(key, None)
        self.store.drop(kind, key)

    def new_ts(self) -> str:
        """A message timestamp: the time in microseconds, unique and increasing."""
        self._last_ts = max(time.time(), self._last_ts + 0.000001)
        return f"{self._last_ts:.6f}"

    def new_id(self, prefix: str) -> str:
        """An id in Slack's style, such as F0A1B2C3D4E."""
        return prefix + "0" + secrets.token_hex(5).upper()[:9]

    def channel_of(self, reference: str) -> Channel:
        """The conversation an app names by id, #name or a user's id (its DM); channel_not_found otherwise."""
        if reference in self.channels:
            return self.channels[reference]
        if reference in self.users:
            return self.dm(reference)
        for channel in self.channels.values():
            if channel.name and channel.name == reference.removeprefix("#"):
                return channel
        raise ApiError("channel_not_found")

    def dm(self, user: str) -> Channel:
        """The DM between a person and the app."""
        for channel in self.channels.values():
            if channel.user == user:
                return channel
        raise ApiError("user_not_found")

    def person(self, reference: str) -> User:
        """A person by id or name; PlaygroundError names who exists."""
        for user in self.users.values():
            if reference in (user.id, user.name) and not user.is_bot:
                return user
        names = ", ".join(user.name for user in self.users.values() if not user.is_bot)
        raise PlaygroundError(f"There is no {reference!r} in this workspace; use one of: {names}.")

    def place(self, reference: str, user: str) -> Channel:
        """The conversation a person names: an id, a (#)name, or the app's (@)name for the DM with it."""
        bot = self.users[BOT_USER]
        if reference.removeprefix("@").lower() in (bot.name, bot.real_name.lower(), BOT_USER.lower()):
            return self.dm(user)
        try:
            channel = self.channel_of(reference)
        except ApiError as error:
            names = ", ".join(f"#{c.name}" for c in self.channels.values() if user in c.members and c.name)
            raise PlaygroundError(
                f"There is no conversation {reference!r} for you; use one of: {names}."
            ) from error
        if user not in channel.members and (channel.kind != "channel" or self.users[user].is_outside):
            raise PlaygroundError(f"{reference!r} is private and {user} is not in it.")
        return channel

    def message(self, channel: str, ts: str) -> Json:
        """A message that everyone in the channel sees; message_not_found otherwise."""
        message = self.messages[channel].get(ts)
        if message is None or "_ephemeral_to" in message:
            raise ApiError("message_not_found")
        return message

    def visible(self, channel: str, user: str | None = None) -> list[Json]:
        """A channel's messages, oldest first; ephemeral ones only with the `user` they are for."""
        messages = sorted(self.messages[channel].values(), key=lambda message: message["ts"])
        return [m for m in messages if "_ephemeral_to" not in m or (user and m["_ephemeral_to"] == user)]

    def bot_profile(self) -> Json:
        """The profile that Slack attaches to an app's messages."""
        return {
            "id": seed.BOT_ID,
            "app_id": seed.APP_ID,
            "user_id": BOT_USER,
            "name": self.app.bot_name,
            "icons": {"image_48": f"{self.base_url}/static/icon.svg"},
            "deleted": False,
            "updated": 1_767_225_600,
            "team_id": self.team.id,
        }


def new_bot_token() -> str:
    """A bot token in Slack's form."""
    return f"xoxb-{secrets.randbelow(10**12):012d}-{secrets.token_hex(12)}"


def wire(message: Json) -> Json:
    """A message or view as the API shows it: without the keys that are ours."""
    return {key: value for key, value in message.items() if not key.startswith("_")}


def view_hash(view: Json) -> str:
    """A view's `hash`: changes whenever its content does."""
    digest = hashlib.sha256(repr(sorted(view.items(), key=lambda item: item[0])).encode()).hexdigest()
    return f"{int(time.time())}.{digest[:8]}"
