"""Text and tables that need no foreign reader: encodings told apart, a CSV FAQ made into sections."""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text

BOMS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]  # fmt: skip
QUESTION = {"question", "q", "questions", "title", "subject", "problem", "frage"}
ANSWER = {"answer", "a", "answers", "reply", "response", "body", "solution", "text", "antwort"}
NOT_TEXT = "is not text, whatever its name says. Save it as UTF-8 text and add that."


def read_text(path: Path, name: str) -> list[Text]:
    """A text or Markdown file as it is; RagError when it holds no words."""
    return [_document(decode(path.read_bytes()), name)]


def read_table(path: Path, name: str) -> list[Text]:
    """A table of comma- or tab-separated values, a section per row."""
    return [_document(faq_markdown(decode(path.read_bytes()), name), name)]


def _document(text: str, name: str) -> Text:
    if not any(char.isalnum() for char in text):
        raise RagError("holds no words. Add a file with words in it.")
    return Text("", title_of(text, name), text)


def decode(data: bytes) -> str:
    """The text of a file in any common encoding; RagError when it is no text at all."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                raise RagError(NOT_TEXT) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = None if b"\x00" in data[:10_000] else from_bytes(data[:400_000]).best()
        if best is None:
            raise RagError(NOT_TEXT) from None
        text = data.decode(best.encoding, errors="replace")
    if text.count("\x00") > len(text) // 100:
        raise RagError(NOT_TEXT)
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")


def title_of(text: str, name: str) -> str:
    """The first heading, else the file's own name (without the number that Notion hangs on)."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if re.match(r"#{1,2}\s+\S", first):
        return first.lstrip("# ").strip()[:120]
    return plain_stem(name)


def plain_stem(name: str) -> str:
    """A file's name without ending and without Notion's or Confluence's id."""
    stem = re.sub(r"[ _-][0-9a-f]{32}(?:_all)?$|_\d{4,}$", "", Path(name).stem)
    return stem.strip()[:120] or "Untitled"


def faq_markdown(text: str, name: str) -> str:
    """A table as Markdown: a section per row, headed by its question (or its first cell)."""
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise RagError("cannot be read as a table. Save it as CSV in UTF-8 and add that.") from error
    if len(rows) < 2:
        raise RagError("has no rows below its header. Add a file with questions and answers.")
    header = [cell.strip() for cell in rows[0]]
    names = [cell.casefold() for cell in header]
    asks = next((i for i, cell in enumerate(names) if cell in QUESTION), 0)
    says = next((i for i, cell in enumerate(names) if cell in ANSWER and i != asks), None)
    sections = [_row(row, header, asks, says) for row in rows[1:]]
    return f"# {plain_stem(name)}\n\n" + "\n\n".join(section for section in sections if section)


_HTML = re.compile(
    r"</(?:p|div|span|ul|ol|li|b|i|u|strong|em|a|h[1-6]|table|tr|td|font)\s*>|<br\s*/?>|&(?:nbsp|amp|#\d+);",
    re.I,
)
_BLOCKS = ("p", "div", "ul", "ol", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6")


def _plain_cell(cell: str) -> str:
    """A cell's words: HTML that a knowledge base exports is read as text, list items a line each."""
    if not _HTML.search(cell):
        return cell.strip()
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(cell, "html.parser")
    for silent in soup(["script", "style"]):
        silent.decompose()
    for mark in soup("br"):
        mark.replace_with("\n")
    for item in soup("li"):
        item.insert(0, "\n- ")
    for block in soup(_BLOCKS):
        block.append("\n")
    lines = (" ".join(line.split()) for line in soup.get_text().split("\n"))
    return "\n".join(line for line in lines if line)


def _row(row: list[str], header: list[str], asks: int, says: int | None) -> str:
    cells = [_plain_cell(cell) for cell in row] + [""] * (len(header) - len(row))
    head = " ".join(cells[asks].split())[:300]
    rest = [
        f"{header[i]}: {cell}"
        for i, cell in enumerate(cells[: len(header)])
        if cell and i not in (asks, says)
    ]
    body = ([cells[says]] if says is not None and cells[says] else []) + rest
    return (
        f"## {head or 'Row'}\n\n" + "\n".join(re.sub(r"(?m)^#", r"\\#", line) for line in body)
        if body
        else ""
    )


READERS = (
    Reader(
        "markdown",
        "Markdown",
        read_text,
        (".md", ".markdown"),
        media_types=("text/markdown",),
        is_confined=False,
        max_bytes=MAX_TEXT_BYTES,
    ),
    Reader("text", "TXT", read_text, (".txt", ".text"), is_confined=False, max_bytes=MAX_TEXT_BYTES),
    Reader(
        "table",
        "CSV",
        read_table,
        (".csv", ".tsv"),
        media_types=("text/csv",),
        is_confined=False,
        max_bytes=MAX_TEXT_BYTES,
    ),
)
