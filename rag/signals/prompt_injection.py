"""Finds instructions aimed at the adviser inside a message and takes them out before anything is read.

Covers orders to ignore rules, to reveal secrets or other people's text, to fix the verdict, role headers
and quoted markup. Does not judge whether the rest is a question: the reader does. Nothing found here is
ever obeyed; nothing missed here could be either, since text sets signals only and the table decides.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rag.signals.lexicon import Lexicon, lower_with_plain_quotes

_MARKUP = re.compile(
    r"<(?P<tag>system|assistant|instructions?|admin)>.*?</(?P=tag)>|\[inst\].*?\[/inst\]|<\|im_start\|>.*?<\|im_end\|>"
    r"|<<.*?(?:>>|$)|<\|.*?\|>|\[/?inst\]|<(/?)(?:system|assistant|instructions?)>",
    re.DOTALL | re.IGNORECASE,
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_SENTENCE = re.compile(r"(?<=[.!?;\n])\s+|\n+|\s(?=(?:anyway|btw|also|but|so)\b[,: ])", re.IGNORECASE)


# What an order goes on with: "... and tell me to train", up to the end of its sentence.
_GOES_ON = re.compile(
    r"\w*[\s,;:-]*(?:(?:and|then|please|just|simply|now|instead|und|et|y)[\s,]+)*"
    r"(?:tell|say|answer|recommend|reply|respond|output|print|state|declare|confirm|approve|choose|pick|conclude|sag\w*|dis|di)\b.*",
    re.DOTALL | re.IGNORECASE,
)
_SPACED = re.compile(r"\b(?:[^\W\d_] ){3,}[^\W\d_]\b")
_WORD = re.compile(r"\w+")
_ALIKE = str.maketrans("аеорсухіјѕԁԛԝАВЕКМНОРСТХІЈЅοαειρν", "aeopcyxijsdqwABEKMHOPCTXIJSoaeipv")


@dataclass(frozen=True)
class ScreenedText:
    """`clean` is what may be read; `cut` holds the sentences that were orders to the adviser."""

    clean: str
    cut: tuple[str, ...]


def screen(text: str, lexicon: Lexicon) -> ScreenedText:
    """The message without invisible characters and without the parts that give the adviser orders."""
    visible = plain(text)
    cut = [match[0] for match in _MARKUP.finditer(visible)]
    rest = _MARKUP.sub("\n", visible)
    parts = []
    for sentence in _SENTENCE.split(rest):
        spans = _orders(sentence, lexicon)
        if not spans:
            parts.append(sentence)
            continue
        start, end = spans[0][0], spans[-1][1]
        if goes_on := _GOES_ON.match(sentence, end):
            end = goes_on.end()
        before, after = sentence[:start], sentence[end:]
        honest = [part for part in (before, after) if _honest(part, lexicon)]
        parts += honest
        cut.append(sentence if not honest else sentence[start:end])
    return ScreenedText(" ".join(" ".join(parts).split()), tuple(" ".join(part.split()) for part in cut))


def plain(text: str) -> str:
    """The text as a person sees it: no invisible characters, no look-alike or spaced-out letters."""
    visible = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    visible = _SPACED.sub(lambda match: match[0].replace(" ", ""), visible)
    return _WORD.sub(
        lambda match: match[0].translate(_ALIKE) if _mixes_alphabets(match[0]) else match[0], visible
    )


def _mixes_alphabets(word: str) -> bool:
    return any(letter in _ALIKE for letter in map(ord, word)) and bool(re.search(r"[a-zA-Z]", word))


def _orders(sentence: str, lexicon: Lexicon) -> list[tuple[int, int]]:
    patterns = lexicon.patterns[("topic", "injection")]
    return sorted(
        match.span() for pattern in patterns for match in pattern.finditer(lower_with_plain_quotes(sentence))
    )


def _honest(part: str, lexicon: Lexicon) -> bool:
    """Five words or more that speak of a model's task, and no order among them."""
    about = {(cue.signal, cue.value) for cue in lexicon.find(part)}
    speaks = any(signal in ("task", "gaps") for signal, _ in about) or ("topic", "ours") in about
    return len(part.split()) >= 5 and speaks and ("topic", "injection") not in about


def fence(kind: str, text: str, mark: str, **about: str) -> str:
    """Text as data for a language model: between tags whose `mark` (random, one per call) the text cannot know.

    `about` becomes attributes. The tags hold against text that pretends to end them; that the model takes what
    stands inside as data is asked for, not assured: what it gives back is checked.
    """
    inside = _INVISIBLE.sub("", text).replace(mark, "")
    attributes = "".join(f" {name}={_plain(value)!r}" for name, value in about.items())
    return f"<{kind}-{mark}{attributes}>\n{inside}\n</{kind}-{mark}>"


def _plain(text: str) -> str:
    return re.sub(r"[^\w .,:>/-]", " ", text)[:200]
