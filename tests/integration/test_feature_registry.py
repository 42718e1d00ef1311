"""A new Slack feature is one file: registered with the real App, used over the local workspace's real socket."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.playground import Person
from bot.slack.app import FEATURES, summaries
from rag.search.embedding import MiniLM
from tests.integration import dice_feature
from tests.integration.conftest import CHANNEL, appears, private_reply, text_of
from tests.integration.notifier_harness import MANIFEST
from tests.integration.slack_harness import open_slack

pytestmark = pytest.mark.integration
ALL = (*FEATURES, dice_feature)
DICE = {"command": "/dice", "description": "Roll a die.", "should_escape": True}


@pytest.fixture(scope="module")
def maya(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Person]:
    """A person in a workspace whose app has one more feature."""
    home: Path = tmp_path_factory.mktemp("features")
    manifest = copy.deepcopy(MANIFEST)
    manifest["features"]["slash_commands"].append(DICE)
    with open_slack(home, embed, features=ALL, manifest=manifest) as slack:
        yield Person(slack.workspace.url, "maya", timeout=30)


def test_command_button_and_form_work_end_to_end(maya: Person) -> None:
    """From `/dice` to the answer of its form, with nothing but the one file."""
    message = appears(maya, lambda: maya.command("/dice"), "A die is ready")
    maya.click(CHANNEL, message["ts"], "dice_roll")
    form = maya.wait_view(title="Roll a die")
    appears(maya, lambda: maya.submit(form, {"sides": "20"}), "maya rolls 20 sides")


def test_an_error_of_the_form_is_shown_to_the_person_alone(maya: Person) -> None:
    """The feature only raises a BotError; PrivateErrorReport shows it."""
    message = appears(maya, lambda: maya.command("/dice"), "A die is ready")
    maya.click(CHANNEL, message["ts"], "dice_roll")
    form = maya.wait_view(title="Roll a die")
    assert "two sides" in private_reply(maya, lambda: maya.submit(form, {"sides": "1"}))


@pytest.mark.parametrize("command", ["/dice", "/jobs", "/should-i-train"])
def test_help_of_any_command_lists_every_feature(maya: Person, command: str) -> None:
    """The list comes from the registry."""
    text = private_reply(maya, lambda: maya.command(command, "help"))
    assert all(line in text for line in summaries(ALL))


def test_home_lists_every_feature(maya: Person) -> None:
    """The new one stands beside the others."""
    maya.open_home()
    text = text_of(maya.wait_home(lambda view: bool(view.get("blocks"))))
    assert all(line in text for line in summaries(ALL))
