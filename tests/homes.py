"""A folder for the product to live in whose embedding graphs are built already."""

from __future__ import annotations

from pathlib import Path


def home_with_graphs(folder: Path, embed_cache: Path) -> Path:
    """Let a home use the cache of all tests, as a bot finds its own from its second start on; the folder itself.

    That a start in an empty home builds the graphs is what tests/integration/test_package.py shows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cache").symlink_to(embed_cache, target_is_directory=True)
    return folder
