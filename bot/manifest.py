"""The app's manifest: of this checkout, else of the installed package."""

from __future__ import annotations

from pathlib import Path
from sysconfig import get_path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def manifest_path() -> Path:
    """Where manifest.yml lies."""
    checkout = ROOT / "manifest.yml"
    return checkout if checkout.is_file() else Path(get_path("data")) / "share" / "trainwise" / "manifest.yml"


def read_manifest() -> dict[str, Any]:
    """The manifest as Slack takes it."""
    return dict(yaml.safe_load(manifest_path().read_text(encoding="utf-8")))


def bot_scopes() -> list[str]:
    """What the app asks for when it is installed."""
    return [str(scope) for scope in read_manifest()["oauth_config"]["scopes"]["bot"]]
