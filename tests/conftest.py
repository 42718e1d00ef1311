"""What all tests share: no hub at run time, the shared data, one embedder, and a light collection of unit tests."""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rag.search.embedding import MiniLM

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):  # else each of some hundred processes compiles torch anew
    sys.dont_write_bytecode = False

SHARED = Path(__file__).parents[1] / ".." / "shared"
HEAVY = ("torch", "transformers", "peft", "sklearn", "chromadb", "matplotlib", "langchain", "spacy")
MARK = re.compile(r"^pytestmark = .*\bmark\.integration\b", re.M)


def only_unit_tests(config: pytest.Config) -> bool:
    """Whether the marker expression leaves integration tests out."""
    return "not integration" in str(config.option.markexpr)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of integration tests is not even imported for the unit layer: its imports (torch ...) take seconds."""
    if not only_unit_tests(config) or not collection_path.match("test_*.py"):
        return None
    return True if MARK.search(collection_path.read_text("utf-8")) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that two workers end together: integration tests, and of them those with few tests a file."""
    count = Counter(item.path for item in items)
    with_servers = {item.path for item in items if item.get_closest_marker("integration")}
    items.sort(key=lambda item: (item.path not in with_servers, count[item.path], str(item.path)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """The unit layer begins within seconds: no file of it may import a training library at its top."""
    heavy = [name for name in HEAVY if name in sys.modules]
    if heavy and only_unit_tests(session.config):
        raise pytest.UsageError(
            f"Collecting the unit tests has loaded {', '.join(heavy)}. Import it inside the test that needs it, or "
            "mark the file: pytestmark = pytest.mark.integration"
        )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared ticket data beside the checkout; tests that need it skip where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: put the project's ../shared/data beside the checkout")
    return folder.resolve()


@pytest.fixture(scope="session")
def embed_cache() -> Path:
    """The folder with the embedder's graph, built once and kept between runs; all workers of pytest share it."""
    from rag.search.embedding import load_embedder

    folder = Path(__file__).parents[1] / ".pytest_cache" / "embedder"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        load_embedder(folder)
    return folder


@pytest.fixture(scope="session")
def embed(embed_cache: Path) -> MiniLM:
    """The real embedder, loaded once for each process."""
    from rag.search.embedding import load_embedder

    return load_embedder(embed_cache)
