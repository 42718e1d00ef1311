"""DOCX and PPTX to Markdown with markitdown, merged cells repeated; no image, macro or link is opened."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, cast

from rag.errors import RagError
from rag.ingest.archive import check_zip
from rag.ingest.readers.html_tables import regularise_tables
from rag.ingest.readers.markdown_library import load_markitdown
from rag.ingest.readers.reader import Reader, Text
from rag.signals.document_injection import injection_note

OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_SLIDE = re.compile(r"<!-- Slide number: (\d+) -->\s*(?:#\s*(.+))?")
_COMMENT = re.compile(r"<!--.*?-->", re.S)


def read_docx(path: Path, name: str) -> list[Text]:
    """A Word document with its headings, lists and tables."""
    library = load_markitdown()
    _check(path)
    converter = library.converters.DocxConverter()
    converter._html_converter = cast(Any, _RegularTables())
    with path.open("rb") as stream:
        text = converter.convert(stream, library.StreamInfo(extension=".docx")).markdown
    return _document(text, name, tuple(injection_note(_unseen_words(path), "in a comment or hidden text")))


class _RegularTables:
    """Replaces markitdown's converter of Word's HTML, to make tables regular first."""

    def convert_string(self, html: str, **options: Any) -> Any:
        from bs4 import BeautifulSoup

        soup: Any = BeautifulSoup(f"<body>{html}</body>", "lxml")
        regularise_tables(soup, soup.body)
        return load_markitdown().converters.HtmlConverter().convert_string(str(soup.body), **options)


def _unseen_words(path: Path) -> str:
    """The words of comments and of text that is marked as hidden or as white."""
    from defusedxml.ElementTree import fromstring

    words = []
    with zipfile.ZipFile(path) as archive:
        for part in {"word/comments.xml"} & set(archive.namelist()):
            words += ["".join(line.itertext()) for line in fromstring(archive.read(part)).iter(f"{_W}p")]
        if "word/document.xml" in archive.namelist():
            runs = fromstring(archive.read("word/document.xml")).iter(f"{_W}r")
            words.append(
                "".join(
                    "".join(run.itertext()) for run in runs if run.find(f"{_W}rPr/{_W}vanish") is not None
                )
            )
    return " \n".join(words)


def read_pptx(path: Path, name: str) -> list[Text]:
    """A presentation: a section per slide, with its notes."""
    library = load_markitdown()
    _check(path)
    converter = library.converters.PptxConverter()
    converter._convert_table_to_markdown = _slide_table  # type: ignore[method-assign]
    with path.open("rb") as stream:
        text = converter.convert(stream, library.StreamInfo(extension=".pptx")).markdown
    text = _SLIDE.sub(lambda m: f"## Slide {m[1]}" + (f": {m[2].strip()}" if m[2] else "") + "\n", text)
    return _document(text, name)


def _slide_table(table: Any, **_options: Any) -> str:
    """A slide's table; a merged cell's value stands in each cell that it covers."""
    rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in table.rows]
    for y, row in enumerate(table.rows):
        for x, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for down in range(cell.span_height):
                    for right in range(cell.span_width):
                        rows[y + down][x + right] = rows[y][x]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n" + "\n".join(lines) + "\n"


def _check(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(4) == OLD_OFFICE:
            raise RagError(
                "is encrypted or of the old Office format. Save it as .docx or .pptx without a password."
            )
    check_zip(path)


def _document(text: str, name: str, notes: tuple[str, ...] = ()) -> list[Text]:
    text = _COMMENT.sub("", _IMAGE.sub(r"\1", text)).strip()
    if not re.search(r"\w", text):
        raise RagError(
            "holds no text. If it shows pictures of text, save it as PDF and run text recognition."
        )
    first = re.match(r"#\s+(.+)", text)
    title = first[1].strip() if first else Path(name).stem
    return [Text("", title[:120], text if first else f"# {title}\n\n{text}", notes)]


_OPEN_XML = "application/vnd.openxmlformats-officedocument"
READERS = (
    Reader("docx", "DOCX", read_docx, (".docx",), media_types=(f"{_OPEN_XML}.wordprocessingml.document",)),
    Reader("pptx", "PPTX", read_pptx, (".pptx",), media_types=(f"{_OPEN_XML}.presentationml.presentation",)),
)
