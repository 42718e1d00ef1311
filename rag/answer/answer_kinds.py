"""Checks whether a piece contains the type of answer that a question names: a phone number, a mail address, a code, a price.

A near miss names the thing and gives no number, price or author for it. Covers answer types with a pattern of their own;
the fitted score (rag/answer/answerability.py) judges amounts, dates and reasons.
"""

from __future__ import annotations

import re

from rag.answer.pieces import Piece
from rag.answer.question_terms import NUMBER_WORDS, has_digit, stem, tokens
from rag.search.tables import cells_of

_PHONE = re.compile(
    r"(?:\+|\b)\(?\d[\d\s()/.-]{4,}\d\b|\b(?:extension|ext\.?|dial|call(?:ed)? on|ring|phone|pager)\b.{0,20}\d{3}",
    re.I,
)
_CODE = re.compile(r"\b(?=\w*\d)[\w-]{3,}\b|\b[A-Z][A-Z0-9-]{3,}\b|`[^`]+`")
_ADDRESS = re.compile(r"://|www\.|\b[\w-]+\.(?:com|org|net|io|example|[a-z]{2})\b|(?<!\w)/\w+|#\w", re.I)
_MONEY = re.compile(
    r"[€£$¥₹]|\b(?:euros?|pounds?|dollars?|francs?|crowns?|pence|cents?|eur|usd|gbp|chf|sek|nok|dkk)\b|\d\s?[pk]\b",
    re.I,
)
_NO_MONEY = re.compile(
    r"\b(?:free|no charge|no cost|nothing|included?|includes|at cost|charged?|waived|discount|half|same price)\b",
    re.I,
)
_FORMS = (
    (re.compile(r"\b(?:phone|telephone|fax|mobile) (?:number|no)\b|\bphone\b.*\bwhat number\b", re.I), _PHONE),
    (re.compile(r"\be-?mail address\b", re.I), re.compile(r"\S@\S|\[at\]|\(at\)")),
    (re.compile(r"\bwhat(?:'s| is| was) the (?:[\w'’]+ ){0,3}(?:code|pin|password|passphrase|serial number|iban)\b", re.I), _CODE),
    (re.compile(r"\bwhat(?:'s| is) the (?:[\w'’]+ ){0,3}(?:url|web address|link)\b", re.I), _ADDRESS),
)  # fmt: skip
_PRICE = re.compile(
    r"\bhow much (?:is|are|was|were|does .{3,60} cost|do .{3,60} cost|did .{3,60} cost)\b|\b(?:price|cost|fee|rent|salary) (?:of|for)\b"
    r"|\bwhat (?:does|do|did) .{2,60} cost\b|\bwhat (?:does|do|did) .{2,60} charge\b|\binsured for\b",
    re.I,
)
_PRICED = re.compile(
    r"\b(?:costs?|prices?|fees?|charged?|charges|rent|pay|pays|paid|salary|worth|budget|rates?|deposits?|tariffs?)\b",
    re.I,
)
_IS_NUMBER = re.compile(
    r"(?:\b(?:is|are|was|were|for|at|takes?|asks?)|'s) \d[\d.,]*(?:\W*$| an? \w+\W*$| (?:per|each|by|million)\b)",
    re.I,
)
_HOW_MANY = re.compile(r"\bhow many ([^\W\d_]{3,})", re.I)
_COMPOUND = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half|first|second|third)-(?=[a-z])", re.I
)
_COLON_NUMBER = re.compile(r"(?<=[A-Z])\s*[:=]\s+(?=\d)")  # "PTO: 25" tells a number, "SCIM 2.0" is a name
_HOW_MANY_THERE = re.compile(r"\bhow many ([^\W\d_]{3,}) (?:are|were) there\b", re.I)
_COUNTING = frozenset(map(stem, ("number", "count", "total", "quantity", "pieces", "amount", "value")))
_WHERE = re.compile(r"^\W*where\b", re.I)
_PLACE = re.compile(
    r"\b(?:in|at|into|near|behind|under|below|above|beside|opposite|by|on|to|from|via|through|inside|outside|between|beneath|next)\s+(?!\d|(?:the\s+)?"
    r"(?:first|second|third|fourth|last|next|\w+days?|morning|evening|noon|night|january|february|march|april|may|june|july|august|september|october"
    r"|november|december|each|every|advance|writing|time|average|total)\b)[\w#`'\"*]|\b(?:here|there|online|settings|menu|room|floor|street|page|lives?|stands?|found)\b|[>→/]",
    re.I,
)
_TIME_NAME = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?$|(?:january|february|march|april|may|june|july|august|september|october|november|december)$",
    re.I,
)
_QUESTION_WORD = re.compile(r"\b(?:how|what|when|where|who|which|why)\b", re.I)
_WHO = re.compile(
    r"^\W*who(?!se)\b(?! (?:can|may|must|should|has to|needs|is allowed|is entitled|gets))", re.I
)
_ACTOR = re.compile(
    r"\b(?:team|desk|office|officer|manager|head|lead|director|board|committee|chair\w*|president|owner|council|company|ltd|inc|gmbh|department|staff"
    r"|crew|engineer\w*|agents?|admins?|administrator|support|finance|legal|security|facilities|supplier|vendor|contractor|customer\w*|user\w*"
    r"|whoever|those (?:who|whose|that)|secretar\w+|assistants?|mechanics?|stewards?|caretakers?|porters?|guards?|neighbours?|landlords?|judges|drivers?|riders?"
    r"|buyers?|sellers?|senders?|wardens?|brigade|police|teachers?|doctors?|captains?|technicians?|analysts?|auditors?|treasurers?|curators?|librarians?"
    r"|no one|someone|by (?:the|an?|our|its|their|his|her) \w+ (?!of\b)"
    r"|everyone|everybody|nobody|anyone|somebody|people|members?|employees?|parents?|trust\w*|i|we|you|he|she)\b",
    re.I,
)
_NAME = re.compile(r"\b[A-Z][\w'’-]+")


def lacks_answer_type(question: str, piece: Piece) -> bool:
    """Whether the question asks for a type of answer that the piece does not contain."""
    text = piece.text
    if len(_QUESTION_WORD.findall(question)) > 1:  # a piece may answer one of two questions
        return False
    for asks, form in _FORMS:
        if asks.search(question):
            return not form.search(text)
    if _PRICE.search(question):
        return not _holds_price(piece)
    if _WHO.search(question):
        names = {name for name in _NAME.findall(text) if not _TIME_NAME.match(name)}
        opening = set() if _opens_with_name(piece) else {_first_word(text)}
        return not _ACTOR.search(text) and not names - set(_NAME.findall(question)) - opening
    if _WHERE.search(question) and not piece.header:
        return not _PLACE.search(text)
    return _counts_label(question, piece) if piece.header else _counts_another(question, text)


def _counts_another(question: str, text: str) -> bool:
    """Whether a sentence names the things to count without a number beside them."""
    match = _HOW_MANY.search(question)
    if match is None:
        return False
    words = tokens(_COLON_NUMBER.sub(" is ", _COMPOUND.sub(" ", text)))
    places = [at for at, word in enumerate(words) if stem(word) == stem(match[1])]
    numbers = [
        at
        for at, word in enumerate(words)
        if (has_digit(word) or word.lower() in NUMBER_WORDS)
        and (at + 1 in places or not (at and _is_standard(words[at - 1])))
    ]
    return bool(places) and not any(-3 <= number - at <= 4 for at in places for number in numbers)


def _counts_label(question: str, piece: Piece) -> bool:
    """Whether the things to count are the row's own label, and its columns hold other facts about them."""
    match = _HOW_MANY_THERE.search(question)
    if match is None:
        return False
    noun = stem(match[1])
    columns = {stem(word) for name in piece.header[1:] for word in tokens(name)}
    return noun in map(stem, tokens(cells_of(piece.text)[0])) and not columns & {noun, *_COUNTING}


def _is_standard(word: str) -> bool:
    """Whether the number behind a word belongs to its name, as in SCIM 2.0."""
    return len(word) > 1 and word.isalpha() and word.isupper()


def _holds_price(piece: Piece) -> bool:
    """An amount of money, or words for none; a row's money may stand in its header or caption."""
    if _NO_MONEY.search(piece.text):
        return True
    if not _has_number(piece.text):
        return False
    around = f"{piece.text} {piece.passage.heading}"
    return bool(
        piece.header or _MONEY.search(around) or _PRICED.search(around) or _IS_NUMBER.search(piece.text)
    )


def _has_number(text: str) -> bool:
    """Digits, or a number in words ("forty-two crowns")."""
    return has_digit(text) or any(word in NUMBER_WORDS for word in re.findall(r"[^\W\d_]+", text.lower()))


def _first_word(text: str) -> str:
    match = re.match(r"\W*([\w'’-]+)", text)
    return match[1] if match else ""


def _opens_with_name(piece: Piece) -> bool:
    """Whether the word that opens a piece is capitalised within a sentence of its passage too, or speaks there."""
    word = re.escape(_first_word(piece.text))
    return bool(word) and bool(re.search(rf"[a-z,] {word}\b|\b{word}:", piece.passage.text))
