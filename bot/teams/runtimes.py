"""The runtimes of all installed teams: opened when a team comes, closed when it leaves, erased after a time of grace."""

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
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.users import Team
from bot.teams.directory import Directory, TeamRecord
from bot.teams.place import erase, settings_of
from bot.teams.runtime import DAY_S, Line, Shared, TeamRuntime, open_runtime
from bot.teams.tokens import TeamClient, Tokens, token_of
from worker.jobs.states import END_STATES, State
from worker.transport.events import stream_of
from worker.transport.queue import connect

NO_TOKEN, NOT_GRANTED = "no_token", "team_access_not_granted"
GONE = ("account_inactive", "token_revoked", NOT_GRANTED)
GONE_AS_TOLD = (*GONE, "invalid_auth", "not_authed", NO_TOKEN)
"""What is said of a token after an event of removal. Without one, `invalid_auth` may be a wrong SLACK_API_URL, and a
token that is not kept here another TRAINWISE_SLACK_CLIENT_ID."""
HOUR_S = 3600.0
LIST_S = 60.0  # how long Slack's list of an organisation's workspaces counts
log = logging.getLogger(__name__)


@dataclass
class TeamRuntimes:
    """A map from team to runtime, filled by what the directory names and by whoever installs the app.

    It is the bot's `Teams` (bot/slack/teams.py): what Slack delivers for a team that is not in the directory, or that
    has left, has no services.
    """

    settings: Settings
    shared: Shared
    directory: Directory
    tokens: Tokens
    clock: Callable[[], float] = time.time
    runtimes: dict[str, TeamRuntime] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    next_upkeep: float = 0.0
    workspaces: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    over_since: dict[str, float] = field(default_factory=dict)

    def open_all(self) -> None:
        """Opens every team of the directory; one that left carries its stops until its state is erased."""
        for record in self.directory.all():
            self.try_open(record)

    def try_open(self, record: TeamRecord) -> None:
        """Opens a team's runtime where that can be done; the next upkeep tries it again."""
        try:
            self.runtime(record)
        except Exception:  # one team's broken store must not keep the others from their bot
            log.exception("the runtime of %s did not open", record.id)

    def record_of(self, context: BoltContext) -> TeamRecord | None:
        """The installed team that a payload was delivered for; one of an organisation enters with its first word."""
        team, enterprise = str(context.team_id or ""), str(context.enterprise_id or "")
        record = self.directory.find(team) if team else None
        if record is not None and record.left_at is None:
            return record
        if not team or not enterprise or not context.is_enterprise_install:
            return None
        record = TeamRecord(team, record.name if record else "", enterprise, True, team, self.clock())
        return self.directory.add(record) if self.is_of_organisation(record) else None

    def is_of_organisation(self, record: TeamRecord) -> bool:
        """Whether Slack has the workspace among those that use the organisation's installation.

        What somebody of another company presses in a shared channel names that company's workspace.
        """
        bot = self.tokens.bot(record)
        if bot is None:
            return False
        until, teams = self.workspaces.get(record.enterprise, (0.0, frozenset()))
        if self.clock() >= until:
            client = slack_client(str(bot.bot_token), self.settings.slack_api_url)
            try:
                pages = [page["teams"] for page in client.auth_teams_list(limit=200)]
            except SLACK_TROUBLE as refused:
                log.warning("the workspaces of %s are not known: %s", record.enterprise, refused)
                return False
            teams = frozenset(str(team["id"]) for page in pages for team in page)
            self.workspaces[record.enterprise] = (self.clock() + LIST_S, teams)
        return record.id in teams

    def services(self, context: BoltContext) -> Services | None:
        """The services of the payload's team, whose runtime opens if it is not yet."""
        record = self.record_of(context)
        return self.runtime(record).services if record is not None else None

    def services_of(self, team: str) -> Services | None:
        """The services of an installed team by its id; None for one that is not here, or has left."""
        record = self.directory.find(team) if team else None
        return self.runtime(record).services if record is not None and record.left_at is None else None

    def runtime(self, record: TeamRecord) -> TeamRuntime:
        """The team's runtime, running; one at a time is opened, and nobody else waits for it. BotError for one erased."""
        runtime = self.runtimes.get(record.id)
        if runtime is not None and (runtime.speaks or record.left_at is not None):
            return runtime
        with self.lock:
            record = self.directory.known(record.id)  # it may have left, come back or been opened meanwhile
            runtime = self.runtimes.get(record.id)
            if runtime is not None and (runtime.speaks or record.left_at is not None):
                return runtime
            self.shut(record)  # it was leaving, and has come back
            settings = settings_of(self.settings, record.place, record.own)
            runtime = open_runtime(settings, record.place, self.line(record), self.shared)
            runtime.start(speaks=record.left_at is None)
            self.runtimes[record.id] = runtime
            if record.left_at is not None:  # the bot may have been killed between the removal and the stops
                runtime.leave()
            log.info("the runtime of %s is open", record.id)
            return runtime

    def line(self, record: TeamRecord) -> Line:
        """The team's clients; each call takes the token of its moment."""
        token, url = token_of(self.tokens, record), self.settings.slack_api_url
        client = TeamClient(token, slack_client("", url), record.id)
        poster = TeamClient(token, posting_client("", url), record.id)
        return Line(client, poster, token, Team(record.id, record.enterprise))

    def welcome(self, installation: Installation) -> list[TeamRecord]:
        """A workspace or an organisation has installed the app: its tokens are kept and its runtime opens at once.

        A workspace that had left within the time of grace finds everything as it was.
        """
        enterprise = str(installation.enterprise_id or "")
        with self.lock:  # what lets a team leave or erases it waits, and looks again
            self.tokens.install(installation)
            if installation.is_enterprise_install:  # its other workspaces enter with their first word
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

    def check(self, context: BoltContext) -> None:
        """Slack says that the app was removed: those teams leave whose token Slack refuses indeed.

        A late or repeated event of a team that has come back in the meantime changes nothing.
        """
        team, enterprise = str(context.team_id or ""), str(context.enterprise_id or "")
        for record in self.directory.all():
            of_org = record.org_wide and record.enterprise == enterprise and context.is_enterprise_install
            if record.left_at is None and (record.id == team or of_org):
                self.leave_if_gone(record, after_event=True)

    def leave_if_gone(self, record: TeamRecord, after_event: bool = False) -> None:
        """Lets a team leave whose token is refused; `after_event`: Slack has said that the app was removed there."""
        codes = GONE_AS_TOLD if after_event else GONE
        if self.refusal(record) in codes:
            with self.lock:
                if (why := self.refusal(record)) in codes:  # else it came back in this very moment
                    self.leave(record, keep_token=why == NOT_GRANTED)

    def refusal(self, record: TeamRecord) -> str:
        """Slack's code where it refuses the team's token, NO_TOKEN where none is kept; "" where it is taken or unknown."""
        self.tokens.look_again(record)
        try:
            if self.tokens.bot(record) is None:
                log.warning(
                    "no token of %s is kept: is TRAINWISE_SLACK_CLIENT_ID that of its app?", record.id
                )
                return NO_TOKEN
            self.line(record).client.auth_test()
        except SlackApiError as refused:
            return str(refused.response.get("error"))
        except SLACK_TROUBLE:
            log.warning("Slack was not reached: whether %s has removed the app is asked again", record.id)
        except OURS as error:  # its tokens cannot be read
            log.error("%s: %s", record.id, error)
        return ""

    def leave(self, record: TeamRecord, keep_token: bool = False) -> None:
        """Nothing is said or begun for the team any more, its jobs stop, its tokens are forgotten.

        An organisation's token is kept while another of its workspaces uses it, or where Slack has closed it to this
        workspace alone (`keep_token`).
        """
        self.directory.leave(record.id, self.clock())
        self.workspaces.pop(record.enterprise, None)
        with self.lock:
            runtime = self.runtimes.get(record.id)
            if runtime is not None:
                runtime.leave()
        others = (one for one in self.directory.all() if one.left_at is None and one.org_wide)
        if not record.org_wide or not (keep_token or record.enterprise in {one.enterprise for one in others}):
            self.tokens.drop(record)
        log.warning(
            "%s has removed the app; its state is erased in %g days",
            record.id,
            self.settings.installing.leave_days,
        )

    def shut(self, record: TeamRecord) -> None:
        """Lets go of a team's stores."""
        with self.lock:
            runtime = self.runtimes.pop(record.id, None)
        if runtime is not None:
            runtime.stop()
            runtime.close()

    def stop(self) -> None:
        """Ends every runtime's work; what they owe stays in their ledgers."""
        for runtime in list(self.runtimes.values()):
            runtime.stop()

    def close(self) -> None:
        """Lets go of every team's stores."""
        for runtime in list(self.runtimes.values()):
            runtime.close()

    def upkeep(self) -> None:
        """Erases the state of teams whose time of grace is over, and each hour does every open runtime's own upkeep."""
        for record in self.directory.all():
            if record.left_at is None and record.id not in self.runtimes:
                self.try_open(record)  # it did not open at the start
            try:
                self.erase_when_over(record.id)
            except (
                Exception
            ):  # a store that does not answer: the next round goes on, and the other teams do not wait
                log.exception("the state of %s is not erased yet", record.id)
        if self.clock() < self.next_upkeep:
            return
        self.next_upkeep = self.clock() + HOUR_S
        for record in self.directory.all():  # its event may have come while the bot was down
            if record.left_at is None:
                self.leave_if_gone(record)
        for runtime in list(self.runtimes.values()):
            try:
                runtime.upkeep()
            except (OSError, *OURS):  # the next round may do better, and the other teams do not wait
                log.exception("the upkeep of %s failed", runtime.team)

    def erase_when_over(self, team: str) -> None:
        """Erases a team's state where its time of grace is over by now; a team that comes back waits for the end."""
        with self.lock:
            record = self.directory.find(team)  # it may have come back since the list was read
            grace_s = self.settings.installing.leave_days * DAY_S
            if record is None or record.left_at is None or self.clock() < record.left_at + grace_s:
                self.over_since.pop(team, None)
                return
            if self.is_stopping(team):
                return
            self.shut(record)
            erase(self.settings, record.place)
            connect(self.shared.redis_url).delete(stream_of(record.place))
            self.directory.forget(record.id)
            self.over_since.pop(team, None)
        log.warning("the state of %s is erased", team)

    def is_stopping(self, team: str) -> bool:
        """Whether a job of the team has not ended yet, for an hour at most: its worker would write into what is erased."""
        runtime = self.runtimes.get(team)
        if runtime is None or self.clock() - self.over_since.setdefault(team, self.clock()) >= HOUR_S:
            return False
        return bool(runtime.ledger.jobs(states=set(State) - END_STATES, limit=1))


class TeamAuthorize(Authorize):
    """Bolt's question whose token serves a payload: that of the team whose services it gets, and no other."""

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


def adopt(directory: Directory, tokens: Tokens, client: WebClient) -> TeamRecord:
    """The home's own data become those of the team that the old bot token names; the token serves it from then on.

    Nothing is moved: the record says that this team's place is the home itself. It is written last, in one
    transaction, so that a start that was cut off is done again by the next.
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
