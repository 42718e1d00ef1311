"""What mail programs add to a message: quoted history, signatures, device lines, legal notices, automatic mail. Pure.

Conservative: when in doubt the text stays. A forwarded message is what the ticket is about and stays; lines that start
with `>` go only below an attribution or where most of the mail is quoted, and never where they are output or code.
"""

from __future__ import annotations

import re

SIGNATURE_LINES = 8
NAME_WORDS = 4
_WROTE = r"wrote|a écrit|schrieb[^\n:]*|escribió|ha scritto|schreef[^\n:]*|escreveu|napisał(?:\(a\))?|skrev[^\n:]*|写道|書きました"
_ATTRIBUTION = re.compile(
    rf"^(?:On|Am|Le|El|Il|Op|Em|Den|W dniu|\d{{4}}[年/-])(?=[^\n]*(?:\n[^\n]+)?\d)(?:[^\n]{{3,250}}?|[^\n]{{3,200}}\n[^\n]{{0,150}}?)"
    rf"(?:\b|(?<=[>\s]))(?:{_WROTE})\s*[:：][ \t]*$",
    re.MULTILINE,
)
_DATED = re.compile(
    r"^(?=[^\n]*\b\d{1,2}[:.]\d{2}\b)(?!>)[^\n]{0,200}[<(][^<>()\s]{1,64}@[^<>()\s]{1,200}[>)][^\n]{0,120}[:：][ \t]*$(?=\n+>)",
    re.MULTILINE,
)
"""A line with a time and an address that ends with a colon, above quoted lines: an attribution in any language."""
_EXACT = re.compile(r"[\w.+-]+@[\w.-]+|\b\d{1,2}[:.h]\d{2}\b|\b(?:19|20)\d\d\b")
_ORIGINAL = re.compile(
    r"^[ \t]*(?:[-_]{2,}\s*(?:original (?:message|appointment)|ursprüngliche nachricht|originalnachricht|message d'origine"
    r"|message d’origine|mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|reply above this line"
    r"|元のメッセージ)\s*[-_]{2,}|##- please type your reply above this line -##)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
FORWARDED = re.compile(
    r"^[ \t>]*(?:[-_]{2,}\s*(?:forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado|mensagem encaminhada"
    r"|messaggio inoltrato|doorgestuurd bericht|転送メッセージ|forwarded by [^\n]{1,60})\s*[-_]{2,}"
    r"|begin forwarded message:|anfang der weitergeleiteten nachricht:|début du message réexpédié[ \t]*:)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_NAMES = (
    r"Sent|Gesendet|Envoyé|Enviado(?: el| em)?|Inviato|Verzonden|Date|Datum|Fecha|Data|To|An|À|Para|A|Aan|Cc|Bcc|Kopie|Subject"
    r"|Betreff|Objet|Asunto|Assunto|Oggetto|Onderwerp|Reply-To|送信日時|宛先|件名"
    r"|Skickat|Sendt|Wysłano|Odesláno|Отправлено|Дата|Gönderildi|Tarih|发送时间|寄件日期|보낸 날짜|Lähetetty|Elküldve|Poslano|Trimis"
    r"|Till|Til|Do|Komu|Кому|Kime|收件人|收件者|받는 사람|Vastaanottaja|Címzett|Către|Kopia|Kopi|Kopio|DW|Копия|Bilgi|抄送|副本"
    r"|Ämne|Emne|Temat|Předmět|Predmet|Тема|Konu|主题|主旨|제목|Aihe|Tárgy|Subiect|Zadeva"
)
_SENT = re.compile(
    r"^[ \t]*\*?(?:Sent|Gesendet|Envoyé|Enviado(?: el| em)?|Inviato|Verzonden|Date|Datum|Fecha|Data|送信日時|Skickat|Sendt|Wysłano|Odesláno"
    r"|Отправлено|Дата|Gönderildi|Tarih|发送时间|寄件日期|보낸 날짜|Lähetetty|Elküldve|Poslano|Trimis)\s*[:：]",
    re.MULTILINE,
)
_MORE_FIELDS = re.compile(r"[A-Z][\w-]{1,30}:[ \t]*\S")
_OUTLOOK = re.compile(
    rf"^(?:_{{20,}}[ \t]*\n+)?[ \t]*\*?(?:From|Von|De|Da|Van|差出人|Från|Fra|Od|От|Kimden|发件人|寄件者|보낸 사람|Lähettäjä|Feladó|De la)\s*[:：]\*? ?[^\n]+\n"
    rf"(?:[ \t]*\*?(?:{_HEADER_NAMES})\s*[:：]\*? ?[^\n]*\n?){{2,}}",
    re.MULTILINE,
)
_DEVICE = re.compile(
    r"^[ \t]*(?:sent (?:from|with|via) (?:my )?\w[^\n]{0,40}|get outlook for \w+[^\n]{0,60}|(?:von|mit) meine[mr]? \w+[^\n]{0,20} gesendet"
    r"|gesendet von (?:mein\w* )?\w[^\n]{0,40}|envoyé de(?:puis)? mon \w+[^\n]{0,30}|envoyé depuis \w[^\n]{0,30}"
    r"|enviado desde (?:mi )?\w+[^\n]{0,30}|enviado do meu \w+[^\n]{0,30}|inviato da(?:l mio)? \w+[^\n]{0,20}"
    r"|verzonden vanaf mijn \w+[^\n]{0,30}|iPhoneから送信)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_LEGAL = re.compile(
    r"^[ \t*]*(?:disclaimer:|confidentiality notice|(?:important )?notice:[^\n]{0,80}confidential"
    r"|this (?:e-?mail|message|communication)(?: and (?:any|its|all) (?:attachments?|files)[^\n]{0,40})?"
    r"(?: is| are| may| contains?)[^\n]{0,40}(?:confidential|privileged|intended)|the information (?:contained )?in this (?:e-?mail|message)"
    r"|diese (?:e-?mail|nachricht) (?:enthält|ist|und)[^\n]{0,60}vertraulich|ce (?:message|courriel|mail)[^\n]{0,60}confidentiel"
    r"|este (?:mensaje|correo|e-?mail)[^\n]{0,60}confidencial|questa? (?:e-?mail|messaggio)[^\n]{0,60}(?:riservat|confidenzial)"
    r"|dit (?:e-?mail)?bericht[^\n]{0,60}vertrouwelijk|please consider the environment before printing)",
    re.IGNORECASE | re.MULTILINE,
)
_SIGN_OFF = re.compile(
    r"^[ \t]*(?:(?:with )?(?:best|kind|warm(?:est)?|many)(?: (?:regards|wishes|thanks))?|regards|sincerely(?: yours)?"
    r"|yours (?:sincerely|faithfully|truly)|cheers|thx|thank(?:s| you)(?: (?:so much|very much|again|a lot|in advance|and regards))?"
    r"|all the best|take care|(?:mit )?(?:freundlichen|besten|vielen|viele|liebe|lieben|beste|herzliche) (?:grüßen|grüssen|grüße|grüsse|dank)"
    r"|mfg|lg|vg|(?:bien )?cordialement|bien à vous|merci(?: d'avance| beaucoup)?|salutations(?: distinguées)?"
    r"|(?:un )?(?:cordial )?saludos?(?: cordial(?:es)?)?|muchas gracias|gracias|cordiali saluti|distinti saluti|grazie(?: mille)?|saluti"
    r"|met vriendelijke groet(?:en)?|groet(?:en|jes)?|mvg|bedankt|atenciosamente|obrigad[oa]|cumprimentos|abraços"
    r"|(?:serdecznie )?pozdrawiam(?: serdecznie)?|z poważaniem|z pozdrowieniami|(?:med )?vänlig(?:a)? hälsning(?:ar)?|hälsningar|mvh"
    r"|(?:med )?(?:vennlig|venlig|kærlig) hilsen|(?:mange )?hilsen|(?:ystävällisin )?terveisin|s pozdravem|hezký den|üdvözlettel"
    r"|saygılarımla|iyi çalışmalar|с уважением|с наилучшими пожеланиями|cu respect|br|kr|rgds|kind rgds|此致|敬礼|祝好|감사합니다"
    r"|よろしくお願いします|よろしくお願いいたします)"
    r"(?:,? ?(?:(?:and|&|\+) )?(?:best|kind|warm)?(?: ?(?:regards|wishes))?)?[ \t]*[,.!，]?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NAME = re.compile(rf"(?:[-–—~*] ?)?[^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){{0,{NAME_WORDS - 1}}}")
_SHELL = re.compile(
    r"^\W*(?:please (?:see|find|have a look|check|handle|advise|take)|see (?:below|attached|the mail)|fyi|for your (?:information|attention|action)"
    r"|fwd?|wg|tr|rv|i'?m forwarding|forwarding (?:this|the)|can (?:you|someone|anyone) (?:take|handle|help with|look (?:at|into)|answer|check|reply to) "
    r"(?:this|that|it|here|below|him|her|them)|could you (?:take|handle|look (?:at|into)|answer|check) (?:this|that|it)|this came in|over to you"
    r"|bitte (?:übernehmen|um (?:bearbeitung|prüfung)|kümmern|siehe|weiterbearbeiten)|zur (?:info|kenntnis|bearbeitung)|siehe unten|z\.? ?k\.?"
    r"|pour (?:info\w*|suite à donner|action)|voir ci-dessous|merci de (?:traiter|voir)|para (?:tu|su) (?:información|conocimiento)|ver abajo"
    r"|per (?:conoscenza|competenza)|vedi sotto|ter (?:info\w*|kennisgeving)|zie onder|below|any (?:idea|thoughts)|thoughts)",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^[^\w\n]*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|hallo|guten (?:tag|morgen)|liebe[rs]?|sehr geehrte[rs]?|bonjour|salut|hola"
    r"|buen(?:os|as) (?:días|tardes)|ciao|buongiorno|beste|olá|bom dia)\b[^\n]{0,40}$",
    re.IGNORECASE | re.MULTILINE,
)
MIN_WORDS = 4  # that a text must have of its own for what stands below to be history
QUOTE_WORDS = 8  # the same, where no attribution says that the quoted lines are one
_OUTPUT = re.compile(
    r"\b(?:error|exception|traceback|fatal|warn(?:ing)?|failed|debug|info|null|undefined|stderr|npm|err!)\b|^\W*at [\w$.<]+[(:]"
    r"|\d{2}:\d{2}:\d{2}|[{}();=<>|\\]{2,}|\b0x[0-9a-f]+|(?:/[\w.-]+){2,}|\b\w+\.\w+\(|^\W*(?:\$|#|>>|sudo|git|select|insert|import|def|class)\b",
    re.IGNORECASE,
)


def without_history(text: str) -> str:
    """The message without the older messages quoted in it; whole where what is left would not say anything."""
    forward = FORWARDED.search(text)
    heads = (match for match in (_ORIGINAL.search(text), _outlook_head(text)) if match)
    first = min((match.start() for match in heads), default=None)
    is_reply = first is not None and not (forward and forward.start() <= first)
    cut = first if is_reply and says_something(text[:first]) else None
    rest = text[:cut]
    matches = [match for mark in (_ATTRIBUTION, _DATED) if (match := mark.search(rest))]
    match = min(matches, key=lambda match: match.start(), default=None)
    if match and not (forward and forward.start() < match.start()):
        after = rest[match.end() :].strip("\n")
        is_quoted = after.lstrip().startswith(">")
        own = _below(after) if is_quoted else ""
        left = f"{rest[: match.start()].rstrip()}\n\n{own}"
        is_history = is_quoted or not after.strip() or (_EXACT.search(match[0]) and not _is_output(after))
        if is_history and says_something(left):
            rest = left
    return _if_cut(_strip_quotes(rest), text)


def _outlook_head(text: str) -> re.Match[str] | None:
    """The head that Outlook puts above an older mail: with a day or an address, and no field of another kind below it."""
    for match in _OUTLOOK.finditer(text):
        is_dated = _SENT.search(match[0]) is not None
        if (is_dated or "@" in match[0]) and not _MORE_FIELDS.match(text, match.end()):
            return match
    return None


def _is_output(text: str) -> bool:
    """Whether at least a quarter of the lines are what a program printed."""
    lines = [line for line in text.split("\n") if line.strip()]
    return 4 * sum(bool(_OUTPUT.search(line.lstrip("> "))) for line in lines) >= len(lines) > 0


def says_something(text: str, least: int = MIN_WORDS) -> bool:
    """Whether a text has words of its own beyond a greeting, a sign-off and "please see below"."""
    words = _SIGN_OFF.sub(" ", _GREETING.sub(" ", text))
    sentences = [part for part in re.split(r"[.!?\n]+", words) if part.strip() and not _SHELL.match(part)]
    count = sum(len(re.findall(r"[^\W\d_]{2,}", part)) for part in sentences)
    dense = sum(len(re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", part)) for part in sentences)
    return count >= least or dense >= 2 * least or bool(re.search(r"\w\?", words) and count > 1)


def without_signature(text: str, keep_greeting: bool = False) -> str:
    """The message without the sender's signature, device line and legal notice.

    `keep_greeting` keeps a closing phrase ("Kind regards") and drops only what stands below: an agent's
    closing is part of the voice to learn, the name is not.
    """
    rest = text
    if FORWARDED.search(text) or _outlook_head(text):
        return text  # the mail below it has its own signature, and its words come after
    for mark in (_LEGAL, _DEVICE):
        if (match := mark.search(rest)) and _ends_there(rest[match.end() :]):
            rest = rest[: match.start()]
    match = re.search(r"^-- ?$", rest, re.MULTILINE)
    if match and _looks_like_signature(rest[match.end() :]):
        rest = rest[: match.start()]
    for match in _SIGN_OFF.finditer(rest):
        below = [line.strip() for line in rest[match.end() :].split("\n") if line.strip()]
        if match.start() and _is_signature(below):
            rest = rest[: match.end() if keep_greeting else match.start()]
            break
    return _if_cut(_without_contacts(rest), text)


_CONTACT = re.compile(
    r"^\W*(?:t|tel|telefon|phone|m|mob(?:il|ile)?|handy|fax?|e|e-?mail|w|web)\b\.?\s*:?\s*[+(\dw]|(?<!\S)\+\d[\d ()/.-]{6,}|\bwww\.|<?\S+@\S+\.\w+>?\s*$"
    r"|^\W*(?:e|e-?mail|mail)\s*:\s*\S+@",
    re.IGNORECASE,
)


def _without_contacts(text: str) -> str:
    """Without a last block that is a name with ways to reach it, where no sign-off stands above: a card, no message."""
    above, gap, block = text.rstrip().rpartition("\n\n")
    lines = [line.strip() for line in block.split("\n") if line.strip()]
    if not gap or len(lines) < 2 or above.rstrip().endswith((":", "：")) or not says_something(above):
        return text
    is_card = _is_signature(lines) and " " in _first_part(lines[0]) and any(map(_CONTACT.search, lines[1:]))
    return above if is_card else text


def _ends_there(below: str) -> bool:
    """Whether what follows a device line or notice can be no message: a few lines, none a question or a request."""
    lines = [line for line in below.strip().split("\n") if line.strip()]
    return len(lines) <= SIGNATURE_LINES and not any(_is_request(line) for line in lines)


_CODE = re.compile(
    r"^\W*(?:select|insert|update|delete|create|alter|sudo|git|import|def|class|return)\b|[{};]\s*$|\w\s*=\s*[\w'\"]",
    re.IGNORECASE,
)


def _is_request(line: str) -> bool:
    return (
        line.rstrip().endswith("?")
        or re.match(r"\W*(?:p\.?s\.?|ps|n\.?b\.?)\b", line.strip(), re.I) is not None
    )


def _looks_like_signature(below: str) -> bool:
    """Whether short lines that are no sentences stand below the dashes."""
    lines = [line.strip() for line in below.split("\n") if line.strip()]
    if len(lines) > 2 * SIGNATURE_LINES or any(_is_request(line) or _CODE.search(line) for line in lines):
        return False
    notice = next((at for at, line in enumerate(lines) if _LEGAL.match(line)), len(lines))
    return all(len(line) <= 100 and len(line.split()) <= 10 for line in lines[:notice])


_OFFICE = re.compile(
    r"auto(?:matic(?:ally)?|mated|-)[ -]?(?:reply|response|generated|replies)|automatische (?:antwort|rückmeldung)|abwesenheitsnotiz"
    r"|réponse automatique|message d'absence|respuesta automática|fuera de (?:la )?oficina|risposta automatica|automatisch antwoord"
    r"|resposta automática|out of (?:the )?office|delivery status notification|undeliver(?:ed|able)(?: mail)?(?: returned to sender)?"
    r"|mail delivery (?:failed|subsystem)|delivery (?:has )?failed|returned mail|zustellung fehlgeschlagen|unzustellbar|自動返信|自動応答",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"(?:i am|i'm|i’m|i will be|we are) (?:currently |now |presently )?(?:out of (?:the )?office|on (?:annual |parental |sick )?leave"
    r"|away from|on vacation|on holiday)[^?]{0,200}(?:return|back|until|urgent|limited|reply|respond|contact)"
    r"|ich bin (?:derzeit |aktuell |momentan )?(?:nicht im (?:büro|haus)|im urlaub|abwesend|außer haus)[^?]{0,200}(?:zurück|ab dem|bis|dringend|vertretung)"
    r"|je suis (?:actuellement )?(?:absente?|en congés?)[^?]{0,200}(?:retour|jusqu|urgen)"
    r"|(?:estoy|estaré) (?:fuera de la oficina|de vacaciones)[^?]{0,200}(?:vuelta|hasta|regres|urgen)",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"^\W*this is an? (?:automated|automatic|auto-generated) (?:reply|response|message|e-?mail|notification)|^\W*(?:dies ist eine automatisch "
    r"|ceci est un message automatique|este es un mensaje automático)",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\?|\b(?:how (?:do|can|to)|why|can you|could you|would you|(?:i|we)(?: keep)? (?:get|getting|receive|see|want|need|tried|sent|cannot|can't)"
    r"|(?:my|our) (?:customers?|clients?|users?|team|invoices?|orders?|account|app)|your (?:app|system|server|tool|product|service|site|automatic)"
    r"|please (?:check|fix|stop|help|turn|remove|tell|advise|explain|disable|change|look|send)|(?:is|are|was|were) (?:sent|not|always|still|wrong)"
    r"|since (?:yesterday|monday|last|the|i|we)|stopped|doesn't|does not|bitte (?:prüfen|helfen|abstellen)|ich (?:bekomme|erhalte|möchte|kann)"
    r"|warum|wie kann|je (?:reçois|voudrais|ne)|pourquoi|comment|recibo|por qué|cómo|ricevo|perché)\b",
    re.IGNORECASE,
)


def is_automatic(text: str) -> bool:
    """Whether a machine wrote it: absence notes, bounces, automatic confirmations. People writing about them never did."""
    head = text.strip()[:600]
    if _MACHINE.match(head):
        return True
    away = re.search(rf"(?:^|\n)\W*(?:\w+[ ,]+){{0,8}}(?:{_AWAY.pattern})", head, re.IGNORECASE)
    if away and "?" not in head:
        return True
    first, _, rest = head.partition("\n")
    match = re.match(rf"\W*(?:re: )?(?:{_OFFICE.pattern})", first, re.IGNORECASE)
    if not match:
        return False
    after = first[match.end() :]
    stands_alone = not after.strip() or re.match(r"\s*[:(\[–—-]|\s*re\b|\s*$", after, re.I)
    return (
        bool(stands_alone)
        and not _PERSON.search(after)
        and not re.search(r"\?|\b(?:how do i|why do)\b", rest, re.I)
    )


def _if_cut(rest: str, text: str) -> str:
    """What is left, or the text itself where nothing was cut or no word would be left."""
    rest = rest.strip()
    return text if rest == text.strip() or not re.search(r"\w", rest) else rest


def _below(quoted: str) -> str:
    """What its author wrote below or between the lines that an attribution announces."""
    return "\n".join(line for line in quoted.split("\n") if not line.lstrip().startswith(">"))


def _strip_quotes(text: str) -> str:
    """Without the lines quoted by '>', where they are most of the mail and no output, and what is left says something."""
    lines = [line for line in text.split("\n") if line.strip()]
    quotes = [line for line in lines if line.lstrip().startswith(">") and not line.lstrip().startswith(">>>")]
    if len(quotes) < 2 or 2 * len(quotes) <= len(lines):
        return text
    if _is_output("\n".join(quotes)):
        return text
    before = text.split(quotes[0], 1)[0].rstrip()
    if before.endswith((":", "：")):  # they are announced, as output is
        return text
    own = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(">"))
    return own if says_something(own, QUOTE_WORDS) else text


def _is_signature(lines: list[str]) -> bool:
    """A name in capitals first, then short lines that are no sentences."""
    name = _first_part(lines[0]) if lines else ""
    if not lines or len(lines) > SIGNATURE_LINES or not _NAME.fullmatch(name):
        return False
    title = re.sub(r"\S*[@.]\S*", " ", lines[0][len(name) :])
    words = [word for word in [*name.split(), *re.findall(r"[^\W\d_]+", title)] if len(word) > 3]
    if any(word[0].islower() for word in words):
        return False
    return not any(_is_request(line) for line in lines) and all(
        len(line) <= 80 and len(line.split()) <= 10 and not line.endswith(("?", "!")) for line in lines[1:]
    )


def _first_part(line: str) -> str:
    """The name in a line that goes on with a title or a company: `Ada Brook | Operations`, `Ada Brook, Acme`."""
    return re.split(r"\s*[,|·•]\s*|\s+[-–—]\s+", line.strip(" ,."))[0].rstrip(",.")
