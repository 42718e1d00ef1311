"""Numbers in messy text, each with what it counts; long because the order of the fourteen rules is the design.

Covers the quantities of rag/signals/quantities.py. What rag/signals/number_roles.py tells plainly stands; else the noun or
unit beside the number decides its kind; what fits nothing is left out. Pure, about 1 ms a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rag.signals.lexicon import words_around
from rag.signals.number_roles import plain_kinds
from rag.signals.number_signals import CountedQuantity, number_signals
from rag.signals.number_words import (
    ADVERBS,
    CLASS,
    EVAL,
    EXAMPLE_STRONG,
    EXAMPLE_WEAK,
    GAP,
    GPU,
    IN_PROMPT,
    INTO_CLASSES,
    KB,
    LABEL_KNOWN,
    NEED,
    PEOPLE,
    PER,
    SCORE_WORDS,
    SORTS,
    TIMES,
    WRONG,
)
from rag.signals.quantities import Quantity, find_quantities


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
    return list(_read_counts(text))


@lru_cache(maxsize=16)  # both readers' features and the rules ask for the same message
def _read_counts(text: str) -> tuple[Count, ...]:
    quantities = find_quantities(text)
    plain = list(zip(quantities, plain_kinds(text, quantities), strict=True))
    counts = [count for quantity, kind in plain if kind for count in _plain_counts(text, quantity, kind)]
    spans = [range(quantity.start, quantity.end) for quantity, kind in plain if kind]
    numbers = [_number(text, quantity) for quantity in quantities if not quantity.is_share]
    for number in numbers:
        kind, value, tail = _kind(text, number, numbers)
        if kind and not any(number.start in span for span in spans):
            quote = words_around(text, number.start, number.end + tail)
            counts.append(Count(kind, value, quote, number.start, number.end))
    return tuple(sorted(counts, key=lambda count: count.start))


def _plain_counts(text: str, quantity: Quantity, kind: str) -> Iterator[Count]:
    """What a number of a plain kind says, by signal."""
    values, quotes = number_signals(text, [CountedQuantity(quantity, kind)])
    for name, value in values.items():
        yield Count(name, value, quotes[name], quantity.start, quantity.end)


def values_in(text: str) -> list[float]:
    """The value of every number of the text, whatever it counts, in order."""
    return [quantity.value for quantity in find_quantities(text) if not quantity.is_share]


def _number(text: str, quantity: Quantity) -> _Number:
    """The quantity as the rules below read it: without its percent sign, with the letter that multiplies it."""
    words = text[quantity.start : quantity.end]
    start = quantity.start + len(words) - len(words.lstrip("$€£¥RUSAC "))
    end = quantity.start + len(words.rstrip("%％ "))
    digits = text[start:end].lower()
    suffix = re.search(r"(?<=\d)\s?(k|mm?|bn?|t|grand)$", digits)
    mult = suffix[1] if suffix else "word" if digits[:1].isalpha() else ""
    after = re.match(r"\s?(?:[$€£¥]|(?:usd|eur|euros?|dollars?|bucks|chf)\b)", text[end:], re.IGNORECASE)
    money = bool(after or re.match(r"(?:R|US|A|C)?[$€£¥]", words))
    return _Number(quantity.value, quantity.start, end, money, mult)


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


KindMatch = tuple[str | None, float, int]
_NONE: KindMatch = (None, 0.0, 0)


def _percent(number: _Number, before: str, after: str, text: str) -> KindMatch:
    head = re.match(r"\s?-?\s?(?:%|percent\b|pct\b|prozent\b|pour ?cent\b|por ?ciento\b)", after)
    if not head:
        worse = re.match(r"\s?(?:pts?|points?|punkte|puntos)\b", after)
        return ("ignore", 0.0, worse.end()) if worse else _NONE
    if number.value > 100:
        return "ignore", 0.0, 0
    rest = after[head.end() :]
    if re.search(NEED, before) and not re.search(r"stuck|gets? to\W*$", before):
        return "target", number.value, head.end()
    wrong = re.match(rf"\s(?:[\w'’]+\s){{0,4}}?{WRONG}", rest) or re.search(
        rf"(?:{WRONG}|\bflags?|\bsend back)\W*(?:\w+\W+){{0,3}}$", before
    )
    if wrong:
        return "score", 100 - number.value, head.end()
    if (
        re.search(SCORE_WORDS, before[-40:])
        or re.search(SCORE_WORDS, rest[:40])
        or re.match(r"\s?(?:on|sur|auf|sobre|en|over)\s|\s?\(?n\s?=", rest)
        or re.search(
            r"\b(?:prompt\w*|few-?shot|zero-?shot|baseline|gpt[\w.-]*|sonnet|haiku)\W*(?:is|=|:|gives)?\s?$",
            before,
        )
    ):
        return "score", number.value, head.end()
    return "ignore", 0.0, 0


def _money(number: _Number, before: str, after: str, text: str) -> KindMatch:
    unit = re.match(r"\s?(?:bucks|dollars?|euros?|usd|eur|grand|€|\$)", after)
    pays = re.search(
        r"\b(?:pay\w*|spend\w*|bills?|costs?|costing|burn\w*|kostet|zahlen|payons|co[ûu]te|pagamos|cuesta|rechnung|facture|invoice)\b[^,;.]{0,25}$",
        before,
    )
    if not (number.money or unit or number.mult == "grand"):  # noqa: SIM102
        if not (pays and re.match(rf"\s?{PER}(?:mo|month|year|yr|day|week|monat|mois|mes)", after)):
            return _NONE
    rest = after[unit.end() :] if unit else after
    offset = unit.end() if unit else 0
    rate = _rate(rest, span=12)
    if re.match(
        rf"\s?{PER}(?:request|call|ticket|1k|1m|million|token|run|item|conversation|doc|page|hour|h\b|seat|agent)",
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
    for pattern, per_month in TIMES.items():
        match = re.search(rf"{PER}{pattern}", after)
        if match and match.start() <= span and not re.search(r"\d", after[: match.start()]):
            return per_month, match.end()
    for pattern, per_month in ADVERBS.items():
        match = re.search(rf"\b{pattern}", after)
        between = after[: match.start()] if match else ""
        if (
            match
            and match.start() <= span
            and not re.search(r"\d|\b(?:chang|updat|ändern|cambia)\w*", between)
        ):
            return per_month, match.end()
    return None


def _latency(number: _Number, before: str, after: str, text: str) -> KindMatch:
    unit = re.match(r"\s?(ms|msec|millisec\w*|millisek\w*|millisecond\w*)\b", after)
    factor = 1.0
    if not unit:
        unit = re.match(r"\s?(s|sec|secs|seconds?|sekunden?|secondes?|segundos?)\b(?!\s*of audio)", after)
        factor = 1000.0
    if not unit:
        return _NONE
    value = number.value * factor
    limit = re.search(
        r"need|must|under|below|within|<|≤|max|budget|sla|unter|maximal|moins|menos|limit|want|p9\d\s*$|in\s*$|less than|has to",
        before,
    )
    if factor == 1.0 or (limit and value <= 60_000):
        now = (
            re.search(r"takes?|currently|today|now|waits?|averag|braucht|dauert|prend|tarda", before)
            and not limit
        )
        return ("latency_now" if now else "latency_ms"), value, unit.end()
    return "latency_now", value, unit.end()


def _hardware(number: _Number, before: str, after: str, text: str) -> KindMatch:
    head = re.match(rf"\s?{GPU}", after) or re.match(rf"\s(?:[\w\-]+\s){{0,2}}{GPU}", after)
    if head:
        return "gpus", number.value, head.end()
    if number.mult == "b" and not re.match(
        r"\s?-?(?:[\w\-]+\s){0,4}(?:tokens?|toks?|words|calls|requests)", after
    ):
        return "ignore", 0.0, 0  # a model's size
    if re.match(r"\s?(?:gb|gib)\s(?:of\s)?(?:v?ram|gpu|memory)", after):
        return "ignore", 0.0, 0
    return _NONE


def _training(number: _Number, before: str, after: str, text: str) -> KindMatch:
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


def _deadline(number: _Number, before: str, after: str) -> KindMatch:
    days = {"week": 7, "wk": 7, "woch": 7, "sema": 7, "mont": 30, "mona": 30, "mois": 30, "mese": 30,
            "day": 1, "tag": 1}  # fmt: skip
    factor = next((n for stem, n in days.items() if after.strip(" -").startswith(stem)), 0)
    cue = re.search(r"\b(?:in|within|have|and|got|deadline|only|by|nur|en|dans|hasta)\W*$", before)
    past = re.search(r"last|past|since|over|from|previous|for\W*$", before)
    if factor and cue and not past:
        return "deadline_days", number.value * factor, 7
    return "ignore", 0.0, 0


def _volume(number: _Number, before: str, after: str, text: str) -> KindMatch:
    rate = _rate(after, span=34)
    if rate and not re.match(rf"\s?{GAP}{EXAMPLE_STRONG}", after):
        return "volume_month", number.value * rate[0], rate[1]
    return _NONE


def _per_class(number: _Number, before: str, after: str, text: str) -> KindMatch:
    head = re.match(
        r"\s(?:labell?ed|tagged|annotated|gelabelte|étiquetés|etiquetados)(?: \w+)? (?:per|for each|for every|je|par|por) (?!lang|day|month|week|hour|year|mois|jour|mes|tag\b|monat)[a-zà-ÿ]+",
        after,
    )
    if head:
        return "per_class", number.value, head.end()
    head = re.match(rf"\s?{GAP}{PER}{CLASS}", after)
    if head:
        return "per_class", number.value, head.end()
    if re.match(rf"\s?(?:[\w\-]+\s){{0,2}}?{CLASS},?\s(?:each|with)\b", after) and number.value <= 2000:
        return "classes", number.value, 0  # "31 ticket types each have 400"
    head = re.match(
        rf"\s?{GAP}(?:labell?ed\s)?(?:examples?|samples?|tickets?|rows|beispiele?|exemples?|ejemplos?|messages|utterances|notes|e?mails)?\s?(?:each|apiece|jeweils|chacune?|cada un[oa])\b",
        after,
    )
    if head:
        return "per_class", number.value, head.end()
    if re.match(rf"\s?{GAP}{EXAMPLE_STRONG}", after) and re.search(
        rf"{CLASS}\W*(?:\w+\W+)?(?:each|apiece|every one)\W*(?:\w+\W+){{0,2}}(?:>|over |about |~)?\s?$",
        before,
    ):
        return "per_class", number.value, 0
    if re.search(
        r"per (?:class|label|intent|category|tag|topic)\W*(?:is|are|of|about|~|:|we have)?\W*$", before
    ):
        return "per_class", number.value, 0
    return _NONE


def _tokens(number: _Number, before: str, after: str, text: str) -> KindMatch:
    head = re.match(r"\s?-?(?:[\w\-]+\s){0,4}?(?:tokens?|toks?)\b", after)
    if not head:
        return _NONE
    if re.search(r"prompt\W*(?:\w+\W+){0,3}$", before) or re.match(r"[^,]{0,20}prompt", after[head.end() :]):
        return "prompt_tokens", number.value, head.end()
    return ("pretrain_tokens" if number.value >= 1e9 else "kb_tokens"), number.value, head.end()


def _evaluation(number: _Number, before: str, after: str, text: str) -> KindMatch:
    if re.search(r"\b(?:acc\w*|loss|f1|score|train|val(?:idation)?)\W*$", before) and number.value <= 100:
        return _NONE  # "train acc 99 val 71" are two scores
    if re.search(r"\bn\s?=\s?$", before):
        return "eval_n", number.value, 0
    head = re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{EVAL}", after)
    if head and not re.match(r"\s?-?(?:\w+\s){0,2}test(?:ed|ing)", after):
        return "eval_n", number.value, head.end()
    if re.search(
        rf"\b(?:{EVAL}|gold set|test ?data|sample)\W*(?:\w+\W+)?(?:of|with|on|over|is|has|:|=|n=|von|mit|de|con|sur|auf|sobre)?\W*$",
        before,
    ):
        return "eval_n", number.value, 0
    if re.search(
        r"\d\s?(?:%|percent|prozent)\s(?:[\w/'’]+\s){0,4}?(?:on|of|over|across|sur|auf|bei|de|en|sobre|out of|in)\s(?:(?:our|the|a|an|my|unser\w*|nos|notre|un|una|nuestr\w*|last|real|des|les|le|la|los|las|n)\s?=?\s?)*~?$",
        before,
    ):
        return "eval_n", number.value, 0
    return _NONE


def _people(number: _Number, before: str, after: str, text: str) -> KindMatch:
    head = re.match(rf"\s?-?(?:[\w\-]+\s){{0,2}}?{PEOPLE}", after)
    if not head or re.match(rf"\s?-?{EXAMPLE_STRONG}\s(?:by|from|von|par|por)\b", after):
        return _NONE
    science = re.search(r"research|scientist|phd|chercheur|forscher|investigador", head[0])
    return ("researchers" if science else "ignore"), number.value, head.end()


def _classes(number: _Number, before: str, after: str, text: str) -> KindMatch:
    head = re.match(rf"\s?-?(?:[\w\-/]+\s){{0,2}}?{CLASS}", after) or re.match(
        r"\s?-?(?:way|class|label)\b", after
    )
    if head and 2 <= number.value <= 2000 and number.mult not in ("k", "m"):
        if re.match(rf"\s?{EXAMPLE_STRONG}", after):
            return _NONE
        return "classes", number.value, head.end()
    into = re.search(r"\b(?:into|in|to|onto|of|across|among) (?:one of )?(?:the |our |its |these )?$", before)
    if into and re.search(SORTS, before) and re.match(INTO_CLASSES, after) and 2 <= number.value <= 2000:
        return "classes", number.value, 0
    return _NONE


def _examples(number: _Number, before: str, after: str, text: str) -> KindMatch:
    aside = re.search(r"top-?\s?$|first\s$|few\s$|chose\s$|show\w*\s$", before) or (
        number.value <= 60 and re.search(IN_PROMPT, before)
    )
    head = re.match(rf"\s?-?{GAP}{EXAMPLE_STRONG}", after)
    if head and not aside:
        return "examples", number.value, head.end()
    head = re.match(rf"\s?-?{GAP}{EXAMPLE_WEAK}(?=\s{LABEL_KNOWN})", after)
    if head and not aside:
        return "examples", number.value, head.end()
    head = re.match(rf"\s?-?{GAP}{EXAMPLE_WEAK}", after)
    if head and not aside:
        return "examples_raw", number.value, head.end()
    if re.search(
        r"\b(?:labell?ed|examples?|dataset|annotated|trained on|training set|samples)\W*(?:of|with|:|is|~|about|only)?\W*$",
        before,
    ):
        return "examples", number.value, 0
    return _NONE


def _documents(number: _Number, before: str, after: str, text: str) -> KindMatch:
    for pattern, tokens in KB.items():
        head = re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{pattern}", after)
        if head:
            return "kb_tokens", number.value * tokens, head.end()
    return _NONE


def _bare_score(number: _Number, before: str, after: str, text: str) -> KindMatch:
    """88 without a sign is a score beside a word for scores or for a target; 0.81 beside F1 too."""
    fraction = 0 < number.value < 1
    value = number.value * 100 if fraction else number.value
    if number.mult or not (20 <= value <= 100):
        return _NONE
    metric = re.search(
        r"(?:acc\w*|f1|score|precision|recall|val|bleu|macro|auc)\W*(?:is|of|at|=|:|was)?\W*$", before
    ) or re.match(r"\s?(?:f1|acc\b|accuracy|macro|bleu|auc)", after)
    bare_end = re.match(r"\s*(?:\+|$|→|->|now|today|but|or so|at (?:least|best))", after)
    if re.search(NEED, before) and (bare_end or metric):
        return "target", value, 0
    if metric:
        return "score", value, 0
    if bare_end and re.search(
        r"(?:stuck at|plateau\w* at|gets?|scores?|tops out at|sits at|only)\W*$", before
    ):
        return "score", value, 0
    return _NONE
