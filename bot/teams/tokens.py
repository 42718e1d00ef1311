"""The tokens of every installation: encrypted where they lie, renewed before they expire, read anew for each call.

slack_sdk's SQLAlchemy store keeps them; this one writes each token encrypted (Fernet) under `keys/installations.key`,
which only its owner may read. The key is not in the database, so a copy of the database gives no access. It is not the
key of bot/endpoint.py, because disconnecting a language model deletes that one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackTokenRotationError
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.sqlalchemy import SQLAlchemyInstallationStore
from slack_sdk.oauth.token_rotation import TokenRotator
from sqlalchemy import Engine, MetaData, Table, Text
from sqlalchemy.exc import SQLAlchemyError

from bot.endpoint import private_cipher
from bot.errors import BotError
from bot.slack.trouble import SLACK_TROUBLE
from bot.teams.directory import TeamRecord

SEALED = "fernet:"
TOKENS = ("bot_token", "bot_refresh_token", "user_token", "user_refresh_token")
RENEW_MINUTES = 120  # before a token's end, as slack_sdk does
TRUST_S = 30.0  # how long a token is used without a look at the store
log = logging.getLogger(__name__)


class SealedStore(SQLAlchemyInstallationStore):
    """slack_sdk's store with every token encrypted at rest."""

    def __init__(self, client_id: str, engine: Engine, keys: Path) -> None:
        super().__init__(client_id, engine, logger=logging.getLogger("trainwise.installations"))
        self._cipher = private_cipher(keys / "installations.key")
        self.create_tables()

    @classmethod
    def build_installations_table(cls, metadata: MetaData, table_name: str) -> Table:
        return _widen(super().build_installations_table(metadata, table_name))

    @classmethod
    def build_bots_table(cls, metadata: MetaData, table_name: str) -> Table:
        return _widen(super().build_bots_table(metadata, table_name))

    def save(self, installation: Installation) -> None:
        super().save(self._seal(installation))

    def save_bot(self, bot: Bot) -> None:
        super().save_bot(self._seal(bot))

    def build_bot_entity(self, row: Any) -> Bot:  # type: ignore[override]  # it needs the key
        return self._open(super().build_bot_entity(row))

    def build_installation_entity(self, row: Any) -> Installation:  # type: ignore[override]
        return self._open(super().build_installation_entity(row))

    def _seal(self, entity: Any) -> Any:
        copy = type(entity)(**entity.to_dict_for_copying())
        for name in TOKENS:
            value = getattr(copy, name, None)
            if value and not value.startswith(SEALED):
                setattr(copy, name, SEALED + self._cipher.encrypt(value.encode()).decode())
        return copy

    def _open(self, entity: Any) -> Any:
        from cryptography.fernet import InvalidToken

        for name in TOKENS:
            value = getattr(entity, name, None)
            if not value:
                continue
            try:
                setattr(entity, name, self._cipher.decrypt(value.removeprefix(SEALED).encode()).decode())
            except InvalidToken:
                raise BotError(
                    "The installations' tokens cannot be read: keys/installations.key is another one. Restore it, "
                    "or have every workspace add the app again."
                ) from None
        return entity


def _widen(table: Table) -> Table:
    """The table with room for encrypted tokens, which are longer than slack_sdk's 200 characters."""
    for name in TOKENS:
        if name in table.c:
            table.c[name].type = Text()
    return table


class Tokens:
    """`bot(record)` is a team's bot with a token that is valid for hours; renewed once, whoever asks."""

    def __init__(self, store: SealedStore, client_id: str, client_secret: str, api_url: str) -> None:
        self.store = store
        client = WebClient(base_url=api_url, timeout=20)
        self._rotator = TokenRotator(client_id=client_id, client_secret=client_secret, client=client)
        self._locks: defaultdict[tuple[str | None, str | None], threading.Lock] = defaultdict(threading.Lock)
        self._bots: dict[tuple[str | None, str | None], tuple[float, Bot]] = {}
        self._unsaved: dict[
            tuple[str | None, str | None], Bot
        ] = {}  # renewed while the database took nothing

    def bot(self, record: TeamRecord) -> Bot | None:
        """The bot of a team; None where nothing is installed."""
        enterprise, team = _key(record)
        with self._locks[enterprise, team]:
            at, bot = self._bots.get((enterprise, team), (float("-inf"), None))
            if bot is not None and time.monotonic() - at < TRUST_S:
                return bot
            if late := self._unsaved.get((enterprise, team)):
                bot = self._save((enterprise, team), late)
            else:
                bot = self._find(enterprise, team)
            if bot is not None:
                bot = self._renew((enterprise, team), bot)
                self._bots[enterprise, team] = (time.monotonic(), bot)
            return bot

    def install(self, installation: Installation) -> None:
        """Keeps what an installation brought in the place of what was known of it."""
        team = None if installation.is_enterprise_install else installation.team_id
        key = (installation.enterprise_id or None, team)
        with self._locks[key]:
            self._unsaved.pop(key, None)
            self._bots.pop(key, None)
            self.store.save(installation)

    def drop(self, record: TeamRecord) -> None:
        """Deletes a team's tokens: the app was removed there, they open nothing any more."""
        enterprise, team = _key(record)
        with self._locks[enterprise, team]:
            self._bots.pop((enterprise, team), None)
            self._unsaved.pop((enterprise, team), None)
            self.store.delete_all(enterprise_id=enterprise, team_id=team)

    def look_again(self, record: TeamRecord) -> None:
        """The next `bot` comes from the store."""
        with self._locks[_key(record)]:
            self._bots.pop(_key(record), None)

    def _find(self, enterprise: str | None, team: str | None) -> Bot | None:
        return self.store.find_bot(enterprise_id=enterprise, team_id=team, is_enterprise_install=team is None)

    def _renew(self, key: tuple[str | None, str | None], bot: Bot) -> Bot:
        try:
            fresh = self._rotator.perform_bot_token_rotation(bot=bot, minutes_before_expiration=RENEW_MINUTES)
        except (SlackTokenRotationError, *SLACK_TROUBLE) as refused:
            # another process may have been first (a refresh token counts once); else this one has two hours left
            other = self._find(bot.enterprise_id, None if bot.is_enterprise_install else bot.team_id)
            if other is not None and other.bot_token != bot.bot_token:
                return other
            log.warning("a token was not renewed yet: %s", type(refused).__name__)
            return bot
        if fresh is None:
            return bot
        log.info("a token was renewed")
        return self._save(key, fresh)

    def _save(self, key: tuple[str | None, str | None], fresh: Bot) -> Bot:
        """Keeps a renewed token, here until the database takes it: a refresh token counts once, the old one is spent."""
        try:
            self.store.save_bot(fresh)
        except SQLAlchemyError as error:
            self._unsaved[key] = fresh
            log.error("a renewed token is not written yet (%s); trying again", type(error).__name__)
        else:
            self._unsaved.pop(key, None)
        return fresh


def _key(record: TeamRecord) -> tuple[str | None, str | None]:
    """How slack_sdk's store names an installation: by organisation, and by team unless it is org-wide."""
    return record.enterprise or None, None if record.org_wide else record.id


class TeamClient(WebClient):
    """A client that takes a team's token anew for each call, so that it outlives any rotation."""

    def __init__(self, token_of: Callable[[], str], like: WebClient, team: str) -> None:
        super().__init__(base_url=like.base_url, timeout=like.timeout, team_id=team)
        self.retry_handlers = list(like.retry_handlers)
        self._token_of = token_of

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        self.token = self._token_of()
        return super().api_call(api_method, **arguments)


def token_of(tokens: Tokens, record: TeamRecord) -> Callable[[], str]:
    """A function for the team's token of now; what Slack would say, where it has none any more."""

    def current() -> str:
        bot = tokens.bot(record)
        if bot is None or not bot.bot_token:
            raise SlackApiError("The app is not installed there.", {"ok": False, "error": "token_revoked"})
        return str(bot.bot_token)

    return current
