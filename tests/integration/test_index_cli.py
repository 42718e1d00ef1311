"""`trainwise index` as a person uses it in a terminal, each command a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.homes import home_with_graphs
from tests.rag import documents as make
from tests.terminal import warm_trainwise

pytestmark = pytest.mark.integration


def test_add_list_share_sync_and_remove(tmp_path: Path, embed_cache: Path) -> None:
    """A folder with good and bad files: counts and problems are printed, exit codes tell failure."""

    home = home_with_graphs(tmp_path / "home", embed_cache)

    def trainwise(*words: str) -> subprocess.CompletedProcess[str]:
        return warm_trainwise({**os.environ, "TRAINWISE_HOME": str(home), "COLUMNS": "200"}, *words)

    docs = tmp_path / "docs"
    docs.mkdir()
    make.docx(docs / "refund.docx")
    (docs / "faq.csv").write_text(make.FAQ)
    (docs / "locked.pdf").write_bytes(make.encrypted_pdf())
    result = trainwise("index", "add", str(docs), "--channel", "C0SUPPORT")
    assert result.returncode == 0, result.stderr
    assert "2 added or changed, 0 unchanged, 0 removed." in result.stdout
    assert "locked.pdf: is encrypted" in result.stdout
    listing = trainwise("index", "list").stdout
    assert re.search(r"Refund policy .*channel:C0SUPPORT", listing)
    own = re.search(r"([0-9a-f]{12}) +faq", listing)
    assert own
    assert "faq: workspace" in trainwise("index", "share", own[1]).stdout
    (docs / "refund.docx").unlink()
    assert "0 added or changed, 1 unchanged, 1 removed." in trainwise("index", "sync").stdout
    assert trainwise("index", "remove", own[1]).returncode == 0
    assert "faq" not in trainwise("index", "list").stdout
    wrong = trainwise("index", "remove", "nothing")
    assert wrong.returncode != 0
    assert "List them with `trainwise index list`" in wrong.stdout + wrong.stderr
    response = trainwise("index", "add", "http://127.0.0.1/admin")
    assert response.returncode == 1
    assert "private address" in response.stdout
