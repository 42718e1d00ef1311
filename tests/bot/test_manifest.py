"""The manifest and the code agree, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MANIFEST = yaml.safe_load((ROOT / "manifest.yml").read_text())
CODE = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py") if "playground" not in path.parts)


def test_every_command_and_shortcut_has_a_listener_and_no_other_is_there() -> None:
    """Slash commands and message shortcuts of the manifest are those that the code registers."""
    commands = {command["command"] for command in MANIFEST["features"]["slash_commands"]}
    shortcuts = {shortcut["callback_id"] for shortcut in MANIFEST["features"]["shortcuts"]}
    assert commands == set(re.findall(r'app\.command\("(/[^"]+)"\)', CODE))
    assert shortcuts == set(re.findall(r'app\.(?:shortcut|message_shortcut)\("([^"]+)"\)', CODE))


def test_every_event_has_a_listener_and_no_other_is_there() -> None:
    """Events subscribed to are those listened to; `message` stands for its three channel types."""
    target = {event.split(".")[0] for event in MANIFEST["settings"]["event_subscriptions"]["bot_events"]}
    assert target == set(re.findall(r'app\.event\("([^"]+)"\)', CODE))
