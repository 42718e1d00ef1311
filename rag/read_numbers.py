"""Numbers in messy text, each with what it counts: examples, labels, calls a month, dollars, scores, ...

Covers digits with k/M/B, thousands separators of four languages, and round number words. The noun or
unit beside the number decides its kind; what fits nothing is left out. Pure, about 0.2 ms a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MULTIPLIERS = {
    "k": 1e3, "thousand": 1e3, "tausend": 1e3, "mille": 1e3, "mil": 1e3, "tsd": 1e3,
    "m": 1e6, "mm": 1e6, "mn": 1e6, "mio": 1e6, "mln": 1e6, "million": 1e6, "millions": 1e6, "millionen": 1e6,
    "millones": 1e6, "mil millones": 1e9, "milliarden": 1e9, "milliard": 1e9, "b": 1e9, "bn": 1e9, "billion": 1e9, "mrd": 1e9, "milliards": 1e9, "t": 1e12,
    "trillion": 1e12, "hundred": 100.0, "hundert": 100.0, "cent": 100.0, "dozen": 12.0, "grand": 1e3,
}  # fmt: skip
_MULT = "|".join(sorted(MULTIPLIERS, key=len, reverse=True))
_DIGITS = re.compile(
    rf"(?<![\w.])(?P<cur>[$€£]\s?)?(?P<num>\d{{1,3}}(?:[.,'’ \u00a0\u202f]\d{{3}})+(?![\d])|\d+(?:[.,]\d+)?)"
    rf"(?:\s?(?P<mult>{_MULT})(?![a-zà-ÿ]))?(?P<cur2>\s?[$€£]+|\s?(?:usd|eur|euros?|dollars?|bucks|chf)\b)?",
    re.IGNORECASE,
)
_WORDS = {
    "half a million": 5e5, "hundreds of thousands": 3e5, "tens of thousands": 3e4, "a few thousand": 3e3,
    "few thousand": 3e3, "couple thousand": 2e3, "couple of thousand": 2e3, "several thousand": 4e3,
    "a few hundred": 300.0, "few hundred": 300.0, "couple hundred": 200.0, "couple of hundred": 200.0,
    "several hundred": 400.0, "quelques centaines": 300.0, "quelques milliers": 3e3, "ein paar hundert": 300.0,
    "ein paar tausend": 3e3, "unos cientos": 300.0, "unos miles": 3e3, "hundreds of": 400.0,
    "thousands of": 3e3, "millions of": 3e6, "a couple dozen": 24.0, "couple dozen": 24.0, "two dozen": 24.0,
    "a dozen": 12.0, "dozens of": 36.0, "a million": 1e6, "one million": 1e6, "two million": 2e6,
    "a hundred": 100.0, "one hundred": 100.0, "two hundred": 200.0, "five hundred": 500.0, "a thousand": 1e3,
    "one thousand": 1e3, "two thousand": 2e3, "five thousand": 5e3, "ten thousand": 1e4, "a handful of": 5.0,
    "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0,
    "eleven": 11.0, "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty": 40.0,
    "fifty": 50.0, "sixty": 60.0, "eighty": 80.0, "two": 2.0, "zwei": 2.0, "drei": 3.0, "fünf": 5.0,
    "zehn": 10.0, "deux": 2.0, "trois": 3.0, "cinq": 5.0, "dix": 10.0, "dos": 2.0, "tres": 3.0, "diez": 10.0,
}  # fmt: skip
_WORD = re.compile(r"\b(?:" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")\b", re.IGNORECASE)

_PER = r"(?:/|\bper\b|\ba\b|\ban\b|\beach\b|\bevery\b|\bpro\b|\bpar\b|\bpor\b|\bal\b|\bà la\b|\bim\b)\s?"
_TIMES = {  # calls per month for one call per unit
    r"(?:months?|mo|mth|monat|mois|mes)\b": 1.0,
    r"(?:days?|d|tag|jour|d[ií]a)\b": 30.0,
    r"(?:weeks?|wks?|woche|semaine|semana)\b": 4.3,
    r"(?:hours?|hrs?|h|stunde|heure|hora)\b": 720.0,
    r"(?:minutes?|min)\b": 43_200.0,
    r"(?:seconds?|secs?|s)\b": 2_592_000.0,
    r"(?:years?|yrs?|jahr|an|ann[ée]e|a[ñn]o)\b": 1 / 12,
    r"(?:quarter|q|quartal|trimestre)\b": 1 / 3,
}
_ADVERBS = {
    r"(?:daily|t[äa]glich|quotidien\w*|diari[oa]s?)\b": 30.0,
    r"(?:monthly|monatlich|mensuel\w*|mensuales)\b": 1.0,
    r"(?:weekly|w[öo]chentlich|hebdo\w*|semanales)\b": 4.3,
    r"(?:qps|rps)\b": 2_592_000.0,
    r"(?:yearly|annually|j[äa]hrlich)\b": 1 / 12,
}
_GAP = r"(?:[\w'’\-+]+\s){0,3}?"  # up to three words between number and noun
_CLASS = (
    r"(?:class(?:es)?|labels?|intents?|categor(?:y|ies)|queues?|tags?|topics?|buckets?|kategorien?|klassen?|"
    r"cat[ée]gories?|clases?|categor[ií]as?|[ée]tiquettes?|etiquetas?|departments?|folders?|damage types|"
    r"file|types?|typen|reasons?|codes|warteschlangen|colas|files d'attente|outcomes|skills|themes?|priorit(?:y|ies))\b"
)
_EXAMPLE_STRONG = (
    r"(?:labell?ed|hand-?\w+|annotated|tagged|approved|validated?|valid[ée]e?s?|verified|curated|checked|reviewed|gold|"
    r"golden|pairs?|examples?|samples?|macros?|gelabelte?n?|freigegebene?n?|gepr[üu]fte?n?|beispiele?n?|exemples?|"
    r"[ée]tiquet[ée]e?s?|annot[ée]e?s?|ejemplos?|etiquetad[oa]s?|aprobad[oa]s?|validad[oa]s?|rated|signed-?off|"
    r"translator-\w+|QA|beispielpaare?|paires?|pares|corrected|segment pairs|templates|star-\w+|graded|good)\b"
)
_EXAMPLE_WEAK = (
    r"(?:tickets?|e-?mails?|repl(?:y|ies)|responses?|answers?|conversations?|convos?|transcripts?|chats?|records|rows|"
    r"cases|notes|reviews|reports|summaries|segments|snippets|utterances|messages|msgs|logs|outputs|calls|posts|"
    r"r[ée]ponses|antworten|respuestas|mensajes|mails|bewertungen|avis|anfragen|lines|files|letters|scripts|images|"
    r"completions|drafts|descriptions|incidents|complaints|requests|documents de test|demandes|correos|invoices)\b"
)
_LABEL_KNOWN = (
    r"(?:(?:are|were|was|is|have been|already|of them|all)\s)*(?:labell?ed|tagged|routed|sorted|coded|annotated|checked|"
    r"with (?:the |their |a |its |known |right |correct |true |final )*(?:queue|label|team|categor(?:y|ies)|class|code|"
    r"folder|topic|tag|outcome|department)s?\b|(?:have|has) (?:checked|correct|known|verified) \w+)"
)
_EVAL = (
    r"(?:evals?|evaluation|test ?-?set|test|tests|held-?out|holdout|blind|benchmark|validation|testset|"
    r"testdaten|jeu de test|conjunto de prueba|val)\b"
)
_PEOPLE = (
    r"(?:agents|people|ppl|persons?|employees|staff|engineers?|devs|developers|users|customers|folks|reps|hires|"
    r"researchers?|scientists?|phds?|mitarbeiter|leute|personnes|personas|employ[ée]s|empleados|chercheurs|forscher|"
    r"annotators|nurses|accounts|tenants|clients|merchants|stores|companies|kunden|seats|investigadores|of us)\b"
)
_KB = {  # tokens in one of them: a planning figure, told in docs/decisions.d/advisor.md
    r"(?:pages?|pgs?|seiten|p[áa]ginas)\b": 650,
    r"(?:kb |help ?center |help |wiki |support |knowledge base )?(?:articles?|artikel|art[ií]culos)\b": 800,
    r"(?:docs?|documents?|pdfs?|dokumente?n?|documentos|manuals?|contracts?|handb[üu]cher|policies|sops)\b": 3000,
    r"(?:faqs?|faq entries|entries|q&as?|skus?|products?)\b": 150,
    r"(?:words|w[öo]rter|mots|palabras)\b": 1.35,
    r"gb\b": 2e8,
    r"tb\b": 2e11,
    r"mb\b": 2e5,
    r"(?:repos?|repositories)\b": 5e5,
    r"(?:loc|lines of code)\b": 10,
}
_GPU = r"x?\s?(?:nvidia )?(?:h100|h200|a100|b200|b300|gb200|mi300x?|v100|l40s?|a10g?|tpus?|gpus?|gpu|grafikkarten|accelerators?)s?\b"
_NEED = (
    r"(?:need|needs|needed|want|wants|wanted|target|goal|required?|requires|must|at least|aim|aiming|bar is|reach|get to|"
    r"hit|brauchen|ben[öo]tigen|ziel|mindestens|besoin|il faut|faut|objectif|viser|visons|necesitamos|objetivo|queremos|"
    r"expects?|sla|threshold|bar|to|>=?|≥)\W*(?:is|are|de|of|be|at|around|about|es|ist|est|a|min|minimum|like|be at|het)?\W*$"
)
_SCORE_WORDS = (
    r"accura\w*|acc\b|f1|right|correct|scor\w*|pass\w*|stuck|gets?\b|got\b|at\b|conform\w*|hits?\b|plateau\w*|tops? out|"
    r"reach\w*|precision|recall|exact|valid|richtig|korrekt|trefferquote|genauigkeit|correctes?|justes?|aciert\w*|"
    r"exactitud|precisi[óo]n|parse\w*|match\w*|agree\w*|win|prefer\w*|bleu|comet|rouge|only|schafft|liegt|kommt|est [àa]|"
    r"exactitude|still|landed|lands|sits|sitting|compliant|usable|accept\w*|macro"
)
_WRONG = (
    r"(?:wrong\w*|errors?|fail\w*|incorrect|off\b|false|falsch\w*|faux|fausses?|mal\b|broken|break|miss\w*|halluc\w*|"
    r"flagged|sent back|send back|invalid|mistake\w*|bad|fehler\w*|erreurs?|err[óo]ne\w*|errores|incorrect[oa]s?|reject\w*|escalat\w*)"
)


@dataclass(frozen=True)
class Count:
    """A number with its kind, its value in the signal's unit, and the words it stands in."""

    kind: str
    value: float
    quote: str
    start: int
    end: int


@dataclass(frozen=True)
class _Number:
    value: float
    start: int
    end: int
    money: bool
    mult: str


def read_counts(text: str) -> list[Count]:
    """All numbers of the text whose kind can be told, in order."""
    found = []
    numbers = list(_numbers(text))
    for number in numbers:
        kind, value, tail = _kind(text, number, numbers)
        if kind:
            quote = _quote(text, number.start, number.end + tail)
            found.append(Count(kind, value, quote, number.start, number.end))
    return found


def _numbers(text: str) -> Iterator[_Number]:
    taken: list[tuple[int, int]] = []
    every = []
    for match in _DIGITS.finditer(text):
        mult = (match["mult"] or "").lower()
        value = _value(match["num"]) * MULTIPLIERS.get(mult, 1.0)
        taken.append(match.span())
        every.append(_Number(value, *match.span(), bool(match["cur"] or match["cur2"]), mult))
    for match in _WORD.finditer(text):
        if not any(start < match.end() and match.start() < end for start, end in taken):
            every.append(_Number(_WORDS[match[0].lower()], *match.span(), False, "word"))  # noqa: PERF401
    yield from sorted(every, key=lambda number: number.start)


def _value(digits: str) -> float:
    """3,500 / 3.500 / 3 500 are thousands; 3.5 and 1,2 are decimals."""
    if re.fullmatch(r"[1-9]\d{0,2}(?:[.,'’ \u00a0\u202f]\d{3})+", digits):
        return float(re.sub(r"\D", "", digits))
    return float(digits.replace(",", "."))


def _around(text: str, number: _Number) -> tuple[str, str]:
    """The words before and after the number, within its clause, lower case."""
    before = re.split(r"[;.!?\n(](?:\s|$)|,\s", text[max(0, number.start - 60) : number.start])[-1].lower()
    after = re.split(r"[;!?\n)]|[.,](?:\s|$)", text[number.end : number.end + 70])[0].lower()
    return before, after


def _kind(text: str, number: _Number, numbers: list[_Number]) -> tuple[str | None, float, int]:
    """What this number counts, its value in the signal's unit, and how many characters after it belong to it."""
    before, after = _around(text, number)
    for rule in (_percent, _money, _latency, _hardware, _training, _volume, _per_class, _tokens, _evaluation,
                 _people, _classes, _examples, _documents, _bare_score):  # fmt: skip
        kind, value, tail = rule(number, before, after, text)
        if kind:
            return (None if kind == "ignore" else kind), value, tail
    return None, number.value, 0


Told = tuple[str | None, float, int]
_NONE: Told = (None, 0.0, 0)


def _percent(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(r"\s?-?\s?(?:%|percent\b|pct\b|prozent\b|pour ?cent\b|por ?ciento\b)", after)
    if not head:
        worse = re.match(r"\s?(?:pts?|points?|punkte|puntos)\b", after)
        return ("ignore", 0.0, worse.end()) if worse else _NONE
    if number.value > 100:
        return "ignore", 0.0, 0
    rest = after[head.end() :]
    if re.search(_NEED, before) and not re.search(r"stuck|gets? to\W*$", before):
        return "target", number.value, head.end()
    wrong = re.match(rf"\s(?:[\w'’]+\s){{0,4}}?{_WRONG}", rest) or re.search(
        rf"(?:{_WRONG}|\bflags?|\bsend back)\W*(?:\w+\W+){{0,3}}$", before
    )
    if wrong:
        return "score", 100 - number.value, head.end()
    if (
        re.search(_SCORE_WORDS, before[-40:])
        or re.search(_SCORE_WORDS, rest[:40])
        or re.match(r"\s?(?:on|sur|auf|sobre|en|over)\s", rest)
    ):
        return "score", number.value, head.end()
    return "ignore", 0.0, 0


def _money(number: _Number, before: str, after: str, text: str) -> Told:
    unit = re.match(r"\s?(?:bucks|dollars?|euros?|usd|eur|grand|€|\$)", after)
    pays = re.search(
        r"\b(?:pay\w*|spend\w*|bills?|costs?|costing|burn\w*|kostet|zahlen|payons|co[ûu]te|pagamos|cuesta|rechnung|facture|invoice)\b[^,;.]{0,25}$",
        before,
    )
    if not (number.money or unit or number.mult == "grand"):  # noqa: SIM102
        if not (pays and re.match(rf"\s?{_PER}(?:mo|month|year|yr|day|week|monat|mois|mes)", after)):
            return _NONE
    rest = after[unit.end() :] if unit else after
    offset = unit.end() if unit else 0
    rate = _rate(rest, span=12)
    if re.match(
        rf"\s?{_PER}(?:request|call|ticket|1k|1m|million|token|run|item|conversation|doc|page|hour|h\b|seat|agent)",
        rest,
    ):
        return "ignore", 0.0, 0
    if rate:
        return "monthly_cost", number.value * rate[0], offset + rate[1]
    if re.search(r"monthly|per month|bill|a month|spend", before[-30:]) or re.match(
        r"\s?(?:\w+\s){0,2}(?:monthly|bill)", rest
    ):
        return "monthly_cost", number.value, offset
    return "budget_usd", number.value, offset


def _rate(after: str, span: int) -> tuple[float, int] | None:
    """Calls per month for one per the unit named within `span` characters after the number."""
    for pattern, per_month in _TIMES.items():
        match = re.search(rf"{_PER}{pattern}", after)
        if match and match.start() <= span and not re.search(r"\d", after[: match.start()]):
            return per_month, match.end()
    for pattern, per_month in _ADVERBS.items():
        match = re.search(rf"\b{pattern}", after)
        between = after[: match.start()] if match else ""
        if (
            match
            and match.start() <= span
            and not re.search(r"\d|\b(?:chang|updat|ändern|cambia)\w*", between)
        ):
            return per_month, match.end()
    return None


def _latency(number: _Number, before: str, after: str, text: str) -> Told:
    unit = re.match(r"\s?(ms|msec|millisec\w*|millisek\w*|millisecond\w*)\b", after)
    factor = 1.0
    if not unit:
        unit = re.match(r"\s?(s|sec|secs|seconds?|sekunden?|secondes?|segundos?)\b(?!\s*of audio)", after)
        factor = 1000.0
    if not unit:
        return _NONE
    value = number.value * factor
    needed = re.search(
        r"need|must|under|below|within|<|≤|max|budget|sla|unter|maximal|moins|menos|limit|want|p9\d\s*$|in\s*$|less than|has to",
        before,
    )
    if factor == 1.0 or (needed and value <= 60_000):
        now = (
            re.search(r"takes?|currently|today|now|waits?|averag|braucht|dauert|prend|tarda", before)
            and not needed
        )
        return ("latency_now" if now else "latency_ms"), value, unit.end()
    return "latency_now", value, unit.end()


def _hardware(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(rf"\s?{_GPU}", after) or re.match(rf"\s(?:[\w\-]+\s){{0,2}}{_GPU}", after)
    if head:
        return "gpus", number.value, head.end()
    if number.mult == "b" and not re.match(
        r"\s?-?(?:[\w\-]+\s){0,4}(?:tokens?|toks?|words|calls|requests)", after
    ):
        return "ignore", 0.0, 0  # a model's size
    if re.match(r"\s?(?:gb|gib)\s(?:of\s)?(?:v?ram|gpu|memory)", after):
        return "ignore", 0.0, 0
    return _NONE


def _training(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(r"\s?(?:epochs?|epochen|[ée]poques|[ée]pocas)\b", after)
    if head:
        return "epochs", number.value, head.end()
    if re.match(r"\s?-?\s?shots?\b", after):
        return "shots", number.value, 5
    if re.search(
        r"gpt-?\s?$|version\s?$|llama-?\s?$|claude\s?$|v$|q$|sonnet\s?$|haiku\s?$|opus\s?$|gemini\s?$|qwen-?\s?$|p$",
        before,
    ):
        return "ignore", 0.0, 0
    if re.match(
        r"\s?-?(?:weeks?|wks?|months?|days?|years?|yrs?|hours?|hrs?|min\w*|wochen|monate\w*|tage\w*|jahre\w*|semaines|mois|jours|ans|semanas|meses|d[ií]as|a[ñn]os)\b",
        after,
    ):
        return _deadline(number, before, after)
    if re.match(
        r"\s?-?(?:languages?|langs?|sprachen|langues|idiomas|fields?|steps?|countries|teams?|layers?|felder|champs|campos)\b",
        after,
    ):
        return "ignore", 0.0, 0
    return _NONE


def _deadline(number: _Number, before: str, after: str) -> Told:
    days = {
        "week": 7,
        "wk": 7,
        "woch": 7,
        "sema": 7,
        "mont": 30,
        "mona": 30,
        "mois": 30,
        "mese": 30,
        "day": 1,
        "tag": 1,
    }
    factor = next((n for stem, n in days.items() if after.strip(" -").startswith(stem)), 0)
    wanted = re.search(r"\b(?:in|within|have|and|got|deadline|only|by|nur|en|dans|hasta)\W*$", before)
    past = re.search(r"last|past|since|over|from|previous|for\W*$", before)
    if factor and wanted and not past:
        return "deadline_days", number.value * factor, 7
    return "ignore", 0.0, 0


def _volume(number: _Number, before: str, after: str, text: str) -> Told:
    rate = _rate(after, span=34)
    if rate and not re.match(rf"\s?{_GAP}{_EXAMPLE_STRONG}", after):
        return "volume_month", number.value * rate[0], rate[1]
    return _NONE


def _per_class(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(rf"\s?{_GAP}{_PER}{_CLASS}", after)
    if head:
        return "per_class", number.value, head.end()
    head = re.match(
        rf"\s?{_GAP}(?:labell?ed\s)?(?:examples?|samples?|tickets?|rows|beispiele?|exemples?|ejemplos?|messages|utterances|notes|e?mails)?\s?(?:each|apiece|jeweils|chacune?|cada un[oa])\b",
        after,
    )
    if head:
        return "per_class", number.value, head.end()
    if re.search(
        r"per (?:class|label|intent|category|tag|topic)\W*(?:is|are|of|about|~|:|we have)?\W*$", before
    ):
        return "per_class", number.value, 0
    return _NONE


def _tokens(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(r"\s?-?(?:[\w\-]+\s){0,4}?(?:tokens?|toks?)\b", after)
    if not head:
        return _NONE
    if re.search(r"prompt\W*(?:\w+\W+){0,3}$", before) or re.match(r"[^,]{0,20}prompt", after[head.end() :]):
        return "prompt_tokens", number.value, head.end()
    return ("pretrain_tokens" if number.value >= 1e9 else "kb_tokens"), number.value, head.end()


def _evaluation(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{_EVAL}", after)
    if head and not re.match(r"\s?-?(?:\w+\s){0,2}test(?:ed|ing)", after):
        return "eval_n", number.value, head.end()
    if re.search(
        rf"\b(?:{_EVAL}|gold set|test ?data|sample)\W*(?:\w+\W+)?(?:of|with|on|over|is|has|:|=|n=|von|mit|de|con|sur|auf|sobre)?\W*$",
        before,
    ):
        return "eval_n", number.value, 0
    if re.search(
        r"\d\s?(?:%|percent|prozent)\s(?:[\w/'’]+\s){0,4}?(?:on|of|over|across|sur|auf|bei|de|en|sobre|out of|in)\s(?:(?:our|the|a|an|my|unser\w*|nos|notre|un|una|nuestr\w*|last|real|des|les|le|la|los|las|n)\s?=?\s?)*~?$",
        before,
    ):
        return "eval_n", number.value, 0
    return _NONE


def _people(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(rf"\s?-?(?:[\w\-]+\s){{0,2}}?{_PEOPLE}", after)
    if not head or re.match(rf"\s?-?{_EXAMPLE_STRONG}\s(?:by|from|von|par|por)\b", after):
        return _NONE
    science = re.search(r"research|scientist|phd|chercheur|forscher|investigador", head[0])
    return ("researchers" if science else "ignore"), number.value, head.end()


def _classes(number: _Number, before: str, after: str, text: str) -> Told:
    head = re.match(rf"\s?-?(?:[\w\-/]+\s){{0,2}}?{_CLASS}", after) or re.match(
        r"\s?-?(?:way|class|label)\b", after
    )
    if head and 2 <= number.value <= 2000 and number.mult not in ("k", "m"):
        if re.match(rf"\s?{_EXAMPLE_STRONG}", after):
            return _NONE
        return "classes", number.value, head.end()
    return _NONE


def _examples(number: _Number, before: str, after: str, text: str) -> Told:
    tried = re.search(r"top-?\s?$|first\s$|few\s$|chose\s$|show\w*\s$", before)
    head = re.match(rf"\s?-?{_GAP}{_EXAMPLE_STRONG}", after)
    if head and not tried:
        return "examples", number.value, head.end()
    head = re.match(rf"\s?-?{_GAP}{_EXAMPLE_WEAK}(?=\s{_LABEL_KNOWN})", after)
    if head and not tried:
        return "examples", number.value, head.end()
    head = re.match(rf"\s?-?{_GAP}{_EXAMPLE_WEAK}", after)
    if head and not tried:
        return "examples_raw", number.value, head.end()
    if re.search(
        r"\b(?:labell?ed|examples?|dataset|annotated|trained on|training set|samples)\W*(?:of|with|:|is|~|about|only)?\W*$",
        before,
    ):
        return "examples", number.value, 0
    return _NONE


def _documents(number: _Number, before: str, after: str, text: str) -> Told:
    for pattern, tokens in _KB.items():
        head = re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{pattern}", after)
        if head:
            return "kb_tokens", number.value * tokens, head.end()
    return _NONE


def _bare_score(number: _Number, before: str, after: str, text: str) -> Told:
    """88 without a sign is a score beside a word for scores or for a target; 0.81 beside F1 too."""
    fraction = 0 < number.value < 1
    value = number.value * 100 if fraction else number.value
    if number.mult or not (20 <= value <= 100):
        return _NONE
    metric = re.search(
        r"(?:acc\w*|f1|score|precision|recall|val|bleu|macro|auc)\W*(?:is|of|at|=|:|was)?\W*$", before
    ) or re.match(r"\s?(?:f1|acc\b|accuracy|macro|bleu|auc)", after)
    bare_end = re.match(r"\s*(?:$|→|->|now|today|but|or so|at (?:least|best))", after)
    if re.search(_NEED, before) and (bare_end or metric):
        return "target", value, 0
    if metric:
        return "score", value, 0
    if bare_end and re.search(
        r"(?:stuck at|plateau\w* at|gets?|scores?|tops out at|sits at|only)\W*$", before
    ):
        return "score", value, 0
    return _NONE


def _quote(text: str, start: int, end: int) -> str:
    """The words around the number, cut at word borders, at most about 60 characters."""
    left = text.rfind(" ", 0, max(0, start - 8)) + 1 if start > 8 else 0
    right = end
    while right < len(text) and text[right] not in " ,;.?!\n)":
        right += 1
    return " ".join(text[left:right].split())[:90]
