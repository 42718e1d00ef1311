"""Numbers of how it runs: shares, money, time, machines, training, calls a month.

Each rule takes the number, the words before and after it within its clause, and the whole text. Their order stands in
rag/signals/numbers.py. Pure.
"""

from __future__ import annotations

import re

from rag.signals.number_match import NO_MATCH, KindMatch, Number, monthly_rate
from rag.signals.number_words import EXAMPLE_STRONG, GAP, GPU, PER, SCORE_WORDS, WRONG, is_wanted


def percent(number: Number, before: str, after: str, text: str) -> KindMatch:
    """A share: a target, a score, or the rest of a share of mistakes."""
    head = re.match(r"\s?-?\s?(?:%|percent\b|pct\b|prozent\b|pour ?cent\b|por ?ciento\b)", after)
    if not head:
        worse = re.match(r"\s?(?:pts?|points?|punkte|puntos)\b", after)
        return ("ignore", 0.0, worse.end()) if worse else NO_MATCH
    if number.value > 100:
        return "ignore", 0.0, 0
    rest = after[head.end() :]
    if is_wanted(before):
        return "target", number.value, head.end()
    wrong = re.match(rf"\s(?:[\w'’]+\s){{0,4}}?{WRONG}", rest) or re.search(
        rf"(?:{WRONG}|\bflags?|\bsend back)\W*(?:\w+\W+){{0,3}}$", before
    )
    if wrong:
        return "score", 100 - number.value, head.end()
    if (
        re.search(SCORE_WORDS, before[-40:])
        or re.search(SCORE_WORDS, rest[:40])
        or re.search(r"\b(?:erreicht|atteint|alcanza|raggiunge|atinge|bereikt)\b", before[-40:])
        or re.match(r"\s?(?:on|sur|auf|sobre|en|over)\s|\s?\(?n\s?=", rest)
        or re.search(
            r"\b(?:prompt\w*|few-?shot|zero-?shot|baseline|gpt[\w.-]*|sonnet|haiku)\W*(?:is|=|:|gives)?\s?$",
            before,
        )
    ):
        return "score", number.value, head.end()
    return "ignore", 0.0, 0


def money(number: Number, before: str, after: str, text: str) -> KindMatch:
    """A budget, or what is paid a month; prices for one call and the like are passed over."""
    unit = re.match(r"\s?(?:bucks|dollars?|euros?|usd|eur|grand|€|\$)", after)
    pays = re.search(
        r"\b(?:pay\w*|spend\w*|bills?|costs?|costing|burn\w*|kostet|zahlen|payons|co[ûu]te|pagamos|cuesta|rechnung|facture|invoice)\b[^,;.]{0,25}$",
        before,
    )
    if not (number.money or unit or number.mult == "grand"):  # noqa: SIM102
        if not (pays and re.match(rf"\s?{PER}(?:mo|month|year|yr|day|week|monat|mois|mes)", after)):
            return NO_MATCH
    rest = after[unit.end() :] if unit else after
    offset = unit.end() if unit else 0
    rate = monthly_rate(rest, span=12)
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


def latency(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Milliseconds: a limit, or what it takes today."""
    unit = re.match(r"\s?(ms|msec|millisec\w*|millisek\w*|millisecond\w*)\b", after)
    factor = 1.0
    if not unit:
        unit = re.match(r"\s?(s|sec|secs|seconds?|sekunden?|secondes?|segundos?)\b(?!\s*of audio)", after)
        factor = 1000.0
    if not unit:
        return NO_MATCH
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


def hardware(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Graphics cards; a model's size is passed over."""
    head = re.match(rf"\s?{GPU}", after) or re.match(rf"\s(?:[\w\-]+\s){{0,2}}{GPU}", after)
    if head:
        return "gpus", number.value, head.end()
    if number.mult == "b" and not re.match(
        r"\s?-?(?:[\w\-]+\s){0,4}(?:tokens?|toks?|words|calls|requests)", after
    ):
        return "ignore", 0.0, 0  # a model's size
    if re.match(r"\s?(?:gb|gib)\s(?:of\s)?(?:v?ram|gpu|memory)", after):
        return "ignore", 0.0, 0
    return NO_MATCH


def training(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Epochs, shots, a deadline; versions and counts of languages or steps are passed over."""
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
    return NO_MATCH


def _deadline(number: Number, before: str, after: str) -> KindMatch:
    days = {"week": 7, "wk": 7, "woch": 7, "sema": 7, "mont": 30, "mona": 30, "mois": 30, "mese": 30,
            "day": 1, "tag": 1}  # fmt: skip
    factor = next((n for stem, n in days.items() if after.strip(" -").startswith(stem)), 0)
    cue = re.search(r"\b(?:in|within|have|and|got|deadline|only|by|nur|en|dans|hasta)\W*$", before)
    past = re.search(r"last|past|since|over|from|previous|for\W*$", before)
    if factor and cue and not past:
        return "deadline_days", number.value * factor, 7
    return "ignore", 0.0, 0


def volume(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Calls a month, whatever the unit they are told in."""
    rate = monthly_rate(after, span=34)
    if rate and not re.match(rf"\s?{GAP}{EXAMPLE_STRONG}", after):
        return "volume_month", number.value * rate[0], rate[1]
    return NO_MATCH
