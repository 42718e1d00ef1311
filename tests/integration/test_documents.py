"""Documents in Slack, as people add, cite, share, sync and remove them, in the running product."""

from __future__ import annotations

import re

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from tests.integration.conftest import CHANNEL, MENTION, appears, private_reply, text_of, until
from tests.rag import documents as make

pytestmark = pytest.mark.integration
POLICY = "# Parcel policy\n\n## Lost parcels\n\nA parcel counts as lost after nineteen days without a scan.\n"
QUESTION = "after how many days does a parcel count as lost?"


def add(person: Person, name: str, content: bytes, scope: str = "channel", channel: str = CHANNEL) -> str:
    """What the channel reads after the person put a file into the form of `/docs add`."""
    file = person.upload(None, name, content)["file"]
    person.command("/docs", "add", channel)
    view = person.wait_view()

    def submit() -> None:
        assert person.submit(view, {"file": [file["id"]], "scope": scope})["ok"]

    return text_of(appears(person, submit, "added documents", channel))


def listing_of(person: Person, channel: str = CHANNEL) -> str:
    return private_reply(person, lambda: person.command("/docs", "list", channel), channel)


def id_of(listing: str, title: str) -> str:
    match = re.search(rf"{title}.*?([0-9a-f]{{12}})", listing)
    assert match, listing
    return match[1]


def answer_to(person: Person, question: str, channel: str) -> str:
    """The finished answer in the thread, whatever it says."""
    message = person.say(channel, f"{MENTION} {question}")

    def is_finished() -> str | None:
        thread = person.messages(channel, message["ts"])[1:]
        result = [m for m in thread if m.get("blocks") and m.get("streaming_state") != "in_progress"]
        return text_of(result[-1]) if result else None

    text: str = until(is_finished, 30)
    return text


def test_a_document_of_one_channel_is_cited_there_and_nowhere_else(stack: LocalStack, maya: Person) -> None:
    """Uploaded in #support-ml: cited there, unknown in #general, gone after its removal."""
    text = add(maya, "parcels.md", POLICY.encode())
    assert "1 added or changed" in text
    assert "this channel" in text
    here = answer_to(maya, QUESTION, CHANNEL)
    assert "nineteen days" in here
    assert "Parcel policy" in here or "Lost parcels" in here
    assert "nineteen" not in answer_to(maya, QUESTION, "#general")
    assert "Parcel policy" in listing_of(maya)
    assert "Parcel policy" not in listing_of(maya, "#general")
    own = id_of(listing_of(maya), "Parcel policy")
    assert "no such document here" in private_reply(
        maya, lambda: maya.command("/docs", f"remove {own}", "#general"), "#general"
    )
    assert "Removed Parcel policy" in private_reply(
        maya, lambda: maya.command("/docs", f"remove {own}", CHANNEL)
    )
    assert "nineteen" not in answer_to(maya, QUESTION, CHANNEL)
    assert not list((stack.home / "documents").glob("*/parcels.md"))


def test_every_kind_comes_in_and_a_bad_one_leaves_the_rest(maya: Person) -> None:
    """Two files in one go: the sound one is in, the encrypted one is told with what to do."""
    files = [maya.upload(None, name, content)["file"]["id"] for name, content in
             (("rules.html", make.HTML.encode()), ("locked.pdf", make.encrypted_pdf()))]  # fmt: skip
    maya.command("/docs", "add", CHANNEL)
    view = maya.wait_view()
    text = text_of(
        appears(maya, lambda: maya.submit(view, {"file": files, "scope": "channel"}), "added documents")
    )
    assert "1 added or changed" in text
    assert "locked.pdf: is encrypted. Save a copy without a password" in text
    assert "/documents/" not in text
    maya.command("/docs", f"remove {id_of(listing_of(maya), 'Help')}", CHANNEL)


def share(person: Person, words: str, press: str = "share_do") -> str:
    """What the person alone reads once they have answered the question of `/docs share`."""
    before = {m["ts"] for m in person.messages(CHANNEL)}
    person.command("/docs", f"share {words}", CHANNEL)
    asking = person.wait_message(CHANNEL, lambda m: m["ts"] not in before and "is seen by" in text_of(m))
    assert "now it is seen by" in text_of(asking)
    person.click(CHANNEL, asking["ts"], press)
    return text_of(
        person.wait_message(CHANNEL, lambda m: m["ts"] == asking["ts"] and "now it is" not in text_of(m))
    )


def test_sharing_is_the_owners_act_asks_first_and_can_be_taken_back(
    maya: Person, ravi: Person, ana: Person
) -> None:
    """Nobody but whoever added it, and admins; the question names who will see it; the owner hears of an admin's act."""
    add(maya, "parcels.md", POLICY.encode())
    own = id_of(listing_of(maya), "Parcel policy")
    refusal = private_reply(ravi, lambda: ravi.command("/docs", f"share {own} everyone", CHANNEL))
    assert "is decided by" in refusal
    assert "nineteen" not in answer_to(maya, QUESTION, "#general")
    assert "is now seen by every member of this workspace" in share(maya, f"{own} everyone")
    assert "nineteen days" in answer_to(maya, QUESTION, "#general")
    earlier = {m["ts"] for m in maya.messages("@trainwise")}
    assert "is now seen by" in share(ana, f"{own} here")
    word = maya.wait_message(
        "@trainwise", lambda m: m["ts"] not in earlier and "changed who sees" in text_of(m)
    )
    assert "nineteen" not in answer_to(maya, QUESTION, "#general")
    maya.click("@trainwise", word["ts"], "share_undo")
    maya.wait_message("@trainwise", lambda m: m["ts"] == word["ts"] and "Taken back" in text_of(m))
    assert "nineteen days" in answer_to(maya, QUESTION, "#general")
    assert "only its owner" in private_reply(ravi, lambda: ravi.command("/docs", f"remove {own}", CHANNEL))
    maya.command("/docs", f"remove {own}", CHANNEL)


def test_a_link_into_the_private_network_is_refused(maya: Person) -> None:
    """The bot opens no address that only it can reach."""
    link = "http://169.254.169.254/latest/meta-data"
    message = appears(maya, lambda: maya.command("/docs", f"add {link}", CHANNEL), "added documents")
    assert "private address, which I never open" in text_of(message)
    assert "169.254" not in listing_of(maya)


def test_sync_tells_what_changed(maya: Person, ana: Person) -> None:
    """Only an admin may; the message says what changed."""
    assert "Only admins" in private_reply(maya, lambda: maya.command("/docs", "sync", CHANNEL))
    message = appears(ana, lambda: ana.command("/docs", "sync", CHANNEL), "Documents synced")
    assert "nothing" in text_of(message) or "unchanged" in text_of(message)
