"""What a question's form demands of its answer: a quantity of some dimension, a colour, a rate per hour, a "not", a predecessor.

Near misses share a sentence's words and ask for something of another form than it tells: how heavy instead of how long,
per mile instead of per trip, which are not allowed, who did it before. Covers forms that a few words on both sides tell;
what the words are about is left to the fitted score (rag/answer/answerability.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.answer.pieces import Piece
from rag.answer.rates import lacks_rate
from rag.answer.successions import lacks_other_person


def _words(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


@dataclass(frozen=True)
class Form:
    """Where `asks` is found in a question, its answer holds `pattern`."""

    name: str
    asks: re.Pattern[str]
    pattern: re.Pattern[str]


_NUMBER = r"(?:\d|\b(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|half|quarter|\w+teen|\w+ty|hundred|thousand)\b)"
_ALWAYS = r"\b(?:every day|daily|always|any ?time|all (?:year|week)|year round|round the clock|seven days|24|never|off)\b"
_PAST = r"\b(?:last|previous\w*|past|earlier|before|ago|archiv\w*|former\w*|preced\w*|predecessor|had|used to|was|were|until|till|formerly|back then|old\w*|prior|compared|after|since|\w{3,}ed|than|rose|rise|fell|fall|up|down|more|less|(?:19|20)\d\d|year)\b"
_TIME = r"\b(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|weekends?|fortnights?|months?|years?|decades?|centur\w+|terms?|seasons?|semesters?|ms|daily|yearly|monthly|annual\w*|overnight|noon|midnight|until|till|since|summer|winter|spring|autumn|easter|christmas|january|february|march|april|may|june|july|august|september|october|november|december|mon|tue|wed|thu|fri|sat|sun|\w+day|lifetime|aged?|ever|always|immediately|instantly|at once|forever|life)\b|\d\s?(?:h|s|d|min|ms|yr)\b|\b\d{1,2}[:.]\d\d\b|\b(?:1[5-9]|20)\d\d\b|\b\d+(?:am|pm)\b"
_LENGTH = r"\b(?:mm|cm|km|metres?|meters?|millimetres?|centimetres?|kilomet\w+|inch(?:es)?|feet|foot|ft|yards?|miles?|mi|steps?|stops?|lengths?|spans?|fathoms?|blocks?|storeys?|knees?|wide|tall|apart|away|A[0-6])\b|\d\s?(?:mm|cm|km|m|ft|mi)\b|\(m\)|[\"″×x]\s?\d|\d\s?[\"″'′]"
_MASS = r"\b(?:kg|kgs|kilos?|kilogram\w*|grams?|grammes?|mg|tonnes?|tons?|pounds?|lbs?|ounces?|oz|stone|weigh\w*|light\w*|heav\w+)\b|\((?:g|t)\)|\d\s?(?:kg|g|t|lb|oz)\b"
_VOLUME = r"\b(?:ml|cl|litres?|liters?|millilit\w+|cubic|m³|m3|gallons?|pints?|cups?|spoon\w*|tablespoons?|teaspoons?|glass\w*|bottles?|drops?|buckets?|tins?|barrels?|bags?|boxes|kilos?|kg|gb|mb|tb|kb|gigabytes?|megabytes?|terabytes?|gram\w*)\b|\(l\)|\d\s?(?:ml|cl|l|m³|gb|mb|tb|kb|kg|g)\b"
_AREA = r"\b(?:square|sq|m²|m2|km²|hectares?|ha|acres?)\b|m²|ft²|\d\s?(?:m²|ha)\b"
_ENERGY = r"\b(?:kwh|mwh|gwh|wh|kilowatts?|watts?|kw|mw|joules?|kcal|calories?|volts?|amps?|amperes?|mah|ah)\b|\((?:w|v|a)\)|\d\s?(?:kwh|w|kw|v|a|mah|kcal)\b"
_HEAT = r"°|\b(?:degrees?|celsius|fahrenheit|kelvin|freez\w+|boil\w*|cold|warm\w*|hot\w*|cool\w*|heat\w*|lukewarm|temperature)\b|\d\s?[CF]\b"
_SPEED = r"\b(?:km/h|kmh|mph|kn|knots?|m/s|an hour|per hour|a minute|per minute|per second|a second|rpm|mbit\w*|mbps|gbit\w*|gbps|megabits?|speed|fast|slow\w*|seconds?|minutes?|hours?|days?|weeks?|once|immediately)\b|\d\s?(?:mbit|mbps|rpm|ppm|kn|s|min|h)\b"
_COLOUR = r"\b(?:red|blue|green|yellow|white|black|grey|gray|orange|purple|violet|pink|brown|amber|gold\w*|silver\w*|beige|turquoise|navy|crimson|cream|colou?rs?|colou?rless|transparent|graphite|slate|maroon|teal|ivory|bronze|copper|chalk|tan|lilac|magenta|cyan)\b"
_NOT = r"\b(?:not|never|no|nobody|none|nothing|neither|nor|cannot|without|except\w*|exclud\w*|exempt\w*|only|but|unless|forb\w+|prohibit\w*|banned|ban|refus\w+|reject\w*|declin\w+|lack\w*|miss\w*|fail\w*|closed|outside|other than|un\w{4,}|free|instead|out of|stays?|left out|empty|impossible|off|less|leav\w+|skip\w*|drop\w*|stop\w*|cancel\w*|ruled out|beyond|rather|absent|away|incompatible|lost|illegal|wrong|open|still|taboo|inadmissible|avoid|against)\b|n['’]t\b|\bcan(?:no|')t\b|(?:^|[|;:] ?)-(?:$|[ |;])"
_ASKS_FOR_THE_OTHERS = r"^\W*(?:(?:and|so|at|on|in|for) )?(?:which|who|what|whose)\b(?! (?:if|happens))(?:(?!\bthat\b|\bif\b|\bbecause\b).){0,60}?(?:\bnot\b|n['’]t\b|\bcannot\b|\bnever\b)"
FORMS = (
    Form("mass", _words(r"\bhow heavy\b|\b(?:what|how much) (?:does|do|did|may|can|is|are) .{2,50}\bweigh\b|\bhow many (?:kilos?|kg|kilogram\w*|grams?|tonnes?|tons)\b|\bweight of\b|\bin (?:kilos?|kg|grams|tonnes|pounds of weight)\b"), _words(_MASS)),
    Form("length", _words(r"\bhow (?:tall|deep|wide)\b|\bhow far (?:is|are|away|from|to)\b|\bhow many (?:metres?|meters?|kilomet\w+|km|miles|cm|centimet\w+|feet|inches)\b|\bin (?:metres|meters|kilomet\w+|miles|cm|centimet\w+|feet)\b"), _words(_LENGTH)),
    Form("area", _words(r"\bhow many (?:square|hectares|acres)\b|\bin (?:square|hectares|acres)\b|\bhow many m²|\bfloor area\b"), _words(_AREA)),
    Form("volume", _words(r"\bhow many (?:lit(?:re|er)s|millilit\w+|ml|gallons|pints|cubic)\b|\bin (?:lit(?:re|er)s|millilit\w+|gallons)\b"), _words(_VOLUME)),
    Form("energy", _words(r"\bhow many (?:kilowatt\w*|watts?|kwh|volts|amps|calories|kcal)\b|\bhow much (?:energy|electricity|power)\b|\b(?:wattage|voltage|calories)\b"), _words(_ENERGY)),
    Form("heat", _words(r"\bhow (?:hot|cold|warm)\b|\b(?:what|which) temp\w*\b|\bhow many degrees\b"), _words(_HEAT)),
    Form("time", _words(r"\bhow many (?:seconds|minutes|hours|days|nights|weeks|months|years)\b|\bhow old\b"), _words(rf"{_TIME}|{_NUMBER}")),
    Form("past", _words(r"\b(?:last|previous) (?:year|month|week|summer|winter|season|term|autumn|spring)\b"), _words(_PAST)),
    Form("weekend", _words(r"\b(?:at|over|on|for|during) (?:the |a )?(?:whole )?weekends?\b"), _words(rf"\b(?:weekends?|sat\w*|sun(?:day)?s?|fri\w*|weekdays?|working days?)\b|{_ALWAYS}")),
    Form("holiday", _words(r"\b(?:on|at|over|during) (?:public |bank |the |school )*(?:holidays?|christmas|easter|new year\w*)\b"), _words(rf"\b(?:\w*holidays?|christmas|easter|new year\w*|vacations?|december|january|april|feast|festive|july|august|summer|breaks?|advent)\b|{_ALWAYS}")),
    Form("make", _words(r"\b(?:what|which) (?:make|brand)\b"), re.compile(r"(?<=[a-z,:|(] )[A-Z][\w-]+|\b(?=\w*\d)[\w-]{3,}|[A-Z]{2,}|\b[Nn]o[- ]name\b")),
    Form("speed", _words(r"\bhow fast (?:is|does|do|can|may|must (?:i|we) drive)\b|\b(?:top|maximum) speed\b"), _words(_SPEED)),
    Form("each", _words(r"\b(?:how (?:many|much)|what|which) .{2,80}\b(?:each|every) (?:of the |one )?(?!of|year|month|day|week|other|time|morning|evening|night|hour|term|summer|winter)[a-z]{3,}"), _words(r"\b(?:each|every\w*|per|apiece|both|all|respectively|a head)\b|/|\|")),
    Form("colour", _words(r"\b(?:what|which) colou?rs?\b|^colou?rs? of\b|\bwhat colou?r\b"), _words(_COLOUR)),
    Form("negation", _words(_ASKS_FOR_THE_OTHERS), _words(_NOT)),
)  # fmt: skip


def lacks_form(question: str, piece: Piece) -> bool:
    """Whether the question's form demands what the piece does not hold."""
    return bool(unmet_forms(question, piece))


def unmet_forms(question: str, piece: Piece) -> list[str]:
    """The names of the forms that the question demands and the piece, with its columns and heading, does not hold."""
    columns = piece.before if piece.header else ""
    text = f"{piece.text} {columns} {piece.leaf}"
    unmet = []
    for form in FORMS:
        inside = piece.text if form.name == "negation" else text
        if form.asks.search(question) and not form.pattern.search(inside):
            unmet.append(form.name)
    if lacks_rate(question, piece):
        unmet.append("rate")
    if lacks_other_person(question, piece):
        unmet.append("person")
    return unmet
