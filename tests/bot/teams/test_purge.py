"""`trainwise teams purge` beside a bot with one token, which erases nobody's state."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.teams import purge
from bot.errors import BotError
from bot.teams.directory import Directory, TeamRecord, open_engine
from bot.teams.team_state import lock_home
from tests.bot.teams.test_teams import ONE, TWO, settings


def test_purge_erases_a_removed_team_while_a_bot_with_one_token_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state in the home itself belongs to that bot, which has to be stopped first."""
    monkeypatch.setenv("TRAINWISE_HOME", str(tmp_path))
    here = settings(tmp_path)
    directory = Directory(open_engine(tmp_path, here.database_url.reveal()))
    for team, place in ((ONE, ""), (TWO, TWO)):
        directory.add(TeamRecord(team, team, "", False, place, 1.0))
        directory.mark_removed(team, 2.0)
    rest = tmp_path / "teams" / TWO / "index"
    rest.mkdir(parents=True)
    unlock = lock_home(tmp_path, exclusive=False)
    purge(TWO)
    assert not rest.exists()
    assert directory.find(TWO) is None
    with pytest.raises(BotError, match="Another bot runs"):
        purge(ONE)
    assert directory.find(ONE) is not None
    unlock()
    unlock = lock_home(tmp_path)
    purge(ONE)
    assert directory.find(ONE) is not None, "the bot of many workspaces does it"
    unlock()
