"""The registry of document readers: every file of this folder that holds `READERS` is in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath
from pkgutil import iter_modules

from rag.errors import RagError
from rag.ingest import readers
from rag.ingest.readers.reader import Reader

ZIP = ".zip"  # not a reader's: its members go to their own readers (rag/ingest/load.py)


@cache
def load_readers() -> Mapping[str, Reader]:
    """Every reader by its name; RagError when two claim the same name, suffix or file name."""
    table: dict[str, Reader] = {}
    owners: dict[str, str] = {ZIP: "zip"}
    for module in sorted(iter_modules(readers.__path__, f"{readers.__name__}."), key=lambda m: m.name):
        for reader in getattr(import_module(module.name), "READERS", ()):
            for key in (reader.name, *reader.suffixes, *reader.file_names):
                if key in owners:
                    raise RagError(
                        f"{module.name}: {key!r} belongs to the reader {owners[key]!r} already. Choose another."
                    )
                owners[key] = reader.name
            table[reader.name] = reader
    return table


def find_reader(name: str) -> Reader | None:
    """The reader for a file named `name`; None for an unsupported kind."""
    path = PurePosixPath(name)
    for reader in load_readers().values():
        if path.name in reader.file_names or path.suffix.lower() in reader.suffixes:
            return reader
    return None


def known_suffixes() -> tuple[str, ...]:
    """Every suffix that can be added, zip included."""
    return (*(suffix for reader in load_readers().values() for suffix in reader.suffixes), ZIP)


def suffix_of_media_type(media_type: str) -> str | None:
    """The suffix for what a web server sends as this media type, such as ".pdf" for application/pdf."""
    if media_type == "application/zip":
        return ZIP
    return next(
        (reader.suffixes[0] for reader in load_readers().values() if media_type in reader.media_types), None
    )


def labels() -> str:
    """The kinds as people call them: "CSV, DOCX, ... and zip"."""
    names = sorted({reader.label for reader in load_readers().values() if reader.suffixes}, key=str.lower)
    return f"{', '.join(names)} and zip"
