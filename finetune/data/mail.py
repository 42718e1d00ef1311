"""Mail as tickets: mbox, EML and MSG, one ticket a thread; the first message asks, the first other person answers."""

from __future__ import annotations

import email
import email.policy
import mailbox
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.utils import parseaddr
from io import BytesIO
from pathlib import Path
from typing import Any

from finetune.data.ticket import RAW_SHOWN, DatasetError, Problem, ReadResult, Record

_SYSTEM_LABELS = frozenset(
    """inbox sent important opened unread starred trash spam archived drafts chat all posteingang gesendet ungelesen
    geöffnet wichtig markiert entwürfe""".split()  # noqa: SIM905 - a list of words reads best as words
)
_REPLY = re.compile(r"^\s*(?:(?:re|aw|sv|fw|fwd|wg|antw|tr|rif)\s*(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_HEADER = re.compile(rb"^[A-Za-z][A-Za-z0-9-]*:[ \t]?.*$")
MAX_FORWARDED = 5  # mails attached to a mail that are read
MAIL_HEADERS = (b"received:", b"message-id:", b"mime-version:", b"subject:", b"date:", b"return-path:")


@dataclass(frozen=True)
class Mail:
    """One message, as far as a ticket needs it; `place` is its number in the file."""

    place: int
    subject: str
    body: str
    sender: str
    name: str
    date: str
    labels: tuple[str, ...]
    ids: tuple[str, ...]  # its own id first, then those it answers
    attachments: tuple[str, ...] = ()  # names of those that are not read


def is_mbox(head: bytes) -> bool:
    """Whether a file that starts so is a mailbox."""
    first, _, rest = head.partition(b"\n")
    return first.startswith(b"From ") and bool(_HEADER.match(rest.split(b"\n", 1)[0].rstrip(b"\r")))


def is_eml(head: bytes) -> bool:
    """Whether a file that starts so is one mail: headers from the first line on, with a sender and more."""
    lines = head.replace(b"\r\n", b"\n").partition(b"\n\n")[0].split(b"\n")
    if not lines or not all(_HEADER.match(line) or line[:1] in (b" ", b"\t") for line in lines if line):
        return False
    names = [line.lower() for line in lines]
    return any(name.startswith(b"from:") for name in names) and any(
        name.startswith(MAIL_HEADERS) for name in names
    )


def mbox_records(path: Path) -> Iterator[ReadResult]:
    """The threads of a mailbox file."""
    box = mailbox.mbox(
        path,
        factory=lambda stream: email.message_from_binary_file(stream, policy=email.policy.default),  # type: ignore[call-overload]
    )
    try:
        yield from thread_records([_mail(message, place) for place, message in enumerate(box, 1)])  # type: ignore[arg-type]
    finally:
        box.close()


def eml_mail(data: bytes, place: int = 1, folder: str = "") -> Mail:
    """One mail from the bytes of an EML file; its folder counts as its label."""
    mail = _mail(email.message_from_bytes(data, policy=email.policy.default), place)
    return mail if not folder or mail.labels else replace(mail, labels=(folder,))


def msg_mail(source: Path | BytesIO, name: str, place: int = 1, folder: str = "") -> Mail:
    """One mail from an Outlook MSG file called `name`; its text is the plain one, else the page of HTML.

    Raises DatasetError where it holds no message, or keeps its text as RTF alone.
    """
    import olefile

    try:
        with olefile.OleFileIO(source) as store:

            def part(code: str) -> str:
                for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252"), ("0102", "utf-8")):
                    path = f"__substg1.0_{code}{kind}"
                    if store.exists(path):
                        data = store.openstream(path).read()
                        return str(data.decode(encoding, errors="replace")).rstrip("\0")
                return ""

            headers = email.message_from_string(part("007D"), policy=email.policy.default)
            sender = part("5D01") or part("0C1F") or str(headers.get("From", ""))
            ids = (part("1035"), *re.findall(r"<[^>]+>", f"{part('1042')} {part('1039')}"))
            body = part("1000") if part("1000").strip() else part("1013")
            if not body and store.exists("__substg1.0_10090102"):
                message = f"{name} keeps its text as RTF alone."
                raise DatasetError(message, what_next="Save the mail as .eml, or export the mailbox as mbox.")
            entries = {entry[0] for entry in store.listdir() if entry[0].startswith("__attach_version1.0_")}
            names = (part_of(store, f"{entry}/__substg1.0_3707001F") for entry in sorted(entries))
            labels = (folder,) if folder else ()
            when, about = str(headers.get("Date", "")), part("0037")
            return Mail(
                place, about, body, sender, part("0C1A"), when, labels, ids, tuple(filter(None, names))
            )
    except OSError as error:
        message = f"{name} is no Outlook message that can be read."
        raise DatasetError(
            message, what_next="Save the mail as .eml, or export the mailbox as mbox."
        ) from error


def part_of(store: Any, path: str) -> str:
    """A text of an attachment; "" where it has none."""
    return (
        store.openstream(path).read().decode("utf-16-le", "replace").rstrip("\0")
        if store.exists(path)
        else ""
    )


def _mail(message: EmailMessage, place: int) -> Mail:
    def header(name: str) -> str:
        try:
            return str(message.get(name, "")).strip()
        except (
            ValueError,
            LookupError,
            IndexError,
            AttributeError,
            TypeError,
        ):  # headers that break their own rules
            return ""

    name, sender = parseaddr(header("From"))
    labels = [label.strip() for label in re.split(r"[,;]", header("X-Gmail-Labels") or header("Keywords"))]
    own = [label for label in labels if label and label.casefold() not in _SYSTEM_LABELS]
    own = [label for label in own if not label.casefold().startswith(("category ", "kategorie "))]
    ids = (header("Message-ID"), *re.findall(r"<[^>]+>", f"{header('References')} {header('In-Reply-To')}"))
    inner = list(_attached_mails(message))
    body = "\n\n".join([_body(message), *map(_as_forward, inner[:MAX_FORWARDED])]).strip()
    files = tuple(filter(None, (part.get_filename() for part in _attachments(message))))
    if len(inner) > MAX_FORWARDED:
        files = (f"{len(inner) - MAX_FORWARDED} mails", *files)
    return Mail(place, header("Subject"), body, sender, name, header("Date"), tuple(own), ids, files)


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts beside the body, without mails."""
    if message.get_content_type() == "multipart/mixed":
        for part in message.iter_attachments():
            if part.get_content_type() != "message/rfc822":
                yield part  # type: ignore[misc]


def _attached_mails(message: EmailMessage, depth: int = 3) -> Iterator[EmailMessage]:
    """The mails that were forwarded as an attachment, one in another too."""
    for part in message.iter_attachments() if message.is_multipart() and depth else ():
        inner = part.get_payload() if part.get_content_type() == "message/rfc822" else None
        if isinstance(inner, list) and inner and isinstance(inner[0], EmailMessage):
            yield inner[0]
            yield from _attached_mails(inner[0], depth - 1)


def _as_forward(message: EmailMessage) -> str:
    """A forwarded mail as mail programs write one into the text."""
    heads = (
        f"{name}: {value}" for name in ("From", "Date", "Subject") if (value := str(message.get(name, "")))
    )
    return "\n".join(["---------- Forwarded message ---------", *heads, "", _body(message)])


def _body(message: EmailMessage) -> str:
    """The text part, else the HTML part, in whatever charset it says or has."""
    part = message.get_body(preferencelist=("plain", "html")) if message.is_multipart() else message
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError, KeyError, AttributeError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""


def thread_records(mails: Iterable[Mail]) -> Iterator[ReadResult]:
    """One record a thread: its first mail's text, the first answer by someone else."""
    home: dict[str, int] = {}
    threads: list[list[Mail]] = []
    for mail in mails:
        keys = [key for key in mail.ids if key]
        subject = _REPLY.sub("", mail.subject).strip().casefold()
        if _REPLY.match(mail.subject) and subject:
            keys.append(f"subject {subject}")
        at = next((home[key] for key in keys if key in home), None)
        if at is None:
            at = len(threads)
            threads.append([])
        threads[at].append(mail)
        for key in [*keys, *([f"subject {subject}"] if subject else [])]:
            home.setdefault(key, at)
    for thread in threads:
        for mail in thread:
            if mail.attachments:
                message = f"has attachments that are not read: {', '.join(mail.attachments[:5])}"
                yield Problem(mail.place, message, is_kept=True, unit="mail", rule="attachments not read")
        yield _record(thread)


def _record(thread: list[Mail]) -> Record:
    first, *rest = thread
    answer = next(
        (mail for mail in rest if mail.sender.casefold() != first.sender.casefold() and mail.body.strip()),
        None,
    )
    labels = next((mail.labels for mail in thread if mail.labels), ())
    values: dict[str, Any] = {
        "subject": _REPLY.sub("", first.subject),
        "text": first.body,
        "from": first.sender,
        "from name": first.name,
        "date": first.date,
        "labels": ", ".join(label.replace(",", " ") for label in labels),
        "mails in thread": len(thread),
    }
    if answer is not None:
        values["answer"] = answer.body
    return Record(first.place, values, first.body[:RAW_SHOWN], "mail")
