"""Finds quantities in messy text in ten languages and works out their values; what they count is not told here.

Covers digits with thousands separators and multipliers ("6.5k", "20.000", "3万", "1,1 milhão"), number words ("half a
million", "a few thousand", "honderden", "zweiundvierzig") and shares ("40 of 160", "4 in 10 out of 380", "a third"). Pure,
about 1 ms a message.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.signals.shares import MAX_RATE_DENOMINATOR, find_fractions, is_rate

MULTIPLIERS = {
    1e2: "cem hundred hundreds hundert hunderte cent centaine centaines cien cientos cento centinaia honderd honderden "
    "centenas сотня сотни сотен сто 百",
    1e3: "k tsd thousand thousands tausend tausende tsd mil miles milhar milhares mila mille millier milliers migliaia migliaio "
    "duizend duizenden тысяча тысячи тысяч тыс grand 千 mlle",
    1e4: "万 萬",
    1e6: "m mm mn mio mln mill million millions millionen millón millones milhão milhões milione milioni miljoen "
    "миллион миллиона миллионов млн 百万",
    1e5: "lakh lakhs",
    1e7: "crore crores",
    1e8: "億 亿",
    1e9: "b bn billion billions mrd milliarde milliarden milliard milliards bilhão bilhões miliardo miliardi miljard "
    "миллиард миллиарда миллиардов млрд",
    1e12: "t trillion trillions billones trilhão trilhões trilioni 兆 万亿",
    12: "dozen dozens dutzend douzaine douzaines docena docenas dúzia dúzias dozzina dozijn дюжина",
}  # fmt: skip
SMALL = {
    0.5: "half halb halbe halbes halben demi medio media meio meia mezzo halve half пол полмиллиона半",
    1: "a an one ein eine einen un une uno una um uma een один одна одну 一",
    1.5: "anderthalb полтора полторы",
    2: "two zwei deux dos dois duas due twee два две 二 两 couple paar",
    3: "three drei trois tres três tre drie три 三 few quelques algunos unos unas alguns ein paar enkele несколько 数 几",
    4: "four vier quatre cuatro quatro quattro четыре 四 several mehrere plusieurs varios vários",
    5: "five fünf cinq cinco cinque vijf пять 五 handful",
    6: "six sechs seis sei zes шесть 六",
    7: "seven sieben sept siete sete sette zeven семь 七",
    8: "eight acht huit ocho oito otto восемь 八",
    9: "nine neun neuf nueve nove negen девять 九",
    10: "ten zehn dix diez dez dieci tien десять 十 dizaine decine",
    11: "eleven elf onze once undici elf одиннадцать", 12: "twelve zwölf douze doce doze dodici twaalf двенадцать",
    13: "thirteen dreizehn treize trece treze tredici dertien тринадцать", 14: "fourteen vierzehn quatorze catorce catorze quattordici veertien четырнадцать",
    15: "fifteen fünfzehn quinze quince quindici vijftien пятнадцать", 16: "sixteen sechzehn seize dieciséis dezesseis sedici zestien шестнадцать",
    17: "seventeen siebzehn diecisiete dezessete diciassette zeventien семнадцать", 18: "eighteen achtzehn dieciocho dezoito diciotto achttien восемнадцать", 19: "nineteen neunzehn diecinueve dezenove diciannove negentien девятнадцать",
    20: "twenty zwanzig vingt vingts veinte vinte venti twintig двадцать", 25: "vijfentwintig venticinque veinticinco",
    30: "thirty dreißig trente treinta trinta trenta dertig тридцать", 40: "forty vierzig quarante cuarenta quarenta quaranta veertig сорок",
    50: "fifty fünfzig cinquante cincuenta cinquenta cinquanta vijftig пятьдесят",
    60: "sixty sechzig soixante sesenta sessenta sessanta zestig шестьдесят", 70: "seventy siebzig setenta settanta zeventig семьдесят",
    80: "eighty achtzig ochenta oitenta ottanta tachtig восемьдесят", 90: "ninety neunzig noventa novanta negentig девяносто",
    200: "doscientos doscientas duzentos duzentas duecento двести", 300: "trescientos trescientas trezentos trezentas trecento триста",
    400: "cuatrocientos cuatrocientas quatrocentos четыреста", 500: "quinientos quinientas quinhentos пятьсот", 600: "seiscientos seiscientas seiscentos шестьсот",
    700: "setecientos setecientas setecentos семьсот", 800: "ochocientos ochocientas oitocentos восемьсот", 900: "novecientos novecientas novecentos девятьсот",
    0.25: "quarter viertel quart cuarto kwart",
}  # fmt: skip
_MULTIPLIER = {word: value for value, words in MULTIPLIERS.items() for word in words.split()}
_TENS = {  # tens, and how a language joins units to them in one word
    "de": "{unit}und{ten}", "nl": "{unit}en{ten}", "it": "{ten}{unit}",
}  # fmt: skip
_JOINED = {
    "de": ("ein zwei drei vier fünf sechs sieben acht neun", "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"),
    "nl": ("een twee drie vier vijf zes zeven acht negen", "twintig dertig veertig vijftig zestig zeventig tachtig negentig"),
    "it": ("uno due tre quattro cinque sei sette otto nove", "venti trenta quaranta cinquanta sessanta settanta ottanta novanta"),
}  # fmt: skip


def _joined_words() -> Iterator[tuple[str, float]]:
    """Tens with units, hundreds and thousands that German, Dutch and Italian write as one word."""
    for language, (units, tens) in _JOINED.items():
        for (number, ten), (digit, unit) in itertools.product(
            enumerate(tens.split(), 2), enumerate(units.split(), 1)
        ):
            stem = ten[:-1] if language == "it" and unit in ("uno", "otto") else ten
            yield _TENS[language].format(ten=stem, unit=unit), number * 10.0 + digit
    for units, hundred, thousand in (
        (_JOINED["de"][0], "hundert", "tausend"), (_JOINED["nl"][0], "honderd", "duizend"),
        (_JOINED["it"][0], "cento", "mila"),
    ):  # fmt: skip
        for digit, unit in enumerate(units.split(), 1):
            yield f"{unit}{hundred}", digit * 100.0
            yield f"{unit}{thousand}", digit * 1000.0


_MULTIPLIER |= {"mil millones": 1e9, "mil milhões": 1e9}
_SMALL = {word: value for value, words in SMALL.items() for word in words.split()} | dict(_joined_words())
_TENS_WORDS = frozenset(word for word, value in _SMALL.items() if value >= 20 and value % 10 == 0)
_FULL_WIDTH = str.maketrans("０１２３４５６７８９％．，", "0123456789%.,")
_ALONE = frozenset(["a", "an", "one", "ein", "eine", "einen", "un", "une", "uno", "una", "um", "uma", "een", "media", "medio", "meio", "meia", "half", "quarter", "viertel", "quart", "cuarto", "kwart", "半", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "百", "千", "m", "b", "t", "k", "k", "mill", "mille", "tre", "sei", "once", "sept", "nove", "pol", "mil", "due", "dos", "grand", "paar", "couple", "unos", "unas", "ein"])  # fmt: skip
_LINK = frozenset(["a", "of", "and", "und", "et", "y", "e", "de", "di", "da", "en", "van"])
_CJK_UNIT = "万亿|百万|万|萬|億|亿|千|百|兆"
_ASCII_UNIT = "|".join(
    sorted((re.escape(w) for w in _MULTIPLIER if not re.fullmatch(_CJK_UNIT, w)), key=len, reverse=True)
)
_NUMBER = r"(?:\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,]\d+)?|[.,]\d+)"
_DIGITS = re.compile(
    rf"(?<![A-Za-zÀ-ɏЀ-ӿ0-9_.,])(?:(?:R|US|A|C)?[$€£¥]\s?)?(?P<num>{_NUMBER})"
    rf"(?:\s?(?P<cjk>{_CJK_UNIT})|[ \u00a0\u202f-]?(?P<mult>{_ASCII_UNIT})(?![^\W\d_]))?\.?(?P<percent>\s?%)?",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"(?:\s+(?:times|cases|mal|fois|veces|vezes|volte|keer|раза?|случа\w+))?\s*(?:of|out of|in(?: every)?|from|over|/|von|aus|auf|sur|de(?: cada)?|em(?: cada)?|di|su(?: ogni)?|op de|van de|van|uit|из|на|/)\s*$",
    re.IGNORECASE,
)
_ONE_IN = re.compile(
    r"\b(?:one|einer?|eine?s|une?|uno|una|één|ein|um|uma|один|одна|одно)(?P<link>\s(?:in(?: every)?|out of|von|sur|de(?: cada)?|em(?: cada)?|su(?: ogni)?|op de|из)\s)$",
    re.IGNORECASE,
)
_SHARE_TURNED = re.compile(
    r"\s?[件条个份封通個回次]?(?:に|中で?は?|のうち|里面?有?|中有|有)\s?"
)  # "10件中3件"
_TOTAL_BEFORE = re.compile(r"\s?[件条个份封通個]?(?:の中で?|のうち|中で?は?|里面?有?|中有?|里)\s?約?$")
_TOTAL = re.compile(
    r"[^.;?!\d]{0,24}?\b(?:out of|of|over|on|in|across|among|von|aus|bei|sur|parmi|des?|du|del|de[il]|delle|degli|en|em|do|da|dos|das|sobre|su|di|van|op|bij|из|на)\s(?:(?:our|the|a|all|unsere\w*|den|nos|les|las?|los|as?|os?|i|le|de)\s){0,2}$",
    re.IGNORECASE,
)  # between a rate and the things it was seen on: "a third of our 220 letters"
_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)
_CJK_WORDS = re.compile(
    r"[一二三四五六七八九十百千万亿億两半数几]{2,}|[二两三四五六七八九十](?=个|类|種類|种|カテゴリ|クラス|つの|部署|部门|等级|段階|档|级|組|组|件|条|份|通)"
)


@dataclass(frozen=True)
class Quantity:
    """`text[start:end]` and its value; `percent` where a percent sign or word belongs to it.

    `is_share`: a part of something, `value` 0-1; `whole` is how many things it was counted on, where that was said
    ("7 of 20": value .35, whole 20; "4 in 10": whole None; "a third of 220": whole 220).
    """

    start: int
    end: int
    value: float
    percent: bool = False
    whole: float | None = None
    is_share: bool = False


def find_quantities(text: str) -> list[Quantity]:
    """All quantities of the text in order; the numbers inside a share stand after the share itself."""
    text = text.translate(_FULL_WIDTH)
    fractions = [Quantity(start, end, value, is_share=True) for start, end, value in find_fractions(text)]
    quantities = [_from_digits(match) for match in _DIGITS.finditer(text)]
    places = {place for one in quantities for place in range(one.start, one.end)}
    quantities += [one for one in _from_words(text) if not places & set(range(one.start, one.end))]
    places = {place for one in fractions for place in range(one.start, one.end)}
    quantities = [one for one in quantities if not places & set(range(one.start, one.end))]
    quantities.sort(key=lambda one: one.start)
    shares = [_with_total(text, one, quantities) for one in [*fractions, *_pairs(text, quantities)]]
    return sorted([*shares, *quantities], key=lambda one: (one.start, -one.end))


def _pairs(text: str, quantities: list[Quantity]) -> Iterator[Quantity]:
    """Each "7 of 20" as a share; the 10 of "4 in 10 out of 380" is no part of 380."""
    last_end = -1
    for one in quantities:
        if (head := _ONE_IN.search(text[: one.start])) and 1 < one.value <= 1000 and not one.percent:
            whole = None if is_rate(1, one.value, head["link"]) else one.value
            yield Quantity(head.start(), one.end, 1 / one.value, whole=whole, is_share=True)
    for first, second in itertools.pairwise(quantities):
        link = text[first.end : second.start]
        is_turned = _SHARE_TURNED.fullmatch(link) is not None
        part, whole = (second.value, first.value) if is_turned else (first.value, second.value)
        is_part = 0 < part < whole <= 100_000 and not (first.percent or second.percent)
        if first.start < last_end or not is_part or not (is_turned or _SHARE.fullmatch(link)):
            continue
        last_end = second.end
        total = None if is_rate(part, whole, "in" if is_turned else link) else whole
        yield Quantity(first.start, second.end, part / whole, whole=total, is_share=True)


def _with_total(text: str, share: Quantity, quantities: list[Quantity]) -> Quantity:
    """A rate with the number of things that it was seen on, where that follows."""
    before = next((one for one in reversed(quantities) if one.end <= share.start), None)
    if share.whole is None and before and _TOTAL_BEFORE.fullmatch(text[before.end : share.start]):
        return replace(share, whole=before.value)
    following = next((one for one in quantities if one.start >= share.end), None)
    if share.whole is not None or following is None or following.percent:
        return share
    is_total = following.value > MAX_RATE_DENOMINATOR and _TOTAL.fullmatch(text[share.end : following.start])
    return replace(share, whole=following.value) if is_total else share


def _from_digits(match: re.Match[str]) -> Quantity:
    unit = " ".join((match["cjk"] or match["mult"] or "").lower().split())
    percent = match["percent"] is not None
    end = match.end()
    if match[0].endswith("."):
        end -= 1
    return Quantity(match.start(), end, digits_value(match["num"]) * _MULTIPLIER.get(unit, 1.0), percent)


def digits_value(digits: str) -> float:
    """3,500 / 3.500 / 3 500 are thousands; 3.5 and 1,2 and .8 are decimals."""
    if re.fullmatch(r"[1-9]\d{0,2}(?:[.,'’ \u00a0\u202f]\d{3})+", digits):
        return float(re.sub(r"\D", "", digits))
    return float(re.sub(r"[\s'’]", "", digits).replace(",", "."))


def _from_words(text: str) -> Iterator[Quantity]:
    """Runs of number words ("half a million", "a few thousand"); words that are also something else need company."""
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        word = match[0].lower()
        touches = not run or re.fullmatch(r"[\s\-\u00a0]*", text[run[-1].end() : match.start()])
        if (word in _SMALL or word in _MULTIPLIER or (run and word in _LINK)) and touches:
            run.append(match)
            continue
        yield from _run_value(run)
        run = [match] if word in _SMALL or word in _MULTIPLIER else []
    yield from _run_value(run)
    for match in _CJK_WORDS.finditer(text):
        if (value := _words_value(list(match[0]))) is not None:
            yield Quantity(*match.span(), value)


def _run_value(run: list[re.Match[str]]) -> Iterator[Quantity]:
    while run and run[-1][0].lower() in _LINK:
        run = run[:-1]
    words = [match[0].lower() for match in run]
    is_number = any(word in _MULTIPLIER for word in words) and any(word in _SMALL for word in words)
    if not is_number and all(word in _ALONE or word in _LINK for word in words):
        return
    value = _words_value(words)
    if value is not None:
        yield Quantity(run[0].start(), run[-1].end(), value)


def _words_value(words: list[str]) -> float | None:
    """ "two hundred thousand" -> 200,000; "half a million" -> 500,000; "quatre-vingt-dix" -> 90; "三十五" -> 35."""
    total, part, last, biggest = 0.0, 0.0, "", 0.0
    for word in words:
        if word in _MULTIPLIER or word == "十":
            factor = _MULTIPLIER.get(word, 10.0)
            if factor <= 100:
                part = (part or 1.0) * factor
            elif factor > biggest:
                total, part = ((total + part) or 1.0) * factor, 0.0
            else:
                total, part = total + (part or 1.0) * factor, 0.0
            biggest = max(biggest, factor) if factor > 100 else biggest
        elif word in _SMALL:
            part = _with_small(part, _SMALL[word], word, last)
        last = word
    if total and part == 0.5:  # "un millón y medio"
        part *= biggest
    return total + part or None


def _with_small(part: float, small: float, word: str, last: str) -> float:
    if word.startswith("vingt") and part == 4:
        return 80.0
    if part and small == 1 and last not in _TENS_WORDS:
        return part  # "half a million"
    if part in (1.0, 2.0) and small in (2, 3, 4, 5):
        return small  # "a few", "a couple"
    return part + small
