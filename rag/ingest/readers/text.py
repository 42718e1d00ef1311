"""Reads text and CSV without a foreign reader: detects encodings, turns a CSV FAQ into sections and other CSV into a table."""

from __future__ import annotations

import codecs
import csv
import io
import re
from itertools import pairwise
from pathlib import Path

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text

BOMS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]  # fmt: skip
QUESTION = {"question", "q", "questions", "title", "subject", "problem", "frage"}
ANSWER = {"answer", "a", "answers", "reply", "response", "body", "solution", "text", "antwort"}
MAX_TITLE_ROWS = 5
MIN_WIDTH, MAX_WIDTH = 50, 100  # characters of a line that an editor may have broken
_OWN_LINE = re.compile(r"\s*(?:[-*+•>|#]|\d{1,3}[.)]\s|\(?[a-z]\)\s|`{3}|~{3}|<|:::|\[!|=+$|-+$|\w+: )")
NOT_TEXT = "is not text, whatever its name says. Save it as UTF-8 text and add that."


def read_text(path: Path, name: str) -> list[Text]:
    """A text file as it is; RagError when it holds no words."""
    return [_document(join_wrapped(decode(path.read_bytes())), name)]


def read_table(path: Path, name: str) -> list[Text]:
    """A table of comma- or tab-separated values: questions with answers a section each, other rows under their header."""
    return [_document(table_markdown(decode(path.read_bytes()), name), name)]


def join_wrapped(text: str, is_markdown: bool = False) -> str:
    """Joins lines that an editor wrapped at a width to paragraphs, so that sentences stay whole.

    A break is the editor's where the next word would not have fitted; in plain text all breaks of a paragraph must be.
    In Markdown a line that goes on in small letters is joined too. Lists, tables, headings and quotes stay.
    """
    blocks = re.split(r"(\n[ \t]*\n)", text)
    return "".join(_join(block, is_markdown) if at % 2 == 0 else block for at, block in enumerate(blocks))


def _join(block: str, is_markdown: bool) -> str:
    lines = block.split("\n")
    width = max(len(line) for line in lines)
    if (
        len(lines) < 2
        or not MIN_WIDTH <= width <= MAX_WIDTH
        or any(line.startswith("    ") for line in lines)
    ):
        return block
    breaks = [_is_wrapped(line, after, width, is_markdown) for line, after in pairwise(lines)]
    if not is_markdown and not all(breaks):
        return block
    text = lines[0]
    for line, is_wrapped in zip(lines[1:], breaks, strict=True):
        text = f"{text.rstrip()} {line.strip()}" if is_wrapped else f"{text}\n{line}"
    return text


def _is_wrapped(line: str, after: str, width: int, is_markdown: bool) -> bool:
    if not line.strip() or not after.strip() or line.endswith(("  ", "\\")) or _OWN_LINE.match(after):
        return False
    if is_markdown and re.match(r"\s*(?:#{1,6}\s|\|)", line):
        return False
    if is_markdown and after.lstrip()[:1].islower():
        return True
    return len(line.rstrip()) + 1 + len(after.split()[0]) > width - 3


def _document(text: str, name: str) -> Text:
    if not any(char.isalnum() for char in text):
        raise RagError("holds no words. Add a file with words in it.")
    return Text("", title_of(text, name), text)


def decode(data: bytes) -> str:
    """The text of a file in any common encoding; RagError when it is no text at all."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
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


def table_markdown(text: str, name: str) -> str:
    """A table as Markdown: a section per question where it has questions and answers, else a table with its header."""
    rows = _rows_of(text)
    above, rows = _split_title(rows)
    if len(rows) < 2:
        raise RagError("has no rows below its header. Add a file with questions and answers.")
    header = [cell.strip() for cell in rows[0]]
    names = [cell.casefold() for cell in header]
    title = f"# {plain_stem(name)}\n\n" + (f"{above}\n\n" if above else "")
    asks = next((i for i, cell in enumerate(names) if cell in QUESTION), None)
    says = next((i for i, cell in enumerate(names) if cell in ANSWER and i != asks), None)
    if says is None and not (asks is not None and len(header) == 2):
        return title + _pipe_table(header, rows[1:])
    sections = [_row(row, header, asks or 0, says) for row in rows[1:]]
    return title + "\n\n".join(section for section in sections if section)


def _rows_of(text: str) -> list[list[str]]:
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        return [row for row in csv.reader(io.StringIO(text), dialect) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise RagError("cannot be read as a table. Save it as CSV in UTF-8 and add that.") from error


def _split_title(rows: list[list[str]]) -> tuple[str, list[list[str]]]:
    """Lines above the header, which fill one cell where the header fills most, and the table from its header on."""
    width = max((sum(bool(cell.strip()) for cell in row) for row in rows), default=0)
    at = 0
    while (
        at < min(len(rows) - 2, MAX_TITLE_ROWS) and width > 2 and sum(bool(c.strip()) for c in rows[at]) == 1
    ):
        at += 1
    return " ".join(cell.strip() for row in rows[:at] for cell in row if cell.strip()), rows[at:]


def _pipe_table(header: list[str], rows: list[list[str]]) -> str:
    width = max(len(header), *(len(row) for row in rows))
    lines = [[*header, *[""] * (width - len(header))], ["---"] * width]
    lines += [[*map(_plain_cell, row), *[""] * (width - len(row))] for row in rows]
    return "\n".join(
        "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in line) + " |" for line in lines
    )


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
