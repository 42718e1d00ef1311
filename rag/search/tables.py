"""Finds Markdown tables in a document's text, splits them by rows under their header, and parses cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_CAPTION_CHARS = 140
_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?")
_CAPTION = re.compile(
    r"(?:\*\*|__|\*|_)?(?:table|tab\.|tabelle|tableau|tabla|figure|fig\.)\s|.*[:：](?:\*\*|__)?$|(?:\*\*|__).+(?:\*\*|__)$"
    r"|(?:\*|_)[^*_].*(?:\*|_)$|(?=.*\b(?:(?:19|20)\d\d|FY ?\d\d|[QH][1-4])\b)[^.!?]*$",
    re.I,
)
_CAPTION_BELOW = re.compile(r"(?:\*\*|__|\*|_)?(?:table|tab\.|tabelle|tableau|tabla)\s+[\dIVX]", re.I)


@dataclass(frozen=True)
class Block:
    """A run of a section's text: prose, or one table with its caption, header lines and row lines."""

    text: str
    caption: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    @property
    def is_table(self) -> bool:
        return bool(self.header)


def split_blocks(text: str) -> list[Block]:
    """The prose and the tables of a section, in order; a caption goes with its table."""
    blocks: list[Block] = []
    prose: list[str] = []
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and is_row(lines[end]):
            end += 1
        table = [line.strip() for line in lines[at:end]]
        if len(table) < 2:
            prose.append(lines[at])
            at += 1
            continue
        caption = _take_caption(prose) or _caption_below(lines, end)
        blocks += [Block("\n".join(prose))] if any(line.strip() for line in prose) else []
        prose = []
        rule = next((i for i, line in enumerate(table) if is_rule(line)), 0)
        header, rows = table[: rule + 1], table[rule + 1 :]
        blocks.append(Block("\n".join(table), caption, tuple(header), tuple(rows)))
        at = end
    blocks += [Block("\n".join(prose))] if any(line.strip() for line in prose) else []
    return blocks


def split_rows(block: Block, tokens: int, count_tokens: Callable[[str], int]) -> Iterator[list[str]]:
    """The rows in groups that fit into a passage of `tokens` wordpieces below the header."""
    room = max(tokens // 3, tokens - sum(count_tokens(line) for line in block.header))
    group: list[str] = []
    used = 0
    for row in block.rows:
        size = count_tokens(row)
        if group and used + size > room:
            yield group
            group, used = [], 0
        group.append(row)
        used += size
    if group or not block.rows:
        yield group


def is_row(line: str) -> bool:
    """Whether a line is one of a Markdown table."""
    return line.lstrip().startswith("|") and line.rstrip().endswith("|") and line.count("|") > 2


def is_rule(line: str) -> bool:
    """Whether a line is the rule below a table's header."""
    return bool(_RULE.fullmatch(line.strip()))


def cells_of(line: str) -> list[str]:
    """The cells of a row, without Markdown's escapes."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def _caption_below(lines: list[str], at: int) -> str:
    """The numbered caption right below a table ("Table 3: ..."), where no further table could own it; it stays text."""
    rest = [line.strip() for line in lines[at:] if line.strip()]
    if not rest or len(rest[0]) > MAX_CAPTION_CHARS or not _CAPTION_BELOW.match(rest[0]):
        return ""
    return "" if len(rest) > 1 and is_row(rest[1]) else rest[0].strip("*_ ").rstrip(":： ")


def _take_caption(prose: list[str]) -> str:
    """The line right above a table, taken out of the prose, when it is short and reads as a caption."""
    at = len(prose) - 1
    while at >= 0 and not prose[at].strip():
        at -= 1
    if at < 0:
        return ""
    line = prose[at].strip()
    if len(line) > MAX_CAPTION_CHARS or not _CAPTION.match(line):
        return ""
    del prose[at:]
    return line.strip("*_ ").rstrip(":： ")
