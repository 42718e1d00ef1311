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
from pathlib import Path
from typing import Any

from finetune.data.ticket import RAW_SHOWN, DatasetError, ReadResult, Record

_SYSTEM_LABELS = frozenset(
    """inbox sent important opened unread starred trash spam archived drafts chat all posteingang gesendet ungelesen
    geöffnet wichtig markiert entwürfe""".split()  # noqa: SIM905 - a list of words reads best as words
)
_REPLY = re.compile(r"^\s*(?:(?:re|aw|sv|fw|fwd|wg|antw|tr|rif)\s*(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_HEADER = re.compile(rb"^[A-Za-z][A-Za-z0-9-]*:[ \t]?.*$")
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


def msg_mail(path: Path, place: int = 1) -> Mail:
    """One mail from an Outlook MSG file. Raises DatasetError where it holds no message."""
    import olefile

    try:
        with olefile.OleFileIO(path) as store:

            def part(code: str) -> str:
                for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252")):
                    name = f"__substg1.0_{code}{kind}"
                    if store.exists(name):
                        return str(store.openstream(name).read().decode(encoding, errors="replace")).rstrip(
                            "\0"
                        )
                return ""

            headers = email.message_from_string(part("007D"), policy=email.policy.default)
            sender = part("5D01") or part("0C1F") or str(headers.get("From", ""))
            ids = (part("1035"), *re.findall(r"<[^>]+>", f"{part('1042')} {part('1039')}"))
            return Mail(
                place, part("0037"), part("1000"), sender, part("0C1A"), str(headers.get("Date", "")), (), ids
            )
    except OSError as error:
        message = f"{path.name} is no Outlook message that can be read."
        raise DatasetError(
            message, what_next="Save the mail as .eml, or export the mailbox as mbox."
        ) from error


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
    return Mail(place, header("Subject"), _body(message), sender, name, header("Date"), tuple(own), ids)


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
