"""Opens a placeholder form in time: a trigger id expires after three seconds, and Slack may be slower to describe a person.

A listener that opens a form gets this client. When the listener has not called `views_open` after one second, the client
opens a form that says "one moment"; the listener's form then replaces it.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from bot.slack.payload import Body
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import modal, section
from bot.slack.ui.escape import question_of
from bot.slack.ui.forms import note_modal
from bot.slack.ui.limits import split_text, validate_view

WAITING_AFTER_S = 1.0
COMMANDS = {
    "/finetune": lambda words: not words,
    "/should-i-train": lambda words: words in (["measure"], ["connect"]),
    "/datasets": lambda words: (
        words[:1] in (["add"], ["repair"]) or (words[:1] == ["pull"] and len(words) > 1)
    ),
    "/docs": lambda words: words == ["add"],
    "/triage": lambda words: words[:1] == ["watch"],
}
"""For each command: whether these words open a form."""
BUTTONS = frozenset(
    {
        *("why", "would_change", "cite", "feedback", "measure", "finetune_open", "endpoint_connect"),
        *("job_try", "job_details", "job_reject", "job_finetune", "duty_other"),
        *("measure_tickets", "finetune_tickets"),
        *("docs_add", "dataset_add", "dataset_repair", "pull_new"),
        *("home_ask", "home_documents", "home_datasets", "home_finetune", "home_measure"),
    }
)
"""The buttons that open a form, by action id up to its colon (tests/integration/test_forms_open_first.py)."""
SHORTCUTS = frozenset({"add_dataset_from_message"})
log = logging.getLogger(__name__)


def opens_form(body: Body) -> bool:
    """Whether the listener of this payload opens a form."""
    if "trigger_id" not in body:
        return False
    if "command" in body:
        words = question_of(str(body.get("text") or "")).lower().split()
        return bool(COMMANDS.get(str(body["command"]), lambda words: False)(words))
    if body.get("type") == "block_actions":
        action = (body.get("actions") or [{}])[0]
        if action.get("action_id") == "feedback" and action.get("value") != "bad":
            return False
        return str(action.get("action_id")).partition(":")[0] in BUTTONS
    return body.get("type") in ("message_action", "shortcut") and body.get("callback_id") in SHORTCUTS


class FormClient(WebClient):
    """A copy of the client `template` for one trigger; call `finish()` after the listener, which replaces a waiting form."""

    def __init__(self, template: WebClient, trigger: str, after_s: float = WAITING_AFTER_S) -> None:
        super().__init__(token=template.token, base_url=template.base_url, timeout=template.timeout)
        self.retry_handlers = list(template.retry_handlers)
        self._trigger, self._lock = trigger, threading.Lock()
        self._view, self._is_waiting, self._is_over = "", False, False
        self._timer = threading.Timer(after_s, self._open_waiting_form)
        self._timer.daemon = True
        self._timer.start()

    def views_open(self, *, view: Any, trigger_id: str | None = None, **more: Any) -> SlackResponse:  # type: ignore[override]
        """Opens the form, or replaces the waiting form by it."""
        with self._lock:
            if not self._is_waiting:
                self._is_over = True
                return super().views_open(trigger_id=trigger_id, view=view, **more)
            answer = super().views_update(view_id=self._view, view=view)
            self._is_waiting = False  # only after success: on failure `show_text` replaces the waiting form
            return answer

    def show_text(self, text: str) -> bool:
        """Replaces the waiting form by a text in mrkdwn; False when no form is waiting."""
        blocks = [section(piece) for piece in split_text(text, 2900)][:10]
        with self._lock:
            self._is_over = True
            if not self._is_waiting:
                return False
            self._is_waiting = False
            try:
                self.views_update(view_id=self._view, view=validate_view(modal("note", "Not now", blocks)))
            except SLACK_ERRORS as error:
                log.info("a waiting form was not updated: %s", type(error).__name__)
                return False
            return True

    def finish(self) -> None:
        """Ends the wait after the listener has returned."""
        self._timer.cancel()
        self.show_text("Done. What there is to say stands in the conversation; you can close this.")

    def _open_waiting_form(self) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            view = validate_view(
                note_modal("One moment", "I am asking Slack. The form comes in a few seconds.")
            )
            try:
                answer = super().views_open(trigger_id=self._trigger, view=view)
            except SLACK_ERRORS as error:
                log.info("a waiting form was not opened: %s", type(error).__name__)
                return
            self._view, self._is_waiting = str(answer["view"]["id"]), True
