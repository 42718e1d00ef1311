"""The table of teams that installed the app: since when, where their state lies, and their own settings.

It lies in `teams.db` in the bot's home, or on the ledger's server, beside the installations (bot/teams/tokens.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from bot.errors import BotError
from bot.teams.team_state import parse_team_settings
from worker.ledger.database import connect_database, reading, writing
from worker.teams import is_team

metadata = MetaData()
teams = Table(
    "trainwise_teams",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("enterprise", String(32), nullable=False),
    Column("org_wide", Boolean, nullable=False),
    Column("place", String(32), nullable=False, unique=True),
    Column("added_at", Float, nullable=False),
    Column("left_at", Float),
    Column("own", JSON, nullable=False),
)


@dataclass(frozen=True)
class TeamRecord:
    """A team of Slack. `place` is its id, or "" when its state lies in the bot's own home (bot/teams/team_state.py).

    `org_wide`: it came with its organisation `enterprise`, whose one token serves it. `left_at`: when the app was
    removed there, in Unix seconds; None while it is installed. `own` are its own settings, by variable.
    """

    id: str
    name: str
    enterprise: str
    org_wide: bool
    place: str
    added_at: float
    left_at: float | None = None
    own: Mapping[str, str] = field(default_factory=dict)


def open_engine(home: Path, ledger_url: str) -> Engine:
    """The database of teams and installations: a file in the home, or the ledger's own server."""
    if make_url(ledger_url).get_backend_name() == "sqlite":
        home.mkdir(parents=True, exist_ok=True)
        return connect_database(str(home / "teams.db"))
    return connect_database(ledger_url)


def require_home_of_one(home: Path, ledger_url: str, team: str) -> None:
    """Raises BotError when a bot with the token of `team` would use a home that holds other workspaces.

    A bot with one token may use the home again when its workspace is the only one and the home's state is its own.
    """
    if make_url(ledger_url).get_backend_name() == "sqlite" and not (home / "teams.db").exists():
        return
    try:
        engine = open_engine(home, ledger_url)
        records = Directory(engine).all() if inspect(engine).has_table(teams.name) else []
        engine.dispose()
    except (SQLAlchemyError, ImportError):  # opening the ledger reports it with what to do
        return
    others = [one.id for one in records if one.left_at is None and (one.place or one.id != team)]
    others += [one.id for one in records if one.left_at is not None and not one.place and one.id != team]
    if others:
        raise BotError(
            f"{home} is the home of a bot of many workspaces ({', '.join(sorted(others)[:5])}), and SLACK_BOT_TOKEN alone "
            f"would serve {team} without them. Set TRAINWISE_SLACK_CLIENT_ID and TRAINWISE_SLACK_CLIENT_SECRET again; or set "
            "TRAINWISE_HOME (and TRAINWISE_DATABASE_URL) to another place for the bot with one token."
        )


class Directory:
    """Reads and changes the table; every call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        metadata.create_all(engine)

    def all(self) -> list[TeamRecord]:
        """Every team, oldest first, with removed teams that are not erased yet."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(teams).order_by(teams.c.added_at, teams.c.id)).mappings()
            return [TeamRecord(**row) for row in rows]

    def find(self, team: str) -> TeamRecord | None:
        """The team with this id."""
        with reading(self.engine) as connection:
            row = connection.execute(select(teams).where(teams.c.id == team)).mappings().first()
        return TeamRecord(**row) if row else None

    def require(self, team: str) -> TeamRecord:
        """The team with this id; raises BotError with the known ids."""
        if record := self.find(team):
            return record
        names = ", ".join(one.id for one in self.all()) or "none yet"
        raise BotError(f"There is no team {team[:40]!r} here. Teams: {names}.")

    def add(self, record: TeamRecord) -> TeamRecord:
        """Adds a team; a removed team comes back with its state and settings."""
        if not record.id or not is_team(record.id):
            raise BotError(f"Slack named a team {record.id[:40]!r}, which is no id of a team.")
        row = {**vars(record), "own": dict(record.own)}
        try:
            with writing(self.engine) as connection:
                connection.execute(insert(teams).values(row))
        except IntegrityError:
            fresh = {"name": record.name, "enterprise": record.enterprise, "org_wide": record.org_wide}
            with writing(self.engine) as connection:
                change = update(teams).where(teams.c.id == record.id)
                connection.execute(change.values(**fresh, left_at=None))
        return self.require(record.id)

    def mark_removed(self, team: str, at: float) -> None:
        """Marks the team as removed at `at`; a second call changes nothing."""
        with writing(self.engine) as connection:
            connection.execute(
                update(teams).where(teams.c.id == team, teams.c.left_at.is_(None)).values(left_at=at)
            )

    def expire_grace(self, team: str) -> None:
        """Ends the grace period, so that the next round erases the team; raises BotError while the app is installed."""
        if self.require(team).left_at is None:
            raise BotError(f"Trainwise is installed in {team}. An admin removes the app in Slack first.")
        with writing(self.engine) as connection:
            connection.execute(
                update(teams).where(teams.c.id == team, teams.c.left_at.is_not(None)).values(left_at=0.0)
            )

    def delete(self, team: str) -> None:
        """Deletes the record, after its state is erased."""
        with writing(self.engine) as connection:
            connection.execute(delete(teams).where(teams.c.id == team, teams.c.left_at.is_not(None)))

    def set_settings(self, team: str, values: Mapping[str, str]) -> TeamRecord:
        """Sets a team's own settings by variable; "" restores the bot's value. Raises SettingsError for bad ones."""
        parse_team_settings(values)
        own = {name: value for name, value in {**self.require(team).own, **values}.items() if value}
        with writing(self.engine) as connection:
            connection.execute(update(teams).where(teams.c.id == team).values(own=own))
        return self.require(team)
