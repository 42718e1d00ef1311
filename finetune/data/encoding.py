"""Decodes bytes into text lines: byte-order marks, mixed encodings, NUL bytes and giant lines."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import ftfy
from charset_normalizer import from_bytes

from finetune.data.code_pages import code_page

HEAD_BYTES = 65_536
MAX_LINE = 1_000_000  # bytes; a longer line is cut and reported, so that memory stays flat
FALLBACK = "cp1252"
CONTROL = bytes([*range(9), *range(14, 27), *range(28, 32), 127])
MAX_CONTROL = 0.01  # of a text file's bytes: a few NULs are damage, more is no text
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)  # Unicode's Cc and Cs, without tab and line end
BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0xFEFF])


@dataclass(frozen=True)
class Line:
    """One physical line without its line end; `flaw` names what had to be done to read it."""

    number: int
    text: str
    flaw: str = ""
    is_broken: bool = False


def decode_lines(stream: BinaryIO) -> Iterator[Line]:
    """Yield the stream's lines: UTF-8 with or without BOM, UTF-16, old Mac line ends, or a mixture.

    A line that is not UTF-8 is read in the file's likeliest legacy encoding and says so; a line with a NUL
    byte or over MAX_LINE bytes is `is_broken`: its text is only good for showing.
    """
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_utf16(head):
        encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else _bare_utf16(head)
        yield from _text_lines(io.TextIOWrapper(stream, encoding=encoding, errors="replace"))
    elif b"\r" in head and b"\n" not in head:
        yield from _text_lines(io.TextIOWrapper(stream, encoding=_legacy(head), errors="replace"))
    else:
        if head.startswith(b"\xef\xbb\xbf"):
            stream.seek(3)
        yield from _byte_lines(stream, _legacy(head))


def _byte_lines(stream: BinaryIO, legacy: str) -> Iterator[Line]:
    number = 0
    while data := stream.readline(MAX_LINE + 1):
        number += 1
        if len(data) > MAX_LINE:
            excerpt = data[:200].decode(errors="replace")
            while not data.endswith(b"\n") and (data := stream.readline(MAX_LINE)):
                pass
            yield Line(number, excerpt, f"is longer than {MAX_LINE:,} bytes", is_broken=True)
            continue
        if b"\0" in data:
            excerpt = data.replace(b"\0", b"").decode(errors="replace").rstrip("\r\n")
            yield Line(number, excerpt, "holds a NUL byte, so the file was damaged there", is_broken=True)
            continue
        try:
            yield Line(number, data.decode().rstrip("\r\n"))
        except UnicodeDecodeError:
            text = data.decode(legacy, errors="replace").rstrip("\r\n")
            yield Line(number, text, f"was not UTF-8; read as {legacy}")


def _text_lines(wrapper: io.TextIOWrapper) -> Iterator[Line]:
    number = 0
    try:
        while text := wrapper.readline(MAX_LINE + 1):
            number += 1
            if len(text) > MAX_LINE:
                yield Line(number, text[:200], f"is longer than {MAX_LINE:,} characters", is_broken=True)
                while not text.endswith("\n") and (text := wrapper.readline(MAX_LINE)):
                    pass
            elif "\0" in text:
                yield Line(number, text.replace("\0", "").rstrip("\n"), "holds a NUL byte", is_broken=True)
            else:
                yield Line(number, text.rstrip("\n"))
    finally:
        wrapper.detach()


def is_binary(head: bytes) -> bool:
    """Whether a file that starts so is no text in any encoding: too many control bytes."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_utf16(head):
        return False
    marks = max(head.count(1), head.count(31))  # either parts cells in dumps: it stands in each line then
    marks = marks if marks >= head.count(b"\n") > 1 else 0
    return sum(head.count(byte) for byte in CONTROL) - marks > MAX_CONTROL * len(head)


def _looks_utf16(head: bytes) -> bool:
    """NUL bytes on one side of each pair only, as UTF-16 without its mark has them in western text."""
    sample = head[:4096]
    if len(sample) < 8:
        return False
    sides = sorted(sample[at::2].count(0) / (len(sample) / 2) for at in (0, 1))
    return sides[0] < 0.05 and sides[1] > 0.6


def _bare_utf16(head: bytes) -> str:
    return "utf-16-le" if head[1:4096:2].count(0) >= head[0:4096:2].count(0) else "utf-16-be"


def _legacy(head: bytes) -> str:
    """The encoding for what is not UTF-8: detected if the whole head is legacy, cp1252 if it is a mixture.

    Lone accented letters among ASCII are told by the languages that have them: detectors take a few of them for Chinese.
    """
    lines = [line for line in head.split(b"\n")[:-1] or [head] if not line.isascii()]
    if not lines or any(_is_utf8(line) for line in lines):
        return FALLBACK
    high = b"\n".join(lines)
    runs = re.findall(rb"[\x80-\xff]+", high)
    page, is_sure = code_page(high)
    mean = sum(map(len, runs)) / len(runs)
    if mean < 1.5 or (mean < 2.5 and is_sure):
        return page
    best = from_bytes(high).best()
    return best.encoding if best is not None else FALLBACK


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def clean_text(text: str) -> tuple[str, bool]:
    """Undo mojibake, drop control and bidi-override characters; the text and whether letters changed."""
    if text.isascii() and text.isprintable():
        return text.strip(), False
    fixed = text if text.isascii() else ftfy.fix_encoding(text)
    is_changed = fixed != text
    fixed = fixed.translate(BIDI).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _CONTROLS.sub("", fixed)).strip(), is_changed
