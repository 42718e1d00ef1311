"""The words beside numbers in English, German, French and Spanish: what they multiply, what they count. Regular
expressions on lower-case text; the order of rules that use them stands in rag/signals/numbers.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MULTIPLIERS = {
    "k": 1e3, "thousand": 1e3, "tausend": 1e3, "mille": 1e3, "mil": 1e3, "tsd": 1e3,
    "m": 1e6, "mm": 1e6, "mn": 1e6, "mio": 1e6, "mln": 1e6, "million": 1e6, "millions": 1e6, "millionen": 1e6,
    "millones": 1e6, "mil millones": 1e9, "milliarden": 1e9, "milliard": 1e9, "b": 1e9, "bn": 1e9, "billion": 1e9, "mrd": 1e9, "milliards": 1e9, "t": 1e12,
    "trillion": 1e12, "hundred": 100.0, "hundert": 100.0, "cent": 100.0, "dozen": 12.0, "grand": 1e3,
}  # fmt: skip
MULT = "|".join(sorted(MULTIPLIERS, key=len, reverse=True))
DIGITS = re.compile(
    rf"(?<![\w.])(?P<cur>[$€£]\s?)?(?P<num>\d{{1,3}}(?:[.,'’ \u00a0\u202f]\d{{3}})+(?![\d])|\d+(?:[.,]\d+)?|\.\d+)"
    rf"(?:\s?(?P<mult>{MULT})(?![a-zà-ÿ]))?(?P<cur2>\s?[$€£]+|\s?(?:usd|eur|euros?|dollars?|bucks|chf)\b)?",
    re.IGNORECASE,
)
WORDS = {
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
WORD = re.compile(r"\b(?:" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")\b", re.IGNORECASE)

PER = r"(?:/|\bper\b|\ba\b|\ban\b|\beach\b|\bevery\b|\bpro\b|\bpar\b|\bpor\b|\bal\b|\bà la\b|\bim\b)\s?"
TIMES = {  # calls per month for one call per unit
    r"(?:months?|mo|mth|monat|mois|mes)\b": 1.0,
    r"(?:days?|d|tag|jour|d[ií]a)\b": 30.0,
    r"(?:weeks?|wks?|woche|semaine|semana)\b": 4.3,
    r"(?:hours?|hrs?|h|stunde|heure|hora)\b": 720.0,
    r"(?:minutes?|min)\b": 43_200.0,
    r"(?:seconds?|secs?|s)\b": 2_592_000.0,
    r"(?:years?|yrs?|jahr|an|ann[ée]e|a[ñn]o)\b": 1 / 12,
    r"(?:quarter|q|quartal|trimestre)\b": 1 / 3,
}
ADVERBS = {
    r"(?:daily|t[äa]glich|quotidien\w*|diari[oa]s?)\b": 30.0,
    r"(?:monthly|monatlich|mensuel\w*|mensuales)\b": 1.0,
    r"(?:weekly|w[öo]chentlich|hebdo\w*|semanales)\b": 4.3,
    r"(?:qps|rps)\b": 2_592_000.0,
    r"(?:yearly|annually|j[äa]hrlich)\b": 1 / 12,
}
GAP = r"(?:[\w'’\-+]+\s){0,3}?"  # up to three words between number and noun
CLASS = (
    r"(?:class(?:es)?|labels?|intents?|categor(?:y|ies)|queues?|tags?|topics?|buckets?|kategorien?|klassen?|"
    r"cat[ée]gories?|clases?|categor[ií]as?|[ée]tiquettes?|etiquetas?|departments?|folders?|damage types|"
    r"file|types?|typen|reasons?|codes|warteschlangen|colas|files d'attente|outcomes|skills|themes?|priorit(?:y|ies))\b"
)
EXAMPLE_STRONG = (
    r"(?:labell?ed|hand-?(?:\w+ed|written|made)|annotated|tagged|approved|validated?|valid[ée]e?s?|verified|curated|checked|reviewed|gold|"
    r"golden|pairs?|examples?|samples?|macros?|gelabelte?n?|beschriftete?n?|zugeordnete?n?|klassifizierte?n?|kategorisierte?n?|verschlagwortete?n?|classée?s|clasificad[oa]s|anotad[oa]s|freigegebene?n?|gepr[üu]fte?n?|beispiele?n?|exemples?|"
    r"[ée]tiquet[ée]e?s?|annot[ée]e?s?|ejemplos?|etiquetad[oa]s?|aprobad[oa]s?|validad[oa]s?|rated|signed-?off|"
    r"accepted|coded|moderated|triaged|classified|categori[sz]ed|certified|released|double-?checked|hand-?picked|angenommene?n?|accept[ée]e?s?|aceptad[oa]s?|"
    r"translator-\w+|QA|beispielpaare?|paires?|pares|corrected|segment pairs|templates|star-\w+|graded|good)\b"
)
EXAMPLE_WEAK = (
    r"(?:tickets?|e-?mails?|repl(?:y|ies)|responses?|answers?|conversations?|convos?|transcripts?|chats?|records|rows|"
    r"cases|notes|reviews|reports|summaries|segments|snippets|utterances|messages|msgs|logs|outputs|calls|posts|"
    r"r[ée]ponses|antworten|respuestas|mensajes|mails|bewertungen|avis|anfragen|lines|files|letters|scripts|images|"
    r"completions|drafts|descriptions|incidents|complaints|requests|documents de test|demandes|correos|invoices)\b"
)
LABEL_KNOWN = (
    r"(?:(?:are|were|was|is|have been|already|of them|all)\s)*(?:labell?ed|tagged|routed|sorted|coded|annotated|checked|"
    r"with (?:the |their |a |its |known |right |correct |true |final )*(?:queue|label|team|categor(?:y|ies)|class|code|"
    r"folder|topic|tag|outcome|department|priorit(?:y|ie)|severity|verdict|rating|type|reason|decision|status)s?\b|(?:have|has) (?:checked|correct|known|verified) \w+)"
)
EVAL = (
    r"(?:evals?|evaluation|test ?-?set|test|tests|held-?out|holdout|blind|benchmark|validation|testset|"
    r"testdaten|jeu de test|conjunto de prueba|val)\b"
)
PEOPLE = (
    r"(?:agents|people|ppl|persons?|employees|staff|engineers?|devs|developers|users|customers|folks|reps|hires|"
    r"researchers?|scientists?|phds?|mitarbeiter|leute|personnes|personas|employ[ée]s|empleados|chercheurs|forscher|"
    r"annotators|nurses|accounts|tenants|clients|merchants|stores|companies|kunden|seats|investigadores|of us)\b"
)
KB = {  # tokens in one of them: a planning figure, told in docs/decisions.d/advisor.md
    r"(?:pages?|pgs?|seiten|p[áa]ginas)\b": 650,
    r"(?:kb |help ?center |help |wiki |support |knowledge base )?(?:articles?|artikel|art[ií]culos)\b": 800,
    r"(?:docs?|documents?|pdfs?|dokumente?n?|documentos|manuals?|contracts?|handbooks?|handb[üu]cher|policies|sops)\b": 3000,
    r"(?:recipes?|(?:\w+ )?sheets?|leaflets?|brochures?)\b": 500,
    r"(?:rulings?|judge?ments?|guidelines?|procedures?)\b": 3000,
    r"(?:faqs?|faq entries|entries|q&as?|skus?|products?)\b": 150,
    r"(?:words|w[öo]rter|mots|palabras)\b": 1.35,
    r"gb\b": 2e8,
    r"tb\b": 2e11,
    r"mb\b": 2e5,
    r"(?:repos?|repositories)\b": 5e5,
    r"(?:loc|lines of code)\b": 10,
}
GPU = r"x?\s?(?:nvidia )?(?:h100|h200|a100|b200|b300|gb200|mi300x?|v100|l40s?|a10g?|tpus?|gpus?|gpu|grafikkarten|accelerators?)s?\b"
NEED = (
    r"(?:need|needs|needed|want|wants|wanted|target|goal|required?|requires|must|at least|aim|aiming|bar is|reach|get to|"
    r"hit|brauchen|ben[öo]tigen|ziel|mindestens|besoin|il faut|faut|objectif|viser|visons|necesitamos|objetivo|queremos|"
    r"expects?|sla|threshold|bar|to|>=?|≥)\W*(?:is|are|de|of|be|at|around|about|es|ist|est|a|min|minimum|like|be at|het)?\W*$"
)
SCORE_WORDS = (
    r"accura\w*|acc\b|f1|right|correct|scor\w*|pass\w*|stuck|gets?\b|got\b|at\b|conform\w*|hits?\b|plateau\w*|tops? out|"
    r"reach\w*|precision|recall|exact|valid|richtig|korrekt|trefferquote|genauigkeit|correctes?|justes?|aciert\w*|"
    r"exactitud|precisi[óo]n|parse\w*|match\w*|agree\w*|win|prefer\w*|bleu|comet|rouge|only|schafft|liegt|kommt|est [àa]|"
    r"exactitude|still|landed|lands|sits|sitting|compliant|usable|accept\w*|macro"
)
WRONG = (
    r"(?:wrong\w*|errors?|fail\w*|incorrect|off\b|false|falsch\w*|faux|fausses?|mal\b|broken|break|miss\w*|halluc\w*|"
    r"flagged|sent back|send back|invalid|mistake\w*|bad|fehler\w*|erreurs?|err[óo]ne\w*|errores|incorrect[oa]s?|reject\w*|escalat\w*)"
)
SORTS = (
    r"(?:sort\w*|labels?\b|labell?ing|tag\w*|rout\w*|classif\w*|categori\w*|assign\w*|put\b|map\w*|go(?:es)?\b|group\w*|"
    r"bucket\w*|split\w*|triage\w*|code[ds]?\b|belongs?|einteil\w*|einsortier\w*|class(?:er|é\w*)|clasific\w*|one of)"
)
INTO_CLASSES = (  # a plural noun, other than what a text is cut to
    r"\s(?!(?:lines|bullets?|sentences|pages|words|points|columns|fields|languages|paragraphs|minutes|hours|days|"
    r"weeks|months|years|seconds|agents|people|customers|stores|countries)\b)(?:[a-zà-ÿ\-]+\s){0,2}?[a-zà-ÿ\-]{2,}(?:s|en|e|people)\b"
)
IN_PROMPT = (  # samples that stand in the prompt are no training data
    r"(?:prompt\w*|style guide|few-?shot|instructions|tone rules)\b[^.;?]{0,30}(?:with|w/|and|plus|\+|incl\w*|mit|avec|con)\s?(?:~|about )?$"
)

_N = r"(\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|un|une|uno|deux|trois|zwei|drei|dos|tres)"
_SHARE = re.compile(
    rf"\b(?:{_N}\s?(?:in|of|out of|von|sur|de|aus|/)\s?(?:every\s)?{_N}\b(?!\s?(?:%|k\b|million))"
    r"|(half|a third|one third|two thirds|a quarter|three quarters|die hälfte|la moitié|la mitad)\b)"
)
_FRACTIONS = {"third": 1 / 3, "two thirds": 2 / 3, "quarter": 0.25, "three quarters": 0.75}
_ONE = {"one": 1.0, "un": 1.0, "une": 1.0, "uno": 1.0}
_BAD = re.compile(
    rf"(?:{WRONG}|redo\b|redone|rewrit\w*|rewrote|re-?work\w*|thumbs? down|throw\w* (?:out|away)|bounc\w*|ablehn\w*|refus\w*)"
)
_GOOD = re.compile(
    r"(?:right|correct\w*|accept\w*|approv\w*|pass\w*|ok\b|usable|valid|good|win|prefer\w*|richtig|justes?)"
)
_OUT_OF = re.compile(
    r"[^.;,?!\d]{0,25}?\b(?:out of|of|over|on|across|among|von|sur|de)\s(?:our\s|the\s|a\s)?(\d{2,3}(?:,\d{3})?)\b"
)


def read_shares(text: str) -> Iterator[tuple[str, float, int, int]]:
    """(kind, value, start, end) of each share: `score` in percent, and `eval_n` where it says of how many."""
    low = text.lower()
    for match in _SHARE.finditer(low):
        share = _share(match)
        if share is None:
            continue
        after, before = low[match.end() : match.end() + 45], low[max(0, match.start() - 40) : match.start()]
        bad, good = _nearest(_BAD, before, after), _nearest(_GOOD, before, after)
        if min(bad, good) > 40:
            continue
        yield "score", round(100 * (1 - share if bad <= good else share), 1), match.start(), match.end()
        total = _OUT_OF.match(low, match.end())
        if total:
            yield "eval_n", float(total[1].replace(",", "")), total.start(1), total.end(1)


def _share(match: re.Match[str]) -> float | None:
    if match[3]:
        words = match[3].removeprefix("a ").removeprefix("one ")
        return _FRACTIONS.get(words, 0.5)
    part, whole = (_ONE.get(n) or WORDS.get(n) or float(n) for n in (match[1], match[2]))
    return part / whole if 0 < part < whole else None


def _nearest(pattern: re.Pattern[str], before: str, after: str) -> int:
    """Characters to the nearest word of the pattern on either side; 99 where there is none."""
    behind = [len(before) - match.end() for match in pattern.finditer(before)]
    ahead = pattern.search(after)
    return min([*behind, *([ahead.start()] if ahead else []), 99])
