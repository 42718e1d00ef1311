"""Reads the app's manifest from this checkout, else from the installed package."""

from __future__ import annotations

from pathlib import Path
from sysconfig import get_path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def manifest_path() -> Path:
    """The path of manifest.yml."""
    checkout = ROOT / "manifest.yml"
    return checkout if checkout.is_file() else Path(get_path("data")) / "share" / "trainwise" / "manifest.yml"


def read_manifest() -> dict[str, Any]:
    """The manifest in Slack's format."""
    return dict(yaml.safe_load(manifest_path().read_text(encoding="utf-8")))


def bot_scopes() -> list[str]:
    """The bot scopes that the app requests at installation."""
    return [str(scope) for scope in read_manifest()["oauth_config"]["scopes"]["bot"]]
