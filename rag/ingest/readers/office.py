"""DOCX and PPTX to Markdown with markitdown; no image, macro or link is opened."""

from __future__ import annotations

import re
from pathlib import Path

from rag.errors import RagError
from rag.ingest.archive import check_zip
from rag.ingest.readers.reader import Reader, Text

OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_SLIDE = re.compile(r"<!-- Slide number: (\d+) -->\s*(?:#\s*(.+))?")
_COMMENT = re.compile(r"<!--.*?-->", re.S)


def read_docx(path: Path, name: str) -> list[Text]:
    """A Word document with its headings, lists and tables."""
    from markitdown import StreamInfo
    from markitdown.converters import DocxConverter

    _check(path)
    with path.open("rb") as stream:
        text = DocxConverter().convert(stream, StreamInfo(extension=".docx")).markdown
    return _document(text, name)


def read_pptx(path: Path, name: str) -> list[Text]:
    """A presentation: a section per slide, with its notes."""
    from markitdown import StreamInfo
    from markitdown.converters import PptxConverter

    _check(path)
    with path.open("rb") as stream:
        text = PptxConverter().convert(stream, StreamInfo(extension=".pptx")).markdown
    text = _SLIDE.sub(lambda m: f"## Slide {m[1]}" + (f": {m[2].strip()}" if m[2] else "") + "\n", text)
    return _document(text, name)


def _check(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(4) == OLD_OFFICE:
            raise RagError(
                "is encrypted or of the old Office format. Save it as .docx or .pptx without a password."
            )
    check_zip(path)


def _document(text: str, name: str) -> list[Text]:
    text = _COMMENT.sub("", _IMAGE.sub(r"\1", text)).strip()
    if not re.search(r"\w", text):
        raise RagError(
            "holds no text. If it shows pictures of text, save it as PDF and run text recognition."
        )
    first = re.match(r"#\s+(.+)", text)
    title = first[1].strip() if first else Path(name).stem
    return [Text("", title[:120], text if first else f"# {title}\n\n{text}")]


_OPEN_XML = "application/vnd.openxmlformats-officedocument"
READERS = (
    Reader("docx", "DOCX", read_docx, (".docx",), media_types=(f"{_OPEN_XML}.wordprocessingml.document",)),
    Reader("pptx", "PPTX", read_pptx, (".pptx",), media_types=(f"{_OPEN_XML}.presentationml.presentation",)),
)
