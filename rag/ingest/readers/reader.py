"""The contract of a document reader: the kinds of file that it reads and the function that turns one into Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 200_000_000
MAX_TEXT_BYTES = 10_000_000  # of formats that are text throughout


@dataclass(frozen=True)
class Text:
    """A document's Markdown; `member` is its place inside the file, "" for the file itself.

    `notes` tell the person who adds it what was left out, each as the end of a sentence that the file's name begins.
    """

    member: str
    title: str
    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """One kind of document. A file of this folder that holds `READERS = (Reader(...), ...)` adds it.

    `read(path, name)` gives the documents of the file that calls itself `name`, or raises RagError with what to do.
    It runs in the confined process (rag/ingest/sandbox.py), where `preload` names the modules that load a shared
    library, because no library can be loaded there later. `is_confined=False` is only for our own code that parses plain
    text; `holds_markup` then names files that still need the confined process. A file is of this
    kind by its suffix, or by its whole name inside a zip (`file_names`); `media_types` are those under which web
    servers send it.
    """

    name: str
    label: str
    read: Callable[[Path, str], list[Text]]
    suffixes: tuple[str, ...] = ()
    file_names: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    is_confined: bool = True
    preload: tuple[str, ...] = ()
    max_bytes: int = MAX_FILE_BYTES
    holds_markup: Callable[[Path], bool] | None = None
