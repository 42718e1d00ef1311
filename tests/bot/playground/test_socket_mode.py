"""An unmodified bolt app over Socket Mode: it hears, answers, acks late, loses its socket."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.bot.playground.conftest import until

pytestmark = pytest.mark.integration
VIEW = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Train"},
    "submit": {"type": "plain_text", "text": "Go"},
    "blocks": [
        {
            "type": "input",
            "block_id": "epochs",
            "label": {"type": "plain_text", "text": "Epochs"},
            "element": {
                "type": "number_input",
                "action_id": "v",
                "is_decimal_allowed": False,
                "min_value": "1",
            },
        }
    ],
}
BUTTON = {"type": "button", "action_id": "go", "value": "7", "text": {"type": "plain_text", "text": "Go"}}


def test_a_mention_is_answered_in_its_thread_and_a_button_answers_only_its_presser(
    app, connect, maya, playground
):
    """Mention -> thread reply with a button -> click -> ephemeral answer through response_url."""

    @app.event("app_mention")
    def on_mention(event: Any, say: Any) -> None:
        say(text="here", blocks=[{"type": "actions", "elements": [BUTTON]}], thread_ts=event["ts"])

    @app.action("go")
    def on_press(ack: Any, respond: Any, action: Any) -> None:
        ack()
        respond(text=f"pressed {action['value']}", replace_original=False)

    connect()
    text = maya.say("#support-ml", "@trainwise should we?")
    reply = maya.wait_message("#support-ml", lambda m: m["text"] == "here", thread_ts=text["ts"])
    assert maya.click("#support-ml", reply["ts"], "go") == {"ok": True}
    whisper = maya.wait_message("#support-ml", lambda m: m["text"] == "pressed 7")
    assert whisper["is_ephemeral"]
    assert all(m["text"] != "pressed 7" for m in type(maya)(playground.url, "ravi").messages("#support-ml"))


def test_a_modal_shows_the_clients_errors_then_the_apps_and_then_closes(app, connect, maya):
    """-1 is refused by Slack's client, 7 by the app on its field, 3 closes the modal."""

    @app.command("/finetune")
    def text(ack: Any, client: Any, body: Any) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=VIEW)

    @app.view("form")
    def on_submit(ack: Any, view: Any) -> None:
        seven = view["state"]["values"]["epochs"]["v"]["value"] == "7"
        ack(response_action="errors", errors={"epochs": "not seven"}) if seven else ack()

    connect()
    assert maya.command("/finetune") == {"ok": True}
    view = maya.wait_view()
    assert maya.submit(view, {})["errors"] == {"epochs": "Please complete this required field."}
    assert "at least 1" in maya.submit(view, {"epochs": -1})["errors"]["epochs"]
    assert maya.submit(view, {"epochs": 7})["errors"] == {"epochs": "not seven"}
    assert maya.submit(view, {"epochs": 3}) == {"ok": True}
    assert maya.view() is None


def test_an_unacked_event_is_redelivered_with_attempt_and_reason(app, connect, maya, playground):
    """No ack for 3 s: delivered again at once (1), after a minute (2), after five (3), then given up."""
    hold = threading.Event()

    @app.middleware
    def slow(next: Any) -> None:
        hold.wait(5)

    connect()
    maya.say("#support-ml", "hello")

    def attempts() -> list[tuple[int, str]]:
        message = [d for d in playground.state()["delivered"] if d["type"] == "events_api"]
        return [(d["retry_attempt"], d["retry_reason"]) for d in message]

    for count, seconds in ((1, 4), (2, 4), (2, 61), (3, 4), (3, 301), (4, 4)):
        until(lambda count=count: len(attempts()) >= count)
        playground.advance(seconds)
    until(lambda: playground.state()["given_up"])
    hold.set()
    assert attempts() == [(0, ""), (1, "timeout"), (2, "timeout"), (3, "timeout")]


def test_a_disconnect_request_makes_the_app_reconnect_and_hear_again(app, connect, maya, playground):
    """Slack asks for a fresh connection; messages after it arrive."""
    words: list[str] = []

    @app.event("message")
    def message(event: Any) -> None:
        words.append(event["text"])

    connect()
    playground.disconnect()
    until(lambda: playground.state()["sockets"] == 1)
    maya.say("#support-ml", "after")
    until(lambda: "after" in words)


def test_an_event_can_be_delivered_twice_with_the_same_id(app, connect, maya, playground):
    """Redelivery carries the same event_id, by which apps de-duplicate."""
    ids: list[str] = []

    @app.event("message")
    def message(body: Any) -> None:
        ids.append(body["event_id"])

    connect()
    maya.say("#support-ml", "once")
    until(lambda: len(ids) == 1)
    playground.redeliver(ids[0])
    until(lambda: len(ids) == 2)
    assert ids[0] == ids[1]


def test_a_command_without_an_app_fails_as_in_slack(maya):
    """Nobody is connected: the person is told, and nothing hangs."""
    assert maya.command("/finetune")["error"] == "dispatch_failed"
    assert "dispatch_failed" in maya.messages("#support-ml")[-1]["text"]


def test_the_apps_own_messages_come_back_to_it(connect, client, playground):
    """Slack echoes what the app posts, marked with its bot_id (bolt then drops it, so look on the wire)."""
    connect()
    client.chat_postMessage(channel="C0SUPPORTML", text="mine")
    message = until(lambda: [d for d in playground.state()["delivered"] if d["type"] == "events_api"])
    event = message[0]["payload"]["event"]
    assert (event["text"], event["bot_id"], event["user"]) == ("mine", "B0TRAINWISE", "U0TRAINWISE")
