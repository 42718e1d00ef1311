"""Builders of Block Kit elements: each function returns one plain dict; its texts must be escaped already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]


def mrkdwn(text: str) -> Block:
    """A mrkdwn text object; `verbatim` stops Slack from linking names and addresses in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}


def section(text: str, accessory: Block | None = None, block_id: str | None = None) -> Block:
    block: Block = {"type": "section", "text": mrkdwn(text)}
    return block | _without_none(accessory=accessory, block_id=block_id)


def context(*texts: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text[:150])}


def divider() -> Block:
    return {"type": "divider"}


def actions(elements: Sequence[Block], block_id: str | None = None) -> Block:
    block: Block = {"type": "actions", "elements": list(elements)}
    return block | _without_none(block_id=block_id)


def button(
    label: str, action_id: str, value: str = "", style: str | None = None, confirm: Block | None = None
) -> Block:
    element: Block = {"type": "button", "text": plain(label[:75]), "action_id": action_id}
    return element | _without_none(value=value or None, style=style, confirm=confirm)


def link_button(label: str, url: str, action_id: str) -> Block:
    return {"type": "button", "text": plain(label[:75]), "url": url, "action_id": action_id}


def confirm(title: str, text: str, yes: str, no: str, danger: bool = True) -> Block:
    """A button's confirmation dialog."""
    dialog: Block = {"title": plain(title), "text": plain(text), "confirm": plain(yes), "deny": plain(no)}
    return dialog | {"style": "danger" if danger else "primary"}


def option(label: str, value: str) -> Block:
    return {"text": plain(label[:75] or value[:75]), "value": value}


def select(action_id: str, options: Sequence[Block], initial: str | None = None, hint: str = "") -> Block:
    """A static select of at most 100 options; `initial` is a value among them."""
    selection = next((o for o in options if o["value"] == initial), None)
    element: Block = {"type": "static_select", "action_id": action_id, "options": list(options)[:100]}
    return element | _without_none(initial_option=selection, placeholder=plain(hint) if hint else None)


def text_input(
    action_id: str, initial: str = "", hint: str = "", multiline: bool = False, longest: int = 3000
) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": action_id, "max_length": longest}
    placeholder = plain(hint[:150]) if hint else None
    return element | _without_none(
        initial_value=initial or None, placeholder=placeholder, multiline=multiline or None
    )


def number_input(action_id: str, initial: str = "", decimal: bool = False) -> Block:
    """A number input without limits: our own checks report a sentence on the field."""
    element: Block = {"type": "number_input", "action_id": action_id, "is_decimal_allowed": decimal}
    return element | _without_none(initial_value=initial or None)


def file_input(action_id: str, kinds: Sequence[str]) -> Block:
    return {"type": "file_input", "action_id": action_id, "filetypes": list(kinds), "max_files": 1}


def field(
    name: str, label: str, element: Block, hint: str = "", optional: bool = False, live: bool = False
) -> Block:
    """An input block whose block_id is the form field's name, so that an error lands on it."""
    block: Block = {"type": "input", "block_id": name, "label": plain(label), "element": element}
    help_text = plain(hint[:2000]) if hint else None
    return block | _without_none(hint=help_text, optional=optional or None, dispatch_action=live or None)


def number_field(
    name: str, label: str, initial: str = "", *, hint: str = "", decimal: bool = False, optional: bool = False
) -> Block:
    """An input block for a number; its block_id and action_id are the field's name."""
    return field(name, label, number_input(name, initial, decimal), hint, optional)


def modal(
    callback_id: str, title: str, blocks: Sequence[Block], submit: str | None = None, metadata: str = ""
) -> Block:
    view: Block = {"type": "modal", "callback_id": callback_id, "title": plain(title), "blocks": list(blocks)}
    submit_text = plain(submit) if submit else None
    closing = plain("Cancel" if submit else "Close")
    return view | _without_none(submit=submit_text, private_metadata=metadata or None) | {"close": closing}


def feedback(action_id: str) -> Block:
    """Slack's feedback buttons (thumbs up and down)."""
    good = {"text": plain("Helpful"), "value": "good", "accessibility_label": "This answer helped"}
    bad = {"text": plain("Not helpful"), "value": "bad", "accessibility_label": "This answer did not help"}
    element: Block = {"type": "feedback_buttons", "action_id": action_id}
    element |= {"positive_button": good, "negative_button": bad}
    return {"type": "context_actions", "elements": [element]}


def _without_none(**optional: Any) -> Block:
    return {name: value for name, value in optional.items() if value is not None}
