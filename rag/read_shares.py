"""Shares in words: "4 in 10 rejected", "one in six wrong", "half of them pass", and how many were looked at.

Covers English, and German, French and Spanish fractions of two numbers. A share counts only beside a word that
says whether it is the good or the bad part. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.signals.number_words import WORDS, WRONG

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
        counted = _OUT_OF.match(low, match.end())
        if counted:
            yield "eval_n", float(counted[1].replace(",", "")), counted.start(1), counted.end(1)


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
