"""A file of any kind that a reader is registered for, to Markdown documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rag.errors import RagError
from rag.ingest.archive import Member, check_zip, members
from rag.ingest.readers.reader import MAX_FILE_BYTES, Reader, Text
from rag.ingest.readers.registry import ZIP, find_reader, labels
from rag.ingest.readers.slack_export import is_slack_export, read_slack
from rag.ingest.readers.text import plain_stem
from rag.ingest.sandbox import Sandbox

HINTS = {
    ".doc": "Save it as .docx", ".ppt": "Save it as .pptx", ".pages": "Export it as PDF",
    ".key": "Export it as PDF", ".xlsb": "Save it as .xlsx",
    ".mobi": "Save it as .epub", ".azw3": "Save it as .epub", ".adoc": "Export it as HTML",
    ".tex": "Export it as PDF", ".wpd": "Save it as .docx", ".json": "A Slack export stays packed as .zip; save other JSON as CSV or text",
}  # fmt: skip


@dataclass(frozen=True)
class Unreadable:
    """A part of a file that cannot be read; the rest goes on. `suffix` is set for a kind that nobody reads."""

    member: str
    reason: str
    suffix: str = ""


def unknown_kind(name: str) -> RagError:
    """The sentence for a file of a kind that we do not read."""
    suffix = PurePosixPath(name).suffix.lower()
    hint = HINTS.get(suffix, "Save it as one of these")
    return RagError(f"is of a kind I do not read ({suffix[:12] or 'no ending'}): I read {labels()}. {hint}.")


def load(path: Path, name: str, sandbox: Sandbox) -> Iterator[Text | Unreadable]:
    """The documents of a file that calls itself `name`; RagError when the whole of it cannot be read."""
    reader = find_reader(name)
    is_zip = PurePosixPath(name).suffix.lower() == ZIP
    if reader is None and not is_zip:
        raise unknown_kind(name)
    size, max_bytes = path.stat().st_size, reader.max_bytes if reader else MAX_FILE_BYTES
    if size > max_bytes:
        raise RagError(
            f"has {size / 1e6:,.0f} MB and {max_bytes // 1_000_000} MB is the most. Split it into parts."
        )
    if size == 0:
        raise RagError("is empty. Add the file with its words in it.")
    if reader is None:
        yield from _zip(path, sandbox)
    else:
        yield from _read(reader, path, name, sandbox)


def _read(reader: Reader, path: Path, name: str, sandbox: Sandbox) -> Iterator[Text]:
    is_confined = reader.is_confined or (reader.holds_markup is not None and reader.holds_markup(path))
    documents = sandbox.read(reader.name, path, name) if is_confined else reader.read(path, name)
    for document in documents:
        title = plain_stem(name) if document.title == Path(name).stem else document.title
        yield replace(document, title=title, text=document.text.replace("\x00", ""))


def _zip(path: Path, sandbox: Sandbox) -> Iterator[Text | Unreadable]:
    names = check_zip(path)
    if is_slack_export(names):
        yield from read_slack(path)
        return
    for member in members(path):
        if not _repeats(member.name, set(names)):
            yield from _member(member, sandbox)


def _member(member: Member, sandbox: Sandbox) -> Iterator[Text | Unreadable]:
    place = PurePosixPath(member.name)
    if find_reader(place.name) is None:
        yield Unreadable(member.name, str(unknown_kind(member.name)), place.suffix.lower() or "no ending")
        return
    try:
        for document in load(member.path, place.name, sandbox):
            if isinstance(document, Text):
                inside = f"/{document.member}" if document.member else ""
                yield replace(document, member=f"{member.name}{inside}")
    except RagError as error:
        yield Unreadable(member.name, str(error))


def _repeats(name: str, whole: set[str]) -> bool:
    """A page that only repeats others: Confluence's list of pages, Notion's shorter copy of a table."""
    place = PurePosixPath(name)
    if place.suffix == ".csv" and str(place.with_name(f"{place.stem}_all.csv")) in whole:
        return True
    return place.name == "exportDescriptor.properties" or (
        place.name == "index.html" and any(PurePosixPath(other).name == "site.css" for other in whole)
    )
