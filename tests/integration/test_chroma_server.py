"""Several bots on one Chroma server (the Rust one): same answers, nothing lost when it starts empty again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from bot.demo.stack import free_port
from bot.playground.patience import Patience
from rag.errors import RagError
from rag.index import Index
from rag.search.embedding import MiniLM
from rag.search.retrieval import SearchWeights, retrieve

pytestmark = pytest.mark.integration
EVERYONE = frozenset({"workspace"})
BY_MEANING = SearchWeights(exact=0, words=0)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], tuple[str, subprocess.Popen[bytes]]]]:
    """Starts `chroma run` on loopback over a folder of this name; ended after the test."""
    port = free_port()
    with ExitStack() as stack:

        def start(name: str) -> tuple[str, subprocess.Popen[bytes]]:
            program = shutil.which("chroma") or str(Path(sys.executable).with_name("chroma"))
            argv = [
                program,
                "run",
                "--path",
                str(tmp_path / name),
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
            ]
            process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            url, patience = f"http://127.0.0.1:{port}", Patience(30)
            while True:
                try:
                    if httpx.get(f"{url}/api/v2/heartbeat", trust_env=False).is_success:
                        return url, process
                except httpx.TransportError:
                    assert not patience.is_over(), "chroma run did not start"
                    time.sleep(0.05)

        yield start


def test_bots_share_a_server_and_survive_its_loss(
    serve: Callable[[str], tuple[str, subprocess.Popen[bytes]]], tmp_path: Path, embed: MiniLM
) -> None:
    """Two processes' indexes beside each other; a server that lost everything is fed again from SQLite."""
    url, process = serve("first")
    (tmp_path / "a.md").write_text("# Leave\n\nThe office is closed in the last week of December.")
    with Index.open(tmp_path / "one", embed, url) as one, Index.open(tmp_path / "two", embed, url) as two:
        assert one._vectors.kind == "chroma"
        one.add([tmp_path / "a.md"], EVERYONE)
        assert "December" in retrieve(one, "when does nobody work?", EVERYONE, legs=BY_MEANING)[0].text
        assert retrieve(two, "when does nobody work?", EVERYONE, legs=BY_MEANING) == []
        process.kill()
        process.wait()
        assert "December" in retrieve(one, "is the office closed in December?", EVERYONE)[0].text
        serve("second")
        assert "December" in retrieve(one, "when does nobody work?", EVERYONE, legs=BY_MEANING)[0].text
    with Index.open(tmp_path / "one", embed, url) as again:
        assert "December" in retrieve(again, "when does nobody work?", EVERYONE, legs=BY_MEANING)[0].text


def test_a_server_that_is_not_there_is_named(tmp_path: Path, embed: MiniLM) -> None:
    """With the address and what to do about it."""
    with pytest.raises(RagError, match=r"127.0.0.1:9 does not answer. Start it with `chroma run`"):
        Index.open(tmp_path / "x", embed, "http://127.0.0.1:9")
