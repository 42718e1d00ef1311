"""Cuts a document's Markdown into passages by heading, each with its place in the text.

A passage is at most about CHUNK_TOKENS wordpieces, ends at a sentence where it can, and never crosses a
heading or the edge of a table. The path begins with the document's title. What is embedded and searched is the heading path plus the text; what is shown is the text alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rag.search.tables import Block, split_blocks, split_rows

CHUNK_TOKENS = 200
SUB_TOKENS = 48
LONG_TOKEN = 8  # characters; prose has about 4.5 per wordpiece
_ENDLESS = re.compile(r"(\S{500})(?=\S)")
HEADERS = [("#" * depth, f"h{depth}") for depth in range(1, 5)]
_HEADING = re.compile(r"#{1,4}\s")
# Paragraph, line, sentence, clause, word: the first that fits is where a long section is cut.
SEPARATORS = [r"\n\s*\n", r"\n", r"(?<=[.!?。！？])\s+", r"(?<=[;,:])\s+", r"\s+", ""]


@dataclass(frozen=True)
class Chunk:
    """`start` and `end` are character offsets in the document's text; `digest` names the content."""

    position: int
    heading: str
    text: str
    start: int
    end: int

    @property
    def searchable(self) -> str:
        """Heading path and text, as embedded and as indexed for words."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.searchable.encode()).hexdigest()


def chunk_markdown(text: str, title: str, count_tokens: Callable[[str], int]) -> list[Chunk]:
    """Every passage of `text` in order; together they hold all of it but the headings and tables' captions.

    A heading without text below it is joined to the following text, or to the end.
    """
    from langchain_text_splitters import MarkdownHeaderTextSplitter

    sections = MarkdownHeaderTextSplitter(HEADERS, strip_headers=False).split_text(text)
    find = _finder(text)
    chunks: list[Chunk] = []
    bare: list[str] = []  # headings without text of their own, which no later path holds
    for number, section in enumerate(sections):
        path = [section.metadata[name] for _, name in HEADERS if section.metadata.get(name)]
        lines, body = _split_headings(section.page_content)
        if not body:
            following = sections[number + 1].metadata.items() if number + 1 < len(sections) else ()
            is_above = section.metadata.items() <= dict(following).items()
            bare += [line for line in lines[-1:] if not is_above and line.lstrip("# ") != title]
            continue
        path = path if section.metadata.get("h1") else [title, *path]
        for block in split_blocks(body):
            heading = " > ".join([*path, block.caption] if block.caption else path)
            for piece, place in _cut(block, count_tokens):
                whole = "\n\n".join(["\n".join(bare), piece]) if bare else piece
                chunks.append(Chunk(len(chunks), heading, whole, *find(place)))
                bare = []
    for piece in split_text("\n".join(bare), CHUNK_TOKENS, count_tokens):
        chunks.append(Chunk(len(chunks), title, piece, *find(piece)))
    return chunks


def _split_headings(content: str) -> tuple[list[str], str]:
    """The headings that a section opens with, and the text below them."""
    lines = content.splitlines()
    at = 0
    while at < len(lines) and (not lines[at].strip() or _HEADING.match(lines[at].strip())):
        at += 1
    return [line.strip() for line in lines[:at] if line.strip()], "\n".join(lines[at:]).strip()


def _cut(block: Block, count_tokens: Callable[[str], int]) -> Iterator[tuple[str, str]]:
    """The passages of a block, each with the document text that locates it.

    A table stays whole where it fits; a longer one is cut between rows and carries its header in each passage.
    """
    if not block.is_table:
        yield from ((piece, piece) for piece in split_text(block.text, CHUNK_TOKENS, count_tokens))
        return
    for number, rows in enumerate(split_rows(block, CHUNK_TOKENS, count_tokens)):
        whole = "\n".join([*block.header, *rows])
        for piece in split_text(whole, 2 * CHUNK_TOKENS, count_tokens):
            yield piece, piece if number == 0 else "\n".join(rows)


def split_text(text: str, tokens: int, count_tokens: Callable[[str], int]) -> list[str]:
    """Pieces of at most `tokens` wordpieces, cut at the best separator, nothing lost but white space."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    def length(piece: str) -> int:  # an endless word is one wordpiece ("unknown") whatever its length
        return max(count_tokens(piece), len(piece) // LONG_TOKEN)

    if len(text) <= 2 * tokens or length(text) <= tokens:
        return [text.strip()] if text.strip() else []
    text = _ENDLESS.sub(r"\1 ", text)
    splitter = RecursiveCharacterTextSplitter(
        SEPARATORS,
        keep_separator="end",
        is_separator_regex=True,
        chunk_size=tokens,
        chunk_overlap=0,
        length_function=length,
    )
    return [piece.strip() for piece in splitter.split_text(text) if piece.strip()]


def sub_chunks(chunk: Chunk, count_tokens: Callable[[str], int]) -> list[str]:
    """Windows of about SUB_TOKENS under the passage's own heading, whose best match finds a fact inside a long
    passage; [] for a short one."""
    if count_tokens(chunk.text) <= SUB_TOKENS * 3 // 2:
        return []
    heading = chunk.heading.split(" > ")[-1][:80]
    return [f"{heading}\n{part}".lstrip() for part in split_text(chunk.text, SUB_TOKENS, count_tokens)]


def sentences(text: str) -> Iterator[str]:
    """The sentences of a passage; list items and table rows count as sentences."""
    for line in re.split(r"\n+", text):
        for part in re.split(r"(?<=[.!?。！？])[\"')\]]*\s+(?=[^a-z])", line.strip()):
            if part.strip():
                yield part.strip()


def _finder(text: str) -> Callable[[str], tuple[int, int]]:
    """Finds each next piece in `text` and ignores white space, which the splitters change."""
    places = [index for index, char in enumerate(text) if not char.isspace() and char.isprintable()]
    compact = "".join(text[index] for index in places)
    cursor = 0

    def find(piece: str) -> tuple[int, int]:
        nonlocal cursor
        needle = "".join(char for char in piece if not char.isspace() and char.isprintable())
        at = compact.find(needle, cursor)
        if at < 0 or not needle:
            return (0, 0)
        cursor = at + len(needle)
        return places[at], places[cursor - 1] + 1

    return find
