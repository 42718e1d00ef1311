"""Finds instructions aimed at the adviser inside a message and takes them out before anything is read.

Covers orders to ignore rules, to reveal secrets or other people's text, to fix the verdict, role headers
and quoted markup. Does not judge whether the rest is a question: the reader does. Nothing found here is
ever obeyed; nothing missed here could be either, since text sets signals only and the table decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.cues import Lexicon, fold

_MARKUP = re.compile(
    r"<(?P<tag>system|assistant|instructions?|admin)>.*?</(?P=tag)>|<<.*?(?:>>|$)|<\|.*?\|>|\[/?inst\]|<(/?)(system|assistant|instructions?)>",
    re.DOTALL | re.IGNORECASE,
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_SENTENCE = re.compile(r"(?<=[.!?;\n])\s+|\n+|\s(?=(?:anyway|btw|also|but|so)\b[,: ])", re.IGNORECASE)


@dataclass(frozen=True)
class Screened:
    """`clean` is what may be read; `cut` holds the sentences that were orders to the adviser."""

    clean: str
    cut: tuple[str, ...]


def screen(text: str, lexicon: Lexicon) -> Screened:
    """The message without invisible characters and without sentences that give the adviser orders."""
    visible = _INVISIBLE.sub("", text)
    cut = [match[0] for match in _MARKUP.finditer(visible)]
    rest = _MARKUP.sub(" ", visible)
    patterns = lexicon.patterns[("topic", "injection")]
    kept = []
    for sentence in _SENTENCE.split(rest):
        if any(pattern.search(fold(sentence)) for pattern in patterns):
            cut.append(sentence)
        else:
            kept.append(sentence)
    return Screened(" ".join(" ".join(kept).split()), tuple(" ".join(part.split()) for part in cut))


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
