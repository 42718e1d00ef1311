"""Forms that were sent are acknowledged in time, also while Slack is slow: nothing that was typed is lost.

A listener that asks Slack before it acknowledges a form may take longer than Slack waits. Then the form stays open with
what was typed and says "one moment", and what the listener acknowledges with takes its place by `views.update`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack
from slack_sdk import WebClient

from bot.slack.payload import Body, View
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import Block, modal, plain, section
from bot.slack.ui.escape import escape
from bot.slack.ui.limits import VIEW_BLOCKS, split_text, validate_view

NOTE = "one_moment"  # the id of the block that says so; the form's own blocks keep theirs, and with them what was typed
WAIT = (
    "⏳ *One moment.* I have your form, and Slack answers me slowly. You can leave it open or close it: "
    "what comes of it stands here, in the conversation or in your messages with me."
)
DONE = "Your form is done. What came of it stands in the conversation or in your messages with me; you can close this."
KEYS = ("submit", "close", "callback_id", "private_metadata", "notify_on_close")
FIELDS = {
    "value": "initial_value",
    "selected_option": "initial_option",
    "selected_options": "initial_options",
    **{f"selected_{what}": f"initial_{what}" for what in ("user", "users", "channel", "channels")},
    **{f"selected_{what}": f"initial_{what}" for what in ("conversation", "conversations")},
    **{f"selected_{what}": f"initial_{what}" for what in ("date", "time", "date_time")},
}
"""Where a field's state stands in a payload, and where a form takes it from."""
log = logging.getLogger(__name__)


class Submissions:
    """The forms that are being worked on after they were acknowledged: sent again meanwhile, they count once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()

    def begin(self, view_id: str) -> bool:
        """Whether nobody works on this form yet; from now on somebody does."""
        with self._lock:
            is_first = view_id not in self._ids
            self._ids.add(view_id)
            return is_first

    def holds(self, view_id: str) -> bool:
        with self._lock:
            return view_id in self._ids

    def end(self, view_id: str) -> None:
        """The form may be sent again."""
        with self._lock:
            self._ids.discard(view_id)


def is_submission(body: Body) -> bool:
    """Whether the payload is a form that somebody sent."""
    return body.get("type") == "view_submission"


class FormAck:
    """An `ack` like Bolt's, for one form that was sent; after `within_s` without a word it acknowledges by itself.

    With `is_late` the form was acknowledged before. What Slack refuses later is logged.
    """

    def __init__(
        self,
        ack: Ack,
        client: WebClient,
        view: View,
        submissions: Submissions,
        within_s: float,
        is_late: bool = False,
    ) -> None:
        self._ack, self._client, self._view, self._submissions = ack, client, view, submissions
        self._lock = threading.Lock()
        self._is_over, self.waits = False, is_late
        self._timer = threading.Timer(within_s, self._wait)
        self._timer.daemon = True
        if is_late:
            ack()
        else:
            self._timer.start()

    def __call__(
        self,
        response_action: str = "",
        view: Mapping[str, Any] | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> None:
        """As Bolt's `ack` for a form: closes it, shows `view`, or puts `errors` on its fields."""
        with self._lock:
            self._is_over = True
            if not self.waits:
                self._timer.cancel()
                answer = {"response_action": response_action, "view": view, "errors": errors}
                self._ack(**{name: value for name, value in answer.items() if value})  # type: ignore[arg-type]
                return
        if response_action == "errors":
            self.give_back(problems_text(self._view, errors or {}))
        elif view is not None:
            self._show(view)
        else:
            self._show(modal("note", title_of(self._view), [section(DONE)]))

    def give_back(self, text: str) -> bool:
        """Puts the form back as it was sent, under `text` (mrkdwn); False where it does not wait or Slack refuses."""
        with self._lock:
            self._is_over = True
            return self.waits and self._show(form_with(self._view, f"⚠️ {text}"))

    def end(self) -> None:
        """The listener is through."""
        if not self._is_over:  # it has not acknowledged, as listeners do that raise
            self()
        self._submissions.end(str(self._view["id"]))

    def _wait(self) -> None:
        with self._lock:
            if self._is_over:
                return
            self._submissions.begin(str(self._view["id"]))
            self._ack(response_action="update", view=form_with(self._view, WAIT))
            self.waits = True

    def _show(self, view: Mapping[str, Any]) -> bool:
        try:
            self._client.views_update(view_id=str(self._view["id"]), view=validate_view(view))
        except SLACK_ERRORS as refused:
            log.info("a form that was sent did not change: %s", type(refused).__name__)
            return False
        return True


def form_with(view: View, text: str) -> Block:
    """The form as it was sent, with what was typed in its fields, under a text (mrkdwn)."""
    values = (view.get("state") or {}).get("values") or {}
    blocks = [block for block in view.get("blocks") or [] if not str(block.get("block_id")).startswith(NOTE)]
    notes = [
        section(piece, block_id=f"{NOTE}{number}") for number, piece in enumerate(split_text(text, 2900)[:5])
    ]
    form = {name: view[name] for name in KEYS if view.get(name)} | {"type": "modal"}
    form["title"] = plain(title_of(view))
    rows = [*notes, *(_block_with(block, values.get(block.get("block_id")) or {}) for block in blocks)]
    return form | {"blocks": rows[:VIEW_BLOCKS]}


def title_of(view: View) -> str:
    """The form's title."""
    return str((view.get("title") or {}).get("text") or "Form")


def problems_text(view: View, errors: Mapping[str, str]) -> str:
    """Errors by field in one text, each after its field's label."""
    labels = {block.get("block_id"): block["label"]["text"] for block in view["blocks"] if "label" in block}
    lines = [f"*{escape(str(labels.get(name, name)))}*: {escape(text)}" for name, text in errors.items()]
    return "\n".join(lines)


def _block_with(block: Block, state: Mapping[str, Any]) -> Block:
    """The block with its fields' state in them; a file that was added stays by the ids of block and field alone."""
    if "element" in block:
        return {**block, "element": _with_state(block["element"], state)}
    if "accessory" in block:
        return {**block, "accessory": _with_state(block["accessory"], state)}
    if block.get("type") == "actions":
        return {**block, "elements": [_with_state(element, state) for element in block["elements"]]}
    return block


def _with_state(element: Block, state: Mapping[str, Any]) -> Block:
    entry = state.get(str(element.get("action_id"))) or {}
    bare = {name: value for name, value in element.items() if not name.startswith("initial_")}
    new = {
        FIELDS[name]: value for name, value in entry.items() if name in FIELDS and value not in (None, "", [])
    }
    return bare | new if any(name in FIELDS for name in entry) else element
