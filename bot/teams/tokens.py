"""Stores the tokens of every installation encrypted, and renews them before they expire.

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
from bot.slack.slack_errors import SLACK_ERRORS
from bot.teams.directory import TeamRecord

ENCRYPTED_PREFIX = "fernet:"
TOKENS = ("bot_token", "bot_refresh_token", "user_token", "user_refresh_token")
RENEW_MINUTES = 120  # before a token's end, as slack_sdk does
CACHE_S = 30.0  # how long a token is used before it is read from the store again
log = logging.getLogger(__name__)


class EncryptedStore(SQLAlchemyInstallationStore):
    """slack_sdk's store with every token encrypted at rest."""

    def __init__(self, client_id: str, engine: Engine, keys: Path) -> None:
        super().__init__(client_id, engine, logger=logging.getLogger("trainwise.installations"))
        self._cipher = private_cipher(keys / "installations.key")
        self.create_tables()

    @classmethod
    def build_installations_table(cls, metadata: MetaData, table_name: str) -> Table:
        return _with_long_columns(super().build_installations_table(metadata, table_name))

    @classmethod
    def build_bots_table(cls, metadata: MetaData, table_name: str) -> Table:
        return _with_long_columns(super().build_bots_table(metadata, table_name))

    def save(self, installation: Installation) -> None:
        super().save(self._encrypt(installation))

    def save_bot(self, bot: Bot) -> None:
        super().save_bot(self._encrypt(bot))

    def build_bot_entity(self, row: Any) -> Bot:  # type: ignore[override]  # it needs the key
        return self._decrypt(super().build_bot_entity(row))

    def build_installation_entity(self, row: Any) -> Installation:  # type: ignore[override]
        return self._decrypt(super().build_installation_entity(row))

    def _encrypt(self, entity: Any) -> Any:
        copy = type(entity)(**entity.to_dict_for_copying())
        for name in TOKENS:
            value = getattr(copy, name, None)
            if value and not value.startswith(ENCRYPTED_PREFIX):
                setattr(copy, name, ENCRYPTED_PREFIX + self._cipher.encrypt(value.encode()).decode())
        return copy

    def _decrypt(self, entity: Any) -> Any:
        from cryptography.fernet import InvalidToken

        for name in TOKENS:
            value = getattr(entity, name, None)
            if not value:
                continue
            try:
                setattr(
                    entity, name, self._cipher.decrypt(value.removeprefix(ENCRYPTED_PREFIX).encode()).decode()
                )
            except InvalidToken:
                raise BotError(
                    "The installations' tokens cannot be read: keys/installations.key is another one. Restore it, "
                    "or have every workspace add the app again."
                ) from None
        return entity


def _with_long_columns(table: Table) -> Table:
    """The table with room for encrypted tokens, which are longer than slack_sdk's 200 characters."""
    for name in TOKENS:
        if name in table.c:
            table.c[name].type = Text()
    return table


class Tokens:
    """`bot(record)` returns a team's bot with a token that is valid for hours; renews a token once for all callers."""

    def __init__(self, store: EncryptedStore, client_id: str, client_secret: str, api_url: str) -> None:
        self.store = store
        client = WebClient(base_url=api_url, timeout=20)
        self._rotator = TokenRotator(client_id=client_id, client_secret=client_secret, client=client)
        self._locks: defaultdict[tuple[str | None, str | None], threading.Lock] = defaultdict(threading.Lock)
        self._bots: dict[tuple[str | None, str | None], tuple[float, Bot]] = {}
        self._pending_saves: dict[
            tuple[str | None, str | None], Bot
        ] = {}  # renewed tokens that the database did not accept yet

    def bot(self, record: TeamRecord) -> Bot | None:
        """The bot of a team; None without an installation."""
        enterprise, team = _key(record)
        with self._locks[enterprise, team]:
            at, bot = self._bots.get((enterprise, team), (float("-inf"), None))
            if bot is not None and time.monotonic() - at < CACHE_S:
                return bot
            if pending := self._pending_saves.get((enterprise, team)):
                bot = self._save((enterprise, team), pending)
            else:
                bot = self._find(enterprise, team)
            if bot is not None:
                bot = self._renew((enterprise, team), bot)
                self._bots[enterprise, team] = (time.monotonic(), bot)
            return bot

    def install(self, installation: Installation) -> None:
        """Stores an installation's tokens and replaces earlier ones."""
        team = None if installation.is_enterprise_install else installation.team_id
        key = (installation.enterprise_id or None, team)
        with self._locks[key]:
            self._pending_saves.pop(key, None)
            self._bots.pop(key, None)
            self.store.save(installation)

    def drop(self, record: TeamRecord) -> None:
        """Deletes a team's tokens, after the app was removed."""
        enterprise, team = _key(record)
        with self._locks[enterprise, team]:
            self._bots.pop((enterprise, team), None)
            self._pending_saves.pop((enterprise, team), None)
            self.store.delete_all(enterprise_id=enterprise, team_id=team)

    def invalidate(self, record: TeamRecord) -> None:
        """Makes the next `bot` read the store."""
        with self._locks[_key(record)]:
            self._bots.pop(_key(record), None)

    def _find(self, enterprise: str | None, team: str | None) -> Bot | None:
        return self.store.find_bot(enterprise_id=enterprise, team_id=team, is_enterprise_install=team is None)

    def _renew(self, key: tuple[str | None, str | None], bot: Bot) -> Bot:
        try:
            fresh = self._rotator.perform_bot_token_rotation(bot=bot, minutes_before_expiration=RENEW_MINUTES)
        except (SlackTokenRotationError, *SLACK_ERRORS) as refused:
            # another process may have renewed it first (a refresh token works once); else the token has two hours left
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
        """Saves a renewed token; keeps it in memory until the database accepts it, since the old refresh token is used up."""
        try:
            self.store.save_bot(fresh)
        except SQLAlchemyError as error:
            self._pending_saves[key] = fresh
            log.error("a renewed token could not be saved (%s); trying again", type(error).__name__)
        else:
            self._pending_saves.pop(key, None)
        return fresh


def _key(record: TeamRecord) -> tuple[str | None, str | None]:
    """The key of an installation in slack_sdk's store: organisation, and team unless it is org-wide."""
    return record.enterprise or None, None if record.org_wide else record.id


class TeamClient(WebClient):
    """A client that reads the team's token for each call, so that it survives token rotation."""

    def __init__(self, token_of: Callable[[], str], template: WebClient, team: str) -> None:
        super().__init__(base_url=template.base_url, timeout=template.timeout, team_id=team)
        self.retry_handlers = list(template.retry_handlers)
        self._token_of = token_of

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        self.token = self._token_of()
        return super().api_call(api_method, **arguments)


def token_of(tokens: Tokens, record: TeamRecord) -> Callable[[], str]:
    """Returns a function for the team's current token; it raises Slack's `token_revoked` error without one."""

    def current() -> str:
        bot = tokens.bot(record)
        if bot is None or not bot.bot_token:
            raise SlackApiError("The app is not installed there.", {"ok": False, "error": "token_revoked"})
        return str(bot.bot_token)

    return current
