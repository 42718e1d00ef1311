"""Numbers and addresses that point to a person: phones, cards, IBANs, e-mail and IP addresses, wallets, SSNs. Pure.

Covers what can be checked (Google's phone metadata, check digits, address syntax). A number that could be anything is a
phone only beside a word that says so; steps, versions, dates, decimals and epochs stay.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from finetune.data.secrets import Span
from finetune.data.stretches import Near, longest_word

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

REGIONS = (
    *(
        "US",
        "GB",
        "DE",
        "FR",
        "ES",
        "IT",
        "NL",
        "PT",
        "BR",
        "PL",
        "SE",
        "JP",
        "IN",
        "AU",
        "AT",
        "CH",
        "BE",
        "IE",
        "DK",
        "NO",
    ),
    *("FI", "CZ", "MX", "CA", "NZ", "ZA", "KR", "IL"),
)
_CALL = re.compile(
    r"(?:電話|携帯)[^\d\n]{0,30}$|\b(?:phones?|tel(?:e(?:phone|fon|fono|foon))?|telefon(?:nummer)?|telefoonnummer|mobilnummer|mobiles?|mobil(?:nummer|e)?|cell(?:phone)?|handy(?:nummer)?|call(?:ed|ing)?"
    r"|ring|dial|text|reach|sms|whats ?app|fax|number|nummer|anrufen|anruf|erreichbar|ruckruf|appel(?:er|ez)?|portable|joindre|joignable"
    r"|llam(?:ar|enme|ame|e)|movil|celular|numero|chiam(?:are|atemi|ami)|cellulare|bel(?:len)?|liga(?:r|cao)|telemovel|ringa"
    r"|dzwonic|komork\w*)\b[^\d\n]{0,30}$",
    re.I,
)
_NOT_CALL = re.compile(
    r"\b(?:order|invoice|step|index|room|chapters?|sections?|kapitel|batch|lot|charge|seats?|error|version|ticket|case|id|port|line|page|code|article|item|sku|model|part|serial|row|issue|tracking"
    r"|customer|account|epoch|timestamp|build|zip|plz|postcode|isbn|ean|order number|bestellnummer|kundennummer)\b[^\d\n]{0,12}$",
    re.I,
)
_EDGE = r"(?<![\w/#=&?%])(?<!\d[.:,-])(?<!-)(?<!\.)"
_END = r"(?![\w]|[.,:/-]\d|-[A-Za-z])"
_DIGITS, _ONE_DIGIT = re.compile(r"\d+"), re.compile(r"\d")
_INTERNATIONAL = Near(
    re.compile(rf"(?<![\w/#=&?%.])(?:\+|00(?=[1-9]))\d(?:[ ()./-]{{0,3}}\d){{6,14}}{_END}"),
    re.compile(r"\+\d|00[1-9]"),
    0,
    70,
)
_GROUPED = tuple(
    Near(re.compile(pattern), _DIGITS, 5, 60)
    for pattern in (
        rf"{_EDGE}\(?0\d{{1,5}}\)?(?:[ /.-]{{1,3}}\d{{2,8}}){{1,5}}{_END}",
        rf"{_EDGE}(?:1[ .-])?\(?[2-9]\d{{2}}\)?[ .-]{{1,2}}\d{{3}}[ .-]\d{{4}}{_END}",
        rf"{_EDGE}\([1-9]\d\) ?9?\d{{4}}[- ]\d{{4}}{_END}",
    )
)
_LOOSE = Near(re.compile(rf"{_EDGE}\(?\d(?:[ ()./-]{{0,2}}\d){{5,13}}{_END}"), _DIGITS, 5, 60)
_DATE = re.compile(
    r"(?:19|20)\d\d[-/.]?[01]\d[-/.]?[0-3]\d(?:\D.*)?|[0-3]?\d[./-][01]?\d[./-](?:19|20)?\d\d(?:\D.*)?", re.S
)


def _before(text: str, at: int, size: int = 45) -> str:
    """What stands before a place, without accents."""
    return "".join(
        ch
        for ch in unicodedata.normalize("NFKD", text[max(0, at - size) : at])
        if not unicodedata.combining(ch)
    )


def phone_spans(text: str) -> Iterator[Span]:
    """Phone numbers: with a country code, in a country's own grouping, or beside a word for calling."""
    import phonenumbers

    for match in _INTERNATIONAL.finditer(text):
        number = _parse("+" + re.sub(r"\D", "", match[0]).removeprefix("00"), None)
        if number and phonenumbers.is_possible_number(number):
            yield Span(*match.span(), "PHONE")
    for pattern in _GROUPED:
        for match in pattern.finditer(text):
            digits = re.sub(r"\D", "", match[0])
            before = _before(text, match.start())
            if not 9 <= len(digits) <= 12 or _DATE.fullmatch(match[0]) or _NOT_CALL.search(before):
                continue
            if _is_valid(match[0]) or _CALL.search(before):
                yield Span(*match.span(), "PHONE")
    for match in _LOOSE.finditer(text):
        before = _before(text, match.start())
        if _CALL.search(before) and not _NOT_CALL.search(before) and not _DATE.fullmatch(match[0]):
            size = len(re.sub(r"\D", "", match[0]))
            if (
                size > 8
                or re.search(r"[ /-]", match[0])
                or re.search(r"\b(?:phone|tel\w*|mobile|handy|call|電話)\b", before, re.I)
            ):
                yield Span(*match.span(), "PHONE")


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    import phonenumbers

    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _is_valid(text: str) -> bool:
    import phonenumbers

    numbers = (_parse(text, region) for region in REGIONS)
    return any(number is not None and phonenumbers.is_valid_number(number) for number in numbers)


_CARD = Near(re.compile(r"(?<![\w.,/#=-])\d(?:[ -]?\d){12,18}(?![\w]|[.,]\d|-\w)"), _DIGITS, 5, 60)
_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|62\d{14,17}|(?:5[06-9]|6\d)\d{10,17}"
)


def card_spans(text: str) -> Iterator[Span]:
    """Payment cards: an issuer's prefix and length, the right check digit, one kind of separator."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        marks = set(re.sub(r"\d", "", match[0]))
        if len(marks) < 2 and _ISSUER.fullmatch(digits) and luhn.is_valid(digits) and len(set(digits)) > 1:
            yield Span(*match.span(), "CARD")


_IBAN = Near(
    re.compile(r"(?<![\w])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,9}"),
    re.compile(r"[A-Za-z]{2}\d{2}"),
    0,
    60,
)


def iban_spans(text: str) -> Iterator[Span]:
    """IBANs with the right check digits, in groups or not; words behind one are not part of it."""
    from stdnum import iban

    for match in _IBAN.finditer(text):
        value = match[0]
        while len(value) >= 15:
            if iban.is_valid(re.sub(r"[ -]", "", value).upper()):
                yield Span(match.start(), match.start() + len(value), "IBAN")
                break
            value = value[: max(value.rfind(" "), value.rfind("-"), 0)]


_IPV4 = Near(
    re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\w-]|\.\d)"),
    re.compile(r"\d\.\d"),
    0,
    0,
)
_IPV6 = Near(
    re.compile(r"(?<![\w:.])(?=[0-9a-fA-F:]*\d)[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?:%\w+)?(?![\w:])"),
    re.compile(r":[0-9a-fA-F]{0,4}:"),
    0,
    0,
)
_HOST_WORDS = re.compile(
    r"\b(?:ip(?:v4)?(?:[ -]?adress?e?|s)?|hosts?|servers?|address|adresse|gateway|dns|ping|proxy|router|subnet|firewall|peer|client|connect(?:ed|ing)?|login"
    r"|from|to|at|von|von der|ssh|port|node|machine|nameserver|remote|inet|ssh|@|desde|depuis|dirección|indirizzo)\b[^\n\d]{0,25}$|[@/:=\[(]$",
    re.I,
)
_VERSION_WORDS = re.compile(
    r"\b(?:v|ver(?:sion)?s?|release|build|driver|firmware|update[ds]?(?: to)?|upgrade[ds]?(?: to)?|patch|sdk|api|chrome|firefox|edge|safari|opera|office|windows|macos"
    r"|android|ios|client version|app version|assembly|package|library|lib|runtime|cudnn|cuda|net|installed|section|chapter|oid)[ :=.v]{0,3}$",
    re.I,
)


def ip_spans(text: str) -> Iterator[Span]:
    """IP addresses; four numbers behind a product's name or the word version are a version."""
    for match in _IPV4.finditer(text):
        try:
            address = ipaddress.ip_address(match[0].partition("/")[0])
        except ValueError:
            continue
        before = text[max(0, match.start() - 40) : match.start()]
        if _VERSION_WORDS.search(before) or re.search(r"[A-Za-z]/$", before):
            continue
        is_known = (
            address.is_private
            or _HOST_WORDS.search(before)
            or "/" in match[0]
            or text[match.end() : match.end() + 1] == ":"
        )
        product = re.search(r"(?:^|\s)(?:[A-Z][\w+#-]*|[a-z]+[A-Z]\w*)\s+$", before)
        is_start = re.search(r"(?:^|[.!?\n]\s*)[A-Z]\w*\s+$", before)
        if is_known or not (product and not is_start):
            if not is_known and (address.packed[0] < 20 or match[0].endswith(".0")):
                continue  # 8.6.0.163, 10.0.0.0: numbered like software
            yield Span(*match.span(), "IP")
    for match in _IPV6.finditer(text):
        value = match[0].partition("%")[0]
        if value.count(":") < 2 or ("::" not in value and value.count(":") != 7) or len(value.strip(":")) < 3:
            continue
        try:
            ipaddress.IPv6Address(value)
        except ValueError:
            continue
        yield Span(*match.span(), "IP")


_EMAIL = Near(
    re.compile(r"(?<![\w.+%/-])[\w.+%'’-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_][\w-]{1,30}"),
    re.compile("@"),
    0,
    0,
)
_FILES = frozenset(
    "png jpg jpeg gif svg webp js ts css py json xml html txt md csv pdf zip dll exe so lock yml yaml map tgz jar".split()  # noqa: SIM905
)
_AT = (
    r"[\[({<]\s?(?:at|@|ät|arroba|chez|a)\s?[\])}>]"
    r"|\s(?:at|AT|arroba)\s(?=[\w-]+\s(?:dot|DOT|punkt|punto|point)\s)"
)
_SPELLED = Near(
    re.compile(
        rf"(?<![\w.+-])[\w.+-]{{1,64}}\s{{0,2}}(?:{_AT})\s{{0,2}}"
        r"[\w-]{1,63}(?:\s{0,2}(?:[\[({<]\s?(?:dot|punkt|point|punto|ponto|\.)\s?[\])}>]|\.|\s(?:dot|DOT|punkt|punto|point)\s)\s{0,2}[\w-]{2,63}){1,4}",
        re.IGNORECASE,
    ),
    re.compile(_AT, re.IGNORECASE),
    70,
    330,
)


def email_spans(text: str) -> Iterator[Span]:
    """E-mail addresses, also written as `maria [at] acme [dot] example`."""
    for match in _EMAIL.finditer(text):
        ending = match[0].rpartition(".")[2].casefold()
        if ending not in _FILES and not match[0].casefold().startswith("git@"):
            yield Span(*match.span(), "EMAIL")
    for match in _SPELLED.finditer(text):
        yield Span(*match.span(), "EMAIL")


_SSN = Near(
    re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)"),
    re.compile(r"\d-\d"),
    0,
    0,
)
_WALLET = Near(
    re.compile(
        r"(?<!\w)(?:bc1[ac-hj-np-z02-9]{25,62}|0x[a-fA-F0-9]{40}"
        r"|(?=[13]\w*[A-Z])(?=\w*[a-z])(?=\w*\d)[13][a-km-zA-HJ-NP-Z1-9]{25,34})(?!\w)"
    ),
    re.compile(r"(?<!\w)\w{26}"),
    0,
    0,
)
MIN_WALLET = 26  # characters
_WORTH_A_LOOK = re.compile(r"@|\d|::|\b(?:at|arroba|ät)\b", re.IGNORECASE)


def personal_spans(text: str) -> list[Span]:
    """Every number or address that points to a person. Texts without a digit or an @ are not looked at further."""
    if not _WORTH_A_LOOK.search(text):
        return []
    spans = [*email_spans(text), *ip_spans(text)]
    if len(_ONE_DIGIT.findall(text)) > 5:
        spans += [*card_spans(text), *iban_spans(text), *phone_spans(text)]
        spans += [Span(*match.span(), "SSN") for match in _SSN.finditer(text)]
        if longest_word(text) >= MIN_WALLET:
            spans += [Span(*match.span(), "WALLET") for match in _WALLET.finditer(text)]
    return spans
