"""EPUB with markitdown: a section per chapter in reading order, each read as a web page is."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, cast

from rag.errors import RagError
from rag.ingest.archive import check_zip
from rag.ingest.readers.markdown_library import load_markitdown
from rag.ingest.readers.reader import Reader, Text
from rag.ingest.readers.text import plain_stem
from rag.ingest.readers.web import read_page

_FONTS = ("obfuscation", "2008/embedding")


def read_epub(path: Path, name: str) -> list[Text]:
    """A book with its chapters; RagError for one that is locked or holds no text."""
    library = load_markitdown()
    if _is_locked(path, check_zip(path)):
        raise RagError("is locked by its seller (DRM). Add a copy without the lock.")
    chapters = _Chapters()
    converter = library.converters.EpubConverter()
    converter._html_converter = cast(Any, chapters)
    with path.open("rb") as stream:
        result = converter.convert(stream, library.StreamInfo(extension=".epub"))
    if not any(chapters.texts):
        raise RagError(
            "holds no text. If it shows pictures of text, save it as PDF and run text recognition."
        )
    title = " ".join((result.title or "").split()) or plain_stem(name)
    body = "\n\n".join(text for text in chapters.texts if text)
    return [Text("", title[:120], f"# {title}\n\n{body}", tuple(dict.fromkeys(chapters.notes)))]


def _is_locked(path: Path, names: list[str]) -> bool:
    if "META-INF/encryption.xml" not in names:
        return False
    with zipfile.ZipFile(path) as archive:
        rules = archive.read("META-INF/encryption.xml").decode("utf-8", "replace")
    methods = re.findall(r"EncryptionMethod[^>]*Algorithm=[\"']([^\"']+)", rules)
    return any(not any(font in method for font in _FONTS) for method in methods)


class _Chapters:
    """Stands where markitdown's own reader of web pages does; headings go one level down, below the book's title."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.notes: list[str] = []

    def convert(self, stream: Any, info: Any, **_options: Any) -> Any:
        try:
            _, text, notes = read_page(stream.read(), Path(info.filename or "chapter").stem)
        except RagError:  # a cover, or the table of contents
            text, notes = "", ()
        self.texts.append(re.sub(r"(?m)^(#{1,5}) ", r"#\1 ", text))
        self.notes += notes
        return load_markitdown().DocumentConverterResult(markdown=text)


READERS = (Reader("epub", "EPUB", read_epub, (".epub",), media_types=("application/epub+zip",)),)
