"""ODT and ODP with odfdo: headings, lists, tables with merged cells, notes and text boxes; comments and deleted text stay out."""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.archive import check_zip
from rag.ingest.readers.reader import Reader, Text
from rag.ingest.readers.text import plain_stem
from rag.ingest.readers.web import read_page
from rag.signals.document_injection import injection_note

MAX_REPEATS = 50
UNSEEN = {"office:annotation", "office:annotation-end", "text:tracked-changes", "text:hidden-text", "text:bibliography-source",
          "text:table-of-content-source", "table:shapes", "office:forms", "svg:title"}  # fmt: skip
TABLE_OF_CONTENTS = {
    "text:table-of-content",
    "text:alphabetical-index",
    "text:illustration-index",
    "text:table-index",
}
_TAGS = {"text:list": "ul", "text:list-item": "li", "table:table-header-rows": "thead", "text:p": "p"}


def read_odt(path: Path, name: str) -> list[Text]:
    """A text document; RagError for one that is locked or holds no text."""
    from odfdo import Document

    names = check_zip(path)
    if not {"content.xml", "META-INF/manifest.xml"} <= set(names):
        raise RagError("is damaged or no OpenDocument text. Save it anew as .odt or .docx.")
    if "encryption-data" in _manifest(path):
        raise RagError("is encrypted. Save a copy without a password and add that.")
    document = Document(path)
    title = " ".join(str(document.meta.title or "").split())
    unseen: list[str] = []
    body = "".join(_children(document.body, unseen))
    try:
        page_title, text, notes = read_page(f"<body>{body}</body>", title or plain_stem(name))
    except RagError as error:
        raise RagError(
            "holds no text. If it shows pictures of text, save it as PDF and run text recognition."
        ) from error
    notes = (*notes, *injection_note(" \n".join(unseen), "in a comment or deleted text"))
    return [Text("", (title or page_title)[:120], text, notes)]


def read_odp(path: Path, name: str) -> list[Text]:
    """A presentation: a section per slide, with its notes."""
    return read_odt(path, name)


def _manifest(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("META-INF/manifest.xml").decode("utf-8", "replace")


def _children(element: Any, unseen: list[str]) -> Iterator[str]:
    yield html.escape(element.text or "")
    for child in element.children:
        yield from _element(child, unseen)
        yield html.escape(child.tail or "")


def _element(element: Any, unseen: list[str]) -> Iterator[str]:
    tag = element.tag
    if tag in UNSEEN:
        unseen.append(" ".join(str(element.inner_text or element.text_recursive).split()))
    elif tag in TABLE_OF_CONTENTS:
        return
    elif tag == "draw:page":
        title = " ".join(str(element.get_attribute("draw:name") or "").split())
        yield f"<h2>{html.escape(title or 'Slide')}</h2>"
        yield from _children(element, unseen)
    elif tag == "text:h":
        level = min(int(element.get_attribute("text:outline-level") or 1), 6)
        yield f"<h{level}>{''.join(_children(element, unseen))}</h{level}>"
    elif tag == "table:table":
        yield from _table(element, unseen)
    elif tag == "text:s":
        yield " " * min(int(element.get_attribute("text:c") or 1), MAX_REPEATS)
    elif tag == "text:tab":
        yield " "
    elif tag == "text:line-break":
        yield "<br>"
    elif tag == "text:note":
        yield f" ({''.join(_children(element, unseen))})"
    elif tag in ("text:note-citation", "text:sequence-decls", "text:soft-page-break"):
        return
    elif tag == "text:section" and element.get_attribute("text:display") == "none":
        unseen.append(" ".join(str(element.text_recursive).split()))
    elif name := _TAGS.get(tag):
        inside = "".join(_children(element, unseen))
        yield f"<{name}>{inside}</{name}>" if name != "p" or inside.strip() else ""
    else:
        yield from _children(element, unseen)


def _table(table: Any, unseen: list[str]) -> Iterator[str]:
    yield "<table>"
    yield from _rows(table, "td", unseen)
    yield "</table>"


def _rows(element: Any, kind: str, unseen: list[str]) -> Iterator[str]:
    """The rows of a table or of a group of its rows; empty repetitions to the sheet's end are left out."""
    for child in element.children:
        if child.tag == "table:table-header-rows":
            yield "<thead>" + "".join(_rows(child, "th", unseen)) + "</thead>"
        elif child.tag in ("table:table-rows", "table:table-row-group"):
            yield from _rows(child, kind, unseen)
        elif child.tag == "table:table-row":
            row = "".join(_cells(child, kind, unseen))
            times = int(child.get_attribute("table:number-rows-repeated") or 1)
            yield f"<tr>{row}</tr>" * (min(times, MAX_REPEATS) if re.sub(r"<[^>]*>", "", row).strip() else 1)


def _cells(row: Any, kind: str, unseen: list[str]) -> Iterator[str]:
    for cell in row.children:
        if cell.tag != "table:table-cell":  # a covered cell is under the span of another
            continue
        high = cell.get_attribute("table:number-rows-spanned") or 1
        wide = cell.get_attribute("table:number-columns-spanned") or 1
        inside = "".join(_children(cell, unseen))
        times = int(cell.get_attribute("table:number-columns-repeated") or 1)
        span = f' rowspan="{int(high)}" colspan="{int(wide)}"'
        yield f"<{kind}{span}>{inside}</{kind}>" * (min(times, MAX_REPEATS) if inside.strip() else 1)


_ODF = "application/vnd.oasis.opendocument.text"
_ODP = "application/vnd.oasis.opendocument.presentation"
READERS = (
    Reader("odp", "ODP", read_odp, (".odp", ".otp"), media_types=(_ODP,), preload=("lxml.etree",)),
    Reader("odt", "ODT", read_odt, (".odt", ".ott"), media_types=(_ODF,), preload=("lxml.etree",)),
)
