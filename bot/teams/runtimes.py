"""The runtimes of all installed teams: opened at installation, closed at removal, erased after a grace period."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.authorize import Authorize
from slack_bolt.context import BoltContext
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import Installation

from bot.errors import OURS, BotError
from bot.settings import Settings
from bot.slack.app import posting_client, slack_client
from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.users import Team
from bot.teams.directory import Directory, TeamRecord
from bot.teams.runtime import DAY_S, SharedResources, SlackConnection, TeamRuntime, open_runtime
from bot.teams.team_state import erase_team, settings_of
from bot.teams.tokens import TeamClient, Tokens, token_of
from worker.jobs.states import END_STATES, State
from worker.transport.events import stream_of
from worker.transport.queue import connect

NO_TOKEN, NOT_GRANTED = "no_token", "team_access_not_granted"
REVOKED_CODES = ("account_inactive", "token_revoked", NOT_GRANTED)
REVOKED_CODES_AFTER_EVENT = (*REVOKED_CODES, "invalid_auth", "not_authed", NO_TOKEN)
"""Codes that confirm a removal after its event. Without an event `invalid_auth` may mean a wrong SLACK_API_URL, and a missing
token another TRAINWISE_SLACK_CLIENT_ID."""
HOUR_S = 3600.0
LIST_S = 60.0  # how long Slack's list of an organisation's workspaces is cached
log = logging.getLogger(__name__)


@dataclass
class TeamRuntimes:
    """The runtimes by team, from the directory and from new installations.

    It implements `Teams` (bot/slack/teams.py): a payload of a team that is not in the directory, or has removed the app,
    has no services.
    """

    settings: Settings
    shared: SharedResources
    directory: Directory
    tokens: Tokens
    clock: Callable[[], float] = time.time
    runtimes: dict[str, TeamRuntime] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    next_maintenance: float = 0.0
    workspaces: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    due_since: dict[str, float] = field(default_factory=dict)

    def open_all(self) -> None:
        """Opens every team of the directory; a removed team only cancels its jobs until its state is erased."""
        for record in self.directory.all():
            self.open_safely(record)

    def open_safely(self, record: TeamRecord) -> None:
        """Opens a team's runtime; after a failure the next maintenance tries again."""
        try:
            self.runtime(record)
        except Exception:  # one team's broken store must not stop the other teams
            log.exception("the runtime of %s did not open", record.id)

    def record_of(self, context: BoltContext) -> TeamRecord | None:
        """The installed team of a payload; adds a workspace of an installed organisation at its first payload."""
        team, enterprise = str(context.team_id or ""), str(context.enterprise_id or "")
        record = self.directory.find(team) if team else None
        if record is not None and record.left_at is None:
            return record
        if not team or not enterprise or not context.is_enterprise_install:
            return None
        record = TeamRecord(team, record.name if record else "", enterprise, True, team, self.clock())
        return self.directory.add(record) if self.is_of_organisation(record) else None

    def is_of_organisation(self, record: TeamRecord) -> bool:
        """Whether Slack lists the workspace among those of the organisation's installation.

        The check is needed because a button pressed by a stranger in a shared channel names the stranger's workspace.
        """
        bot = self.tokens.bot(record)
        if bot is None:
            return False
        until, teams = self.workspaces.get(record.enterprise, (0.0, frozenset()))
        if self.clock() >= until:
            client = slack_client(str(bot.bot_token), self.settings.slack_api_url)
            try:
                pages = [page["teams"] for page in client.auth_teams_list(limit=200)]
            except SLACK_ERRORS as refused:
                log.warning("the workspaces of %s are not known: %s", record.enterprise, refused)
                return False
            teams = frozenset(str(team["id"]) for page in pages for team in page)
            self.workspaces[record.enterprise] = (self.clock() + LIST_S, teams)
        return record.id in teams

    def services(self, context: BoltContext) -> Services | None:
        """The services of the payload's team; opens its runtime if needed."""
        record = self.record_of(context)
        return self.runtime(record).services if record is not None else None

    def services_of(self, team: str) -> Services | None:
        """The services of an installed team by its id; None for an unknown or removed team."""
        record = self.directory.find(team) if team else None
        return self.runtime(record).services if record is not None and record.left_at is None else None

    def runtime(self, record: TeamRecord) -> TeamRuntime:
        """The team's running runtime; opens one at a time without blocking other teams. Raises BotError for an erased team."""
        runtime = self.runtimes.get(record.id)
        if runtime is not None and (runtime.is_active or record.left_at is not None):
            return runtime
        with self.lock:
            record = self.directory.require(
                record.id
            )  # it may have been removed, installed or opened meanwhile
            runtime = self.runtimes.get(record.id)
            if runtime is not None and (runtime.is_active or record.left_at is not None):
                return runtime
            self.close_runtime(record)  # of a removed team that was installed again
            settings = settings_of(self.settings, record.place, record.own)
            runtime = open_runtime(settings, record.place, self.connection(record), self.shared)
            runtime.start(is_active=record.left_at is None)
            self.runtimes[record.id] = runtime
            if (
                record.left_at is not None
            ):  # the bot may have been killed between the removal and the cancellations
                runtime.stop_for_removal()
            log.info("the runtime of %s is open", record.id)
            return runtime

    def connection(self, record: TeamRecord) -> SlackConnection:
        """The team's clients; each call reads the current token."""
        token, url = token_of(self.tokens, record), self.settings.slack_api_url
        client = TeamClient(token, slack_client("", url), record.id)
        poster = TeamClient(token, posting_client("", url), record.id)
        return SlackConnection(client, poster, token, Team(record.id, record.enterprise))

    def add_installation(self, installation: Installation) -> list[TeamRecord]:
        """Stores the tokens of an installation (workspace or organisation) and opens its runtime at once.

        A workspace that comes back within the grace period keeps its state.
        """
        enterprise = str(installation.enterprise_id or "")
        with self.lock:  # removal and erasure wait for the lock and check again
            self.tokens.install(installation)
            if installation.is_enterprise_install:  # its other workspaces are added at their first payload
                self.workspaces.pop(enterprise, None)
                of_org = [
                    one for one in self.directory.all() if one.enterprise == enterprise and one.org_wide
                ]
                records = [one for one in of_org if self.is_of_organisation(one)]
            else:
                name, team = str(installation.team_name or ""), str(installation.team_id or "")
                records = [TeamRecord(team, name, enterprise, False, team, self.clock())]
            for record in records:
                self.runtime(self.directory.add(record))
        return records

    def check_removal(self, context: BoltContext) -> None:
        """After Slack's removal event: removes the teams whose token Slack refuses.

        A late or repeated event of a team that has installed the app again changes nothing.
        """
        team, enterprise = str(context.team_id or ""), str(context.enterprise_id or "")
        for record in self.directory.all():
            of_org = record.org_wide and record.enterprise == enterprise and context.is_enterprise_install
            if record.left_at is None and (record.id == team or of_org):
                self.remove_if_revoked(record, after_event=True)

    def remove_if_revoked(self, record: TeamRecord, after_event: bool = False) -> None:
        """Removes a team whose token Slack refuses; `after_event`: Slack sent a removal event for it."""
        codes = REVOKED_CODES_AFTER_EVENT if after_event else REVOKED_CODES
        if self.token_error(record) in codes:
            with self.lock:
                if (why := self.token_error(record)) in codes:  # else it was installed again meanwhile
                    self.remove_team(record, keep_token=why == NOT_GRANTED)

    def token_error(self, record: TeamRecord) -> str:
        """Slack's error code for the team's token, NO_TOKEN without one; "" when the token is valid or Slack was not reached."""
        self.tokens.invalidate(record)
        try:
            if self.tokens.bot(record) is None:
                log.warning(
                    "%s has no stored token: is TRAINWISE_SLACK_CLIENT_ID that of its app?", record.id
                )
                return NO_TOKEN
            self.connection(record).client.auth_test()
        except SlackApiError as refused:
            return str(refused.response.get("error"))
        except SLACK_ERRORS:
            log.warning("Slack was not reached; checking later whether %s has removed the app", record.id)
        except OURS as error:  # its tokens cannot be read
            log.error("%s: %s", record.id, error)
        return ""

    def remove_team(self, record: TeamRecord, keep_token: bool = False) -> None:
        """Stops the team's runtime, cancels its jobs and deletes its tokens.

        An organisation's token stays while another workspace uses it, or when Slack revoked it for this workspace only
        (`keep_token`).
        """
        self.directory.mark_removed(record.id, self.clock())
        self.workspaces.pop(record.enterprise, None)
        with self.lock:
            runtime = self.runtimes.get(record.id)
            if runtime is not None:
                runtime.stop_for_removal()
        others = (one for one in self.directory.all() if one.left_at is None and one.org_wide)
        if not record.org_wide or not (keep_token or record.enterprise in {one.enterprise for one in others}):
            self.tokens.drop(record)
        log.warning(
            "%s has removed the app; its state is erased in %g days",
            record.id,
            self.settings.installing.leave_days,
        )

    def close_runtime(self, record: TeamRecord) -> None:
        """Stops and closes a team's runtime."""
        with self.lock:
            runtime = self.runtimes.pop(record.id, None)
        if runtime is not None:
            runtime.stop()
            runtime.close()

    def stop(self) -> None:
        """Stops every runtime; undelivered posts stay in their ledgers."""
        for runtime in list(self.runtimes.values()):
            runtime.stop()

    def close(self) -> None:
        """Closes every team's stores."""
        for runtime in list(self.runtimes.values()):
            runtime.close()

    def run_maintenance(self) -> None:
        """Erases teams whose grace period is over; each hour runs the maintenance of every open runtime."""
        for record in self.directory.all():
            if record.left_at is None and record.id not in self.runtimes:
                self.open_safely(record)  # it did not open at the start
            try:
                self.erase_if_due(record.id)
            except Exception:  # a store that does not answer must not delay the other teams
                log.exception("the state of %s is not erased yet", record.id)
        if self.clock() < self.next_maintenance:
            return
        self.next_maintenance = self.clock() + HOUR_S
        for record in self.directory.all():  # its event may have come while the bot was down
            if record.left_at is None:
                self.remove_if_revoked(record)
        for runtime in list(self.runtimes.values()):
            try:
                runtime.run_maintenance()
            except (OSError, *OURS):  # the next round may succeed, and the other teams do not wait
                log.exception("the maintenance of %s failed", runtime.team)

    def erase_if_due(self, team: str) -> None:
        """Erases a team's state when its grace period is over; a new installation waits until this is done."""
        with self.lock:
            record = self.directory.find(team)  # it may have been installed again since the list was read
            grace_s = self.settings.installing.leave_days * DAY_S
            if record is None or record.left_at is None or self.clock() < record.left_at + grace_s:
                self.due_since.pop(team, None)
                return
            if self.has_open_jobs(team):
                return
            self.close_runtime(record)
            erase_team(self.settings, record.place)
            connect(self.shared.redis_url).delete(stream_of(record.place))
            self.directory.delete(record.id)
            self.due_since.pop(team, None)
        log.warning("the state of %s is erased", team)

    def has_open_jobs(self, team: str) -> bool:
        """Whether a job of the team is still open, since its worker writes into the state; False after an hour."""
        runtime = self.runtimes.get(team)
        if runtime is None or self.clock() - self.due_since.setdefault(team, self.clock()) >= HOUR_S:
            return False
        return bool(runtime.ledger.jobs(states=set(State) - END_STATES, limit=1))


class TeamAuthorize(Authorize):
    """Gives Bolt the token for a payload: the one of the team whose services it gets."""

    def __init__(self, runtimes: TeamRuntimes) -> None:
        self.runtimes = runtimes

    def __call__(self, *, context: BoltContext, **_ids: str | None) -> AuthorizeResult | None:
        record = self.runtimes.record_of(context)
        bot = self.runtimes.tokens.bot(record) if record is not None else None
        if record is None or bot is None:
            return None
        return AuthorizeResult(
            enterprise_id=record.enterprise or None,
            team_id=record.id,
            bot_user_id=bot.bot_user_id,
            bot_id=bot.bot_id,
            bot_token=bot.bot_token,
        )


def assign_home(directory: Directory, tokens: Tokens, client: WebClient) -> TeamRecord:
    """Assigns the home's data and token to the team of the old bot token.

    Nothing is moved: the record says that the team's place is the home itself. The record is written last, in one
    transaction, so an interrupted start is repeated.
    """
    who = client.auth_test()
    team, enterprise = str(who["team_id"]), str(who.get("enterprise_id") or "")
    record = TeamRecord(team, str(who.get("team") or ""), enterprise, False, "", time.time())
    if (there := directory.find(team)) is not None and there.place:
        raise BotError(
            f"{team} has a place of its own here (teams/{there.place}), and what lies in TRAINWISE_HOME itself is another "
            "state of it, of a bot with one token. Set TRAINWISE_HOME to another folder for one of the two bots."
        )
    if tokens.bot(record) is None:
        tokens.store.save(
            Installation(
                app_id="",
                enterprise_id=enterprise or None,
                team_id=team,
                team_name=record.name,
                bot_token=client.token,
                bot_id=str(who.get("bot_id") or ""),
                bot_user_id=str(who["user_id"]),
                user_id=str(who["user_id"]),
                bot_scopes="",
                token_type="bot",  # noqa: S106
            )
        )
    return directory.add(record)
