"""A person in a real browser: types, reads a thread, meets a modal's errors, presses buttons, sees files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bot.playground.conftest import (  # noqa: F401  (fixtures)
    _no_proxy,
    app,
    client,
    connect,
    maya,
    playground,
)
from tests.bot.playground.test_socket_mode import BUTTON, VIEW
from tests.integration.conftest import workspace_page

pytestmark = pytest.mark.integration
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301"
    "0100c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture
def page(browser: Any, playground: Any) -> Iterator[Any]:  # noqa: F811
    """The workspace as Maya sees it."""
    with workspace_page(browser, playground.url, "maya", 15) as page_:
        yield page_


@pytest.fixture
def working(app: Any, connect: Any) -> None:  # noqa: F811
    """A small app with a thread reply, a button, a modal and a file."""

    @app.event("app_mention")
    def on_mention(event: Any, say: Any) -> None:
        text = {"type": "section", "text": {"type": "mrkdwn", "text": "Use *RAG* <https://example.org|1>"}}
        blocks = [text, {"type": "actions", "elements": [BUTTON]}]
        say(text="Use RAG", blocks=blocks, thread_ts=event["ts"])

    @app.event("message")
    def message() -> None:
        """Heard."""

    @app.action("go")
    def on_press(ack: Any, respond: Any) -> None:
        ack()
        respond(text="for your eyes", replace_original=False)

    @app.command("/finetune")
    def command_text(ack: Any, client: Any, body: Any) -> None:  # noqa: F811
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=VIEW)

    @app.view("form")
    def on_submit(ack: Any, client: Any, view: Any) -> None:  # noqa: F811
        if view["state"]["values"]["epochs"]["v"]["value"] == "7":
            ack(response_action="errors", errors={"epochs": "Not seven, please."})
            return
        ack()
        client.files_upload_v2(
            channel="C0SUPPORTML", content=PIXEL, filename="loss.png", title="Loss", alt_txt="Loss by step"
        )

    connect()


@pytest.mark.usefixtures("working")
def test_a_person_asks_reads_the_thread_and_presses_a_button(page):
    """Type, open the thread, read the formatted answer, press, and see the ephemeral answer."""
    box = page.get_by_label("Message #support-ml")
    box.fill("@trainwise should we fine-tune?")
    box.press("Enter")
    page.get_by_role("button", name="1 reply").click()
    thread = page.get_by_role("complementary", name="Thread")
    thread.locator("strong", has_text="RAG").wait_for()
    assert thread.get_by_role("link", name="1").get_attribute("href") == "https://example.org"
    thread.get_by_role("button", name="Go", exact=True).click()
    page.get_by_text("for your eyes").wait_for()
    assert page.get_by_text("Only visible to you").count() >= 1


@pytest.mark.usefixtures("working")
def test_a_person_completes_a_command_fills_the_modal_and_sees_the_file(page):
    """Keyboard only until the form: / completes; the client's and the app's errors stand on the field."""
    box = page.get_by_label("Message #support-ml")
    box.press_sequentially("/fin")
    page.get_by_role("option", name="/finetune").wait_for()
    box.press("Tab")
    box.press("Enter")
    modal = page.get_by_role("dialog", name="Train")
    field = modal.get_by_label("Epochs")
    field.fill("-1")
    modal.get_by_role("button", name="Go").click()
    modal.get_by_text("Please enter a number of at least 1.").wait_for()
    field.fill("7")
    modal.get_by_role("button", name="Go").click()
    modal.get_by_text("Not seven, please.").wait_for()
    field.fill("3")
    modal.get_by_role("button", name="Go").click()
    modal.wait_for(state="hidden")
    image = page.get_by_role("img", name="Loss by step")
    image.wait_for()
    assert image.evaluate("element => element.decode().then(() => element.naturalWidth)") == 1


@pytest.mark.usefixtures("working")
def test_messages_arrive_live_and_count_as_unread_elsewhere(page, playground):  # noqa: F811
    """Ravi writes in #general: the sidebar shows it without a reload, and reading clears it."""
    from bot.playground import Person

    Person(playground.url, "ravi").say("#general", "@maya look")
    row = page.get_by_role("button", name="general, 1 unread")
    row.click()
    page.get_by_text("look").wait_for()
    page.get_by_role("button", name="general", exact=True).wait_for()


def test_a_person_sends_a_file_from_a_phone(browser, playground, maya):  # noqa: F811
    """At 390 px: #support-ml first, the list one step back, a channel, a file by the paper clip."""
    phone = browser.new_page(viewport={"width": 390, "height": 780})
    phone.set_default_timeout(15_000)
    phone.goto(f"{playground.url}/?user=maya")
    phone.get_by_role("heading", name="support-ml").first.wait_for()
    if phone.get_by_role("button", name="Close thread").is_visible():  # an answer of an earlier test
        phone.get_by_role("button", name="Close thread").click()
    phone.get_by_role("button", name="Back to channels").click()
    phone.get_by_role("button", name="support-ml").click()
    choice = {"name": "tickets.csv", "mimeType": "text/csv", "buffer": b"text,label\n"}
    phone.get_by_label("Attach a file").set_input_files(choice)
    phone.get_by_label("Remove tickets.csv").wait_for()
    phone.get_by_role("button", name="Send").click()
    match = maya.wait_message("#support-ml", lambda m: bool(m.get("files")), timeout=10)
    assert match["files"][0]["name"] == "tickets.csv"
    width = phone.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    phone.close()


def test_a_draft_and_the_address_survive_a_change_of_channel_and_a_reload(
    page: Any,
    working: None,
    maya: Any,  # noqa: F811
) -> None:
    """What was typed stands there again, and the address names where one is."""
    page.get_by_label("Message #support-ml").fill("half a thought")
    page.get_by_role("button", name="general").first.click()
    page.get_by_label("Message #general").wait_for()
    assert "/archives/C0GENERAL01" in page.url
    page.reload()
    page.get_by_label("Message #general").wait_for()
    page.get_by_role("button", name="support-ml").first.click()
    box = page.get_by_label("Message #support-ml")
    box.wait_for()
    assert box.input_value() == "half a thought"
    box.fill("")
    page.reload()
    assert page.get_by_label("Message #support-ml").input_value() == ""
