"""RTF with striprtf: headings by their outline level, tables with merged cells repeated, the rest as paragraphs."""

from __future__ import annotations

import html
import re
from pathlib import Path

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_FILE_BYTES, Reader, Text
from rag.ingest.readers.text import plain_stem
from rag.ingest.readers.web import markdown_of

# Private characters that striprtf carries through: the start of a row, a cell's end, a row's end, a heading.
ROW, CELL, END, HEAD, FLAGS = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
_STYLE = re.compile(
    r"\{\\s(\d+)\b[^{}]*?(?:heading|Überschrift|titre|título|titolo|kop)\s*(\d)[^{}]*?;\}", re.I
)
_OUTLINE = re.compile(r"\\outlinelevel(\d)\b ?")
_STYLED = re.compile(r"\\s(\d+)(?![\d\w])")
_ROWS = re.compile(f"{ROW}(.*?){END}", re.S)
_CELLX = re.compile(r"((?:\\cl\w+-?\d*\s*|\\clvertal\w\s*)*)\\cellx-?\d+")


def read_rtf(path: Path, name: str) -> list[Text]:
    """An RTF file as Word, LibreOffice or WordPad write it; RagError when it holds no words."""
    from striprtf.striprtf import rtf_to_text

    data = path.read_bytes()
    if not data.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{\\rtf"):
        raise RagError("is no RTF, whatever its name says. Save it anew as .rtf or .docx.")
    page = re.search(rb"\\ansicpg(\d+)", data[:2000])
    source = data.decode(
        f"cp{int(page[1])}" if page and int(page[1]) in range(437, 1259) else "cp1252", "replace"
    )
    text = rtf_to_text(_add_marks(source), errors="ignore")
    parts, at = [], 0
    for first, last in _runs(text):
        parts += [_prose(text[at:first]), _table(text[first:last])]
        at = last
    parts.append(_prose(text[at:]))
    body = re.sub(r"\n{3,}", "\n\n", "\n\n".join(part for part in parts if part.strip())).strip()
    if not re.search(r"\w", body):
        raise RagError(
            "holds no text. If it shows pictures of text, save it as PDF and run text recognition."
        )
    top = re.match(r"#\s+(.+)", body)
    title = top[1].strip() if top else plain_stem(name)
    return [Text("", title[:120], body if top else f"# {title}\n\n{body}")]


def _add_marks(source: str) -> str:
    """The RTF with marks that survive its reading: rows, cells with how they are merged, headings."""
    levels = {style: int(level) for style, level in _STYLE.findall(source)}
    start = source.find("{\\stylesheet")
    head, body = source[: max(start, 0)], source[max(start, 0) :]
    end = _group_end(body) if start >= 0 else 0
    styles, body = body[:end], body[end:]
    body = _OUTLINE.sub(lambda m: f"{m[0]}{_mark(HEAD)}{int(m[1]) + 1} " if int(m[1]) < 9 else m[0], body)
    body = _STYLED.sub(lambda m: f"{m[0]}{_mark(HEAD)}{levels[m[1]]} " if m[1] in levels else m[0], body)

    def row(match: re.Match[str]) -> str:
        flags = "".join(
            "v" if "\\clvmrg" in flags_text else "h" if "\\clmrg" in flags_text else "n"
            for flags_text in _CELLX.findall(match[0])
        )
        return f"{match[0]}{_mark(ROW)}{flags}{_mark(FLAGS)}"

    body = re.sub(
        r"\\trowd\b(?:\\(?!(?:cell|row|par|line|tab|u\d+|uc\d+)\b)[a-z]+-?\d*\s?|\s|\{\\\*?[^{}]*\})*",
        row,
        body,
    )
    body = re.sub(r"\\cell\b ?", lambda _: _mark(CELL), body)
    body = re.sub(r"\\row\b ?", lambda _: _mark(END), body)
    return head + styles + body


def _mark(char: str) -> str:
    return f"{{\\uc1\\u{ord(char) - 0x10000}?}}"


def _group_end(text: str) -> int:
    depth = 0
    for match in re.finditer(r"\\[{}\\]|[{}]", text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)


def _runs(text: str) -> list[tuple[int, int]]:
    """Where tables stand: rows with nothing but white space between them."""
    runs: list[tuple[int, int]] = []
    for match in _ROWS.finditer(text):
        if runs and not text[runs[-1][1] : match.start()].strip(f" \n\r{ROW}"):
            runs[-1] = (runs[-1][0], match.end())
        else:
            runs.append(match.span())
    return runs


def _table(text: str) -> str:
    rows: list[list[str]] = []
    for match in _ROWS.finditer(text):
        flags, _, _ = match[1].partition(FLAGS)
        inner = re.sub(f"{ROW}[vhn]*{FLAGS}", "", ROW + match[1])
        cells = [" ".join(re.sub(f"{HEAD}\\d ?", "", cell).split()) for cell in inner.split(CELL)[:-1]]
        for x, flag in enumerate(flags[: len(cells)]):
            if flag == "h" and x:
                cells[x] = cells[x - 1]
            elif flag == "v" and rows and x < len(rows[-1]):
                cells[x] = rows[-1][x]
        rows.append(cells)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    try:
        _, markdown = markdown_of(f"<main><h1>.</h1><table>{lines}</table></main>", ".")
    except RagError:
        return ""
    return markdown.removeprefix("# .").strip()


def _prose(text: str) -> str:
    lines = []
    for line in re.sub(f"{ROW}[vhn]*{FLAGS}|[{CELL}{END}]", "", text).splitlines():
        mark = re.search(f"{HEAD}(\\d) ?", line)
        words = re.sub(f"{HEAD}\\d ?", "", line).strip().replace("\xad", "")
        if mark and words and len(words) < 200:
            lines += ["", f"{'#' * min(int(mark[1]), 6)} {words}", ""]
        elif words:
            lines += [re.sub(r"^#", r"\\#", re.sub(r"^[•·▪◦]\s*", "- ", words)), ""]
    return "\n".join(lines).strip()


READERS = (
    Reader(
        "rtf",
        "RTF",
        read_rtf,
        (".rtf",),
        media_types=("application/rtf", "text/rtf"),
        max_bytes=MAX_FILE_BYTES,
    ),
)
