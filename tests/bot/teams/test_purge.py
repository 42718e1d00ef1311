"""`trainwise teams purge` beside a bot with one token, which erases nobody's state."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.teams import purge
from bot.errors import BotError
from bot.teams.directory import Directory, TeamRecord, open_engine
from bot.teams.place import hold_home
from tests.bot.teams.test_teams import ONE, TWO, settings


def test_beside_a_bot_with_one_token_a_departed_team_goes_and_the_home_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would erase it; what lies in the home itself is that bot's, which has to be stopped first."""
    monkeypatch.setenv("TRAINWISE_HOME", str(tmp_path))
    here = settings(tmp_path)
    directory = Directory(open_engine(tmp_path, here.database_url.reveal()))
    for team, place in ((ONE, ""), (TWO, TWO)):
        directory.add(TeamRecord(team, team, "", False, place, 1.0))
        directory.leave(team, 2.0)
    rest = tmp_path / "teams" / TWO / "index"
    rest.mkdir(parents=True)
    let_go = hold_home(tmp_path, alone=False)
    purge(TWO)
    assert not rest.exists()
    assert directory.find(TWO) is None
    with pytest.raises(BotError, match="Another bot runs"):
        purge(ONE)
    assert directory.find(ONE) is not None
    let_go()
    let_go = hold_home(tmp_path)
    purge(ONE)
    assert directory.find(ONE) is not None, "the bot of many workspaces does it"
    let_go()
