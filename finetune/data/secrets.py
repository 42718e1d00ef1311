"""Secrets and reference numbers in text: keys, passwords in nine languages, tokens in links, order numbers. Pure.

Does not cover a password without a word that says so, nor keys of unknown makers outside an assignment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from finetune.data.key_forms import KEYS, is_random
from finetune.data.stretches import Near, longest_word


class Span(NamedTuple):
    """A stretch of a text to replace by <KIND>."""

    start: int
    end: int
    kind: str


_NAMES = (
    r"pass(?:word|wd?|code|[ -]?phrase|wort)?|kennwort|pwd|pw|secret|token|(?:api|access|private|client|signing|encryption|auth|account|shared)"
    r"[ _.-]?(?:key|secret|token)|credentials?|mot[ _]de[ _]passe|mdp|contraseña|contrasena|clave|senha|wachtwoord|hasło|lösenord|parola"
    r"|zugangsdaten|パスワード|暗証番号|пароль|密码|비밀번호"
)
_NO_SECRET = frozenset(
    """null none true false required missing expired invalid incorrect wrong changed reset unknown empty optional string
    falsch abgelaufen ungültig vergessen geändert please bitte not must should will nicht the and or but your my is are
    redacted hidden example incorrecto incorrecta oublié perdu expiré vergeten geweigerd verkeerd login yes no protected
    locked here there below above again email field error fehler manager vault santa ring policy strength rules""".split()  # noqa: SIM905
)
_VALUE = r"[\"'`“„«]?(?P<it>[^\s\"'`”“»,;<>{}()\[\]]{4,})"
_DIGITS = re.compile(r"\d+")
_LONG = re.compile(r"(?<![\w.-])[\w.-]{13,}")
_KEYS = Near(re.compile(rf"(?<![\w-])(?P<it>{KEYS})(?![\w-])"), _LONG, 0, 0)
MIN_KEY, MIN_RANDOM = 13, 31  # characters without a blank
_SECRETS = (
    re.compile(
        r"(?P<it>-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z))",
        re.S,
    ),
    Near(
        re.compile(r"\b(?:Bearer|Basic|Token)\s+(?P<it>(?=[^\s]*\d)[A-Za-z0-9._~+/-]{16,}=*)", re.I),
        re.compile(r"\b(?:bearer|basic|token)\s", re.I),
        0,
        20,
    ),
    re.compile(r"(?P<it>https://hooks\.slack\.com/services/\S+)"),
    re.compile(r"://[^/\s:@]{0,100}:(?P<it>[^/\s@]{1,200})@"),
    re.compile(
        r"[?&#][\w.-]*(?:token|key|code|sig|signature|password|passwd|pwd|auth|session|secret|jwt|otp|ticket|hash)[\w.-]*="
        r"(?P<it>(?=[^&\s#>\"']*\d|[^&\s#>\"']{20})[^&\s#>\"']{6,})",
        re.I,
    ),
    Near(
        re.compile(
            r"https?://[^\s<>\"']{1,300}?/[\w-]*(?:reset|verify|confirm|activat|invit|magic|password|login|auth|unsubscribe|token|share)[\w-]*"
            r"(?:/[\w-]{1,12})?/(?P<it>(?=[\w-]*\d)[\w-]{12,})",
            re.I,
        ),
        re.compile("://"),
        5,
        0,
    ),
    Near(
        re.compile(
            r"\b(?:mysql\w*|mariadb\w*)\b[^\n|;]{0,120}?\s-p(?P<it>[^\s'\"-][^\s'\"]{3,})"
            r"|\b(?:curl|wget|https?|sshpass)\b[^\n|;]{0,160}?\s(?:(?:-u|--user)[ =][\"']?[^\s:\"']{1,80}:|-p[ ]?[\"']?)(?P<own>[^\s\"']{4,})"
        ),
        re.compile(r"\s(?:-[pu]\S|-[pu] |--user[ =])"),
        220,
        5,
    ),
    Near(
        re.compile(
            r"\b(?:session(?:_?id)?|sid|sessid|csrf_?token|JSESSIONID|PHPSESSID|connect\.sid)=(?P<it>[\w%.+/-]{10,})",
            re.I,
        ),
        re.compile("="),
        0,
        0,
    ),
)
_CODE_WORDS = re.compile(
    r"\b(?:pin(?:[ -]?(?:code|number|nummer))?|code pin|geheimzahl|otp|tan|cv[vc]2?|one[- ]time (?:code|password|passcode)"
    r"|(?:verification|security|confirmation|2fa|login|access|unlock|sms) (?:code|pin)|bestätigungscode|sicherheitscode|einmalpasswort"
    r"|code de (?:vérification|sécurité)|código de (?:verificación|seguridad|verificação|segurança)|codice di (?:verifica|sicurezza)"
    r"|verificatiecode|暗証番号|認証コード)"
    r"[\s:=：-]*(?:(?:is|was|ist|lautet|est|es|è|é|は|number|nr\.?)[\s:]*)?(?P<it>\d{3,8})(?![\w.,:%]?\d|\s*%)",
    re.I,
)
_ASSIGNMENTS = re.compile(
    rf"(?<![A-Za-z])(?P<name>(?:(?<![\w.])[\w.]{{1,40}}[_.-])?(?:{_NAMES})(?:[_-][\w.-]{{0,40}})?)[\"'`]?\s*(?P<sign>=>|:=|=|:|：)\s*{_VALUE}",
    re.I,
)
_SAYINGS = re.compile(
    rf"\b(?:{_NAMES})\b(?:\s+(?:for|für|pour|para|per|voor|to|zu[mr]?|of|de|del|von|van)\s+[^\s:=]+(?:\s+[^\s:=]+)?)?"
    rf"\s*(?:(?:is|was|ist|war|lautet|est|era|es|è|é|は|to)\s*[:=]?|:)\s*{_VALUE}",
    re.I,
)
_HEX = Near(
    re.compile(r"(?<![\w/.-])(?P<it>(?=[a-f0-9]*\d)(?=[a-f0-9]*[a-f])[a-f0-9]{32,128})(?![\w-])"),
    re.compile(r"(?<![a-f0-9])[a-f0-9]{32}"),
    0,
    0,
)
_CODES = Near(_CODE_WORDS, _DIGITS, 90, 10)
_ASSIGNED = Near(_ASSIGNMENTS, re.compile("[=:：]"), 110, 20)
_SAID = Near(_SAYINGS, re.compile(r"[\d!@#$%^&*_~]+"), 220, 0)  # no value is one without such a mark
_HASH_WORDS = re.compile(
    r"\b(?:commit|sha(?:-?\d+)?|hash|digest|checksum|md5|revision|rev|etag|build|blob|tree|merge|trace|request|correlation|fingerprint"
    r"|cherry[- ]?pick|bisect|head|tag|image|guid|uuid|prüfsumme)\b[^\n]{0,20}$",
    re.I,
)
_SECRET_WORDS = re.compile(
    r"\b(?:key|token|secret|password|passwort|auth\w*|credential|bearer|schlüssel|clé|clave)\b[^\n]{0,20}$",
    re.I,
)


def secret_spans(text: str) -> Iterator[Span]:
    """Secrets, as SECRET, and reference numbers, as ORDER_ID, where they stand."""
    longest = longest_word(text)
    for pattern in (*_SECRETS, _CODES, *((_KEYS,) if longest >= MIN_KEY else ())):
        for match in pattern.finditer(text):
            group = "it" if match["it"] else "own"
            yield Span(match.start(group), match.end(group), "SECRET")
    if longest >= MIN_RANDOM:
        yield from _word_spans(text)
    for match in _ASSIGNED.finditer(text):
        if _is_value(match["it"], is_code=match["sign"] != ":" or "_" in match["name"]):
            yield Span(*_trim(match), "SECRET")
    for match in _SAID.finditer(text):
        if _is_value(match["it"], is_code=False):
            yield Span(*_trim(match), "SECRET")
    for match in _TOLD.finditer(text):
        if re.search(r"\d", match["it"]) and re.search(r"[!@#$%^&*~]", match["it"][:-1]):
            yield Span(*_trim(match), "SECRET")
    yield from _reference_spans(text)


def _word_spans(text: str) -> Iterator[Span]:
    """Long words that only a generator writes, and those of hexadecimal digits that are no hash."""
    for match in _RANDOM.finditer(text):
        if is_random(match["it"]):
            yield Span(*match.span("it"), "SECRET")
    for match in _HEX.finditer(text):
        before = text[max(0, match.start() - 40) : match.start()]
        is_hash = len(match["it"]) != 32 or _HASH_WORDS.search(before)
        if not is_hash or _SECRET_WORDS.search(before):
            yield Span(*match.span("it"), "SECRET")


def _trim(match: re.Match[str]) -> tuple[int, int]:
    """The value's place without the mark that ends the sentence, and a link's next parameter."""
    value = re.split(r"&\w+=", match["it"])[0].rstrip(".,;:?")
    return match.start("it"), match.start("it") + len(value)


def _is_value(value: str, is_code: bool) -> bool:
    """Whether what follows "password:" is one: letters with digits or signs; in code, any long word but a placeholder."""
    core = value.rstrip(".,;:!?")
    if (
        len(core) < 4
        or core.casefold() in _NO_SECRET
        or re.fullmatch(
            r"[*xX.•_-]+|(?i:(?:your|my|some|the)[_-]\w+|change_?me|example\w*|placeholder|todo)|\$\w+|%\w+%|https?:.*|os\.\S+|process\.\S+|\w+\(\S*",
            core,
        )
    ):
        return False
    has_mark = bool(re.search(r"\d", core)) or bool(re.search(r"[!@#$%^&*_~]", value[:-1]))
    has_mark = has_mark or (is_code and bool(re.search(r"[a-z][A-Z]", core)))
    return has_mark or (is_code and len(core) >= 8)


_THING = (
    r"order|invoice|booking|reservation|confirmation|tracking|shipment|parcel|package|account|customer|client|member(?:ship)?|policy"
    r"|contract|case|ticket|claim|reference|ref|transaction|payment|receipt|serial|subscription|rma|po"
    r"|bestell(?:ung|nummer|nr\.?)|auftrags?(?:nummer|nr\.?)?|rechnung(?:snummer|snr\.?)?|kunden?(?:nummer|nr\.?)|vertrags?(?:nummer|nr\.?)"
    r"|sendung(?:snummer)?|vorgangs(?:nummer|nr\.?)|buchung(?:snummer)?|commande|facture|réservation|colis|dossier|contrat|pedido|factura|reserva"
    r"|envío|expediente|encomenda|fatura|ordine|fattura|prenotazione|spedizione|pratica|ordernummer|factuur(?:nummer)?|bestelling|pakket"
    r"|klantnummer|zamówieni[ae]|faktur[ay]|注文番号|請求書番号|お客様番号|予約番号"
)
_TOLD = Near(
    re.compile(rf"\b(?:pass(?:wort|word|wd?)?|pwd?|kennwort|mdp|senha|contraseña)\s+{_VALUE}", re.I),
    re.compile(r"[!@#$%^&*_~]"),
    60,
    0,
)
_RANDOM = Near(
    re.compile(r"(?<![\w/+=.-])(?P<it>\w[\w-]{30,200})(?![\w/+-])"), re.compile(r"(?<![\w-])[\w-]{31}"), 0, 0
)
_NUMBERED = re.compile(
    rf"(?<![A-Za-z])(?:{_THING})s?(?![A-Za-z])(?:\s*(?:number|numbers|num\.?|no\.?|nr\.?|n[°ºo]\.?|id|numéro|número|numero|nummer|nº))?"
    r"\s*(?:is|was|ist|est|es|è|é|は|:|：|=|#)*\s*#?\s*"
    r"(?P<it>(?=[A-Z0-9/-]*\d[A-Z0-9/-]*\d[A-Z0-9/-]*\d)[A-Z0-9][A-Z0-9/-]{3,}[A-Z0-9])(?![\w.,:]*\d|\s*(?:rows?|units?|pieces?|items?|times"
    r"|lines|euros?|dollars?|eur|usd|gbp|km|kg|mb|gb|ms|stück|zeilen|users|customers|orders|tickets|characters|%|€|\$))",
    re.I,
)
_REFERENCE = Near(_NUMBERED, _DIGITS, 100, 60)
_ANY_THING = re.compile(rf"(?<![A-Za-z])(?:{_THING})s?(?![A-Za-z])", re.IGNORECASE)
_HASHED = re.compile(r"(?<![\w&/#])#(?P<it>\d{4,})\b(?![\w-])")
_NO_ORDER = re.compile(
    r"\b(?:issues?|pr|pull(?: request)?|merge request|mr|fix(?:es|ed)?|close[sd]?|resolve[sd]?|duplicate of|see|bug|room|step|page|line|chapter"
    r"|colou?r|background|fill|hex|commit|row|slide|version|channel|gh|related to|in|like|apartment|apt|suite|building|question)\s*:?\s*$",
    re.I,
)
_YEAR = re.compile(r"(?:19|20)\d\d(?:[-/]\d\d?){0,2}")


def _reference_spans(text: str) -> Iterator[Span]:
    for pattern in (_REFERENCE, _HASHED):
        for match in pattern.finditer(text):
            if _YEAR.fullmatch(match["it"]):
                continue
            before = text[max(0, match.start() - 120) : match.start()]
            if pattern is _HASHED and (_NO_ORDER.search(before) or not _ANY_THING.search(before)):
                continue
            yield Span(*match.span("it"), "ORDER_ID")
