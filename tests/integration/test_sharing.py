"""Sharing a dataset: confirmation, notice to the owner, Undo; and a colleague's file stays in its channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.playground import Person
from bot.playground.state.seed import RAVI
from bot.slack.files import BadFile, SlackFile, check_publishing
from rag.search.embedding import MiniLM
from tests.integration.conftest import few_tickets, private_reply, text_of
from tests.integration.slack_harness import SlackHarness, open_slack

pytestmark = pytest.mark.integration
HERE, ELSEWHERE = "#support-ml", "#general"
NAME = "ravis-tickets"


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[SlackHarness]:
    """A dataset of Ravi's for #support-ml."""
    home = tmp_path_factory.mktemp("sharing")
    with open_slack(home, embed) as running:
        (home / "t.csv").write_bytes(few_tickets(40))
        scopes = frozenset({"channel:C0SUPPORTML"})
        running.services.datasets.add(home / "t.csv", NAME, RAVI, scopes, "ours")
        yield running


def ask(person: Person, command: str, words: str, part: str) -> dict[str, Any]:
    """The question that the person alone gets."""
    before = {m["ts"] for m in person.messages(HERE)}
    person.command(command, words, HERE)
    return person.wait_message(HERE, lambda m: m["ts"] not in before and part in text_of(m))


def becomes(person: Person, message: dict[str, Any], part: str, place: str = HERE) -> None:
    """Waits until the message is replaced by the confirmation."""
    person.wait_message(place, lambda m: m["ts"] == message["ts"] and part in text_of(m))


def test_a_dataset_is_shared_by_its_owner_after_a_question(slack: SlackHarness) -> None:
    """Other people may not share it; the question shows the audience before and after; Undo restores it."""
    maya, ravi = slack.person("maya"), slack.person("ravi")
    assert "is decided by" in private_reply(
        maya, lambda: maya.command("/datasets", f"share {NAME} everyone", HERE)
    )
    assert "There is no dataset" in private_reply(
        maya, lambda: maya.command("/datasets", NAME, ELSEWHERE), ELSEWHERE
    )
    question = ask(ravi, "/datasets", f"share {NAME} everyone", "now it is seen by")
    assert "every member of this workspace" in text_of(question)
    assert "There is no dataset" in private_reply(
        maya, lambda: maya.command("/datasets", NAME, ELSEWHERE), ELSEWHERE
    )
    ravi.click(HERE, question["ts"], "share_do")
    becomes(ravi, question, "is now seen by every member")
    assert "40" in private_reply(maya, lambda: maya.command("/datasets", NAME, ELSEWHERE), ELSEWHERE)
    ravi.click(HERE, question["ts"], "share_undo")
    becomes(ravi, question, "Taken back")
    assert "There is no dataset" in private_reply(
        maya, lambda: maya.command("/datasets", NAME, ELSEWHERE), ELSEWHERE
    )


def test_the_owner_is_told_of_an_admins_change_and_can_undo_it(slack: SlackHarness) -> None:
    """This holds for sharing and for removing."""
    ana, ravi = slack.person("ana"), slack.person("ravi")
    earlier = {m["ts"] for m in ravi.messages("@trainwise")}
    question = ask(ana, "/datasets", f"remove {NAME}", "brought back for a day")
    ana.click(HERE, question["ts"], "dataset_remove")
    becomes(ana, question, "is removed")
    word = ravi.wait_message(
        "@trainwise", lambda m: m["ts"] not in earlier and "removed your dataset" in text_of(m)
    )
    maya = slack.person("maya")
    assert "There is no dataset" in private_reply(maya, lambda: maya.command("/datasets", NAME, HERE))
    ravi.click("@trainwise", word["ts"], "dataset_undo")
    becomes(ravi, word, "is back", "@trainwise")
    assert "40" in private_reply(maya, lambda: maya.command("/datasets", NAME, HERE))


def test_a_colleagues_file_is_not_published() -> None:
    """Anybody may add it for the channel; only its owner or an admin may add it for everyone."""
    file = SlackFile("F1", "t.csv", 9, "https://files.slack.com/t.csv", "URAVI", frozenset({"C1"}))
    check_publishing(file, "channel", "UMAYA", admin=False)
    check_publishing(file, "workspace", "URAVI", admin=False)
    check_publishing(file, "workspace", "UANA", admin=True)
    with pytest.raises(BadFile, match="colleague's file"):
        check_publishing(file, "workspace", "UMAYA", admin=False)
