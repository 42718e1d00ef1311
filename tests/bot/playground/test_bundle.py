"""The shipped web page is built from the sources beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

PLAYGROUND = Path(__file__).parents[3] / "bot/playground"


def test_the_bundle_was_built_from_these_sources():
    """Run `npm ci && npm run build` in bot/playground/web after a change there."""
    web = PLAYGROUND / "web"
    names = [
        "package.json",
        "package-lock.json",
        "build.mjs",
        *(f"src/{p.name}" for p in (web / "src").iterdir()),
    ]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0".encode() + (web / name).read_bytes() + b"\0")
    bundle = json.loads((PLAYGROUND / "static/bundle.json").read_text())
    assert digest.hexdigest() == bundle["sources"]
    for name, target in bundle["files"].items():
        assert hashlib.sha256((PLAYGROUND / "static" / name).read_bytes()).hexdigest() == target, name
