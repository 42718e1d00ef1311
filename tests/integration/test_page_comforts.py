"""What makes the page pleasant, in a real browser: one person, one page, no mouse where a key will do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.playground import Person
from tests.bot.playground.conftest import (  # noqa: F401  (fixtures)
    _no_proxy,
    app,
    client,
    connect,
    playground,
)
from tests.bot.playground.test_socket_mode import VIEW
from tests.integration.conftest import workspace_page

pytestmark = pytest.mark.integration
SYSTEM_FONTS = (
    "Array.from(document.fonts).filter((font) => font.family.includes('Twemoji')).map((font) => font.status)"
)


@pytest.fixture
def page(browser: Any, playground: Any) -> Iterator[Any]:  # noqa: F811
    """The workspace as Maya sees it."""
    with workspace_page(browser, playground.url, "maya", 15) as page_:
        yield page_


def test_keys_find_change_and_lead_on(page: Any, playground: Any, app: Any, connect: Any) -> None:  # noqa: F811
    """Up-arrow edits, Ctrl+K jumps and searches, what is new below is a click away, threads show what is unread."""

    @app.command("/finetune")
    def on_command(ack: Any, client: Any, body: Any) -> None:  # noqa: F811
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=VIEW)

    connect()
    ravi = Person(playground.url, "ravi")
    box = page.get_by_label("Message #support-ml")
    log = page.get_by_role("log", name="Messages")

    box.fill("look at http://127.0.0.1:8080/a:b?c=1 please")
    box.press("Enter")
    link = log.get_by_role("link", name="http://127.0.0.1:8080/a:b?c=1")
    link.wait_for()
    assert link.get_attribute("href") == "http://127.0.0.1:8080/a:b?c=1"

    box.fill("a typo heer")
    box.press("Enter")
    log.get_by_text("a typo heer").wait_for()
    box.press("ArrowUp")
    edit = page.get_by_label("Edit message")
    assert edit.input_value() == "a typo heer"
    edit.fill("a typo here")
    edit.press("Enter")
    log.get_by_text("a typo here").wait_for()
    log.get_by_text("(edited)").wait_for()

    for n in range(40):
        ravi.say("#support-ml", f"line {n}\nand more of it")
    log.get_by_text("line 39").wait_for()
    log.evaluate("element => { element.scrollTop = 0 }")
    page.wait_for_timeout(50)
    ravi.say("#support-ml", "something new")
    page.get_by_role("button", name="New messages").click()
    assert near_the_end(log)
    log.evaluate("element => { element.scrollTop = 0 }")
    box.fill("mine is in sight")
    box.press("Enter")
    log.get_by_text("mine is in sight").wait_for()
    page.wait_for_function(
        "() => { const e = document.querySelector('[role=log]'); return e.scrollHeight - e.scrollTop - e.clientHeight < 90 }"
    )
    assert page.get_by_role("button", name="New messages").count() == 0

    box.press("Control+k")
    page.get_by_role("dialog", name="Jump or search").wait_for()
    page.keyboard.type("line 7")
    page.get_by_role("option", name="line 7").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("gener")
    page.get_by_role("option", name="general").wait_for()
    page.keyboard.press("Enter")
    page.get_by_label("Message #general").wait_for()

    message = ravi.say("#general", "who knows <@U0MAYA00001>?".replace("<@U0MAYA00001>", "@maya"))
    ravi.say("#general", "it is about splits", thread_ts=message["ts"])
    page.get_by_role("button", name="Threads, 1 unread").click()
    row = page.get_by_role("button", name="who knows")
    row.get_by_text("1 new").wait_for()
    row.click()
    page.get_by_role("complementary", name="Thread").get_by_text("it is about splits").wait_for()
    page.get_by_role("button", name="Threads").click()
    page.get_by_role("button", name="who knows").wait_for()
    assert page.get_by_text("1 new").count() == 0
    assert "/threads" in page.url
    page.reload()
    page.get_by_role("button", name="who knows").wait_for()
    ravi.say("#general", "and about seeds", thread_ts=message["ts"])
    row.get_by_text("1 new").wait_for()  # while one looks
    page.get_by_role("button", name="Threads, 1 unread").wait_for()


def test_reactions_emoji_and_forms(page: Any, playground: Any, app: Any, connect: Any) -> None:  # noqa: F811
    """Any emoji can be found and taken back, drawn without a font of the system's; a form begins in its first field."""

    @app.command("/finetune")
    def on_command(ack: Any, client: Any, body: Any) -> None:  # noqa: F811
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=VIEW)

    connect()
    box = page.get_by_label("Message #support-ml")
    box.fill("shipped")
    box.press("Enter")
    message = page.get_by_role("article").filter(has_text="shipped")
    message.hover()
    message.get_by_role("button", name="Add reaction").click()
    page.get_by_label("Find an emoji").fill("rocket")
    page.get_by_role("menuitem", name="rocket", exact=True).click()
    reaction = message.get_by_role("button", name="1")
    reaction.wait_for()
    assert reaction.get_attribute("aria-pressed") == "true"
    assert (
        page.evaluate("document.fonts.load('16px Twemoji', '\U0001f680').then((fonts) => fonts.length)") == 1
    )
    assert page.evaluate(SYSTEM_FONTS) == ["loaded"]
    reaction.click()
    reaction.wait_for(state="detached")

    box.fill("/finetune")
    box.press("Enter")
    page.get_by_role("dialog", name="Train").wait_for()
    field = page.evaluate("document.activeElement.closest('.modal-body') && document.activeElement.tagName")
    assert field in ("INPUT", "TEXTAREA", "SELECT")


def near_the_end(log: Any) -> bool:
    """Whether the newest messages are in sight."""
    return bool(log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight < 90"))
