"""Parses shares in words ("a third", "every other", "one in twenty", "七成") and whether a share counts right or wrong cases.

Ten languages, pure. Covers where a share stands and its value (0-1). Does not cover digits with a percent sign
(rag/signals/quantities.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FRACTIONS = {
    1 / 2: r"half(?! (?:a|an|the time|of us|an hour|a year|a day))|one half|die hälfte|la moitié|la mitad|metade|la met[àa]|de helft|половин[аыу](?! миллиона)|一半|半数|"
    r"every (?:other|second)|jede[rsn]? zweite\w*|une? sur deux|één op de twee|кажд(?:ый|ая|ое|ую) втор\w+|2分の1",
    1 / 3: r"(?:a|one) third|every third|ein(?:em)? drittel|jede[rsn]? dritte\w*|un tiers|un tercio|um terço|un terzo|een derde|треть|кажд(?:ый|ая|ое|ую) трет\w+|三分之一|3分の1|三分の一",
    2 / 3: r"two[ -]thirds|zwei drittel|(?:les )?deux tiers|dos tercios|dois terços|due terzi|twee ?derde|две трети|三分之二|3分の2|三分の二",
    1 / 4: r"(?:a|one) quarter(?= of| (?:\w+ )?(?:wrong|right|fail|reject|come|came|get|got|is\b|are\b|was\b|were\b|go|went))|every fourth|ein viertel|"
    r"jede[rsn]? vierte\w*|un quart(?!ier)|un cuarto|um quarto|een kwart|четверт[ьи]|кажд(?:ый|ая|ое|ую) четв\w+|四分之一|4分の1|四分の一",
    3 / 4: r"three[ -]quarters|drei ?viertel|(?:les )?trois quarts|tres cuartos|três quartos|tre quarti|driekwart|три четверти|四分之三|4分の3|四分の三",
    1 / 5: r"(?:a|one) fifth|every fifth|ein fünftel|jede[rsn]? fünfte\w*|un cinquième|un quinto|um quinto|een vijfde|кажд(?:ый|ая|ое|ую) пят\w+|五分之一|5分の1",
    1 / 10: r"(?:a|one) tenth|every tenth|ein zehntel|jede[rsn]? zehnte\w*|un dixième|un décimo|um décimo|un decimo|een tiende|кажд(?:ый|ая|ое|ую) десят\w+|十分之一|10分の1",
}  # fmt: skip
_FRACTION = re.compile(
    "|".join(rf"(?P<f{n}>{words})" for n, words in enumerate(_FRACTIONS.values())), re.IGNORECASE
)
_TENTHS = re.compile(r"(?P<part>[一二三四五六七八九]|\d)\s?[成割](?![一二三四五六七八九分])")
_CJK_PART = re.compile(r"十分之(?P<part>[一二三四五六七八九])")
_CJK_DIGIT = {word: number for number, word in enumerate("一二三四五六七八九", 1)}
_VALUES = tuple(_FRACTIONS)
MAX_RATE_DENOMINATOR = 12  # "4 in 10" and "2 of 5" are rates; "40 of 160" counts 160 things
ROUND_RATES = frozenset({20, 25, 50, 100, 1000})  # ... and so is "1 in 20", though not "7 of 20"

_WRONG = (
    r"wrong\w*|errors?|err\b|fail\w*|incorrect\w*|false|broken|breaks?|miss(?:ed|es|ing)?\b|halluc\w*|flagged|sent back|send back|invalid|mistakes?|"
    r"bad\b|reject\w*|escalat\w*|redo\w*|redone|rewrit\w*|rewrote|re-?work\w*|thumbs? down|throw\w* (?:out|away)|thrown|bounc\w*|refus\w*|"
    r"off\b|unusable|useless|nonsense|corrected by hand|discard\w*|complain\w*|mangl\w*|garbage|"
    r"falsch\w*|fehler\w*|abgelehn\w*|ablehn\w*|daneben|verworf\w*|unbrauchbar\w*|nachbearbeit\w*|überarbeit\w*|"
    r"faux|fauss\w*|erreurs?|erron\w*|rejet\w*|retouch\w*|ratés?\b|mauvais\w*|"
    r"mal\b|errores|errad\w+|erróne\w*|equivoc\w*|rechaz\w*|fall(?:a|an|ó|aron)\b|incorrect[oa]s?|"
    r"erros?\b|errou|erram|rejeit\w*|recus\w*|falh\w*|sbagli\w*|errat\w*|errori|rifiut\w*|scart\w*|"
    r"fout\w*|verkeerd\w*|afgekeur\w*|onjuist\w*|mis\b|geweigerd|ошиб\w*|неверн\w*|неправильн\w*|отклон\w*|брак\w*|забрак\w*|"
    r"誤り|誤っ|間違|不合格|却下|差し戻|使えな|错|误|不合格|拒绝|退回|打回|不对|不能用"
)
_RIGHT = (
    r"right\b|correct\w*|accept\w*|approv\w*|pass(?:es|ed|ing)?\b|ok\b|okay|usable|valid\b|good\b|wins?\b|prefer\w*|accura\w*|acc\b|f1|score\w*|"
    r"agree\w*|conform\w*|hits?\b|match\w*|fine\b|meets?\b|sent as is|unchanged|stuck|reach\w*|plateau\w*|tops? out|"
    r"richtig\w*|korrekt\w*|stimm\w*|passt|passen|akzeptier\w*|genauigkeit|treff\w*|brauchbar\w*|freigegeben|"
    r"justes?\b|bonn?es?\b|accept\w*|approuv\w*|exactitude|précision|validé\w*|aciert\w*|acert\w*|aprueb\w*|aprob\w*|acept\w*|bien\b|precisión|"
    r"certas?\b|certos?\b|corret\w*|aprov\w*|aceit\w*|giust\w*|corrett\w*|approv\w*|accett\w*|azzecc\w*|precisione|"
    r"goed\b|juist\w*|goedgekeurd|klopt|kloppen|nauwkeurig\w*|верн\w*|правильн\w*|принят\w*|принима\w*|одобр\w*|точност\w*|годн\w*|"
    r"正解|正し|正答|合格|承認|採用|精度|正确|准确|合格|通过|采纳|可用"
)
_POLARITY = re.compile(rf"(?P<wrong>{_WRONG})|(?P<right>{_RIGHT})", re.IGNORECASE)
_DENIED = re.compile(
    r"(?:\bnot|n['’]t|\bnever|\bno|nicht|keine?|\bpas|jamais|\bni|não|\bnon|niet|geen|\bне)\s(?:\w+\s){0,2}$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[;.!?\n。；！？](?=\s|$|[\u3040-\u9fff])|,\s|，|、")
REACH = 45  # characters on either side of a share in which a word may tell what it counts


def find_fractions(text: str) -> Iterator[tuple[int, int, float]]:
    """(start, end, value) of each share said in words."""
    for match in _FRACTION.finditer(text):
        touches = (
            text[match.start() - 1 : match.start()].isalpha() or text[match.end() : match.end() + 1].isalpha()
        )
        if touches and match[0].isascii():
            continue
        yield match.start(), match.end(), _VALUES[int(str(match.lastgroup)[1:])]
    for pattern in (_TENTHS, _CJK_PART):
        for match in pattern.finditer(text):
            part = match["part"]
            yield match.start(), match.end(), (_CJK_DIGIT.get(part) or int(part)) / 10


def is_rate(part: float, whole: float, link: str) -> bool:
    """Whether "4 in 10" only names a rate, so that nobody counted ten things."""
    says_of = re.fullmatch(r"\s*(?:of|out of|/)\s*", link, re.IGNORECASE)
    return whole <= MAX_RATE_DENOMINATOR or (whole in ROUND_RATES and (part == 1 or not says_of))


def counts_wrong(text: str, start: int, end: int) -> bool | None:
    """Whether the share at this position counts wrong cases; None where no word beside it tells."""
    before = _CLAUSE.split(text[max(0, start - REACH) : start])[-1]
    after = _CLAUSE.split(text[end : end + REACH])[0]
    nearest: tuple[int, bool] | None = None
    for part, base in ((before, None), (after, 0)):
        for match in _POLARITY.finditer(part):
            distance = len(part) - match.end() if base is None else match.start()
            wrong = match["wrong"] is not None
            if not wrong and _DENIED.search(part[: match.start()]):
                wrong = True
            if nearest is None or distance < nearest[0]:
                nearest = distance, wrong
    return nearest[1] if nearest else None
