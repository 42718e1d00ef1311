"""One bot in this process, as `trainwise up` builds it, for two workspaces that installed it by OAuth.

Both have the same people, channels and names: nothing but the team's id and the token tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from bot.demo.stack import free_port
from bot.playground import Playground
from bot.playground.state.seed import OTHER_TEAM, TEAM_ID
from bot.settings import load_settings
from bot.teams.runtimes import TeamRuntimes
from bot.wiring import Bot, build
from tests.integration.conftest import until
from tests.integration.notifier_harness import MANIFEST
from tests.integration.slack_harness import SlackHarness, catcher


@dataclass
class TwoTeams:
    """The workspaces, the bot and its settings; `restart` builds a new bot on the same home."""

    workspace: Playground
    env: Mapping[str, str]
    answers: list[str]
    answer_url: str
    bot: Bot | None = None
    harnesses: dict[str, SlackHarness] = field(default_factory=dict)

    @property
    def runtimes(self) -> TeamRuntimes:
        """The bot's runtimes."""
        assert self.bot is not None
        assert isinstance(self.bot.runtime, TeamRuntimes)
        return self.bot.runtime

    @property
    def page(self) -> str:
        """The URL of the install page."""
        return f"http://127.0.0.1:{self.env['TRAINWISE_HTTP_PORT']}/slack/install"

    def playground(self, team: str) -> Playground:
        """The workspace with this id."""
        return self.workspace if team == TEAM_ID else self.workspace.other

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Builds and starts the bot."""
        self.bot = build(load_settings(env or self.env))
        self.bot.start()
        until(lambda: self.workspace.state()["sockets"])

    def stop(self) -> None:
        """Stops the bot."""
        if self.bot is not None:
            self.bot.stop()
        self.bot, self.harnesses = None, {}

    def slack(self, team: str) -> SlackHarness:
        """The test harness for one of the workspaces."""
        record = self.runtimes.directory.require(team)
        runtime = self.runtimes.runtime(record)
        assert self.bot is not None
        fresh = SlackHarness(
            self.playground(team),
            runtime.services,
            self.bot.app,
            runtime.notifier,
            self.answers,
            self.answer_url,
            team=team,
        )
        return self.harnesses.setdefault(team, fresh)

    def install(self, team: str) -> httpx.Response:
        """Follows an admin's browser from the bot's page over Slack's page and back."""
        with httpx.Client(trust_env=False, timeout=60) as browser:
            page = browser.get(self.page)
            cookie = page.headers["set-cookie"].split(";")[0]
            link = re.search(r'href="([^"]*authorize[^"]*)"', page.text)
            assert link
            query = parse_qs(urlsplit(link[1].replace("&amp;", "&")).query)
            assert f'value="{team}"' in browser.get(link[1].replace("&amp;", "&")).text
            form = {"team": team, "state": query["state"][0], "redirect_uri": self.page.replace("install", "oauth_redirect")}  # fmt: skip
            back = browser.post(f"{self.workspace.url}/oauth/v2/allow", data=form).headers["location"]
            return browser.get(back, headers={"cookie": cookie})


@contextmanager
def two_teams(home: Path, run: bool = True) -> Iterator[TwoTeams]:
    """Two workspaces and the bot; the app is not installed yet."""
    with ExitStack() as cleanup:
        workspace = cleanup.enter_context(Playground(MANIFEST, second=True))
        for one in (workspace, workspace.other):
            one.set_rates(enforce=False)
        tokens = workspace.workspace.tokens
        env = {
            "TRAINWISE_HOME": str(home),
            "SLACK_API_URL": workspace.api_url,
            "SLACK_APP_TOKEN": workspace.app_token,
            "TRAINWISE_SLACK_CLIENT_ID": tokens["client_id"],
            "TRAINWISE_SLACK_CLIENT_SECRET": tokens["client_secret"],
            "TRAINWISE_HTTP_PORT": str(free_port()),
            "TRAINWISE_CARD_INTERVAL": "0.2",
        }
        answers: list[str] = []
        two = TwoTeams(workspace, env, answers, cleanup.enter_context(catcher(answers)))
        cleanup.callback(two.stop)
        if run:
            two.start()
        yield two


BOTH = (TEAM_ID, OTHER_TEAM)
