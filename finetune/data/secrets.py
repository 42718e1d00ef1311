"""Secrets and reference numbers in text: keys, passwords in nine languages, tokens in links, order numbers. Pure.

Does not cover a password without a word that says so, nor keys of unknown makers outside an assignment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of a text to replace by <KIND>."""

    start: int
    end: int
    kind: str


_KEYS = (
    r"sk-(?:ant-|proj-|live-|svcacct-)?[A-Za-z0-9_-]{16,}|(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}|dop_v1_[a-f0-9]{32,}"
    r"|shp(?:at|ss|ca)_[a-f0-9]{32}|key-[a-f0-9]{32}|AC[a-f0-9]{32}|EAACEdEose0cBA\w+|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
)
_NAMES = (
    r"pass(?:word|wd|code|phrase|wort)?|kennwort|pwd|pw|secret|token|(?:api|access|private|client|signing|encryption|auth|account|shared)"
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
_SECRETS = (
    re.compile(rf"(?<![\w-])(?P<it>{_KEYS})(?![\w-])"),
    re.compile(r"(?P<it>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))", re.S),
    re.compile(r"\b(?:Bearer|Basic|Token)\s+(?P<it>(?=[^\s]*\d)[A-Za-z0-9._~+/-]{16,}=*)", re.I),
    re.compile(r"(?P<it>https://hooks\.slack\.com/services/\S+)"),
    re.compile(r"://[^/\s:@]{0,100}:(?P<it>[^/\s@]{1,200})@"),
    re.compile(
        r"[?&#][\w.-]*(?:token|key|code|sig|signature|password|passwd|pwd|auth|session|secret|jwt|otp|ticket|hash)[\w.-]*="
        r"(?P<it>(?=[^&\s#>\"']*\d|[^&\s#>\"']{20})[^&\s#>\"']{6,})",
        re.I,
    ),
    re.compile(
        r"https?://[^\s<>\"']{1,300}?/[\w-]*(?:reset|verify|confirm|activat|invit|magic|password|login|auth|unsubscribe|token|share)[\w-]*"
        r"(?:/[\w-]{1,12})?/(?P<it>(?=[\w-]*\d)[\w-]{12,})",
        re.I,
    ),
    re.compile(
        r"\b(?:session(?:_?id)?|sid|sessid|csrf_?token|JSESSIONID|PHPSESSID|connect\.sid)=(?P<it>[\w%.+/-]{10,})",
        re.I,
    ),
)
_CODES = re.compile(
    r"\b(?:pin(?:[ -]?(?:code|number|nummer))?|code pin|geheimzahl|otp|tan|cv[vc]2?|one[- ]time (?:code|password|passcode)"
    r"|(?:verification|security|confirmation|2fa|login|access|unlock|sms) (?:code|pin)|bestätigungscode|sicherheitscode|einmalpasswort"
    r"|code de (?:vérification|sécurité)|código de (?:verificación|seguridad|verificação|segurança)|codice di (?:verifica|sicurezza)"
    r"|verificatiecode|暗証番号|認証コード)"
    r"[\s:=：-]*(?:(?:is|was|ist|lautet|est|es|è|é|は|number|nr\.?)[\s:]*)?(?P<it>\d{3,8})(?![\w.,:%]?\d|\s*%)",
    re.I,
)
_ASSIGNED = re.compile(
    rf"(?<![A-Za-z])(?P<name>(?:(?<![\w.])[\w.]{{1,40}}[_.-])?(?:{_NAMES})(?:[_-][\w.-]{{0,40}})?)[\"'`]?\s*(?P<sign>=>|:=|=|:|：)\s*{_VALUE}",
    re.I,
)
_SAID = re.compile(
    rf"\b(?:{_NAMES})\b(?:\s+(?:for|für|pour|para|per|voor|to|zu[mr]?|of|de|del|von|van)\s+[^\s:=]+(?:\s+[^\s:=]+)?)?"
    rf"\s*(?:(?:is|was|ist|war|lautet|est|era|es|è|é|は|to)\s*[:=]?|:)\s*{_VALUE}",
    re.I,
)
_HEX = re.compile(r"(?<![\w/.-])(?P<it>(?=[a-f0-9]*\d)(?=[a-f0-9]*[a-f])[a-f0-9]{32,128})(?![\w-])")
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
    for pattern in (*_SECRETS, _CODES):
        for match in pattern.finditer(text):
            yield Span(*match.span("it"), "SECRET")
    for match in _ASSIGNED.finditer(text):
        if _is_value(match["it"], is_code=match["sign"] != ":" or "_" in match["name"]):
            yield Span(*_trim(match), "SECRET")
    for match in _SAID.finditer(text):
        if _is_value(match["it"], is_code=False):
            yield Span(*_trim(match), "SECRET")
    for match in _HEX.finditer(text):
        before = text[max(0, match.start() - 40) : match.start()]
        is_hash = len(match["it"]) != 32 or _HASH_WORDS.search(before)
        if not is_hash or _SECRET_WORDS.search(before):
            yield Span(*match.span("it"), "SECRET")
    yield from _reference_spans(text)


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
_REFERENCE = re.compile(
    rf"(?<![A-Za-z])(?:{_THING})s?(?![A-Za-z])(?:\s*(?:number|numbers|num\.?|no\.?|nr\.?|n[°ºo]\.?|id|numéro|número|numero|nummer|nº))?"
    r"\s*(?:is|was|ist|est|es|è|é|は|:|：|=|#)*\s*#?\s*"
    r"(?P<it>(?=[A-Z0-9/-]*\d[A-Z0-9/-]*\d[A-Z0-9/-]*\d)[A-Z0-9][A-Z0-9/-]{3,}[A-Z0-9])(?![\w.,:]*\d|\s*(?:rows?|units?|pieces?|items?|times"
    r"|lines|euros?|dollars?|eur|usd|gbp|km|kg|mb|gb|ms|stück|zeilen|users|customers|orders|tickets|characters|%|€|\$))",
    re.I,
)
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
