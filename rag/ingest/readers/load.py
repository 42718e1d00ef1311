"""A file of any kind we read, to Markdown documents: the one place that knows which reader is whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.errors import RagError
from rag.ingest.archive import Member, check_zip, members
from rag.ingest.readers.slack_export import is_slack_export, read_slack
from rag.ingest.readers.text import decode, faq_markdown, plain_stem, title_of
from rag.ingest.sandbox import Apart

KINDS = {
    ".md": "text", ".markdown": "text", ".txt": "text", ".text": "text", ".csv": "table", ".tsv": "table",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf", ".docx": "docx", ".pptx": "pptx",
    ".zip": "zip",
}  # fmt: skip
MOST_TEXT = 10_000_000
MOST_BYTES = 200_000_000
HINTS = {
    ".doc": "Save it as .docx", ".ppt": "Save it as .pptx", ".odt": "Save it as .docx or PDF",
    ".odp": "Save it as .pptx or PDF", ".pages": "Export it as PDF", ".key": "Export it as PDF",
    ".rtf": "Save it as .docx", ".xlsx": "Save the sheet as CSV", ".xls": "Save the sheet as CSV",
}  # fmt: skip
READ = "Markdown, HTML, PDF, DOCX, PPTX, TXT, CSV and zip"


@dataclass(frozen=True)
class Loaded:
    """A document's Markdown; `member` is its place inside the file, "" for the file itself."""

    member: str
    title: str
    text: str


@dataclass(frozen=True)
class Failed:
    """A part of a file that cannot be read; the rest goes on. `told` is False for what nobody expects to be read."""

    member: str
    said: str
    suffix: str = ""


def unknown_kind(name: str) -> RagError:
    """The sentence for a file of a kind that we do not read."""
    suffix = PurePosixPath(name).suffix.lower()
    hint = HINTS.get(suffix, "Save it as one of these")
    return RagError(f"is of a kind I do not read ({suffix[:12] or 'no ending'}): I read {READ}. {hint}.")


def load(path: Path, name: str, apart: Apart) -> Iterator[Loaded | Failed]:
    """The documents of a file that calls itself `name`; RagError when the whole of it cannot be read."""
    kind = KINDS.get(PurePosixPath(name).suffix.lower())
    if kind is None:
        raise unknown_kind(name)
    size = path.stat().st_size
    most = MOST_TEXT if kind in ("text", "table", "html") else MOST_BYTES
    if size > most:
        raise RagError(
            f"has {size / 1e6:,.0f} MB and {most // 1_000_000} MB is the most. Split it into parts."
        )
    if size == 0:
        raise RagError("is empty. Add the file with its words in it.")
    if kind == "zip":
        yield from _zip(path, apart)
    elif kind in ("text", "table"):
        yield _text(path, name, kind)
    else:
        for found in apart.read(kind, path, name):
            title = plain_stem(name) if found["title"] == Path(name).stem else found["title"]
            yield Loaded(found["member"], title, found["text"].replace("\x00", ""))


def _text(path: Path, name: str, kind: str) -> Loaded:
    text = decode(path.read_bytes())
    if kind == "table":
        text = faq_markdown(text, name)
    if not any(char.isalnum() for char in text):
        raise RagError("holds no words. Add a file with words in it.")
    return Loaded("", title_of(text, name), text)


def _zip(path: Path, apart: Apart) -> Iterator[Loaded | Failed]:
    names = check_zip(path)
    if is_slack_export(names):
        yield from (Loaded(found["member"], found["title"], found["text"]) for found in read_slack(path))
        return
    whole = set(names)
    for member in members(path):
        if _repeats(member.name, whole):
            continue
        yield from _member(member, apart)


def _member(member: Member, apart: Apart) -> Iterator[Loaded | Failed]:
    place = PurePosixPath(member.name)
    try:
        if place.name == "entities.xml":
            for found in apart.read("confluence", member.path, member.name):
                yield Loaded(f"{member.name}/{found['member']}", found["title"], found["text"])
            return
        if place.suffix.lower() not in KINDS:
            yield Failed(member.name, str(unknown_kind(member.name)), place.suffix.lower() or "no ending")
            return
        for loaded in load(member.path, place.name, apart):
            if isinstance(loaded, Loaded):
                yield Loaded(member.name, loaded.title, loaded.text)
    except RagError as error:
        yield Failed(member.name, str(error))


def _repeats(name: str, whole: set[str]) -> bool:
    """A page that only repeats others: Confluence's list of pages, Notion's shorter copy of a table."""
    place = PurePosixPath(name)
    if place.suffix == ".csv" and str(place.with_name(f"{place.stem}_all.csv")) in whole:
        return True
    return place.name == "exportDescriptor.properties" or (
        place.name == "index.html" and any(PurePosixPath(other).name == "site.css" for other in whole)
    )
