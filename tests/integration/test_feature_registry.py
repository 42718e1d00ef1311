"""A new Slack feature is one file: registered with the real App, used over the local workspace's real socket."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from slack_bolt.adapter.socket_mode import SocketModeHandler

from bot.playground import Person, Playground
from bot.slack.app import FEATURES, build_app, slack_client, summaries
from bot.slack.audience import Audience
from bot.slack.permissions import Permissions
from bot.slack.services import Services
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Users
from finetune.data.store import DatasetStore
from rag.adviser import Adviser
from rag.index import Index
from rag.search.embedding import MiniLM
from tests.integration import dice_feature
from tests.integration.conftest import CHANNEL, appears, private_reply, text_of, until
from tests.integration.notifier_harness import MANIFEST
from worker.ledger.ledger import Ledger

pytestmark = pytest.mark.integration
ALL = (*FEATURES, dice_feature)
DICE = {"command": "/dice", "description": "Roll a die.", "should_escape": True}


@pytest.fixture(scope="module")
def maya(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Person]:
    """A person in a workspace whose app has one feature more."""
    home: Path = tmp_path_factory.mktemp("features")
    manifest = copy.deepcopy(MANIFEST)
    manifest["features"]["slash_commands"].append(DICE)
    with ExitStack() as cleanup:
        workspace = cleanup.enter_context(Playground(manifest))
        client = slack_client(workspace.bot_token, workspace.api_url)
        ledger = Ledger(str(home / "ledger.db"))
        cleanup.callback(ledger.close)
        index = cleanup.enter_context(Index.open(home / "index", embed))
        users = Users(client)
        services = Services(
            adviser=Adviser(index, embed, {"as_of": "2026-11"}),
            ledger=ledger,
            datasets=DatasetStore(str(home / "datasets")),
            index=index,
            prices={},
            permissions=Permissions(),
            users=users,
            audience=Audience(client, users),
            thread_queue=ThreadQueue(),
            home=home,
            file_hosts=frozenset(),
            download=lambda url, path: None,
            summaries=summaries(ALL),
        )
        app = build_app(client, services, 4, workspace.signing_secret, ALL)
        handler = SocketModeHandler(app, workspace.app_token, web_client=client)
        handler.connect()
        until(lambda: workspace.state()["sockets"])
        yield Person(workspace.url, "maya", timeout=30)
        with suppress(AttributeError):  # slack_sdk 3.47 races with its own reconnect in Connection.disconnect
            handler.close()


def test_command_button_and_form_work_end_to_end(maya: Person) -> None:
    """From `/dice` to the answer of its form, with nothing but the one file."""
    message = appears(maya, lambda: maya.command("/dice"), "A die is ready")
    maya.click(CHANNEL, message["ts"], "dice_roll")
    form = maya.wait_view(title="Roll a die")
    appears(maya, lambda: maya.submit(form, {"sides": "20"}), "maya rolls 20 sides")


def test_what_the_form_refuses_is_said_to_the_person_alone(maya: Person) -> None:
    """The feature raises a BotError and nothing else; the edges do the rest."""
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
