"""Whether a piece tells an amount per hour, mile or person where the question asks for one: "per mile" is not "a trip"."""

from __future__ import annotations

import re

from rag.answer.pieces import Piece

_RATES = {
    "hour": r"hours?|h",
    "minute": r"minutes?|min",
    "second": r"seconds?|s",
    "day": r"days?|nights?|diem|working day|average day",
    "night": r"nights?|day|morning",
    "week": r"weeks?",
    "month": r"months?|average month",
    "year": r"years?|annum|a|two years|calendar year",
    "mile": r"miles?|mi",
    "kilometre": r"kilometres?|kilometers?|km",
    "person": r"person|people|head|one|guest|adult|participant|visitor|player|member|child|traveller",
}
_RATE_WORDS = {
    "hour": r"hourly|(?:60|sixty) minutes", "minute": r"ppm|rpm|bpm|(?:60|sixty) seconds", "second": "hertz|hz",
    "day": r"daily|overnight|(?:24|twenty-four) hours|morning|evening", "night": r"nightly|overnight|sleep\w*|stay\w*|until morning",
    "week": r"weekly|(?:7|seven) days|to sunday", "month": r"monthly|instalments?|(?:30|thirty) days|(?:4|four) weeks",
    "year": r"yearly|annual\w*|p\.a|(?:12|twelve) months", "person": r"each|everyone|everybody|apiece|individual\w*|whoever|anyone|nobody",
    "mile": "mileage", "kilometre": r"mileage|1,?000 m\w*",
}  # fmt: skip
_RATE = re.compile(
    rf"\b(?:per|for each) ({'|'.join(_RATES)})\b(?! (?:shift|from))|(?<!\bfor)(?<!half)(?<!wait)(?<!than)(?<!of)(?<!\bin)(?<!within)(?<!\bat)"
    r" an? (hour|day|night|week|month|year|mile|kilometre)\b(?! (?:ago|later|before|after|early|late|off|trip|out|in |ticket|pass))",
    re.I,
)
_ADVERBS = {"hourly": "hour", "weekly": "week", "yearly": "year"}
_ADVERB = re.compile(rf"\b({'|'.join(_ADVERBS)}) (?:price|rate|rent|fee|cost|pay|charge|salary|wage)\b", re.I)
_WANTS_AMOUNT = re.compile(
    r"\b(?:how (?:much|many)|price|rates?|costs?|fee|rent|charge\w*|pay|paid|salary|wage|tariff)\b", re.I
)
_BEFORE_UNIT = r"(?:per|an?|each|every|by the|for|one|in|all|/|that|this|the|of) ?|[\d.,]+ |/"


def lacks_rate(question: str, piece: Piece) -> bool:
    """Whether the question asks for an amount per unit, and neither the piece nor what it stands under names that unit."""
    match = (_RATE.search(question) or _ADVERB.search(question)) if _WANTS_AMOUNT.search(question) else None
    if match is None:
        return False
    name = next(group for group in match.groups() if group).lower()
    unit = _ADVERBS.get(name, name)
    names, words = _RATES[unit], _RATE_WORDS[unit]
    bare = rf"(?<!\w)(?:{names}|{words})(?!\w)"
    pattern = bare if piece.header else rf"(?<!\w)(?:{_BEFORE_UNIT})(?:{names})(?!\w)|\b(?:{words})\b"
    above = f"{piece.before if piece.header else ''} {piece.passage.heading} {piece.passage.title}"
    return not re.search(pattern, f"{piece.text} {piece.before}", re.I) and not re.search(bare, above, re.I)
