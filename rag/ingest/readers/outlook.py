"""Outlook messages (MSG) with olefile: subject, people, date and text, a section for each message attached to one.

The text is the plain one, else the page of HTML; one that is kept as RTF alone is told, and attachments are named.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.reader import Reader, Text
from rag.ingest.readers.text import join_wrapped, plain_stem
from rag.ingest.readers.web import read_page

MAX_DEPTH = 5
SUBJECT, SENDER, ADDRESSEES, PLAIN, HTML, RTF = "0037", "0C1A", "0E04", "1000", "1013", "1009"
NAME, LONG_NAME, INNER = "3704", "3707", "3701"
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def read_msg(path: Path, name: str) -> list[Text]:
    """One message with its subject as title; RagError for a file that is none, and for one without words."""
    import olefile

    try:
        with olefile.OleFileIO(path) as store:
            if not store.exists("__properties_version1.0"):
                raise RagError(
                    "is no Outlook message, whatever its name says. Save the message again as .msg or .eml."
                )
            notes: list[str] = []
            subject = _part(store, (), SUBJECT) or plain_stem(name)
            body = "\n\n".join(_sections(store, (), 2, notes))
    except OSError as error:
        raise RagError("is damaged: it cannot be opened. Save the message again as .msg or .eml.") from error
    if not re.search(r"\w", body):
        raise RagError(
            "holds no text of its own." + (f" It {notes[0]}" if notes else " Add a mail with words in it.")
        )
    return [Text("", subject[:120], f"# {subject}\n\n{body}", tuple(dict.fromkeys(notes)))]


def _sections(store: Any, place: tuple[str, ...], level: int, notes: list[str]) -> list[str]:
    """The envelope and the words of a message, then of those that are attached to it."""
    parts = [_envelope(store, place), _text(store, place, notes)]
    names = []
    folders = {
        entry[len(place)]
        for entry in store.listdir(storages=True)
        if entry[: len(place)] == list(place) and len(entry) > len(place)
    }
    for folder in sorted(one for one in folders if one.startswith("__attach_version1.0_")):
        at = (*place, folder)
        inner = (*at, f"__substg1.0_{INNER}000D")
        if store.exists("/".join((*inner, "__properties_version1.0"))) and level < 2 + MAX_DEPTH:
            parts.append(f"{'#' * min(level, 6)} {_part(store, inner, SUBJECT) or 'Attached message'}")
            parts += _sections(store, inner, level + 1, notes)
        elif own := _part(store, at, LONG_NAME) or _part(store, at, NAME):
            names.append(own)
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        notes.append(
            f"has attachments that I did not read ({', '.join(names[:5])}{more}). Add them as files."
        )
    return [part for part in parts if part]


def _envelope(store: Any, place: tuple[str, ...]) -> str:
    """Who wrote to whom and when, as one line; addresses are left out, as in other mail."""
    day = _date(store, place)
    values = {"From": _part(store, place, SENDER), "To": _part(store, place, ADDRESSEES), "Date": day}
    line = ". ".join(f"{name}: {value}" for name, value in values.items() if value)
    return re.sub(r"<?[^<>\s]+@[^<>\s]+>?", "", line).replace(" .", ".") + "." if line else ""


def _text(store: Any, place: tuple[str, ...], notes: list[str]) -> str:
    words = _part(store, place, PLAIN).replace("\r\n", "\n").strip()
    page = _part(store, place, HTML)
    if page and len(words.split()) < 10:
        try:
            _, text, more = read_page(f"<body><h1>.</h1>{page}</body>", ".")
            notes += more
            return text.removeprefix("# .").strip()
        except RagError:
            return words
    if not words and _bytes(store, place, f"{RTF}0102"):
        notes.append("keeps its text as RTF alone, which I do not read. Save it as .eml.")
    return re.sub(r"(?m)^#", r"\\#", join_wrapped(words))


def _part(store: Any, place: tuple[str, ...], code: str) -> str:
    """A text property, in UTF-16 or in the message's code page; "" where it has none."""
    if data := _bytes(store, place, f"{code}001F"):
        return data.decode("utf-16-le", "replace").rstrip("\0").strip()
    if data := _bytes(store, place, f"{code}001E") or _bytes(store, place, f"{code}0102"):
        for encoding in ("utf-8", f"cp{_number(store, place, 0x3FDE) or 1252}", "cp1252"):
            try:
                return data.decode(encoding).rstrip("\0").strip()
            except (UnicodeError, LookupError):
                continue
    return ""


def _bytes(store: Any, place: tuple[str, ...], code: str) -> bytes:
    path = "/".join((*place, f"__substg1.0_{code}"))
    return bytes(store.openstream(path).read()) if store.exists(path) and store.get_type(path) == 2 else b""


def _number(store: Any, place: tuple[str, ...], code: int) -> int:
    """A number among the message's fixed properties; 0 where it is not there. Entries are 16 bytes behind a head."""
    path = "/".join((*place, "__properties_version1.0"))
    data = store.openstream(path).read() if store.exists(path) else b""
    for at in range(32 if not place else 24, len(data) - 15, 16):
        if int.from_bytes(data[at + 2 : at + 4], "little") == code:
            return int.from_bytes(data[at + 8 : at + 16], "little")
    return 0


def _date(store: Any, place: tuple[str, ...]) -> str:
    """When it was sent, else delivered; Windows counts tenths of microseconds since 1601."""
    ticks = _number(store, place, 0x0039) or _number(store, place, 0x0E06)
    try:
        return f"{_EPOCH + timedelta(microseconds=ticks // 10):%d %B %Y, %H:%M UTC}" if ticks else ""
    except OverflowError:
        return ""


READERS = (Reader("msg", "MSG", read_msg, (".msg",), media_types=("application/vnd.ms-outlook",)),)
