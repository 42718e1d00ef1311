"""PDF to Markdown with Chrome's own reader (pdfium): one section per page, lines joined to paragraphs, tables as rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.pdf_tables import TableFinder
from rag.ingest.readers.reader import Reader, Text

MAX_PAGES = 5000
_ITEM = re.compile(r"\s*(?:[-*•–▪◦‣]|\(?\d{1,3}[.)]|[a-z][.)])\s")


def read_pdf(path: Path, name: str) -> list[Text]:
    """The document with a `## Page n` heading per page; RagError for a locked, damaged or scanned one."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "assword" in str(error) or "ecurity" in str(error):
            raise RagError("is encrypted. Save a copy without a password and add that.") from error
        raise RagError("is damaged: no PDF reader can open it. Export it again and add that.") from error
    finder = TableFinder(path)
    try:
        pages = len(document)
        if not 0 < pages <= MAX_PAGES:
            raise RagError(f"has {pages:,} pages; I read 1 to {MAX_PAGES:,}. Split it into parts.")
        title = str(document.get_metadata_dict().get("Title") or "").strip()[:120] or Path(name).stem
        texts = [_page_text(document, number, finder) for number in range(pages)]
    finally:
        finder.close()
        document.close()
    if not any(texts):
        raise RagError(
            f"holds only images ({pages:,} pages, no text). Run text recognition over it (for example "
            "ocrmypdf) and add the result."
        )
    body = [f"## Page {number}\n\n{text}" for number, text in enumerate(texts, start=1) if text]
    notes = (
        ()
        if finder.last_page is None
        else (
            f"has so many tables that I read those from page {finder.last_page + 1} on as lines of text. Split it into parts.",
        )
    )
    return [Text("", title, "\n\n".join([f"# {title}", *body]), notes)]


def _page_text(document: Any, number: int, finder: TableFinder) -> str:
    """The page's words, each table in its place; one that has words beside it stands below the page's text."""
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            _, low, _, high = page.get_mediabox()  # a table's place is told from the top of this box
            is_turned = page.get_rotation() != 0  # then its place on the sheet is another
            parts: list[str] = []
            edge: float | None = None  # down to which the page is read
            line_tables = finder.tables(page, number)
            by_space = [] if is_turned else finder.columns(text_page, high - low, line_tables)
            tables = sorted([*line_tables, *by_space], key=lambda table: table.top)
            wide = [one for one in tables if one.is_wide and not is_turned]
            for table in wide:
                top, bottom = high - low - table.top, high - low - table.bottom
                if edge is not None and top > edge:
                    continue
                above = text_page.get_text_bounded(bottom=top, top=edge)
                parts += [reflow(above), table.markdown]
                edge = bottom
            rest = text_page.get_text_bounded(top=edge)
            beside = [one.markdown for one in tables if one not in wide]
            return "\n\n".join(part for part in (*parts, reflow(rest), *beside) if part)
        finally:
            text_page.close()
    finally:
        page.close()


def reflow(text: str) -> str:
    """Lines that the page's width broke are joined, words that it hyphenated too; list items stay apart."""
    lines = [line.strip() for line in text.replace("\ufffe", "-").replace("\r", "").split("\n")]
    width = max((len(line) for line in lines), default=0)
    out: list[str] = []
    before = ""
    for line in lines:
        joins = before and line and len(before) >= 0.6 * width and not _ITEM.match(line)
        if joins and not (before.endswith((".", ":", "!", "?")) and len(before) < 0.85 * width):
            if before.endswith("-") and line[:1].islower():
                out[-1] = out[-1][:-1] + line
            else:
                out[-1] += " " + line
        else:
            out.append(re.sub(r"^#", r"\\#", line))
        before = line
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


READERS = (
    Reader("pdf", "PDF", read_pdf, (".pdf",), media_types=("application/pdf",), preload=("pypdfium2",)),
)
