"""Mail: an EML file is one document, an mbox one for each thread; inner_mail messages are sections, attachments are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from rag.errors import RagError
from rag.ingest.readers.reader import Reader, Text
from rag.ingest.readers.text import join_wrapped, plain_stem
from rag.ingest.readers.web import read_page

MAX_MESSAGES = 20_000
MAX_DEPTH = 5
_REPLY = re.compile(r"^\s*(?:(?:re|aw|fw|fwd|wg|tr|rv|sv|antw|r)\s*(?:\[\d+\])?\s*:\s*)+", re.I)


def read_eml(path: Path, name: str) -> list[Text]:
    """One message with its subject as title; RagError when it holds no words."""
    message = _parse(path.read_bytes())
    if not message.keys():
        raise RagError("is no mail, whatever its name says. Save the message again as .eml.")
    subject = _header(message, "Subject") or plain_stem(name)
    notes: list[str] = []
    body = "\n\n".join(_sections(message, 2, notes))
    if not re.search(r"\w", body):
        raise RagError(
            "holds no text of its own." + (f" It {notes[0]}" if notes else " Add a mail with words in it.")
        )
    return [
        Text("", subject[:120], f"# {subject}\n\n{_envelope(message)}\n\n{body}", tuple(dict.fromkeys(notes)))
    ]


def read_mbox(path: Path, name: str) -> list[Text]:
    """Every thread of a mailbox as one document, its messages in order; RagError for a file without messages."""
    import mailbox

    threads: dict[str, list[EmailMessage]] = {}
    roots: dict[str, str] = {}
    box = mailbox.mbox(path, create=False)
    for number, key in enumerate(box.iterkeys()):
        if number >= MAX_MESSAGES:
            raise RagError(f"holds more than {MAX_MESSAGES:,} mails. Split it into parts.")
        message = _parse(box.get_bytes(key))
        threads.setdefault(_root(message, number, roots), []).append(message)
    if not threads:
        raise RagError("holds no mail. Export the mailbox again as mbox.")
    documents = [document for n, thread in enumerate(threads.values()) if (document := _thread(thread, n))]
    if not documents:
        raise RagError("holds no mail with text. Export the mailbox again as mbox.")
    return documents


def _thread(messages: list[EmailMessage], number: int) -> Text | None:
    subject = _REPLY.sub("", _header(messages[0], "Subject")) or "No subject"
    notes: list[str] = []
    parts = []
    for message in messages:
        body = "\n\n".join(_sections(message, 3, notes))
        if re.search(r"\w", body):
            parts.append(f"{_envelope(message)}\n\n{body}")
    if not parts:
        return None
    text = f"# {subject}\n\n" + "\n\n".join(parts)
    return Text(f"{number + 1}", subject[:120], text, tuple(dict.fromkeys(notes)))


def _root(message: EmailMessage, number: int, roots: dict[str, str]) -> str:
    """The thread of a message, by what it answers; `roots` keeps each message's."""
    own = _header(message, "Message-ID") or f"no id {number}"
    before = re.findall(r"<[^<>\s]+>", f"{_header(message, 'References')} {_header(message, 'In-Reply-To')}")
    root = next((roots[one] for one in reversed(before) if one in roots), before[0] if before else own)
    roots[own] = root
    for one in before:
        roots.setdefault(one, root)
    return root


def _parse(data: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(data, policy=policy.default))


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError, TypeError):  # headers that no standard allows
        return " ".join(str(dict(message.raw_items()).get(name, "")).split())


def _envelope(message: EmailMessage) -> str:
    """Who wrote to whom and when, as one line of the text."""
    parts = [f"{name}: {value}" for name in ("From", "To", "Date") if (value := _header(message, name))]
    return re.sub(r"<[^<>\s]+@[^<>\s]+>", "", ". ".join(parts)).replace(" .", ".") + "."


def _sections(message: EmailMessage, level: int, notes: list[str]) -> Iterator[str]:
    """The body, then each message that is forwarded in it; other attachments are named in `notes`."""
    body = message.get_body(("plain", "html")) if not message.is_attachment() else None
    if body is not None:
        yield _text(cast(EmailMessage, body), message, notes)
    names = []
    for part in message.iter_attachments() if message.is_multipart() else ():
        inner = part.get_payload() if part.get_content_type() == "message/rfc822" else None
        if isinstance(inner, list) and inner and level < 2 + MAX_DEPTH:
            inner_mail = cast(EmailMessage, inner[0])
            yield f"{'#' * min(level, 6)} {_header(inner_mail, 'Subject') or 'Forwarded message'}"
            yield _envelope(inner_mail)
            yield from _sections(inner_mail, level + 1, notes)
        elif name := part.get_filename():
            names.append(name)
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        notes.append(
            f"has attachments that I did not read ({', '.join(names[:5])}{more}). Add them as files."
        )


def _text(body: EmailMessage, message: EmailMessage, notes: list[str]) -> str:
    html = body if body.get_content_type() == "text/html" else message.get_body(("html",))
    words = "" if body is html else _content(body)
    if html is not None and len(words.split()) < 10:  # "your reader cannot show this mail"
        try:
            _, text, more = read_page(f"<body><h1>.</h1>{_content(cast(EmailMessage, html))}</body>", ".")
            notes += more
            return text.removeprefix("# .").strip()
        except RagError:
            return words
    return re.sub(r"(?m)^#", r"\\#", join_wrapped(words.strip()))


def _content(part: EmailMessage) -> str:
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, UnicodeDecodeError, KeyError):  # a character set that nobody knows
        data = part.get_payload(decode=True)
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


READERS = (
    Reader("eml", "EML", read_eml, (".eml",), media_types=("message/rfc822",)),
    Reader("mbox", "MBOX", read_mbox, (".mbox",), media_types=("application/mbox",)),
)
