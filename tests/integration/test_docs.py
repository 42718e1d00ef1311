"""Documents in Slack, as people add, cite, share, sync and remove them, in the running product."""

from __future__ import annotations

import re

import pytest

from bot.demo.stack import Stand
from bot.playground import Person
from tests.integration.conftest import CHANNEL, MENTION, appears, text_of, told, until
from tests.rag import documents as make

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
POLICY = "# Parcel policy\n\n## Lost parcels\n\nA parcel counts as lost after nineteen days without a scan.\n"
QUESTION = "after how many days does a parcel count as lost?"


def add(person: Person, name: str, content: bytes, scope: str = "channel", channel: str = CHANNEL) -> str:
    """What the channel reads after the person put a file into the form of `/docs add`."""
    uploaded = person.upload(None, name, content)["file"]
    person.command("/docs", "add", channel)
    view = person.wait_view()

    def submit() -> None:
        assert person.submit(view, {"file": [uploaded["id"]], "scope": scope})["ok"]

    return text_of(appears(person, submit, "added documents", channel))


def listed(person: Person, channel: str = CHANNEL) -> str:
    return told(person, lambda: person.command("/docs", "list", channel), channel)


def id_of(listing: str, title: str) -> str:
    found = re.search(rf"{title}.*?([0-9a-f]{{12}})", listing)
    assert found, listing
    return found[1]


def answer_to(person: Person, question: str, channel: str) -> str:
    """The finished answer in the thread, whatever it says."""
    asked = person.say(channel, f"{MENTION} {question}")

    def finished() -> str | None:
        thread = person.messages(channel, asked["ts"])[1:]
        done = [m for m in thread if m.get("blocks") and m.get("streaming_state") != "in_progress"]
        return text_of(done[-1]) if done else None

    said: str = until(finished, 30)
    return said


def test_a_document_of_one_channel_is_cited_there_and_nowhere_else(stage: Stand, maya: Person) -> None:
    """Uploaded in #support-ml: cited there, unknown in #general, gone after its removal."""
    said = add(maya, "parcels.md", POLICY.encode())
    assert "1 added or changed" in said
    assert "this channel" in said
    here = answer_to(maya, QUESTION, CHANNEL)
    assert "nineteen days" in here
    assert "Parcel policy" in here or "Lost parcels" in here
    assert "nineteen" not in answer_to(maya, QUESTION, "#general")
    assert "Parcel policy" in listed(maya)
    assert "Parcel policy" not in listed(maya, "#general")
    own = id_of(listed(maya), "Parcel policy")
    assert "no such document here" in told(
        maya, lambda: maya.command("/docs", f"remove {own}", "#general"), "#general"
    )
    assert "Removed Parcel policy" in told(maya, lambda: maya.command("/docs", f"remove {own}", CHANNEL))
    assert "nineteen" not in answer_to(maya, QUESTION, CHANNEL)
    assert not list((stage.home / "documents").glob("*/parcels.md"))


def test_every_kind_comes_in_and_a_bad_one_leaves_the_rest(maya: Person) -> None:
    """Two files in one go: the sound one is in, the encrypted one is told with what to do."""
    files = [maya.upload(None, name, content)["file"]["id"] for name, content in
             (("rules.html", make.HTML.encode()), ("locked.pdf", make.encrypted_pdf()))]  # fmt: skip
    maya.command("/docs", "add", CHANNEL)
    view = maya.wait_view()
    said = text_of(
        appears(maya, lambda: maya.submit(view, {"file": files, "scope": "channel"}), "added documents")
    )
    assert "1 added or changed" in said
    assert "locked.pdf: is encrypted. Save a copy without a password" in said
    assert "/documents/" not in said
    maya.command("/docs", f"remove {id_of(listed(maya), 'Help')}", CHANNEL)


def test_sharing_with_everyone_and_back(maya: Person, ana: Person) -> None:
    """Whoever is in the channel may open it up; then only an admin may change it."""
    add(maya, "parcels.md", POLICY.encode())
    own = id_of(listed(maya), "Parcel policy")
    assert "seen by everyone" in told(maya, lambda: maya.command("/docs", f"share {own} everyone", CHANNEL))
    assert "nineteen days" in answer_to(maya, QUESTION, "#general")
    assert "only an admin" in told(maya, lambda: maya.command("/docs", f"share {own} here", CHANNEL))
    assert "this channel" in told(ana, lambda: ana.command("/docs", f"share {own} here", CHANNEL))
    assert "nineteen" not in answer_to(maya, QUESTION, "#general")
    maya.command("/docs", f"remove {own}", CHANNEL)


def test_a_link_into_the_private_network_is_refused(maya: Person) -> None:
    """The bot opens no address that only it can reach."""
    link = "http://169.254.169.254/latest/meta-data"
    message = appears(maya, lambda: maya.command("/docs", f"add {link}", CHANNEL), "added documents")
    assert "private address, which I never open" in text_of(message)
    assert "169.254" not in listed(maya)


def test_sync_tells_what_changed(maya: Person, ana: Person) -> None:
    """Only an admin may; the message says what changed."""
    assert "Only admins" in told(maya, lambda: maya.command("/docs", "sync", CHANNEL))
    message = appears(ana, lambda: ana.command("/docs", "sync", CHANNEL), "Documents synced")
    assert "nothing" in text_of(message) or "unchanged" in text_of(message)
