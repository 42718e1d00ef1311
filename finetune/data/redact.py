"""Personal data and secrets in tickets replaced by their kind (<EMAIL>), counted by type.

Covers what `pii` and `secret_patterns` cover, and people named by the file's own columns: their full names
everywhere, single names in their own tickets. NOT_COVERED says what stays: this is not anonymisation.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, NamedTuple

from finetune.data.ticket import Ticket, Tickets

NOT_COVERED = (
    "Not found: names that stand in no name column, street addresses, birthdays, ids of other forms, and what "
    "a story tells about a person. Redacted is not anonymous."
)
WITHOUT_PRESIDIO = (
    "presidio-analyzer is not installed here: phone numbers, cards, IBANs, IP addresses and social security "
    "numbers were NOT looked for. Install it with `pip install 'trainwise[train]'` and add the file again. "
)
RANK = ("SECRET", "EMAIL", "CARD", "IBAN", "WALLET", "ORDER_ID", "SSN", "IP", "PHONE", "NAME")
COMMON_SHARE = 0.005  # a word in this share of the tickets in lower case is no name, whoever is called so
SHORTEST_NAME = 3
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_STATED = re.compile(r"\b(?:[Mm]y name is|[Mm]y name's)\s+([A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2})")


@dataclass(frozen=True)
class RedactionResult:
    """The rows with marks in place of what was found; `counts` are replacements by type."""

    tickets: Tickets
    counts: Mapping[str, int]
    not_covered: str


def redact(tickets: Tickets, find: Find | None = None) -> RedactionResult:
    """Redact every text and answer, and turn customers into pseudonyms. `find` replaces Presidio (tests)."""
    missing = "" if find or is_installed() else WITHOUT_PRESIDIO
    look = find or (addresses if missing else presidio())
    people = _People(tickets.rows)
    counts: Counter[str] = Counter()
    rows = []
    for row in tickets.rows:

        def hide(text: str, row: Ticket = row) -> str:
            spans = [*secret_spans(text), *look(text), *people.spans(text, row.names)]
            return hide_spans(text, spans, counts)

        customer = pseudonym(row.customer) if row.customer else None
        answer = hide(row.answer) if row.answer else row.answer
        rows.append(replace(row, text=hide(row.text), answer=answer, customer=customer))
    return RedactionResult(
        replace(tickets, rows=tuple(rows)), dict(counts.most_common()), missing + NOT_COVERED
    )


def pseudonym(customer: str) -> str:
    """A stable stand-in for a customer's id or address: groups rows, and `forget` finds it by the original.

    Whoever has a list of addresses can compute theirs: it hides from reading, not from checking.
    """
    if re.fullmatch(r"c-[0-9a-f]{16}", customer):
        return customer
    return "c-" + hashlib.sha256(customer.strip().casefold().encode()).hexdigest()[:16]


def hide_spans(text: str, spans: Iterable[Span], counts: Counter[str]) -> str:
    """The text with each span as <KIND>; overlapping spans become one, named by the kind first in RANK."""
    spans_apart: list[Span] = []
    for span in sorted(spans):
        if spans_apart and span.start < spans_apart[-1].end:
            last = spans_apart[-1]
            kind = min(last.kind, span.kind, key=RANK.index)
            spans_apart[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            spans_apart.append(span)
    for span in reversed(spans_apart):
        counts[span.kind] += 1
        text = f"{text[: span.start]}<{span.kind}>{text[span.end :]}"
    return text


class _People:
    """The names that a file's columns give: full ones count in every row, single words in their own row."""

    def __init__(self, rows: Sequence[Ticket]) -> None:
        lower: Counter[str] = Counter()
        for row in rows:
            lower.update({word for word in _WORD.findall(row.text) if word[0].islower()})
        most = max(2, COMMON_SHARE * len(rows))
        self._common = frozenset(word for word, count in lower.items() if count > most)
        names = {name for row in rows for name in row.names}
        self._full = frozenset(words for name in names if len(words := self._words(name)) in (2, 3))

    def spans(self, text: str, own: Sequence[str]) -> Iterable[Span]:
        """Where people are named: full names of anyone, words of the row's own people, "my name is ..."."""
        for match in _STATED.finditer(text):
            yield Span(*match.span(1), "NAME")
        words = [(match.group().casefold(), *match.span()) for match in _WORD.finditer(text)]
        if self._full:
            for size in (2, 3):
                for at in range(len(words) - size + 1):
                    if tuple(word for word, _, _ in words[at : at + size]) in self._full:
                        yield Span(words[at][1], words[at + size - 1][2], "NAME")
        single = {word for name in own for word in self._words(name)}
        single = {word for word in single if len(word) >= SHORTEST_NAME and word not in self._common}
        for word, start, end in words:
            if word.removesuffix("'s").removesuffix("’s") in single:
                yield Span(start, end, "NAME")

    @staticmethod
    def _words(name: str) -> tuple[str, ...]:
        """The name's words; none for ids and addresses, which others look for."""
        if re.search(r"[\d@/_]", name):
            return ()
        return tuple(word.casefold() for word in _WORD.findall(name))


KINDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "US_SSN": "SSN",
    "PHONE_NUMBER": "PHONE",
    "CRYPTO": "WALLET",
}
LEAST_SCORE = 0.4
WINDOW, OVERLAP = 1_500, 150  # characters; no kind is longer than the overlap, but for odd addresses
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_WORTH_A_LOOK = re.compile(r"@|\d|::|bc1", re.IGNORECASE)


def is_installed() -> bool:
    """Whether Presidio is there (it comes with the `train` extra)."""
    return find_spec("presidio_analyzer") is not None


def presidio() -> Find:
    """A function from a text to its spans; loading takes a second or two, once.

    Texts without a digit, an @ or a double colon hold none of the kinds and are not looked at: same result,
    several times faster (benchmarks/data.py checks both).
    """
    analyse = _engine()

    def look(text: str) -> list[Span]:
        if not _WORTH_A_LOOK.search(text):
            return []
        return [
            Span(start + one.start, start + one.end, KINDS[one.entity_type])
            for start, piece in _pieces(text)
            for one in analyse(piece)
        ]

    return look


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Overlapping pieces of WINDOW characters with their starts: Presidio's patterns take a minute for 50,000
    characters made to stall them, since their time grows with the square."""
    start = 0
    while True:
        yield start, text[start : start + WINDOW]
        if start + WINDOW >= len(text):
            return
        blank = text.rfind(" ", start + WINDOW // 2, start + WINDOW - OVERLAP)
        start = blank if blank > 0 else start + WINDOW - OVERLAP


def addresses(text: str) -> list[Span]:
    """E-mail addresses only: what is left to look for without Presidio."""
    return [Span(*match.span(), "EMAIL") for match in _EMAIL.finditer(text)]


def _engine() -> Callable[[str], Any]:
    import logging

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from tldextract import TLDExtract

    class Blank(SpacyNlpEngine):
        """Tokens only: enough for the words around a match that raise its score."""

        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp: Any = {"en": spacy.blank("en")}

    suffixes = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmail(known.EmailRecognizer):  # type: ignore[misc]
        """Presidio's own fetches the list of domain endings from the network; this reads the packaged one."""

        def validate_result(self, pattern_text: str) -> bool:
            return suffixes(pattern_text).fqdn != ""

    recognisers = [
        OfflineEmail(),
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
        known.IpRecognizer(),
        known.UsSsnRecognizer(),
        known.PhoneRecognizer(),
        known.CryptoRecognizer(),
    ]
    registry = RecognizerRegistry(recognizers=recognisers, supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda text: engine.analyze(text, "en", entities=list(KINDS), score_threshold=LEAST_SCORE)


class Span(NamedTuple):
    """A stretch of a text to replace by <KIND>."""

    start: int
    end: int
    kind: str


Find = Callable[[str], list[Span]]


_KEYS = (
    r"sk-(?:ant-|proj-|live-)?[A-Za-z0-9_-]{16,}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|ASIA[0-9A-Z]{16}|AIza[\w-]{35}|ya29\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
)
_SECRETS = (
    re.compile(rf"(?<![\w-])(?P<it>{_KEYS})"),
    re.compile(r"(?P<it>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))", re.S),
    re.compile(r"\b(?:Bearer|Basic)\s+(?P<it>[A-Za-z0-9._~+/-]{16,}=*)"),
    re.compile(
        r"\b(?:password|passwort|passwd|passcode|pwd|pin|api[ _-]?key|secret(?: key)?|access token)\b"
        r"(?:\s*(?:is|was|:|=|ist))+\s*[\"'`]?(?P<it>(?=[^\s\"'`]*[\d!@#$%^&*_])[^\s\"'`,]{4,})",
        re.I,
    ),
    re.compile(
        r"[?&][\w-]*(?:token|key|code|sig|signature|password|auth|session|secret)[\w-]*=(?P<it>[^&\s#>\"']{6,})",
        re.I,
    ),
    re.compile(r"://[^/\s:@]+:(?P<it>[^/\s@]+)@"),
    re.compile(r"(?<![\w/.-])(?P<it>(?=[a-f0-9]*\d)(?=[a-f0-9]*[a-f])[a-f0-9]{32,128})(?![\w-])"),
)
_REFERENCE = re.compile(
    r"\b(?:order|invoice|booking|reservation|confirmation|tracking|shipment|parcel|account|customer|member(?:ship)?"
    r"|policy|contract|case|ticket|claim|reference|ref|transaction|payment|receipt|bestellung|rechnung|kundennummer)s?"
    r"(?:\s*(?:number|numbers|no\.?|nr\.?|id|code))?\s*(?:is|was|:|=|#)*\s*#?\s*"
    r"(?P<it>(?=[A-Z0-9/-]*\d[A-Z0-9/-]*\d[A-Z0-9/-]*\d)[A-Z0-9][A-Z0-9/-]{3,}[A-Z0-9])(?![\w.,]*\d)",
    re.I,
)
_HASHED = re.compile(r"(?<![\w&])#(?P<it>\d{4,})\b")
_YEAR = re.compile(r"(?:19|20)\d\d(?:[-/]\d\d?){0,2}")


def secret_spans(text: str) -> Iterator[Span]:
    """Secrets, as SECRET, and reference numbers, as ORDER_ID, where they stand."""
    for pattern in _SECRETS:
        for match in pattern.finditer(text):
            yield Span(*match.span("it"), "SECRET")
    for pattern in (_REFERENCE, _HASHED):
        for match in pattern.finditer(text):
            if not _YEAR.fullmatch(match["it"]):
                yield Span(*match.span("it"), "ORDER_ID")
