"""Who may install the app (TRAINWISE_MAY_INSTALL), through Bolt's own flow against the loopback server of test_team_runtimes.py."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from slack_bolt import BoltRequest
from slack_bolt.oauth.oauth_settings import OAuthSettings

from bot.teams.directory import TeamRecord
from bot.teams.install import InstallFlow, build_install_flow
from bot.teams.runtimes import TeamRuntimes
from tests.bot.teams.conftest import ORG, Slack
from tests.bot.teams.test_team_runtimes import present
from tests.bot.teams.test_teams import ONE, TWO, installation, settings


def come_back(runtimes: TeamRuntimes, slack: Slack, entries: str) -> tuple[int, str]:
    """Slack sends the browser back with a code: the page that Bolt's flow answers with."""
    here = settings(
        runtimes.settings.home,
        SLACK_API_URL=slack.url,
        TRAINWISE_SLACK_CLIENT_ID="1.2",
        TRAINWISE_SLACK_CLIENT_SECRET="secret",
        TRAINWISE_MAY_INSTALL=entries,
    )
    runtimes.settings = here
    runtimes.runtime = lambda record: cast(Any, record)  # type: ignore[method-assign]
    flow = build_install_flow(runtimes, ["chat:write"])
    first = flow.handle_installation(BoltRequest(body="", mode="http"))
    state = re.search(r"state=([\w-]+)", first.body)
    assert state
    cookie = first.headers["set-cookie"][0].split(";")[0]
    query = {"code": "c", "state": state[1]}
    back = flow.handle_callback(BoltRequest(body="", query=query, headers={"cookie": cookie}, mode="http"))
    return back.status, back.body


@pytest.mark.parametrize("entries", ["", TWO, f"T0X,{TWO}", "E0GRID", "southwind.slack.com"])
def test_a_workspace_on_the_list_installs(runtimes: TeamRuntimes, slack: Slack, entries: str) -> None:
    """The list may name its id, its organisation's id or its domain; an empty list allows every workspace."""
    slack.installer, slack.enterprise = TWO, "E0GRID"
    assert come_back(runtimes, slack, entries)[0] == 200
    assert present(runtimes) == {ONE, TWO}
    assert "apps.uninstall" not in slack.calls


def test_an_installed_organisation_may_install_again(runtimes: TeamRuntimes) -> None:
    """The app is not uninstalled from its workspaces, although the list does not name it."""
    runtimes.settings = settings(runtimes.settings.home, TRAINWISE_MAY_INSTALL="T0X")
    flow = InstallFlow(runtimes, OAuthSettings(client_id="1.2", client_secret="secret"))
    again = installation(None, "xoxb-org", ORG)
    assert not flow.may_install(again)
    runtimes.directory.add(TeamRecord(TWO, "Southwind", ORG, True, TWO, 1.0))
    assert flow.may_install(again)
    runtimes.directory.mark_removed(TWO, 2.0)
    assert not flow.may_install(again)


@pytest.mark.parametrize("entries", ["T0X", "E0X", "wind.slack.com,T0X"])
def test_a_workspace_that_is_not_on_the_list_is_uninstalled_and_told(
    runtimes: TeamRuntimes, slack: Slack, entries: str
) -> None:
    """The page names the id that the operator could add; the token is revoked; an installed workspace may install again."""
    slack.installer = TWO
    status, page = come_back(runtimes, slack, entries)
    assert status == 403
    assert TWO in page
    assert "TRAINWISE_MAY_INSTALL" in page
    assert "&lt;b&gt;Wind" in page
    assert slack.calls[-1] == "apps.uninstall"
    assert present(runtimes) == {ONE}
    assert runtimes.tokens.store.find_bot(enterprise_id=None, team_id=TWO) is None
    slack.installer = ONE
    assert come_back(runtimes, slack, entries)[0] == 200
    assert slack.calls.count("apps.uninstall") == 1
