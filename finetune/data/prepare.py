"""Rows worth training on: HTML, quoted history and signatures go, automatic replies and copies are left out.

Every change is counted and every row that is left out stands among the problems with its line. Near copies
stay (the split keeps a cluster on one side; benchmarks/data.py counts them); what the encoding reader
repaired was counted on reading. Pure.
"""

from __future__ import annotations

import html
import itertools
import multiprocessing
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from statistics import median

from finetune.data.duplicates import normalise
from finetune.data.redact import redact
from finetune.data.ticket import RAW_SHOWN, Problem, Ticket, Tickets

LONG_TIMES = 20  # times the median length
LONG_LEAST = 5_000  # characters below which nothing is too long


@dataclass(frozen=True)
class CleaningResult:
    """The rows that stay, with problems extended by those left out; `counts` are rows by what was done."""

    tickets: Tickets
    counts: Mapping[str, int]


def clean(tickets: Tickets) -> CleaningResult:
    """Clean every row. Keeps order and ids; the same rows give the same result."""
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    rows: list[Ticket] = []
    for row in tickets.rows:
        if is_automatic(row.text):
            counts["automatic replies"] += 1
            problems.append(_left_out(row, "is an automatic reply"))
            continue
        row_without_history = _strip(row, counts)
        if len(re.findall(r"[^\W\d_]", row_without_history.text)) < 2:
            counts["without words"] += 1
            problems.append(_left_out(row, "has no words"))
        else:
            rows.append(row_without_history)
    rows = _without_copies(rows, counts, problems)
    _note_lengths(rows, counts, problems)
    if conflicts := conflicting(rows):
        counts["same text, other label"] = len(conflicts)
    problems_by_line = tuple(sorted((*tickets.problems, *problems), key=lambda problem: problem.line))
    return CleaningResult(replace(tickets, rows=tuple(rows), problems=problems_by_line), dict(counts))


def conflicting(rows: Sequence[Ticket]) -> list[int]:
    """Rows whose text (normalised) stands elsewhere with another label: at least one of them is wrong."""
    homes: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if row.label is not None:
            homes[normalise(row.text)].append(at)
    return sorted(at for group in homes.values() if len({rows[i].label for i in group}) > 1 for at in group)


def _strip(row: Ticket, counts: Counter[str]) -> Ticket:
    """The row without what a mail program added; counts what was found."""
    steps = (
        ("HTML", plain, plain),
        ("quoted history", without_history, without_history),
        ("signatures", without_signature, lambda text: without_signature(text, keep_greeting=True)),
    )
    text, answer = row.text, row.answer
    for name, in_text, in_answer in steps:
        new_text, new_answer = in_text(text), in_answer(answer) if answer else answer
        counts[name] += (new_text, new_answer) != (text, answer)
        text, answer = new_text, new_answer
    return row if (text, answer) == (row.text, row.answer) else replace(row, text=text, answer=answer)


def _without_copies(rows: list[Ticket], counts: Counter[str], problems: list[Problem]) -> list[Ticket]:
    """The first of each set of rows that say the same (but for case, digits and ids) to the same end."""
    first: dict[tuple[str, str], Ticket] = {}
    rows_left = []
    for row in rows:
        key = normalise(row.text) or row.id, row.label or normalise(row.answer or "")
        if (original := first.setdefault(key, row)) is row:
            rows_left.append(row)
            continue
        counts["exact copies"] += 1
        where = f"of {original.id}" if not original.line else f"of the row at {original.line}"
        problems.append(_left_out(row, f"is a copy {where} (numbers and case aside)"))
    return rows_left


def _note_lengths(rows: Sequence[Ticket], counts: Counter[str], problems: list[Problem]) -> None:
    """Report rows far longer than the others: they stay, but a model reads only their beginning."""
    limit = max(LONG_LEAST, LONG_TIMES * median([len(row.text) for row in rows] or [0]))
    for row in rows:
        if len(row.text) > limit:
            counts["very long"] += 1
            message = f"is very long ({len(row.text):,} characters): a model reads only its beginning"
            problems.append(replace(_left_out(row, message), is_kept=True))


def _left_out(row: Ticket, message: str) -> Problem:
    return Problem(row.line, message, "text", row.text[:RAW_SHOWN])


SIGNATURE_LINES = 8
NAME_WORDS = 4
_WROTE = r"wrote|a écrit|schrieb[^\n:]*|escribió|ha scritto|schreef[^\n:]*|escreveu"
_ATTRIBUTION = re.compile(
    rf"^(?:On|Am|Le|El|Il|Op|Em)\b(?=[^\n]*(?:\n[^\n]+)?\d)(?:[^\n]{{4,250}}?|[^\n]{{4,200}}\n[^\n]{{0,150}}?)"
    rf"\b(?:{_WROTE})\s*:[ \t]*$",
    re.MULTILINE,
)
_DIVIDER = re.compile(
    r"^[ \t>]*(?:[-_]{2,}\s*(?:original message|forwarded message|ursprüngliche nachricht|message d'origine"
    r"|mensaje original|messaggio originale|reply above this line)\s*[-_]{2,}|_{20,}"
    r"|##- please type your reply above this line -##)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_OUTLOOK = re.compile(
    r"^\*?(?:From|Von|De|Da):\*? [^\n]+\n(?:\*?(?:Sent|Gesendet|Envoyé|Enviado|Inviato|Date|To|An|À|Para|Cc"
    r"|Subject|Betreff|Objet|Asunto|Oggetto):\*? ?[^\n]*\n?){2,}",
    re.MULTILINE,
)
_DEVICE = re.compile(
    r"^(?:sent (?:from|with|via) (?:my )?\w[^\n]{0,40}|get outlook for \w+[^\n]{0,60}|von meinem \w+ gesendet"
    r"|envoyé de(?:puis)? mon \w+[^\n]{0,30}|enviado desde mi \w+[^\n]{0,30}|inviato da(?:l mio)? \w+[^\n]{0,20})$",
    re.IGNORECASE | re.MULTILINE,
)
_LEGAL = re.compile(
    r"^[ \t*]*(?:disclaimer:|confidentiality notice|this (?:e-?mail|message)(?: and any (?:attachments?|files)[^\n]{0,40})?"
    r"(?: is| are| may| contains?)[^\n]{0,40}(?:confidential|privileged|intended)|the information (?:contained )?in this e-?mail)",
    re.IGNORECASE | re.MULTILINE,
)
_SIGN_OFF = re.compile(
    r"^(?:(?:with )?(?:best|kind|warm(?:est)?|many)(?: (?:regards|wishes|thanks))?|regards|sincerely(?: yours)?"
    r"|yours (?:sincerely|faithfully|truly)|cheers|thank(?:s| you)(?: (?:so much|very much|again|a lot|in advance))?"
    r"|all the best|(?:mit )?(?:freundlichen|besten|vielen|viele) (?:grüßen|grüssen|grüße|dank)|cordialement"
    r"|bien à vous|saludos(?: cordiales)?|cordiali saluti|met vriendelijke groet(?:en)?|atenciosamente)"
    r"(?:,? (?:and )?(?:best |kind )?(?:regards|wishes))?[ \t]*[,.!]?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NAME = re.compile(rf"[^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){{0,{NAME_WORDS - 1}}}")
_AWAY = (
    r"(?:i am|i'm|i’m|i will be|we are) (?:currently |now |presently )?(?:out of (?:the )?office|on (?:annual |parental |sick )?leave"
    r"|away from|on vacation|on holiday)[^?]{0,200}(?:return|back|until|urgent|limited|reply|respond|contact)"
)
_AUTOMATIC = re.compile(
    r"^\W*(?:(?:re: )?(?:automatic|auto(?:mated|matische)?)[ -]?(?:reply|response|antwort)\b|automatische antwort"
    r"|abwesenheitsnotiz|réponse automatique|respuesta automática|risposta automatica|automatisch antwoord"
    r"|out of (?:the )?office(?: re| auto|:|\n)|delivery status notification|undeliver(?:ed|able)(?: mail)?\b"
    r"|mail delivery (?:failed|subsystem)|returned mail:|this is an? (?:automated|automatic|auto-generated) "
    r"(?:reply|response|message|e-?mail|notification))",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?(?:p|br|div|span|table|tr|td|ul|ol|li|body|html|b|i|a|strong|em|blockquote)\b[^>]*>", re.I
)
_BLOCKS = frozenset(("p", "br", "div", "tr", "li", "table", "blockquote", "h1", "h2", "h3", "ul", "ol"))
_SILENT = frozenset(("style", "script", "head", "title"))


def without_history(text: str) -> str:
    """The message without the older messages quoted in it; whole where nothing else is in it."""
    cut = min((match.start() for p in (_DIVIDER, _OUTLOOK) if (match := p.search(text))), default=len(text))
    rest = text[:cut]
    if match := _ATTRIBUTION.search(rest):
        after = rest[match.end() :].strip("\n")
        own = _below(after) if after.lstrip().startswith(">") else ""
        rest = f"{rest[: match.start()].rstrip()}\n\n{own}"
    return _if_cut(_strip_quotes(rest), text)


def without_signature(text: str, keep_greeting: bool = False) -> str:
    """The message without the sender's signature, device line and legal notice.

    `keep_greeting` keeps a closing phrase ("Kind regards") and drops only what stands below: an agent's
    closing is part of the voice to learn, the name is not.
    """
    rest = text
    for mark in (_LEGAL, _DEVICE):
        if (match := mark.search(rest)) and len(rest[match.end() :].strip().split("\n")) <= SIGNATURE_LINES:
            rest = rest[: match.start()]
    match = re.search(r"^-- ?$", rest, re.MULTILINE)
    if match and rest[match.end() :].strip().count("\n") < 2 * SIGNATURE_LINES:
        rest = rest[: match.start()]
    for match in _SIGN_OFF.finditer(rest):
        below = [line.strip() for line in rest[match.end() :].split("\n") if line.strip()]
        if match.start() and _is_signature(below):
            rest = rest[: match.end() if keep_greeting else match.start()]
            break
    return _if_cut(rest, text)


def is_automatic(text: str) -> bool:
    """Whether a machine wrote it: absence notes, bounces, automatic confirmations. Questions never are."""
    head = text.strip()[:400]
    if _AUTOMATIC.match(head):
        return True
    return re.search(rf"(?:^|\n)\W*(?:\w+[ ,]+){{0,8}}{_AWAY}", head, re.IGNORECASE) is not None


def plain(text: str) -> str:
    """HTML as text with its line breaks; text that merely mentions a tag stays as it is."""
    if len(_TAG.findall(text)) < 2:
        return html.unescape(text) if re.search(r"&(?:nbsp|amp|lt|gt|quot|#\d+);", text) else text
    reader = _Text()
    reader.feed(text)
    reader.close()
    lines = (re.sub(r"[ \t\xa0]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() or text


def _if_cut(rest: str, text: str) -> str:
    """What is left, or the text itself where nothing was cut or no word would be left."""
    rest = rest.strip()
    return text if rest == text.strip() or not re.search(r"\w", rest) else rest


def _below(quoted: str) -> str:
    """What its author wrote below or between the lines that an attribution announces."""
    return "\n".join(line for line in quoted.split("\n") if not line.lstrip().startswith(">"))


def _strip_quotes(text: str) -> str:
    """Without lines quoted by '>', if there are two in a row: one alone may be "> 5 items"."""
    lines = text.split("\n")
    quoted = [line.lstrip().startswith(">") for line in lines]
    if not any(a and b for a, b in itertools.pairwise(quoted)):
        return text
    return "\n".join(line for line, is_quoted in zip(lines, quoted, strict=True) if not is_quoted)


def _is_signature(lines: list[str]) -> bool:
    """A name in capitals first, then short lines that are no sentences."""
    if not lines or len(lines) > SIGNATURE_LINES or not _NAME.fullmatch(lines[0].rstrip(",.")):
        return False
    words = [word for word in lines[0].split() if len(word) > 3]
    if any(word[0].islower() for word in words):
        return False
    return all(
        len(line) <= 80 and len(line.split()) <= 10 and not line.endswith(("?", "!")) for line in lines[1:]
    )


class _Text(HTMLParser):
    """Collects what a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in _SILENT))
        if tag in _BLOCKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def prepare(tickets: Tickets) -> tuple[Tickets, Mapping[str, object]]:
    """The rows to keep and the card's `cleaned`, `redactions` and `not_covered`."""
    cleaning = clean(tickets)
    redaction = redact(cleaning.tickets)
    counts = {name: count for name, count in cleaning.counts.items() if count}
    facts = {"cleaned": counts, "redactions": redaction.counts, "not_covered": redaction.not_covered}
    return redaction.tickets, facts


def prepare_apart(tickets: Tickets) -> tuple[Tickets, Mapping[str, object]]:
    """`prepare` in a process of its own; some seconds slower for the loading."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(prepare, tickets).result()
