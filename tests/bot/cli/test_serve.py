"""A restart of `trainwise serve NAME` does not change which version answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import serve
from finetune.serving.versions import SERVED, Versions


def test_a_restart_keeps_a_trial_and_a_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pointer stays as it was, unless another error rate is promised."""
    monkeypatch.setattr(serve, "serving_place", lambda: tmp_path)
    versions = Versions(tmp_path, "tickets")
    for name in ("a", "b"):
        versions.add(name, lambda folder: (folder / SERVED).write_text("{}"))
    versions.use("a", "first", 0.1)
    versions.share("b", 20, "try")
    before = versions.pointer()
    serve._prepare("tickets", None, 0)
    serve._prepare("tickets", 0.1, 0)
    assert versions.pointer() == before
    serve._prepare("tickets", 0.05, 0)
    assert versions.pointer().error_rate == 0.05
