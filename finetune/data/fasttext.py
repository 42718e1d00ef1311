"""Training files of fastText: each line is a ticket behind its labels, `__label__billing The invoice is wrong`. No header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from finetune.data.encoding import decode_lines
from finetune.data.ticket import RAW_SHOWN, Problem, ReadResult, Record

MARK = "__label__"
_LABELS = re.compile(rf"\s*((?:{MARK}\S+[\s,]+)+)(.*)", re.S)
_LINE = re.compile(rb"\s*" + MARK.encode() + rb"\S+\s")


def is_fasttext(head: bytes) -> bool:
    """Whether a file that starts so is one: nearly every line begins with a label."""
    lines = [line for line in head.split(b"\n")[:200] if line.strip()]
    return bool(lines) and sum(bool(_LINE.match(line)) for line in lines) >= 0.9 * len(lines)


def fasttext_records(stream: BinaryIO) -> Iterator[ReadResult]:
    """A record a line; one without label or text is told."""
    for line in decode_lines(stream):
        if not line.text.strip():
            continue
        raw = line.text[:RAW_SHOWN]
        if line.is_broken:
            yield Problem(line.number, line.flaw, raw=raw, rule="damaged lines")
        elif match := _LABELS.fullmatch(line.text):
            names = [name.strip(" ,") for name in match[1].split(MARK) if name.strip(" ,")]
            yield Record(line.number, {"text": match[2], "labels": ", ".join(names)}, raw)
        else:
            yield Problem(
                line.number, f"has no {MARK} before its text", raw=raw, rule="lines without a label"
            )
