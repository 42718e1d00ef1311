"""Org mode with orgparse: outline, tables, blocks and lists as Markdown; drawers and comments are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text
from rag.ingest.readers.text import decode, plain_stem
from rag.signals.document_injection import injection_note

_KEYWORD = re.compile(r"^\s*#\+([\w-]+):?\s*(.*)$")
_LINK = re.compile(r"\[\[([^\]]+)\](?:\[([^\]]+)\])?\]")
_MARK = re.compile(r"(?<![\w*/=~+])([=~])(\S(?:[^\n]*?\S)?)\1(?![\w])")
_BOLD = re.compile(r"(?<![\w*])\*(\S(?:[^*\n]*?\S)?)\*(?![\w*])")
_ITALIC = re.compile(r"(?<![\w/:.<])/(\S(?:[^/\n]*?\S)?)/(?![\w/])")
_TERM = re.compile(r"^(\s*[-+*]\s+)(.+?)\s+::\s+", re.M)
_DRAWER = re.compile(r"^\s*:[A-Za-z][\w-]*:\s*$")


def read_org(path: Path, name: str) -> list[Text]:
    """An Org file with its title; RagError when it holds no words."""
    import orgparse

    root = orgparse.loads(decode(path.read_bytes()), filename=name)
    title = " ".join((root.get_file_property("TITLE") or "").split())
    parts, unseen = [f"# {title}"] if title else [], list[str]()
    level_of_skipped = 99
    for node in root:
        is_draft = node.level and node.get_heading(format="raw").startswith("COMMENT")
        if is_draft or node.level > level_of_skipped:
            level_of_skipped = min(level_of_skipped, node.level)
            unseen.append(f"{node.heading}\n{node.get_body(format='raw')}")
            continue
        level_of_skipped = 99
        parts += _section(node, bool(title), unseen)
    text = re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts)).strip()
    if not any(char.isalnum() for char in text):
        raise RagError("holds no words. Add a file with words in it.")
    first = re.match(r"#\s+(.+)", text)
    notes = tuple(injection_note(" \n".join(unseen), "in a comment"))
    return [Text("", (title or (first[1] if first else "") or plain_stem(name))[:120], text, notes)]


def _section(node: Any, is_below_title: bool, unseen: list[str]) -> Iterator[str]:
    if node.level:
        depth = min(node.level + is_below_title, 6)
        yield f"{'#' * depth} {_inline(node.get_heading(format='raw'))}"
        dates = [
            f"{label}: {date.start}"
            for label, date in (
                ("Scheduled", node.scheduled),
                ("Deadline", node.deadline),
                ("Closed", node.closed),
            )
            if date
        ]
        state = [f"State: {node.todo}"] if node.todo else []
        if state or dates:
            yield ", ".join([*state, *dates]) + "."
    yield "\n".join(_lines(node.get_body(format="raw").splitlines(), unseen))


def _lines(lines: list[str], unseen: list[str]) -> Iterator[str]:
    """A section's body as Markdown; comments go to `unseen`."""
    block, in_drawer, table = "", False, list[str]()
    for line in [*lines, ""]:
        plain = line.strip()
        if table and not (plain.startswith("|") and not block):
            yield from _table(table)
            table = []
        if match := _KEYWORD.match(line):
            word, rest = match[1].upper(), match[2].strip()
            if word.startswith("BEGIN_"):
                block = word[6:]
                yield f"```{rest.split(' ')[0]}" if block == "SRC" else "```" if block == "EXAMPLE" else ""
            elif word.startswith("END_"):
                yield "```" if block in ("SRC", "EXAMPLE") else ""
                block = ""
            elif word == "CAPTION":
                yield f"\n**{_inline(rest)}**\n"
            continue
        if block in ("SRC", "EXAMPLE"):
            yield line
        elif block == "COMMENT" or re.match(r"#(?: |$)", plain):
            unseen.append(plain.lstrip("# "))
        elif in_drawer or _DRAWER.match(line):
            in_drawer = plain.upper() != ":END:"
        elif plain.startswith("|"):
            table.append(plain)
        else:
            yield _inline(_TERM.sub(r"\1\2: ", re.sub(r"^(\s*)\+ ", r"\1- ", line)))


def _table(rows: list[str]) -> Iterator[str]:
    """An Org table with one rule, below its header."""
    cells = [row for row in rows if not row.startswith("|-")]
    if not cells:
        return
    yield ""
    for number, row in enumerate(cells):
        yield _inline(row if row.endswith("|") else f"{row} |")
        if number == 0:
            yield "|" + " --- |" * max(1, row.strip("|").count("|") + 1)
    yield ""


def _inline(text: str) -> str:
    text = _LINK.sub(lambda m: m[2] or m[1], text)
    text = _MARK.sub(r"`\2`", text)
    return _ITALIC.sub(r"\1", _BOLD.sub(r"**\1**", text))


READERS = (Reader("org", "Org", read_org, (".org",), max_bytes=MAX_TEXT_BYTES),)
