"""Markdown and MDX as documentation sites write them: front matter, admonitions, HTML blocks and components become text.

Covers titles from front matter, underlined headings, tables without outer bars, comments, `:::` / `!!!` / `[!NOTE]`
admonitions, collapsed blocks, and tables in HTML. Does not run MDX: values in braces stay as they are written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text
from rag.ingest.readers.text import decode, join_wrapped, title_of
from rag.signals.document_injection import injection_note

MAX_FRONT_MATTER = 20_000
MAX_RULE = 2000  # characters of the line below a table's header
MIN_NOTED = 12  # words in comments
_FRONT = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n\1[ \t]*(?:\n|\Z)", re.S)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^`\n]*\n.*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.M | re.S)
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.S)
_MDX_COMMENT = re.compile(r"\{/\*(.*?)\*/\}", re.S)
_SETEXT = re.compile(
    r"^(?! {4}|[ \t]*[|>#*\-+`~:]|[ \t]*\d+[.)] )(?=[^\n]*\w)([^\n]{1,300})\n {0,3}(=+|-{2,})[ \t]*$", re.M
)
_ANCHOR = re.compile(r"^(#{1,6} [^\n{]*)\{#[\w:-]+\}[ \t]*$", re.M)
_COLONS = re.compile(r"^[ \t]*:{3,}[ \t]*(?:\{?([A-Za-z][\w-]*)\}?[ \t]*(?:\[([^\]\n]*)\]|([^\n]*)))?$", re.M)
_CALLOUT = re.compile(r"^([ \t]*>[ \t]*)\[!([A-Za-z]+)\][+-]?[ \t]*(.*)$", re.M)
_BANG = re.compile(
    r"^(?:!!!|\?\?\?\+?|===)[ \t]+(?:([A-Za-z][\w-]*)(?:[ \t]+[\w-]+)*)?[ \t]*(?:\"([^\"\n]*)\")?[ \t]*$"
)
_BLOCK = re.compile(
    r"<(?P<tag>table|details|dl|figure|aside)\b[^>]*>.*?</(?P=tag)\s*>(?:\s*<(?:details|dl|aside)\b[^>]*>.*?</(?:details|dl|aside)\s*>)*",
    re.S | re.I,
)
_HTML = re.compile(r"<(?:table|details|dl|figure|aside)\b", re.I)
_RULE = re.compile(r"^\|?[ \t]*:?-{1,}:?[ \t]*(?:\|[ \t]*:?-{1,}:?[ \t]*)+\|?[ \t]*$")
_IMPORT = re.compile(r"^(?:import\s+(?:[\w*{][^\n]*?from\s+)?['\"][^\n]*|import\s*\{[^}]*\}\s*from[^\n]*|export\s+(?:const|let|default|function)\b.*?(?=\n[ \t]*\n|\Z))", re.M | re.S)  # fmt: skip
_COMPONENT = re.compile(
    r"</?[A-Z][\w.]*(?:\s+[^<>{}]*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}[^<>{}]*)*)?\s*/?>|</?>"
)
_TITLE = re.compile(r"\b(?:title|label|summary|heading|header|question|caption|name|description|alt|tooltip|tip)\s*=\s*(?:\{\s*)?[\"'`]([^\"'`]+)[\"'`]")  # fmt: skip
_STRING = re.compile(r"\{\s*([\"'`])([^\"'`{}]*)\1\s*\}")


def read_markdown(path: Path, name: str) -> list[Text]:
    """A Markdown file; RagError when it holds no words."""
    return [_document(decode(path.read_bytes()), name, lambda text: (text, []))]


def read_mdx(path: Path, name: str) -> list[Text]:
    """An MDX file: components go, their titles and what stands in them stays."""
    return [_document(decode(path.read_bytes()), name, _without_components)]


def holds_html(path: Path) -> bool:
    """Whether a Markdown file holds blocks of HTML, which only the confined process may parse."""
    return bool(_HTML.search(decode(path.read_bytes())))


def _document(text: str, name: str, rewrite: Callable[[str], tuple[str, list[str]]]) -> Text:
    title, text = front_matter(text)
    unseen: list[str] = []

    def prose(part: str) -> str:
        part, comments = _take(_COMMENT, part)
        part, more = rewrite(part)
        unseen.extend([*comments, *more])
        part = _html_blocks(part)
        part = _SETEXT.sub(lambda m: f"{'#' if m[2][0] == '=' else '##'} {m[1].strip()}", part)
        part = _COLONS.sub(_admonition, _ANCHOR.sub(lambda m: m[1].rstrip(), part))
        part = _CALLOUT.sub(lambda m: f"{m[1]}{_bold(m[2], m[3])}", part)
        return join_wrapped(_tables(_indented_blocks(part)), is_markdown=True)

    text = "".join(part if is_code else prose(part) for is_code, part in _split_fences(text))
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    if not any(char.isalnum() for char in text):
        raise RagError("holds no words. Add a file with words in it.")
    words = sum(len(part.split()) for part in unseen)
    notes = [f"left out {words:,} words of comments."] if words >= MIN_NOTED else []
    notes += injection_note(" \n".join(unseen), "in a comment")
    return Text("", title or title_of(text, name), text, tuple(notes))


def front_matter(text: str) -> tuple[str, str]:
    """The title that a file's front matter (YAML or TOML) gives, "" for none, and the text below it."""
    match = _FRONT.match(text.lstrip("\ufeff\n"))
    if match is None or len(match[2]) > MAX_FRONT_MATTER:
        return "", text
    fields: Any
    try:
        fields = tomllib.loads(match[2]) if match[1] == "+++" else yaml.load(match[2], yaml.BaseLoader)  # noqa: S506 (strings only)
    except (yaml.YAMLError, tomllib.TOMLDecodeError):
        line = re.search(r"^title\s*[:=]\s*[\"']?(.+?)[\"']?\s*$", match[2], re.M)
        fields = {"title": line[1]} if line else {}
    if match[1] == "---" and not isinstance(fields, dict):
        return "", text  # a line between two rules
    lower = {str(key).lower(): value for key, value in fields.items()} if isinstance(fields, dict) else {}
    title = lower.get("title") or lower.get("sidebar_label") or ""
    body = text.lstrip("\ufeff\n")[match.end() :]
    return " ".join(str(title).split())[:120] if isinstance(title, str) else "", body


def _split_fences(text: str) -> Iterator[tuple[bool, str]]:
    at = 0
    for match in _FENCE.finditer(text):
        yield False, text[at : match.start()]
        yield True, match[0]
        at = match.end()
    yield False, text[at:]


def _take(pattern: re.Pattern[str], text: str) -> tuple[str, list[str]]:
    return pattern.sub("", text), [match[1] for match in pattern.finditer(text)]


def _without_components(text: str) -> tuple[str, list[str]]:
    """The text without imports, exports and components; their titles stay as bold lines."""
    text, comments = _take(_MDX_COMMENT, text)
    text = _IMPORT.sub("", text)

    def title(match: re.Match[str]) -> str:
        titles = _TITLE.findall(match[0])
        return f"\n\n**{'. '.join(titles)}**\n\n" if titles else ""

    text = _STRING.sub(lambda m: m[2], _COMPONENT.sub(title, text))
    return re.sub(r"^[ \t]+(?=\S)(?![-*+>|]|\d+[.)])", "", text, flags=re.M), comments


def _html_blocks(text: str) -> str:
    """Tables and collapsed blocks that are written in HTML, as Markdown."""
    if not _HTML.search(text):
        return text
    from rag.ingest.readers.web import markdown_of

    level = 1

    def block(match: re.Match[str]) -> str:
        heads = re.findall(r"^(#{1,6}) ", text[: match.start()], re.M)
        nonlocal level
        level = len(heads[-1]) if heads else 1
        try:
            frame = f"<h{level}>.</h{level}>"
            inner = re.sub(r"\n[ \t]*\n", "<p>", match[0])
            _, markdown = markdown_of(f"<body><main>{frame}{inner}</main></body>", ".")
        except RagError:
            return ""
        lines = [line for line in markdown.splitlines() if line.strip("# ") != "."]
        return "\n\n" + "\n".join(lines).strip() + "\n\n"

    return _BLOCK.sub(block, text)


def _admonition(match: re.Match[str]) -> str:
    return _bold(match[1], match[2] or match[3]) if match[1] else ""


def _bold(kind: str | None, title: str | None) -> str:
    label, words = (kind or "").capitalize(), (title or "").strip().strip("*")
    return f"**{': '.join(part for part in (label, words) if part)}**" if label or words else ""


def _indented_blocks(text: str) -> str:
    """MkDocs' admonitions and tabs: a marked line, then text four spaces in."""
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        mark = line.strip()
        match = _BANG.match(mark) if mark[:3] in ("!!!", "???", "===") else None
        if match and (match[1] or match[2] is not None):
            lines += [_bold(None if mark.startswith("===") else match[1], match[2]), ""]
            inside = True
            continue
        if inside and line.strip() and not line.startswith(("    ", "\t")):
            inside = False
        lines.append(line.removeprefix("\t").removeprefix("    ") if inside else line)
    return "\n".join(lines)


def _tables(text: str) -> str:
    """Tables without bars at the ends of their lines get them."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if (
            "|" not in line
            or len(line) > MAX_RULE
            or not _RULE.match(line.strip())
            or at == 0
            or "|" not in lines[at - 1]
        ):
            continue
        columns = line.strip().strip("|").count("|") + 1
        for row in range(at - 1, len(lines)):
            if not lines[row].strip() or "|" not in lines[row]:
                break
            cells = lines[row].strip()
            cells = cells if cells.startswith("|") else f"| {cells}"
            cells = cells if cells.endswith("|") and not cells.endswith("\\|") else f"{cells} |"
            lines[row] = re.sub(r":?-+:?", "---", cells) if row == at else cells
        if columns == 1:
            continue
    return "\n".join(lines)


READERS = (
    Reader(
        "markdown",
        "Markdown",
        read_markdown,
        (".md", ".markdown", ".mdown", ".mkd"),
        media_types=("text/markdown",),
        is_confined=False,
        max_bytes=MAX_TEXT_BYTES,
        holds_markup=holds_html,
    ),
    Reader("mdx", "MDX", read_mdx, (".mdx",), media_types=("text/mdx",), max_bytes=MAX_TEXT_BYTES),
)
