"""A submitted form shows its outcome, whether the outcome or the answer to the submission arrives first."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.slack.delivery.posting import update_submitted
from bot.slack.ui.blocks import modal, section
from tests.bot.playground.conftest import until

pytestmark = pytest.mark.integration
FORM, READING, OUTCOME = (
    modal("form", "Train", [section("a form")], "Go"),
    modal("note", "Train", [section("reading")]),
    modal("note", "Train", [section("the outcome")]),
)


@pytest.mark.parametrize("late", [0.0, 0.5], ids=["the answer first", "the outcome first"])
def test_the_outcome_is_what_stays(app, connect, maya, client, late):
    """The submission is answered before the update, or half a second after it."""
    result = threading.Event()

    def finish(view: Any) -> None:
        update_submitted(client, view["id"], view["hash"], OUTCOME)
        result.set()

    @app.command("/finetune")
    def text(ack: Any, body: Any) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    def on_submit(ack: Any, view: Any) -> None:
        if not late:
            ack(response_action="update", view=READING)
            time.sleep(0.3)
        threading.Thread(target=finish, args=(view,)).start()
        if late:
            time.sleep(late)
            ack(response_action="update", view=READING)

    connect()
    maya.command("/finetune")
    assert maya.submit(maya.wait_view()) == {"ok": True}
    assert result.wait(10)
    assert "the outcome" in str(until(maya.view))


def test_a_closed_form_raises_an_error(app, connect, maya, client):
    """The caller then tells the person in another way."""

    @app.command("/finetune")
    def text(ack: Any, body: Any) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=FORM)

    connect()
    maya.command("/finetune")
    view = maya.wait_view()
    maya.close(view)
    with pytest.raises(SlackApiError, match="not_found"):
        update_submitted(client, view["id"], view["hash"], OUTCOME)
